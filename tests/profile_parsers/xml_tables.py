"""The families of docs/spec/phones.md §3 whose files are XML: every key, as the page has it."""

from __future__ import annotations

from tests.profile_parsers import xml
from tests.profile_parsers.table import Table, prefixed

_GS = "gs_provision/config"
_GS_HEAD = {
    "gs_provision@version": "1",
    "gs_provision/mac": "0004f2abcdef",
    "gs_provision/config@version": "1",
}
_CISCO_LINE = "device/sipProfile/sipLines/line{K}"
_ACCOUNT_L = "configuration/sipAccounts/account_L{N}/"
_MITEL = "Parameter/user_list/User@"
_COUNTED = ("", *(f"[{n}]" for n in range(2, 101)))
_HANDYTONE_PORT_2 = prefixed(
    f"{_GS}/P",
    {
        "735": "{user}",
        "736": "{auth}",
        "734": "{password}",
        "747": "{server}",
        "703": "{name}",
    },
)
_FXS_PORT = prefixed(
    f"{_GS}/P",
    {
        "{P4060}": "{user}",
        "{P4090}": "{auth}",
        "{P4120}": "{password}",
        "{P4150}": "0",
        "{PNAME}": "{name}",
    },
)

XML_TABLES: dict[str, Table] = {
    "polycom": Table(
        xml.attributes,
        {
            "reg.{N}.address": "{user}",
            "reg.{N}.auth.userId": "{auth}",
            "reg.{N}.auth.password": "{password}",
            "reg.{N}.server.1.address": "{host}",
            "reg.{N}.server.1.port": "{port}",
            "reg.{N}.displayName": "{name}",
            "reg.{N}.label": "{user}",
            "msg.mwi.{N}.callBack": "{voice}",
            "msg.mwi.{N}.callBackMode": "contact",
            "msg.mwi.{N}.subscribe": "{user}",
        },
        phone={"voIpProt.SIP.specialEvent.checkSync.alwaysReboot": "1"},
        instrument=True,
    ),
    "linksys": Table(
        xml.paths,
        prefixed(
            "flat-profile/",
            {
                "User_ID_{N}_": "{user}",
                "Auth_ID_{N}_": "{auth}",
                "Password_{N}_": "{password}",
                "Proxy_{N}_": "{server}",
                "Display_Name_{N}_": "{name}",
                "Use_Auth_ID_{N}_": "Yes",
                "Register_{N}_": "Yes",
                "Line_Enable_{N}_": "Yes",
                "Mailbox_ID_{N}_": "{user}",
            },
        ),
        unused={"flat-profile/Line_Enable_{N}_": "No"},
        phone={"flat-profile/Voice_Mail_Number": "{voice}"},
    ),
    "snom": Table(
        xml.indexed,
        {
            "user_name {N}": "{user}",
            "user_pname {N}": "{auth}",
            "user_pass {N}": "{password}",
            "user_host {N}": "{server}",
            "user_realname {N}": "{name}",
            "user_mailbox {N}": "{voice}",
            "user_active {N}": "on",
        },
        unused={
            "user_name {N}": "",
            "user_pname {N}": "",
            "user_pass {N}": "",
            "user_realname {N}": "",
            "user_active {N}": "off",
        },
    ),
    "gsPhone": Table(
        xml.paths,
        prefixed(
            f"{_GS}/P",
            {
                "{K}04": "{user}",
                "{K}05": "{auth}",
                "{K}06": "{password}",
                "{K}02": "{server}",
                "{K}07": "{name}",
                "{K}17": "{name}",
                "{K}26": "{voice}",
                "{K}01": "1",
            },
        ),
        unused={f"{_GS}/P{{K}}01": "0"},
        phone=_GS_HEAD,
        first=prefixed(
            f"{_GS}/P",
            {
                "35": "{user}",
                "36": "{auth}",
                "34": "{password}",
                "47": "{server}",
                "3": "{name}",
                "270": "{name}",
                "33": "{voice}",
                "271": "1",
            },
        ),
        first_unused={f"{_GS}/P271": "0"},
        instrument=True,
        codes=(0, 4, 5, 6, 17, 18),
    ),
    "gsHt": Table(
        xml.paths,
        _HANDYTONE_PORT_2,
        _HANDYTONE_PORT_2,
        phone=_GS_HEAD
        | prefixed(
            f"{_GS}/P",
            {"35": "{user}", "36": "{auth}", "34": "{password}", "47": "{server}", "3": "{name}"},
        ),
        first={},
        first_unused={},
        instrument=True,
    ),
    "gsFxs": Table(
        xml.paths,
        _FXS_PORT,
        _FXS_PORT,
        phone=_GS_HEAD | {f"{_GS}/P47": "{server}"},
        one_server=True,
        instrument=True,
    ),
    "ciscoplusPhone": Table(
        xml.paths,
        {
            f"{_CISCO_LINE}@button": "{N}",
            f"{_CISCO_LINE}/name": "{user}",
            f"{_CISCO_LINE}/authName": "{auth}",
            f"{_CISCO_LINE}/authPassword": "{password}",
            f"{_CISCO_LINE}/proxy": "{host}",
            f"{_CISCO_LINE}/port": "{port}",
            f"{_CISCO_LINE}/displayName": "{name}",
            f"{_CISCO_LINE}/featureLabel": "{user}",
            f"{_CISCO_LINE}/featureID": "9",
            f"{_CISCO_LINE}/contact": "{user}",
            f"{_CISCO_LINE}/messagesNumber": "{voice}",
        },
        phone={
            "device/fullConfig": "true",
            "device/deviceProtocol": "SIP",
            "device/devicePool/callManagerGroup/members/member@priority": "0",
            "device/devicePool/callManagerGroup/members/member/callManager/processNodeName": (
                "{host}"
            ),
        },
        instrument=True,
        codes=_COUNTED,
    ),
    "nortel12x0": Table(
        xml.paths,
        prefixed(
            _ACCOUNT_L,
            {
                "authname": "{user}",
                "authId": "{auth}",
                "authPassword": "{password}",
                "registrar/registrarAddress": "{server}",
                "displayname": "{name}",
                "voiceMailServerAddress": "{vs}",
            },
        ),
        instrument=True,
    ),
    "ipDialog": Table(
        xml.paths,
        prefixed(
            _ACCOUNT_L,
            {
                "authname": "{user}",
                "authPassword": "{password}",
                "registrar/registrarAddress": "{server}",
                "sipProxy/proxyAddress": "{server}",
                "displayname": "{name}",
                "voiceMailServerAddress": "{vs}",
            },
        ),
    ),
    "clearone": Table(
        xml.paths,
        phone=prefixed(
            "C1MAXSIPCONFIG/",
            {
                "sip_username": "{user}",
                "sip_password": "{password}",
                "sip_proxy_server": "{host}",
                "sip_proxy_port": "{port}",
                "sip_displayname": "{name}",
                "sip_proxy_enable": "1",
            },
        ),
        one_server=True,
    ),
    "isphone": Table(
        xml.paths,
        prefixed(
            "isphone-config/account{K}/",
            {
                "sipId": "{user}",
                "authentication_username": "{auth}",
                "authentication_password": "{password}",
                "domain": "{server}",
                "proxy": "{server}",
                "display_name": "{name}",
                "name": "{user}",
                "voice_mail_access_code": "{voice}",
            },
        ),
        codes=_COUNTED,
    ),
    "zoiper": Table(
        xml.paths,
        prefixed(
            "options/accounts/account{K}/",
            {
                "username": "{user}",
                "SIP_auth_username": "{auth}",
                "password": "{password}",
                "SIP_domain": "{server}",
                "SIP_callerId": "{name}",
                "ident": "{N}",
                "name": "{user}",
                "SIP_use_auth_username": "true",
                "voicemail_check_extension": "{voice}",
            },
        ),
        codes=_COUNTED,
    ),
    "mitel": Table(
        xml.paths,
        prefixed(
            _MITEL,
            {
                "ID": "{user}",
                "AuthName": "{auth}",
                "Pwd": "{password}",
                "RegSvr": "{host}",
                "RegPort": "{port}",
                "ProxySvr": "{host}",
                "ProxyPort": "{port}",
                "DispName": "{name}",
                "State": "1",
                "Line": "1",
                "Realm": "example.org",
                "VMSvr": "{voice}",
            },
        )
        | {"Parameter/user_list/User": ""},
        phone={"Parameter@Model": "5224"},
        one_server=True,
    ),
}
