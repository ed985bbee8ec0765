"""The table of settings: defaults, where values come from, and what is refused."""

from __future__ import annotations

import os
import pwd
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path

import pytest

from sipxconfig_soap.cli.checks import OTHER_CONNECTIONS
from sipxconfig_soap.settings import SETTINGS, Settings, SettingsError, is_given, remarks

REQUIRED_NAMES = {
    *("DATABASE_URL", "DATA_DIR", "BIND", "WORKERS", "DOMAIN", "DOMAIN_ALIASES", "REALM"),
    *("PUBLIC_URL", "ADMIN_PIN", "PUBLIC_WSDL", "REQUIRE_HTTPS", "TRUSTED_PROXIES"),
    *("WIRE_ARRAY_NAMES", "MAX_REQUEST_BYTES", "RESERVED_EXTENSIONS", "TEST_SERVICE", "LOG_LEVEL"),
}

ACCEPTED = [
    ("BIND", "[::1]:80", "[::1]:80"),
    ("BIND", "pbx.example.com:65535", "pbx.example.com:65535"),
    ("WORKERS", "3", 3),
    ("DOMAIN", "PBX-1.example.com", "PBX-1.example.com"),
    ("DOMAIN", "10.0.0.1", "10.0.0.1"),
    ("DOMAIN_ALIASES", "a.org, b.org a.org", ("a.org", "b.org")),
    ("REALM", "the [old] realm", "the [old] realm"),
    ("PUBLIC_URL", "https://pbx.example.org:8443/", "https://pbx.example.org:8443"),
    ("PUBLIC_URL", "http://[2001:db8::1]:80/pbx/", "http://[2001:db8::1]:80/pbx"),
    ("PUBLIC_WSDL", "Yes", True),
    ("REQUIRE_HTTPS", " on ", True),
    ("TEST_SERVICE", "f", False),
    ("TRUSTED_PROXIES", "10.0.0.7,fd00::/8", (ip_network("10.0.0.7/32"), ip_network("fd00::/8"))),
    ("WIRE_ARRAY_NAMES", "LEGACY", "legacy"),
    ("MAX_REQUEST_BYTES", "1024", 1024),
    ("RESERVED_EXTENSIONS", "100,101 *97", frozenset({"100", "101", "*97"})),
    ("PROFILE_TEMPLATES", "/etc/phones/../templates/", Path("/etc/templates")),
    ("LINE_LABEL", "Name", "name"),
    ("LOG_LEVEL", "DEBUG", "debug"),
    ("LOG_FORMAT", "JSON", "json"),
    ("ADMIN_PIN", " 12 34 ", " 12 34 "),
    ("DATABASE_URL", "postgresql://u:p@h/d", "postgresql://u:p@h/d"),
    ("DATABASE_URL", "postgresql:///d?host=/run/pg", "postgresql:///d?host=/run/pg"),
    ("DATABASE_URL", " postgresql://u:p@h/d\n", "postgresql://u:p@h/d"),
    ("DATABASE_URL", "postgresql://u:a%40b@h:1/d", "postgresql://u:a%40b@h:1/d"),
    ("DATABASE_URL", "postgresql:///d?host=g,h&port=1,2", "postgresql:///d?host=g,h&port=1,2"),
    ("DATABASE_URL", " \t", None),
    ("PUBLIC_URL", "  https://pbx.example.org ", "https://pbx.example.org"),
    ("DATABASE_WAIT", "0", 0),
    ("DATABASE_WAIT", "2.5", 2.5),
    ("JOB_DAYS", "0", 0),
    ("AUDIT_DAYS", "36500", 36500),
]

REFUSED = [
    ("BIND", "8080"),
    ("BIND", "127.0.0.1:"),
    ("BIND", "127.0.0.1:65536"),
    ("BIND", "::1:8080"),
    ("BIND", "[::g]:8080"),
    ("WORKERS", "0"),
    ("WORKERS", "many"),
    ("THREADS", "65"),
    ("THREADS", "+2"),
    ("THREADS", "٣"),
    ("DOMAIN", "-pbx.example.org"),
    ("DOMAIN", "pbx..org"),
    ("DOMAIN", "pbx example"),
    ("DOMAIN", "pbx.example.org:5060"),
    ("DOMAIN", "a" * 64 + ".org"),
    ("DOMAIN", ".".join(["abcdefgh"] * 29)),
    ("DOMAIN", "pbx\x1b.org"),
    ("DOMAIN_ALIASES", "a.org,b_c"),
    ("REALM", 'a "realm"'),
    ("REALM", "back\\slash"),
    ("REALM", "Größe"),
    ("REALM", "a\r\nSet-Cookie: b"),
    ("PUBLIC_URL", "pbx.example.org"),
    ("PUBLIC_URL", "ftp://pbx.example.org"),
    ("PUBLIC_URL", "https://user@pbx.example.org"),
    ("PUBLIC_URL", "https://pbx.example.org/?x"),
    ("PUBLIC_URL", "https://pbx.example.org:99999"),
    ("PUBLIC_URL", "https://pbx.example.org/<b>"),
    ("PUBLIC_WSDL", "perhaps"),
    ("TRUSTED_PROXIES", "10.0.0.7/8"),
    ("TRUSTED_PROXIES", "proxy"),
    ("WIRE_ARRAY_NAMES", "items"),
    ("MAX_REQUEST_BYTES", "16M"),
    ("RESERVED_EXTENSIONS", "x" * 256),
    ("LINE_LABEL", "number"),
    ("LOG_LEVEL", "loud"),
    ("LOG_FORMAT", "xml"),
    ("DATABASE_URL", "mysql://u@h/d"),
    ("DATABASE_URL", "postgresql+psycopg://u@h/d"),
    ("DATABASE_URL", "postgresql://u@h"),
    ("DATABASE_URL", "a database"),
    ("DATABASE_URL", "postgresql://u:a%00b@h/d"),
    ("DATABASE_URL", "postgresql://u:p@h:65536/d"),
    ("DATABASE_URL", "postgresql://u:p@h/d?host=/x&port=zz"),
    ("DATABASE_URL", "postgresql://u:p@h/d\npostgresql://u:p@h/e"),
    ("ADMIN_PIN", "12\n34"),
    ("TEST_SERVICE", "perhaps"),
    ("DATABASE_WAIT", "-1"),
    ("DATABASE_WAIT", "a minute"),
    ("JOB_DAYS", "0.5"),
    ("AUDIT_DAYS", "-1"),
]


def test_every_required_setting_is_in_the_table() -> None:
    assert {f"SIPXCONFIG_{name}" for name in REQUIRED_NAMES} <= {
        setting.variable for setting in SETTINGS
    }
    assert [setting.field for setting in SETTINGS] == [each.name for each in fields(Settings)]


def test_defaults() -> None:
    settings = Settings.load({})
    assert settings.bind == "127.0.0.1:8080"
    assert settings.domain == settings.realm == "example.org"
    assert settings.database_url is settings.public_url is settings.admin_pin is None
    assert settings.domain_aliases == settings.trusted_proxies == ()
    assert settings.max_request_bytes == 16 * 1024 * 1024
    assert (settings.test_service, settings.public_wsdl, settings.require_https) == (
        True,
        False,
        False,
    )
    assert settings.wire_array_names == "item"
    # So all of them together find room in a PostgreSQL that nobody has adjusted.
    assert settings.threads * 8 + OTHER_CONNECTIONS <= 97
    assert (settings.database_wait, settings.job_days, settings.audit_days) == (60, 30, 365)


@pytest.mark.parametrize(("processors", "expected"), [(1, 2), (2, 3), (7, 8), (8, 8), (64, 8)])
def test_there_is_one_process_more_than_processors_up_to_eight(
    monkeypatch: pytest.MonkeyPatch, processors: int, expected: int
) -> None:
    # Not every system tells which ones this process may use.
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)), raising=False)
    assert Settings.load({}).workers == expected
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert Settings.load({}).workers == expected
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert Settings.load({}).workers == 2


def test_blank_is_not_given_and_the_realm_follows_the_domain() -> None:
    settings = Settings.load(
        {"SIPXCONFIG_BIND": "  ", "SIPXCONFIG_DOMAIN": "pbx.org", "SIPXCONFIG_REALM": ""}
    )
    assert settings.bind == "127.0.0.1:8080"
    assert settings.realm == "pbx.org"


@pytest.mark.parametrize(("name", "text", "value"), ACCEPTED)
def test_accepted(name: str, text: str, value: object) -> None:
    settings = Settings.load({f"SIPXCONFIG_{name}": text})
    assert getattr(settings, name.lower()) == value


@pytest.mark.parametrize(("name", "text"), REFUSED)
def test_refused_with_the_name_and_what_would_be_right(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({f"SIPXCONFIG_{name}": text})
    (problem,) = caught.value.problems
    assert problem.startswith(f"SIPXCONFIG_{name} ")
    assert ": it must be " in problem
    assert problem.isprintable()


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({"SIPXCONFIG_BIND": "x", "SIPXCONFIG_DOMAIN": "?", "SIPXCONFIG_THREADS": "0"})
    assert str(caught.value).splitlines() == [
        (
            "SIPXCONFIG_BIND is 'x': it must be HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080, "
            "or unix: and an absolute path."
        ),
        "SIPXCONFIG_THREADS is '0': it must be a whole number from 1 to 64.",
        "SIPXCONFIG_DOMAIN is '?': it must be a host name such as pbx.example.org.",
    ]


def test_an_option_comes_before_the_variable_and_is_named_in_its_error() -> None:
    environ = {"SIPXCONFIG_BIND": "127.0.0.1:1", "SIPXCONFIG_THREADS": "3"}
    settings = Settings.load(environ, bind="127.0.0.1:2", threads=None, workers=5)
    assert (settings.bind, settings.threads, settings.workers) == ("127.0.0.1:2", 3, 5)
    with pytest.raises(SettingsError, match=r"^--wire-array-names is 'x': it must be item or leg"):
        Settings.load({}, wire_array_names="x")


def test_an_override_of_no_setting_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="no_such"):
        Settings.load({}, no_such="x")


def test_a_direct_url_is_of_the_same_database_beside_a_pooler() -> None:
    direct = "postgresql://u@direct/d"
    with pytest.raises(SettingsError, match="needs SIPXCONFIG_DATABASE_URL beside it"):
        Settings.load({"SIPXCONFIG_DIRECT_DATABASE_URL": direct})
    found = Settings.load(
        {
            "SIPXCONFIG_DIRECT_DATABASE_URL": direct,
            "SIPXCONFIG_DATABASE_URL": "postgresql://u@pooler/d",
        }
    )
    assert found.direct_database_url == direct


def test_secrets_are_neither_shown_nor_options() -> None:
    environ = {
        "SIPXCONFIG_ADMIN_PIN": "s3cret-pin",
        "SIPXCONFIG_DATABASE_URL": "postgresql://u:s3cret-pw@h/d",
    }
    shown = repr(Settings.load(environ))
    assert "s3cret" not in shown
    with pytest.raises(SettingsError) as caught:
        Settings.load(
            {
                "SIPXCONFIG_ADMIN_PIN": "s3cret\x00",
                "SIPXCONFIG_DATABASE_URL": "mysql://u:s3cret@h/d",
            }
        )
    assert "s3cret" not in str(caught.value)
    assert {setting.field for setting in SETTINGS if setting.option is None} == {
        "admin_pin",
        "database_url",
        "direct_database_url",
    }


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:a@s3cret@127.0.0.1:1/d", "postgresql://u:1@s3cret/x@h/d"],
)
def test_a_password_that_seems_to_be_a_host_is_not_shown_as_one(url: str) -> None:
    with pytest.raises(SettingsError, match="with %40, %2F and %25 for @, / and %") as caught:
        Settings.load({"SIPXCONFIG_DATABASE_URL": url})
    assert "s3cret" not in str(caught.value)


def test_data_dir_is_absolute_and_knows_the_home_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Settings.load({}, data_dir="data").data_dir == Path.cwd() / "data"
    assert Settings.load({}, data_dir="~/x").data_dir == tmp_path / "home" / "x"


def test_data_dir_of_each_kind_of_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    usual = tmp_path / ".local" / "share" / "sipxconfig-soap"
    assert Settings.load({}).data_dir == usual
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    assert Settings.load({}).data_dir == usual
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert Settings.load({}).data_dir == tmp_path / "share" / "sipxconfig-soap"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert Settings.load({}).data_dir == Path("/var/lib/sipxconfig-soap")


def test_who_has_no_home_has_data_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    settings = Settings.load({})
    assert settings.data_dir == Path("/var/lib/sipxconfig-soap")
    assert settings.profile_root == Path("/var/lib/sipxconfig-soap/profiles")
    for name in ("DATA_DIR", "PROFILE_ROOT"):
        with pytest.raises(SettingsError, match=f"^SIPXCONFIG_{name} is '~/x': it must be a dir"):
            Settings.load({f"SIPXCONFIG_{name}": "~/x"})


def test_the_service_that_empties_a_system_comes_with_the_embedded_database_only() -> None:
    own = {"SIPXCONFIG_DATABASE_URL": "postgresql://u@h/d"}
    for environ, by_itself in (({}, True), (own, False)):
        assert Settings.load(environ).test_service is by_itself
        assert Settings.load(environ, test_service="auto").test_service is by_itself
        for decided in (True, False):
            assert Settings.load(environ, test_service=decided).test_service is decided
            named = {**environ, "SIPXCONFIG_TEST_SERVICE": str(decided)}
            assert Settings.load(named).test_service is decided


def test_what_somebody_has_decided_on_is_known() -> None:
    assert not is_given("domain", {})
    assert not is_given("domain", {"SIPXCONFIG_DOMAIN": " ", "SIPXCONFIG_REALM": "x"})
    assert is_given("domain", {"SIPXCONFIG_DOMAIN": "example.org"})
    assert is_given("domain", {}, "example.org")


def test_unknown_variables_name_the_nearest() -> None:
    environ = {
        "SIPXCONFIG_DOMIAN": "x",
        "SIPXCONFIG_QQQQQQ": "x",
        "SIPXCONFIG_BIND": "x",
        "A": "b",
        "SIPXCONFIG_DOMAIN_FILE": "x",
        "SIPXCONFIG_ADMIN_PIN_FILE": "x",
    }
    assert remarks(environ) == [
        "SIPXCONFIG_DOMAIN_FILE is not a setting: did you mean SIPXCONFIG_DOMAIN?",
        "SIPXCONFIG_DOMIAN is not a setting: did you mean SIPXCONFIG_DOMAIN?",
        "SIPXCONFIG_QQQQQQ is not a setting: it has no effect.",
    ]
