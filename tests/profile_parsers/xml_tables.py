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
_MEMBER = "device/devicePool/callManagerGroup/members/member"
_CISCO_LINE = "device/sipProfile/sipLines/line{K}"
_ACCOUNT_L = "configuration/sipAccounts/account_L{N}/"
_MITEL = "Parameter/user_list/User@"
_COUNTED = ("", *(f"[{n}]" for n in range(2, 101)))
_HANDYTONE_PORT_1 = prefixed(
    f"{_GS}/P",
    {"35": "{user}", "36": "{auth}", "34": "{password}", "47": "{server}", "3": "{name}"},
)
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
            "reg.{N}.label": "{label}",
            "msg.mwi.{N}.callBack": "{voice}",
            "msg.mwi.{N}.callBackMode": "contact",
            "msg.mwi.{N}.subscribe": "{user}",
        },
        phone={
            "voIpProt.SIP.specialEvent.checkSync.alwaysReboot": "1",
            "dialplan.digitmap": "[0123456789*#].T",
            "dialplan.digitmap.timeOut": "3",
        },
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
                "Dial_Plan_{N}_": "([x*#].)",
                "Auth_Resync-Reboot_{N}_": "No",
            },
        ),
        unused={"flat-profile/Line_Enable_{N}_": "No"},
        phone={
            "flat-profile/Voice_Mail_Number": "{voice}",
            "flat-profile/Default_Character_Encoding": "UTF-8",
        },
    ),
    "snom": Table(
        xml.indexed,
        {
            "user_name {N}": "{user}",
            "user_pname {N}": "{auth}",
            "user_pass {N}": "{password}",
            "user_host {N}": "{server}",
            "user_realname {N}": "{name}",
            "user_mailbox {N}": "{user}",
            "user_active {N}": "on",
        },
        unused={
            "user_name {N}": "",
            "user_pname {N}": "",
            "user_pass {N}": "",
            "user_realname {N}": "",
            "user_active {N}": "off",
        },
        phone={
            "dkey_retrieve None": "{speed}",
            "challenge_checksync None": "off",
            "challenge_reboot None": "off",
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
                "{K}15": "1",
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
                "99": "1",
            },
        ),
        first_unused={f"{_GS}/P271": "0"},
        instrument=True,
        codes=(0, 4, 5, 6, 17, 18),
    ),
    "gsHt": Table(
        xml.paths,
        _HANDYTONE_PORT_2 | {f"{_GS}/P709": "1"},
        _HANDYTONE_PORT_2,
        phone=_GS_HEAD,
        first=_HANDYTONE_PORT_1 | {f"{_GS}/P99": "1"},
        first_unused=_HANDYTONE_PORT_1,
        instrument=True,
    ),
    "gsHtSwitched": Table(
        xml.paths,
        _HANDYTONE_PORT_2 | prefixed(f"{_GS}/P", {"709": "1", "401": "1"}),
        _HANDYTONE_PORT_2 | {f"{_GS}/P401": "0"},
        phone=_GS_HEAD,
        first=_HANDYTONE_PORT_1 | prefixed(f"{_GS}/P", {"99": "1", "271": "1"}),
        first_unused=_HANDYTONE_PORT_1 | {f"{_GS}/P271": "0"},
        instrument=True,
    ),
    "gsFxs": Table(
        xml.paths,
        _FXS_PORT,
        _FXS_PORT,
        phone=_GS_HEAD | {f"{_GS}/P47": "{server}", f"{_GS}/P271": "{any}"},
        one_server=True,
        instrument=True,
    ),
    "ciscoplusPhone": Table(
        xml.paths,
        {
            f"{_CISCO_LINE}@button": "{N}",
            f"{_CISCO_LINE}@lineIndex": "{N}",
            f"{_CISCO_LINE}/name": "{user}",
            f"{_CISCO_LINE}/authName": "{auth}",
            f"{_CISCO_LINE}/authPassword": "{password}",
            f"{_CISCO_LINE}/proxy": "{host}",
            f"{_CISCO_LINE}/port": "{sip_port}",
            f"{_CISCO_LINE}/displayName": "{name}",
            f"{_CISCO_LINE}/featureLabel": "{label}",
            f"{_CISCO_LINE}/messageWaitingLampPolicy": "3",
            f"{_CISCO_LINE}/featureID": "9",
            f"{_CISCO_LINE}/contact": "{user}",
            f"{_CISCO_LINE}/messagesNumber": "{voice}",
        },
        phone={
            "device/fullConfig": "true",
            "device/deviceProtocol": "SIP",
            "device/transportLayerProtocol": "4",
            "device/sipProfile/sipProxies/registerWithProxy": "true",
            "device/sipProfile/voipControlPort": "5060",
            f"{_MEMBER}@priority": "0",
            f"{_MEMBER}/callManager/processNodeName": "{host}",
            f"{_MEMBER}/callManager/ports/sipPort": "{sip_port}",
        },
        instrument=True,
        codes=_COUNTED,
        longest_name=30,
        longest_label=30,
    ),
    "nortel12x0": Table(
        xml.paths,
        prefixed(
            _ACCOUNT_L,
            {
                "authname": "{user}",
                "authId": "{auth}",
                "authPassword": "{password}",
                "registrar/registrarAddress": "{host}",
                "accProxyAddress": "{host}",
                "accProxyPort": "{port}",
                "displayname": "{name}",
                "mwiSubscribe": "TRUE",
                "mwiReqUri": "{user}@{host}",
                "voiceMailServerAddress": "{vs}",
                "numberofLinekeys": "1",
            },
        ),
        instrument=True,
        longest_name=22,
    ),
    "ipDialog": Table(
        xml.paths,
        prefixed(
            _ACCOUNT_L,
            {
                "authname": "{user}",
                "authPassword": "{password}",
                "registrar/manual": "TRUE",
                "registrar/registrarAddress": "{server}",
                "sipProxy/forwardAllThroughProxy": "TRUE",
                "sipProxy/proxyAddress": "{server}",
                "sipProxy/registerThroughProxy": "TRUE",
                "displayname": "{name}",
                "mwiSubscribe": "TRUE",
                "mwiReqUri": "{user}@{server}",
                "voiceMailServerAddress": "{vs}",
            },
        ),
        longest_name=22,
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
                "sip_proxy_enable": "1",
                "use_sipauth": "1",
                "sip_transport": "0",
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
                "name": "{label}",
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
                "name": "{label}",
                "protocol": "sip",
                "register_on_startup": "true",
                "SIP_transport_type": "udp",
                "save_username": "true",
                "save_password": "true",
                "mwi_subscribe_usage": "both",
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
                "Line": "0",
                "Ring": "1",
                "RegScheme": "2",
                "ProxyScheme": "2",
                "Realm": "{realm}",
                "VMSvr": "{host}",
            },
        )
        | {"Parameter/user_list/User": ""},
        phone={"Parameter@Model": "5224"},
        one_server=True,
    ),
}
