"""The families of docs/spec/phones.md §3 whose files are lines: every key, as the page has it."""

from __future__ import annotations

from functools import partial

from tests.profile_parsers import lines
from tests.profile_parsers.properties import properties
from tests.profile_parsers.table import Table, prefixed

_JITSI = "net.java.sip.communicator.impl.protocol.sip.acc{N}"
_GTEK_ACCOUNT = prefixed(
    "SIP_ACCOUNT_{Z}/",
    {
        "REGIST_ID": "{user}",
        "AUTH_ID": "{auth}",
        "REGIST_PASS": "{password}",
        "REGIST_SERVER": "{server}",
        "DISP_NAME": "{name}",
        "VOICE_MAIL_NUM": "{voice}",
    },
)

LINE_TABLES: dict[str, Table] = {
    "snomM3Phone": Table(
        lines.snom_m3,
        {
            "SUBSCR_{Z}_SIP_UA_DATA_SIP_NAME": "{user}",
            "SUBSCR_{Z}_UA_DATA_AUTH_NAME": "{auth}",
            "SUBSCR_{Z}_UA_DATA_AUTH_PASS": "{password}",
            "SRV_{Z}_SIP_UA_DATA_DOMAIN": "{host}",
            "SRV_{Z}_SIP_UA_DATA_SERVER_PORT": "{port}",
            "SUBSCR_{Z}_UA_DATA_DISP_NAME": "{name}",
            "SRV_{Z}_SIP_UA_DATA_SERVER_IS_LOCAL": "1",
            "SUBSCR_{Z}_SIP_UA_DATA_VOICE_MAILBOX_NUMBER": "{voice}",
        },
        unused={
            "SUBSCR_{Z}_SIP_UA_DATA_SIP_NAME": "",
            "SUBSCR_{Z}_UA_DATA_AUTH_NAME": "",
            "SUBSCR_{Z}_UA_DATA_AUTH_PASS": "",
            "SUBSCR_{Z}_UA_DATA_DISP_NAME": "",
        },
        apostrophes=True,
    ),
    "aastra": Table(
        lines.aastra,
        {
            "sip line{N} user name": "{user}",
            "sip line{N} auth name": "{auth}",
            "sip line{N} password": "{password}",
            "sip line{N} registrar ip": "{host}",
            "sip line{N} registrar port": "{port}",
            "sip line{N} proxy ip": "{host}",
            "sip line{N} proxy port": "{port}",
            "sip line{N} display name": "{name}",
            "sip line{N} screen name": "{name}",
            "sip line{N} vmail": "{voice}",
        },
    ),
    "ciscoIp": Table(
        lambda content: lines.unquoted(
            lines.separated(content, ": ", comment="#"), "proxy_register", r"proxy\d+_port"
        ),
        {
            "line{N}_name": "{user}",
            "line{N}_authname": "{auth}",
            "line{N}_password": "{password}",
            "proxy{N}_address": "{host}",
            "proxy{N}_port": "{port}",
            "line{N}_displayname": "{name}",
            "line{N}_shortname": "{user}",
        },
        unused={
            "line{N}_name": "",
            "line{N}_authname": "",
            "line{N}_password": "",
            "line{N}_displayname": "",
            "line{N}_shortname": "",
        },
        phone={"proxy_register": "1", "messages_uri": "{voice}"},
        apostrophes=True,
    ),
    "cisco18x": Table(
        partial(lines.separated, separator=":", first="#txt"),
        {
            "UID{Z}": "{user}",
            "LoginID{Z}": "{auth}",
            "PWD{Z}": "{password}",
            "DisplayName{Z}": "{name}",
        },
        unused={"UID{Z}": "0"},
        phone={"Proxy": "{server}", "UseLoginID": "1"},
        one_server=True,
    ),
    "cisco79": Table(
        partial(lines.separated, separator=":", first="#txt"),
        {"UID": "{user}", "LoginID": "{auth}", "PWD": "{password}", "DisplayName": "{name}"},
        unused={"UID": "0"},
        phone={"Proxy": "{server}", "UseLoginID": "1"},
        one_server=True,
    ),
    "audiocodesphone": Table(
        partial(lines.separated, separator="="),
        {
            "voip/line/{Z}/id": "{user}",
            "voip/line/{Z}/auth_name": "{auth}",
            "voip/line/{Z}/auth_password": "{password}",
            "voip/line/{Z}/description": "{name}",
            "voip/line/{Z}/enabled": "1",
        },
        unused={"voip/line/{Z}/enabled": "0"},
        phone={
            "voip/signalling/sip/proxy_address": "{host}",
            "voip/signalling/sip/proxy_port": "{port}",
            "voip/signalling/sip/use_proxy": "1",
            "voip/signalling/sip/use_proxy_ip_port_for_registrar": "1",
            "voip/services/msg_waiting_ind/voice_mail_number": "{voice}",
        },
        one_server=True,
        instrument=True,
    ),
    "gwFxsAudiocodes": Table(
        lines.gateway,
        {
            "TrunkGroup_TrunkGroupNum {Z}": "1",
            "TrunkGroup_FirstTrunkId {Z}": "255",
            "TrunkGroup_FirstBChannel {Z}": "{N}",
            "TrunkGroup_LastBChannel {Z}": "{N}",
            "TrunkGroup_FirstPhoneNumber {Z}": "{user}",
            "Authentication_UserId {Z}": "{auth}",
            "Authentication_UserPassword {Z}": "{password}",
            "CallerDisplayInfo_DisplayString {Z}": "{name}",
            "CallerDisplayInfo_IsCidRestricted {Z}": "0",
        },
        phone={
            "ProxyIP": "{server}",
            "RegistrarIP": "{server}",
            "SIPGatewayName": "{host}",
            "IsProxyUsed": "1",
            "IsRegisterNeeded": "1",
        },
        one_server=True,
        apostrophes=True,
    ),
    "nortel": Table(
        lines.short,
        {
            "AUTOLOGIN_ID_KEY{NN}": "{user}@{host}",
            "AUTOLOGIN_AUTHID_KEY{NN}": "{auth}",
            "AUTOLOGIN_PASSWD_KEY{NN}": "{password}",
        },
        unused={
            "AUTOLOGIN_ID_KEY{NN}": "",
            "AUTOLOGIN_AUTHID_KEY{NN}": "",
            "AUTOLOGIN_PASSWD_KEY{NN}": "",
        },
        phone={
            "SIP_DOMAIN1": "{host}",
            "SERVER_IP1_1": "{host}",
            "SERVER_IP1_2": "{host}",
            "SERVER_PORT1_1": "{port}",
            "AUTOLOGIN_ENABLE": "USE_AUTOLOGIN_ID",
            "VMAIL": "{voice}",
        },
        one_server=True,
    ),
    "nt1535": Table(
        lines.voip,
        {
            "line{N}_name": "{user}",
            "line{N}_authname": "{auth}",
            "line{N}_password": "{password}",
            "line{N}_proxy_address": "{host}",
            "line{N}_proxy_port": "{port}",
            "line{N}_display_name": "{name}",
            "line{N}_type": "private",
        },
        instrument=True,
    ),
    "lg-nortel": Table(
        lambda content: lines.unquoted(
            lines.voip(content), r"line\d+_(name|authname|password|proxy_address|proxy_port|type)"
        ),
        {
            "line{N}_name": "{user}",
            "line{N}_authname": "{auth}",
            "line{N}_password": "{password}",
            "line{N}_proxy_address": "{host}",
            "line{N}_proxy_port": "{port}",
            "line{N}_displayname": "{name}",
            "line{N}_type": "private",
        },
        unused={
            "line{N}_name": "",
            "line{N}_authname": "",
            "line{N}_password": "",
            "line{N}_displayname": "",
        },
        apostrophes=True,
        instrument=True,
    ),
    "hitachi": Table(
        lines.ini,
        phone={
            "USER_ACCOUNT/Phone_Number": "{user}",
            "USER_ACCOUNT/User_ID": "{auth}",
            "USER_ACCOUNT/User_Password": "{password}",
            "USER_ACCOUNT/Displayname": "{name}",
            "SERVER_SETTINGS/1st_Proxy": "{server}",
            "SERVER_SETTINGS/1st_Registrar": "{server}",
        },
        one_server=True,
    ),
    "gtek": Table(
        lines.ini,
        _GTEK_ACCOUNT,
        _GTEK_ACCOUNT,
    ),
    "gtek-aq": Table(
        partial(lines.separated, separator="=", first="$TXT"),
        first={"ph1Realm1Active": "1"},
        first_unused={"ph1Realm1Active": ""},
        phone={
            "ph1Realm1RegisterName": "{user}",
            "ph1Realm1RegisterPass": "{password}",
            "ph1Realm1DomainServ": "{server}",
            "ph1Realm1DisplayName": "{name}",
        },
        one_server=True,
    ),
    "counterpath": Table(
        lambda content: lines.unquoted(lines.ini(content), "DATA/Success"),
        prefixed(
            "SETTINGS/proxies:proxy{Z}:",
            {
                "username": "{user}",
                "authorization_username": "{auth}",
                "password": "{password}",
                "domain": "{server}",
                "display_name": "{name}",
                "enabled": "true",
                "voicemail_url": "{voice}",
            },
        ),
        unused={"SETTINGS/proxies:proxy{Z}:enabled": "false"},
        phone={"DATA/Success": "1"},
        apostrophes=True,
        instrument=True,
    ),
    "jitsi": Table(
        properties,
        prefixed(
            _JITSI,
            {
                "": "acc{N}",
                ".ACCOUNT_UID": "SIP:{user}@{host}",
                ".PROTOCOL_NAME": "SIP",
                ".USER_ID": "{user}@{host}",
                ".AUTHORIZATION_NAME": "{auth}",
                ".PASSWORD": "{password}",
                ".SERVER_ADDRESS": "{host}",
                ".SERVER_PORT": "{port}",
                ".DISPLAY_NAME": "{name}",
            },
        ),
    ),
    "yealink": Table(
        partial(lines.separated, separator=" = ", first="#!version:1.0.0.1", comment="#"),
        {
            "account.{N}.user_name": "{user}",
            "account.{N}.auth_name": "{auth}",
            "account.{N}.password": "{password}",
            "account.{N}.sip_server.1.address": "{host}",
            "account.{N}.sip_server.1.port": "{port}",
            "account.{N}.display_name": "{name}",
            "account.{N}.label": "{name}",
            "account.{N}.enable": "1",
            "voice_mail.number.{N}": "{voice}",
        },
        unused={"account.{N}.enable": "0"},
        instrument=True,
    ),
    "lines": Table(
        lines.ini,
        prefixed(
            "line{N}/",
            {
                "user": "{user}",
                "auth_user": "{auth}",
                "password": "{password}",
                "registrar": "{host}",
                "registrar_port": "{port}",
                "display_name": "{name}",
                "voice_mail": "{voice}",
            },
        ),
    ),
}
