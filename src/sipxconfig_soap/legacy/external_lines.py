"""Where each phone plugin keeps what an external line is (migration.md §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sipxconfig_soap.domain.lines import is_server

if TYPE_CHECKING:
    from collections.abc import Mapping


class Paths(NamedTuple):
    """Paths of settings; of several that a family has, the first with a value counts.

    Attributes:
        user_id: the account.
        server: the registration server.
        port: of the server.
        display_name: what is shown.
        password: of the account.
        voice_mail: the number to dial.
    """

    user_id: tuple[str, ...] = ()
    server: tuple[str, ...] = ()
    port: tuple[str, ...] = ()
    display_name: tuple[str, ...] = ()
    password: tuple[str, ...] = ()
    voice_mail: tuple[str, ...] = ()


def _in(section: str, user: str, name: str, password: str, *server: str) -> Paths:
    """Paths that stand in one section, but for the server (and its port), which may not."""
    host, port = (*server, None, None)[:2]
    return Paths(
        user_id=(f"{section}/{user}",),
        display_name=(f"{section}/{name}",) if name else (),
        password=(f"{section}/{password}",) if password else (),
        server=(host,) if host else (),
        port=(port,) if port else (),
    )


_SIP = "net.java.sip.communicator.impl.protocol.sip"
_REGISTRATION = "registrationAndProxy"
_DOMAINS = "ServiceDomainSettings/ph1Realm1"
_PROXY, _FIRST_DOMAIN = "VOIP/proxy_", "DOMAIN_SETTINGS/DOMAIN1/SERVER_"

PATHS: Mapping[str, Paths] = {
    "polycom": _in(
        *("reg", "address", "displayName", "auth.password"),
        *("reg/server/1/address", "reg/server/1/port"),
    )._replace(voice_mail=("msg.mwi/callBack",)),
    "yealink": _in(
        *("basic", "user_name", "display_name", "password"),
        *("basic/sip_server_host", "basic/sip_server_port"),
    )._replace(voice_mail=("basic/voice_mail.number",)),
    "aastra": _in(
        *("sip_id", "user_name", "screen_name", "password"),
        *("server/registrar_ip", "server/registrar_port"),
    ),
    "snom": _in("line", "user_name", "user_realname", "user_pass", "line/user_host")._replace(
        voice_mail=("line/user_mailbox",)
    ),
    "snomM3Phone": _in(
        *("Identity", "_SIP_UA_DATA_SIP_NAME", "_UA_DATA_DISP_NAME", "_UA_DATA_AUTH_PASS"),
        "Identity/_SIP_UA_DATA_PROXY_ADDR",
    ),
    "ciscoIp": _in("line", "name", "displayname", "password", "proxy/address", "proxy/port"),
    "ciscoAta": Paths(
        user_id=("port/UID",),
        display_name=("port/DisplayName",),
        server=("port/_Proxy.18x", "port/_Proxy.79"),
        port=("port/_ProxyPort.18x", "port/_ProxyPort.79"),
    ),
    "ciscoplusPhone": _in(
        *("sipLines", "name", "displayName", "authPassword"), *("sipLines/proxy", "sipLines/port")
    ),
    "linksysPhone": _in(
        "Ext", "User_ID", "Display_Name", "Password", "Proxy_and_Registration/Proxy"
    ),
    "linksysAta": _in(
        *("Subscriber_Information", "User_ID", "Display_Name", "Password"),
        "Proxy_and_Registration/Proxy",
    ),
    # Desk phones, then HandyTones.
    "grandstream": Paths(
        user_id=("port/P35-P404-P504-P604-P1704-P1804", "port/P35-P735"),
        display_name=("port/P3-P407-P507-P607-P1707-P1807", "port/P3-P703"),
        password=("port/P34-P406-P506-P606-P1706-P1806", "port/P34-P734"),
        server=("port/P47-P402-P502-P602-P1702-P1802", "port/P47-P747-P47-P747"),
        voice_mail=("port/P33-P426-P526-P626-P1726-P1826",),
    ),
    "audiocodesphone": _in("voip", "id", "description", "auth_password"),
    "gwFxsAudiocodes": _in("SIP/Authentication", "Username", "", "Password"),
    # The voice mail is kept as number@server.
    "nortel12x0": _in(
        *(_REGISTRATION, "authname", "displayname", "authPassword"),
        f"{_REGISTRATION}/registrarAddress",
    )._replace(voice_mail=(f"{_REGISTRATION}/voiceMailServerAddress",)),
    "nortel": _in(
        *("VOIP", "DEF_USER1", "", ""), *(f"{_FIRST_DOMAIN}IP1_1", f"{_FIRST_DOMAIN}PORT1_1")
    ),
    "nt1535": _in(
        *("VOIP", "authname", "display_name", ""), *(f"{_PROXY}address", f"{_PROXY}port")
    ),
    "lg-nortel": _in(
        *("VOIP", "name", "displayname", "password"), *(f"{_PROXY}address", f"{_PROXY}port")
    ),
    "ipDialog": _in(
        _REGISTRATION, "authname", "", "authPassword", f"{_REGISTRATION}/registrarAddress"
    ),
    "isphone": _in(
        *("Account", "sipId", "display_name", "authentication_password"), "Account/proxy"
    )._replace(voice_mail=("Account/voice_mail_access_code",)),
    "gtek": _in(
        "SIP_ACCOUNT", "REGIST_ID", "DISP_NAME", "REGIST_PASS", "SIP_ACCOUNT/REGIST_SERVER"
    ),
    "gtek-aq": Paths(
        user_id=(f"{_DOMAINS}RegisterName",),
        display_name=(f"{_DOMAINS}DisplayName",),
        password=(f"{_DOMAINS}RegisterPass",),
        server=(f"{_DOMAINS}DomainServ",),
    ),
    # These two keep the server with the phone.
    "hitachi": _in(
        *("USER_ACCOUNT", "User_ID", "Displayname", "User_Password"),
        "SERVER_SETTINGS/1st_Registrar",
    ),
    "clearone": _in(
        "sip", "sip_username", "sip_displayname", "sip_password", "sip/sip_proxy_server"
    ),
    "unidata": _in(
        *("USER_ACCOUNT", "User_ID", "Displayname", "User_Password"), "SERVER_SETTINGS/1st_Proxy"
    ),
    "counterpath": _in(
        "registration", "username", "display_name", "password", "registration/domain"
    ),
    "jitsi": _in(
        f"{_SIP}/acc", "USER_ID", "DISPLAY_NAME", "PASSWORD", f"{_SIP}/connection/SERVER_ADDRESS"
    ),
    "acmePhone": _in(
        *("credential", "userId", "displayName", "password"),
        *("server/registrationServer", "server/registrationServerPort"),
    ),
}
"""By the family of the phone's model; the plugins of other families keep nothing."""

ON_PHONE = frozenset({"hitachi", "clearone"})
"""Families whose lines take their server from the settings of the phone."""

ALL_PATHS = frozenset(path for paths in PATHS.values() for group in paths for path in group)
"""Every path that means something for an external line."""


def properties_of(
    family: str, line: Mapping[str, str], phone: Mapping[str, str]
) -> dict[str, str | None]:
    """The properties of an external line, by their names in the contract.

    Args:
        family: of the phone's model.
        line: the settings of the line that differ from their defaults, by path.
        phone: those of its phone.
    """
    paths = PATHS.get(family, Paths())
    server = _first(phone if family in ON_PHONE else line, paths.server)
    voice_mail = _first(line, paths.voice_mail)
    if family == "nortel12x0" and voice_mail is not None:
        voice_mail = voice_mail.partition("@")[0]
    return {
        "userId": _first(line, paths.user_id),
        "displayName": _first(line, paths.display_name),
        "password": _first(line, paths.password),
        "registrationServer": _with_port(server, _first(line, paths.port)),
        "voiceMail": voice_mail,
    }


def _first(settings: Mapping[str, str], paths: tuple[str, ...]) -> str | None:
    return next((settings[path] for path in paths if settings.get(path)), None)


def _with_port(server: str | None, port: str | None) -> str | None:
    """Host and port in one; port 0 leaves it to the phone, like none."""
    if server is None:
        return None
    host = server.strip()
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"
    port = (port or "").strip()
    joined = f"{host}:{port}"
    return joined if port.strip("0") and is_server(joined) else host
