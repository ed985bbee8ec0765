"""All settings of the program, in one table: the fields of `Settings`.

Each field says its default, how its text is read and what it means. The environment variables
(``SIPXCONFIG_`` and the name in capitals), the options of ``serve`` and the table of the README
all follow from here, so that a new setting is one new field. A setting that is secret can also be
the text of a file, which another variable (``…_FILE``) names.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from sipxconfig_soap import secret_files
from sipxconfig_soap import setting_values as read
from sipxconfig_soap.values import has_control

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ipaddress import IPv4Network, IPv6Network
    from pathlib import Path

PREFIX = "SIPXCONFIG_"
DEFAULT_DOMAIN = "example.org"

_PATH = "the absolute path of a file, such as /run/secrets/pin"


class SettingsError(ValueError):
    """Some settings cannot be used; the text has one line for every problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    Attributes:
        field: the attribute of `Settings`, such as ``data_dir``.
        default: the text that counts when nothing is given; empty means none.
        parse: reads a text; raises ValueError with what would have been right.
        meaning: one sentence for the README and for ``--help``.
        secret: the value is shown nowhere, and there is no option for it, since other
            users of the machine can read the command line.
    """

    field: str
    default: str
    parse: Callable[[str], Any]
    meaning: str
    secret: bool

    @property
    def variable(self) -> str:
        """The environment variable."""
        return PREFIX + self.field.upper()

    @property
    def file_variable(self) -> str:
        """The environment variable that names a file with the value; empty where there is none."""
        return self.variable + "_FILE" if self.secret else ""

    @property
    def option(self) -> str | None:
        """The option of ``serve``, if there is one."""
        return None if self.secret else "--" + self.field.replace("_", "-")

    @property
    def is_flag(self) -> bool:
        """Whether the setting is either on or off."""
        return self.parse in (read.flag, read.flag_or_auto)


def _row(default: str, parse: Callable[[str], Any], meaning: str, *, secret: bool = False) -> Any:
    return field(
        repr=not secret,
        metadata={"default": default, "parse": parse, "meaning": meaning, "secret": secret},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the administrator decided; made by `Settings.load`."""

    database_url: str | None = _row(
        "",
        read.database_url,
        "URL of an own PostgreSQL, `postgresql://user:password@host/database`; "
        "without it the embedded PostgreSQL serves.",
        secret=True,
    )
    direct_database_url: str | None = _row(
        "",
        read.database_url,
        "URL of the same database around a connection pooler that does not keep sessions, for the "
        "worker, migrations and other commands; without it `SIPXCONFIG_DATABASE_URL`.",
        secret=True,
    )
    database_wait: float = _row(
        "60",
        read.seconds(0, 3600),
        "Seconds for which `serve` and `worker` wait at their start for an own PostgreSQL that is "
        "not up yet; `0` does not wait.",
    )
    data_dir: Path = _row(
        "auto",
        read.data_dir,
        "Directory of the embedded PostgreSQL's data; `auto` is `/var/lib/sipxconfig-soap` for "
        "root and for users without a home directory, `~/.local/share/sipxconfig-soap` for others.",
    )
    bind: str = _row(
        "127.0.0.1:8080",
        read.bind,
        "Address and port to listen on (port 0 takes a free one), or `unix:` and the path of a "
        "Unix socket; a socket that systemd has opened comes first.",
    )
    management_bind: str | None = _row(
        "",
        read.optional_bind,
        "Address and port of `/healthz`, `/readyz` and `/metrics`, which answer even when no "
        "thread is free for clients, such as `127.0.0.1:8081`; without it there is none.",
    )
    workers: int = _row(
        "auto",
        read.workers,
        "Number of processes that serve; `auto` is one more than there are processors, at most 8.",
    )
    threads: int = _row(
        "10",
        read.whole_number(1, 64),
        "Threads of each process, which is also its number of database connections.",
    )
    prepare_statements: bool = _row(
        "true",
        read.flag,
        "Whether PostgreSQL plans the statements of every call once for each connection; `false` "
        "for PgBouncer in transaction mode.",
    )
    domain: str = _row(
        DEFAULT_DOMAIN, read.host_name, "The SIP domain, as it stands in the URIs of lines."
    )
    domain_aliases: tuple[str, ...] = _row(
        "", read.host_names, "Other names of the SIP domain, separated by commas."
    )
    realm: str = _row(
        "", read.realm, "Authentication realm of HTTP and SIP; without it the SIP domain."
    )
    public_url: str | None = _row(
        "",
        read.public_url,
        "How clients reach this server, such as `https://pbx.example.org`; without it each "
        "WSDL names the address of the request.",
    )
    admin_pin: str | None = _row(
        "",
        read.text,
        "PIN of `superadmin` when that user is created, never later; without it a random one "
        "is made up and shown once.",
        secret=True,
    )
    public_wsdl: bool = _row("false", read.flag, "Whether the WSDLs can be read without a login.")
    require_https: bool = _row(
        "false", read.flag, "Whether plain HTTP is refused to clients on other machines."
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = _row(
        "",
        read.networks,
        "Addresses or networks, separated by commas, whose `X-Forwarded-…` and `X-Request-ID` "
        "count.",
    )
    wire_array_names: Literal["item", "legacy"] = _row(
        "item",
        read.one_of("item", "legacy"),
        "What the members of lists in answers are called: `item` as documented, or `legacy` as "
        "sipXecs servers sent them.",
    )
    max_request_bytes: int = _row(
        str(16 * 1024 * 1024),
        read.whole_number(1024, 1024**3),
        "Largest request body, in bytes after unpacking.",
    )
    reserved_extensions: frozenset[str] = _row(
        "",
        read.names,
        "Names and extensions that nothing may take, separated by commas or white space.",
    )
    test_service: bool = _row(
        "auto",
        read.flag_or_auto,
        "Whether TestService, which empties the system, is there; `auto`: with the embedded "
        "PostgreSQL it is, with an own one it is not.",
    )
    profile_root: Path = _row(
        "auto",
        read.profile_root,
        "Directory of the files that phones fetch; `auto` is `profiles` in the data directory.",
    )
    profile_templates: Path | None = _row(
        "",
        read.directory,
        "Directory of templates for profiles that extend or replace the shipped ones: "
        "`family/polycom.j2`, `model/polycom450.j2`, `group/Reception.j2` (docs/provisioning.md).",
    )
    line_label: Literal["user", "name"] = _row(
        "user",
        read.one_of("user", "name"),
        "What phones show beside the key of a line: the `user`, or the `name` of the line. "
        "Yealink, Aastra and Grandstream phones always show the name.",
    )
    sip_proxy: str | None = _row(
        "",
        read.sip_server,
        "SIP proxy that restarts of phones are sent to, `host` or `host:port`; without it the "
        "address of the SIP domain.",
    )
    sip_registrar_port: int | None = _row(
        "",
        read.optional_port,
        "Port of the registrar in the profiles of internal lines; without it phones decide.",
    )
    voicemail_extension: str = _row(
        "101", read.extension, "Number that phones dial for their messages."
    )
    auth_user: Literal["instrument", "plain"] = _row(
        "instrument",
        read.one_of("instrument", "plain"),
        "How phones log in at the registrar: `instrument` adds the serial number to the name "
        "where the phone's family can, as sipXecs wants it; `plain` for other registrars.",
    )
    restart_spacing: float = _row(
        "1", read.seconds(0.01, 3600), "Seconds between the starts of two restarts."
    )
    job_retry_delays: tuple[float, ...] = _row(
        "10 60 300 900",
        read.many_seconds,
        "Seconds to wait before each further try of a job; after the last one it has failed.",
    )
    job_days: int = _row(
        "30",
        read.whole_number(0, 36500),
        "Days for which jobs are kept that have ended; `0` keeps them for ever.",
    )
    audit_days: int = _row(
        "365",
        read.whole_number(0, 36500),
        "Days for which entries of the audit log are kept; `0` keeps them for ever.",
    )
    log_level: str = _row(
        "info",
        read.one_of("debug", "info", "warning", "error", "critical"),
        "Least level of the lines that are logged.",
    )
    log_format: Literal["logfmt", "json", "console"] = _row(
        "logfmt",
        read.one_of("logfmt", "json", "console"),
        "How lines are logged: `logfmt` (`key=value`), `json` (an object each), or `console` for "
        "people, in colours on a terminal.",
    )

    @classmethod
    def load(cls, environ: Mapping[str, str], **overrides: object) -> Settings:
        """Read the settings from the environment; ``overrides`` (the options) come first.

        A blank text counts as not given. An override is a text, read like that of a variable,
        or a value of the field's type; None counts as not given.

        Raises:
            SettingsError: with a line for every setting that cannot be used (choices.md,
                "Secrets from files", for those).
        """
        unknown = set(overrides) - {setting.field for setting in SETTINGS}
        if unknown:
            raise TypeError(f"there is no setting {sorted(unknown)}")
        problems: list[str] = []
        found: dict[str, Any] = {}
        for setting in SETTINGS:
            try:
                found[setting.field] = _value(setting, environ, overrides.get(setting.field))
            except ValueError as error:
                problems.append(str(error))
        if found.get("direct_database_url") and found.get("database_url", "unusable") is None:
            problems.append(f"{PREFIX}DIRECT_DATABASE_URL needs {PREFIX}DATABASE_URL beside it.")
        watched = found.get("management_bind")
        if watched and watched == found.get("bind") and not watched.endswith(":0"):
            problems.append(f"{PREFIX}MANAGEMENT_BIND needs a port of its own, not {PREFIX}BIND's.")
        if problems:
            raise SettingsError(problems)
        found["realm"] = found["realm"] or found["domain"]
        if found["test_service"] is None:
            found["test_service"] = found["database_url"] is None
        found["profile_root"] = found["profile_root"] or found["data_dir"] / "profiles"
        return cls(**found)


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(field=each.name, **each.metadata) for each in fields(Settings)
)


def is_given(name: str, environ: Mapping[str, str], override: object = None) -> bool:
    """Whether somebody has decided on a setting, be it for what is the default anyway."""
    return override is not None or bool(environ.get(PREFIX + name.upper(), "").strip())


def remarks(environ: Mapping[str, str]) -> list[str]:
    """A sentence for all that is odd about the ``SIPXCONFIG_`` variables, yet hinders nothing."""
    return _unknown(environ) + _open_to_all(environ)


def _unknown(environ: Mapping[str, str]) -> list[str]:
    known = {each for setting in SETTINGS for each in (setting.variable, setting.file_variable)}
    names = [setting.variable.removeprefix(PREFIX) for setting in SETTINGS]
    sentences = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            meant = name.removeprefix(PREFIX).removesuffix("_FILE")
            near = difflib.get_close_matches(meant, names, n=1)
            hint = f"did you mean {PREFIX}{near[0]}?" if near else "it has no effect."
            sentences.append(f"{name} is not a setting: {hint}")
    return sentences


def _open_to_all(environ: Mapping[str, str]) -> list[str]:
    named = {each.file_variable: _path(each, environ) for each in SETTINGS}
    return [
        f"{variable} names a file, {path!r}, that every user of this machine can read: "
        "take that right away (chmod o-r)."
        for variable, path in named.items()
        if path and secret_files.is_open_to_all(path)
    ]


def _value(setting: Setting, environ: Mapping[str, str], override: object) -> object:
    """The value of one setting; a ValueError carries the whole sentence."""
    if override is not None and not isinstance(override, str):
        return override
    if override is not None:
        source, given = setting.option or setting.field, override
    else:
        source, given = _given(setting, environ)
    # A PIN is taken as it is; a white space too many anywhere else is a slip.
    chosen = given if setting.parse is read.text else given.strip()
    try:
        if has_control(chosen):
            raise ValueError("a text without control characters")  # noqa: TRY301 - one exit
        if not chosen.isascii() and chosen.encode(errors="replace").decode() != chosen:
            raise ValueError("a text in UTF-8")  # noqa: TRY301 - one exit
        return setting.parse(chosen or setting.default)
    except ValueError as error:
        shown = f"is {chosen or setting.default!r}"
        if setting.secret:
            shown = "has a value that is not shown here"
        raise ValueError(f"{source} {shown}: it must be {error}.") from None


def _given(setting: Setting, environ: Mapping[str, str]) -> tuple[str, str]:
    """The variable that gives a setting, and its text or that of the file it names."""
    text, path = environ.get(setting.variable, ""), _path(setting, environ)
    if not path:
        return setting.variable, text
    source = setting.file_variable
    if text:
        raise ValueError(f"{setting.variable} and {source} are both given: keep one of them.")
    if not path.startswith("/"):  # who mistook the variable for the other one wrote the secret
        raise ValueError(f"{source} has a value that is not shown here: it must be {_PATH}.")
    try:
        return source, secret_files.read(path)
    except ValueError as error:
        raise ValueError(f"{source} names a file, {path!r}, that {error}.") from None


def _path(setting: Setting, environ: Mapping[str, str]) -> str:
    return environ.get(setting.file_variable, "").strip()
