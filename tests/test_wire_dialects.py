"""The same calls as client stacks of fifteen years send them (wire.md §3)."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from tests.support.soap import NS, as_mapping

if TYPE_CHECKING:
    from tests.support.client import Response
    from tests.support.soap import Soap

FIND_USER = {
    "suds": """\
        <?xml version="1.0" encoding="UTF-8"?>
        <SOAP-ENV:Envelope xmlns:ns0="http://www.sipfoundry.org/2007/08/21/ConfigService"
          xmlns:ns1="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
          xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/">
           <SOAP-ENV:Header/>
           <ns1:Body>
              <ns0:FindUser>
                 <search>
                    <byUserName>2001</byUserName>
                 </search>
              </ns0:FindUser>
           </ns1:Body>
        </SOAP-ENV:Envelope>""",
    "Axis 1.4": """\
        <?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope
          xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:xsd="http://www.w3.org/2001/XMLSchema"
          xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><FindUser
          xmlns="http://www.sipfoundry.org/2007/08/21/ConfigService"><search
          xsi:type="ns1:UserSearch" xmlns=""
          xmlns:ns1="http://www.sipfoundry.org/2007/08/21/ConfigService"><byUserName
          xsi:type="xsd:string">2001</byUserName></search></FindUser></soapenv:Body>
        </soapenv:Envelope>""",
    "node-soap": """\
        <?xml version="1.0" encoding="utf-8"?><soap:Envelope
          xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
          xmlns:impl="http://www.sipfoundry.org/2007/08/21/ConfigService"><soap:Body><impl:FindUser
          xmlns:impl="http://www.sipfoundry.org/2007/08/21/ConfigService"
          xmlns="http://www.sipfoundry.org/2007/08/21/ConfigService"><search>
        <byUserName>2001</byUserName></search></impl:FindUser></soap:Body></soap:Envelope>""",
    "SOAP::Lite": """\
        <?xml version="1.0" encoding="UTF-8"?><soap:Envelope
          soap:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"
          xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"
          xmlns:xsd="http://www.w3.org/2001/XMLSchema"
          xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soap:Body><FindUser
          xmlns="http://www.sipfoundry.org/2007/08/21/ConfigService"><search><byUserName
          xsi:type="xsd:int">2001</byUserName></search></FindUser></soap:Body></soap:Envelope>""",
    "PHP": """\
        <?xml version="1.0" encoding="UTF-8"?>
        <SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:ns1="http://www.sipfoundry.org/2007/08/21/ConfigService"><SOAP-ENV:Body>
        <ns1:FindUser><search><byUserName>2001</byUserName></search></ns1:FindUser></SOAP-ENV:Body>
        </SOAP-ENV:Envelope>
        """,
    "zeep": """\
        <?xml version='1.0' encoding='utf-8'?>
        <soap-env:Envelope xmlns:soap-env="http://schemas.xmlsoap.org/soap/envelope/">
        <soap-env:Body><ns0:FindUser
          xmlns:ns0="http://www.sipfoundry.org/2007/08/21/ConfigService"><search>
        <byUserName>2001</byUserName></search></ns0:FindUser></soap-env:Body>
        </soap-env:Envelope>""",
    "gSOAP": """\
        <?xml version="1.0" encoding="UTF-8"?>
        <SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/"
          xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
          xmlns:xsd="http://www.w3.org/2001/XMLSchema"
          xmlns:ns1="http://www.sipfoundry.org/2007/08/21/ConfigService"><SOAP-ENV:Body>
        <ns1:FindUser><search><byUserName>2001</byUserName></search></ns1:FindUser></SOAP-ENV:Body>
        </SOAP-ENV:Envelope>""",
    "WCF": """\
        <s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body
          xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
          xmlns:xsd="http://www.w3.org/2001/XMLSchema"><FindUser
          xmlns="http://www.sipfoundry.org/2007/08/21/ConfigService"><search xmlns="">
        <byUserName>2001</byUserName></search></FindUser></s:Body></s:Envelope>""",
    "SOAP4R": """\
        <?xml version="1.0" encoding="utf-8" ?>
        <env:Envelope xmlns:xsd="http://www.w3.org/2001/XMLSchema"
            xmlns:env="http://schemas.xmlsoap.org/soap/envelope/"
            xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
          <env:Body>
            <n1:FindUser xmlns:n1="http://www.sipfoundry.org/2007/08/21/ConfigService">
              <search>
                <byUserName>2001</byUserName>
              </search>
            </n1:FindUser>
          </env:Body>
        </env:Envelope>""",
    "Savon": """\
        <?xml version="1.0" encoding="UTF-8"?><env:Envelope
          xmlns:xsd="http://www.w3.org/2001/XMLSchema"
          xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
          xmlns:tns="http://www.sipfoundry.org/2007/08/21/ConfigService"
          xmlns:env="http://schemas.xmlsoap.org/soap/envelope/"><env:Body><tns:findUser>
        <tns:search><tns:byUserName>2001</tns:byUserName></tns:search></tns:findUser></env:Body>
        </env:Envelope>""",
    "SoapUI": """\
        <soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:con="http://www.sipfoundry.org/2007/08/21/ConfigService">
           <soapenv:Header/>
           <soapenv:Body>
              <con:FindUser>
                 <search>
                    <!--Optional:-->
                    <byUserName>2001</byUserName>
                 </search>
              </con:FindUser>
           </soapenv:Body>
        </soapenv:Envelope>""",
}

GET_CALL_GROUPS = {
    "suds": """\
        <SOAP-ENV:Envelope xmlns:ns1="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Header/><ns1:Body/>
        </SOAP-ENV:Envelope>""",
    "Axis 1.4": """\
        <?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope
          xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:xsd="http://www.w3.org/2001/XMLSchema"
          xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><getCallGroups
          xmlns=""/></soapenv:Body></soapenv:Envelope>""",
    "node-soap": """\
        <?xml version="1.0" encoding="utf-8"?><soap:Envelope
          xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:impl="http://www.sipfoundry.org/2007/08/21/ConfigService"><soap:Body>
        <impl:getCallGroupsRequest></impl:getCallGroupsRequest></soap:Body></soap:Envelope>""",
    "SOAP::Lite": """\
        <?xml version="1.0" encoding="UTF-8"?><soap:Envelope
          xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soap:Body><getCallGroups
          xmlns="http://www.sipfoundry.org/2007/08/21/ConfigService" xsi:nil="true" /></soap:Body>
        </soap:Envelope>""",
    "PHP": """\
        <?xml version="1.0" encoding="UTF-8"?>
        <SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/">
        <SOAP-ENV:Body/></SOAP-ENV:Envelope>
        """,
    "zeep": """\
        <?xml version='1.0' encoding='utf-8'?>
        <soap-env:Envelope xmlns:soap-env="http://schemas.xmlsoap.org/soap/envelope/">
        <soap-env:Body/></soap-env:Envelope>""",
    "SoapUI": """\
        <soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">
           <soapenv:Header/>
           <soapenv:Body/>
        </soapenv:Envelope>""",
}

ADD_CALL_GROUP = {
    "suds": """\
        <?xml version="1.0" encoding="UTF-8"?>
        <SOAP-ENV:Envelope xmlns:ns0="http://www.sipfoundry.org/2007/08/21/ConfigService"
          xmlns:ns1="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
          xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Header/><ns1:Body>
        <ns0:AddCallGroup><callGroup><name>sales</name><extension>300</extension>
        <enabled>True</enabled><rings><expiration>10</expiration><type>delayed</type>
        <userName>2001</userName></rings></callGroup></ns0:AddCallGroup></ns1:Body>
        </SOAP-ENV:Envelope>""",
    "Axis 1.4": """\
        <?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope
          xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:xsd="http://www.w3.org/2001/XMLSchema"
          xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><AddCallGroup
          xmlns="http://www.sipfoundry.org/2007/08/21/ConfigService"><callGroup xmlns="">
        <name>sales</name><extension>300</extension><description xsi:nil="true"/>
        <enabled>true</enabled><rings><expiration>10</expiration><type>delayed</type>
        <position>0</position><userName>2001</userName></rings></callGroup></AddCallGroup>
        </soapenv:Body></soapenv:Envelope>""",
    "SOAP::Lite": """\
        <?xml version="1.0" encoding="UTF-8"?><soap:Envelope
          soap:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"
          xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"
          xmlns:xsd="http://www.w3.org/2001/XMLSchema"
          xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soap:Body><addCallGroup
          xmlns="http://www.sipfoundry.org/2007/08/21/ConfigService"><callGroup><extension
          xsi:type="xsd:int">300</extension><enabled xsi:type="xsd:int">1</enabled><name
          xsi:type="xsd:string">sales</name><rings><userName xsi:type="xsd:int">2001</userName>
        <type xsi:type="xsd:string">delayed</type><expiration xsi:type="xsd:int">10</expiration>
        </rings></callGroup></addCallGroup></soap:Body></soap:Envelope>""",
    "PHP": """\
        <?xml version="1.0" encoding="UTF-8"?>
        <SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:ns1="http://www.sipfoundry.org/2007/08/21/ConfigService"><SOAP-ENV:Body>
        <ns1:AddCallGroup><callGroup><name>sales</name><extension>300</extension>
        <enabled>1</enabled><rings><expiration>10</expiration><type>delayed</type>
        <position>0</position><userName>2001</userName></rings></callGroup></ns1:AddCallGroup>
        </SOAP-ENV:Body></SOAP-ENV:Envelope>""",
    "node-soap": """\
        <?xml version="1.0" encoding="utf-8"?><soap:Envelope
          xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"
          xmlns:impl="http://www.sipfoundry.org/2007/08/21/ConfigService"><soap:Body>
        <impl:AddCallGroup xmlns:impl="http://www.sipfoundry.org/2007/08/21/ConfigService"
          xmlns="http://www.sipfoundry.org/2007/08/21/ConfigService"><callGroup><name>sales</name>
        <extension>300</extension><enabled>true</enabled><rings><expiration>10</expiration>
        <type>delayed</type><userName>2001</userName></rings></callGroup></impl:AddCallGroup>
        </soap:Body></soap:Envelope>""",
}

MANAGE_USER_OF_SUDS = """\
    <SOAP-ENV:Envelope xmlns:ns0="http://www.sipfoundry.org/2007/08/21/ConfigService"
      xmlns:ns1="http://schemas.xmlsoap.org/soap/envelope/"
      xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Header/><ns1:Body>
    <ns0:ManageUser><search><byUserName>2001</byUserName></search><edit/>
    <deleteUser>true</deleteUser></ns0:ManageUser></ns1:Body></SOAP-ENV:Envelope>"""

MANAGE_PHONE_OF_SUDS = """\
    <SOAP-ENV:Envelope xmlns:ns0="http://www.sipfoundry.org/2007/08/21/ConfigService"
      xmlns:ns1="http://schemas.xmlsoap.org/soap/envelope/"
      xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Header/><ns1:Body>
    <ns0:ManagePhone><search><bySerialNumber>000000000001</bySerialNumber></search><edit>
    <property>description</property><value>Lobby</value></edit><addLine><userId/></addLine>
    <addExternalLine><userId/><registrationServer/></addExternalLine></ns0:ManagePhone></ns1:Body>
    </SOAP-ENV:Envelope>"""


@pytest.fixture(autouse=True)
def user(soap: Soap) -> None:
    soap.operation("UserService", "addUser", {"user": {"userName": "2001"}})


def post(soap: Soap, service: str, envelope: str) -> Response:
    return soap.post(service, dedent(envelope).encode())


def items(response: Response) -> list[dict[str, object]]:
    assert response.status == 200, response.text
    return [as_mapping(item) for item in etree.fromstring(response.body)[0][0][0]]


@pytest.mark.parametrize("stack", FIND_USER)
def test_every_client_finds_a_user(soap: Soap, stack: str) -> None:
    found = items(post(soap, "UserService", FIND_USER[stack]))
    assert [user["userName"] for user in found] == ["2001"]


@pytest.mark.parametrize("stack", GET_CALL_GROUPS)
def test_every_client_calls_an_operation_without_input(soap: Soap, stack: str) -> None:
    soap.operation("CallGroupService", "addCallGroup", {"callGroup": {"name": "sales"}})
    found = items(post(soap, "CallGroupService", GET_CALL_GROUPS[stack]))
    assert found == [{"name": "sales", "enabled": "false"}]


@pytest.mark.parametrize("stack", ADD_CALL_GROUP)
def test_every_client_adds_the_same_call_group(soap: Soap, stack: str) -> None:
    added = post(soap, "CallGroupService", ADD_CALL_GROUP[stack])
    assert f'<addCallGroupResponse xmlns="{NS}"></addCallGroupResponse>' in added.text
    ring = {"expiration": "10", "type": "delayed", "position": "0", "userName": "2001"}
    assert items(post(soap, "CallGroupService", GET_CALL_GROUPS["zeep"])) == [
        {"name": "sales", "extension": "300", "enabled": "true", "rings": [ring]}
    ]


def test_the_empty_edit_that_suds_sends_does_not_keep_it_from_deleting(soap: Soap) -> None:
    assert post(soap, "UserService", MANAGE_USER_OF_SUDS).status == 200
    assert items(post(soap, "UserService", FIND_USER["suds"])) == []


def test_the_empty_lines_that_suds_sends_add_nothing(soap: Soap) -> None:
    phone = {"serialNumber": "000000000001", "modelId": "polycom321", "lines": {"userId": "2001"}}
    soap.operation("PhoneService", "addPhone", {"phone": phone})
    assert post(soap, "PhoneService", MANAGE_PHONE_OF_SUDS).status == 200
    (found,) = soap.operation("PhoneService", "findPhone", {})
    assert found["description"] == "Lobby"
    assert [line["userId"] for line in found["lines"]] == ["2001"]
