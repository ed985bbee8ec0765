"""The longest values that phones take (docs/spec/phones.md §3)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.provisioning.profiles import CannotCarry, render
from tests.profile_parsers import lines as parsers
from tests.profile_parsers.tables import table_of
from tests.test_profiles import MAC, PLAIN, check, external, internal, phone, refusal, shown

if TYPE_CHECKING:
    from sipxconfig_soap.provisioning.phone import LineSnapshot, ProvisioningSettings

ELSEWHERE = "pbx.example.net"
LOGIN = replace(PLAIN, auth_user="plain")


def reason(
    model_id: str, *lines: LineSnapshot, settings: ProvisioningSettings = PLAIN
) -> str | None:
    """Why the lines do not fit; None when they do, and the file holds all of them."""
    snapshot = phone(MODELS[model_id], *lines)
    try:
        render(snapshot, settings)
    except CannotCarry as refused:
        return str(refused)
    names = [getattr(line, "display_name", getattr(line, "first_name", None)) for line in lines]
    check(snapshot, names, settings)
    return None


# What external lines may hold: no setting decides about their auth user.
FIELDS = [
    ("cisco18x", "user", 31),
    ("cisco7912", "user", 31),
    ("ciscoplus7941G", "user", 30),
    ("audiocodes-420", "user", 35),
    ("snomM3", "user", 36),
    ("lip6804", "user", 50),
    ("unidatawpu7700", "user", 32),
    ("hitachi5000", "user", 32),
    ("gsFxsGxw4004", "user", 64),
    ("audiocodesMP112_FXS", "user", 50),
    ("cisco18x", "password", 31),
    ("cisco7912", "password", 31),
    ("ciscoplus7941G", "password", 30),
    ("audiocodes-420", "password", 35),
    ("snomM3", "password", 36),
    ("lip6804", "password", 50),
    ("unidatawpu7700", "password", 32),
    ("hitachi5000", "password", 32),
    ("gsFxsGxw4004", "password", 64),
    ("audiocodesMP112_FXS", "password", 50),
    ("cisco7912", "voice_mail", 31),
    ("snomM3", "voice_mail", 22),
    ("unidatawpu7700", "voice_mail", 40),
    ("nortel11xx", "voice_mail", 20),
    ("avaya-1220", "voice_mail", 20),
]
NAMES = {"user": "userId", "password": "password", "voice_mail": "voiceMail"}


@pytest.mark.parametrize(("model_id", "field", "longest"), FIELDS)
def test_a_longer_value_is_refused(model_id: str, field: str, longest: int) -> None:
    def line(length: int) -> LineSnapshot:
        return external(ELSEWHERE, **{field: "9" * length})

    unit = "bytes" if model_id in ("cisco18x", "cisco7912") else "characters"
    assert reason(model_id, line(longest)) is None
    assert reason(model_id, line(longest + 1)) == (
        f"line 1: {NAMES[field]} is longer than the {longest} {unit} that this model takes"
    )


@pytest.mark.parametrize(
    ("model_id", "server", "longest"),
    [
        ("cisco18x", ":5060", 31),
        ("cisco7905", ":5060", 31),
        ("ciscoplus7941G", "", 50),
        ("ciscoplus7941G", ":5060", 50),
        ("snomM3", "", 32),
        ("snomM3", ":5060", 32),
    ],
)
def test_a_longer_server_is_refused(model_id: str, server: str, longest: int) -> None:
    # Where the port has a key of its own it does not count.
    counted = len(server) if model_id in ("cisco18x", "cisco7905") else 0
    fits = "h" * (longest - counted)
    assert reason(model_id, external(fits + server)) is None
    refused = refusal(model_id, external(f"h{fits}{server}"))
    assert refused.startswith(f"line 1: registrationServer is longer than the {longest} ")
    assert reason("polycom331", external("h" * 200)) is None


def test_the_sip_domain_may_be_too_long_too() -> None:
    settings = replace(PLAIN, domain="h" * 26, registrar_port=15060)
    assert reason("cisco18x", internal(), settings=settings) == (
        "line 1: registrationServer is longer than the 31 bytes that this model takes"
    )


LEFT = [
    ("ciscoplus7941G", 30, 17),
    ("audiocodes-420", 35, 22),
    ("lip6804", 50, 37),
    ("gsFxsGxw4004", 64, 51),
]


@pytest.mark.parametrize(("model_id", "longest", "left"), LEFT)
def test_the_serial_number_takes_room_from_the_auth_user(
    model_id: str, longest: int, left: int
) -> None:
    assert reason(model_id, internal("u" * left)) is None
    for length in (left + 1, longest + 1):
        assert reason(model_id, internal("u" * length)) == (
            f"line 1: userName is longer than the {left} characters that AUTH_USER=instrument "
            f"leaves of the {longest} that this model takes to log in with"
        )
    assert reason(model_id, internal("u" * longest), settings=LOGIN) is None
    assert reason(model_id, internal("u" * (longest + 1)), settings=LOGIN) == (
        f"line 1: userName is longer than the {longest} characters that this model takes "
        "to log in with (AUTH_USER=plain)"
    )


@pytest.mark.parametrize("model_id", ["cisco18x", "snomM3", "hitachi5000", "audiocodesMP112_FXS"])
def test_the_setting_is_named_only_where_it_decides(model_id: str) -> None:
    refused = refusal(model_id, internal("u" * 60))
    assert refused.startswith("line 1: userName is longer than the ")
    assert "AUTH_USER" not in refused


def test_the_line_is_named() -> None:
    lines = internal(), external(ELSEWHERE, password="x" * 31)
    assert reason("ciscoplus7941G", *lines) == (
        "line 2: password is longer than the 30 characters that this model takes"
    )


def test_only_what_the_file_holds_has_a_limit() -> None:
    # No number stands in these, of line 1 alone in others, and its server alone in the next.
    for model_id in ("cisco18x", "hitachi5000", "polycom331"):
        assert reason(model_id, external(ELSEWHERE, voice_mail="9" * 200)) is None
    second = external(ELSEWHERE, voice_mail="9" * 41)
    assert reason("avaya-1220", internal(), second) is None
    assert reason("ciscoplus7941G", internal(), external("h" * 60)) is None
    assert reason("gsHt704", internal("u" * 100, sip_password="p" * 100)) is None


def test_a_cisco_ata_counts_bytes() -> None:
    assert reason("cisco18x", internal(sip_password="ä" * 15 + "x")) is None
    refused = reason("cisco18x", internal(sip_password="ä" * 16))
    assert refused == "line 1: password is longer than the 31 bytes that this model takes"
    assert reason("hitachi5000", internal(sip_password="ä" * 32)) is None


NAMES_CUT = [
    ("cisco18x", 31),
    ("cisco7912", 31),
    ("ciscoplus7941G", 30),
    ("audiocodes-420", 22),
    ("snomM3", 20),
    ("lip6804", 50),
    ("unidatawpu7700", 30),
    ("hitachi5000", 30),
    ("gsFxsGxw4004", 64),
    ("avaya-1220", 22),
    ("ipDialog", 22),
]


@pytest.mark.parametrize(("model_id", "longest"), NAMES_CUT)
def test_names_are_cut(model_id: str, longest: int) -> None:
    def held(name: str) -> set[str]:
        line = internal("200", first_name=name)
        content = render(phone(MODELS[model_id], line), PLAIN)[0].content
        return set(table_of(MODELS[model_id], None).parse(content).values())

    assert "n" * longest in held("n" * longest)
    assert "n" * longest in held("n" * (longest + 1))
    # Blanks at the end of what was cut go too, and one character counts as one.
    assert "n" * (longest - 1) in held("n" * (longest - 1) + " Long")
    if not model_id.startswith(("cisco18x", "cisco79")):
        assert "𝄞" * longest in held("𝄞" * 70)
        # What counts is the value, not its entities.
        assert "n" * (longest - 1) + "&" in held("n" * (longest - 1) + "&&")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("ä" * 16, "ä" * 15),
        ("x" + "𝄞" * 8, "x" + "𝄞" * 7),
        ("é é é é é é é é é é é é", "é é é é é é é é é é"),
    ],
)
def test_bytes_are_cut_at_a_whole_character(name: str, kept: str) -> None:
    content = render(phone(MODELS["cisco18x"], internal(first_name=name)), PLAIN)[0].content
    assert parsers.separated(content, ":", first="#txt")["DisplayName0"] == kept


def test_a_label_has_its_own_limit() -> None:
    line = internal("u" * 14, first_name="n" * 21)
    found = parsers.snom_m3(render(phone(MODELS["snomM3"], line), PLAIN)[0].content)
    assert found["SUBSCR_0_SIP_UA_DATA_SIP_NAME"] == "u" * 14
    assert found["SUBSCR_0_SIP_UA_DATA_SIP_NAME_ALIAS"] == "u" * 13
    assert found["SUBSCR_0_UA_DATA_DISP_NAME"] == "n" * 20


def test_a_label_that_is_a_name_is_cut_like_one() -> None:
    settings = replace(PLAIN, line_label="name")
    line = internal(first_name="ä" * 15 + "nn")
    content = render(phone(MODELS["cisco7912"], line), settings)[0].content
    assert parsers.separated(content, ":", first="#txt")["ShortName"] == "ä" * 15 + "n"


def test_no_name_makes_the_user_the_name_which_is_cut_there_alone() -> None:
    line = internal("u" * 36)
    found = parsers.snom_m3(render(phone(MODELS["snomM3"], line), PLAIN)[0].content)
    assert found["SUBSCR_0_SIP_UA_DATA_SIP_NAME"] == "u" * 36
    assert found["SUBSCR_0_UA_DATA_DISP_NAME"] == "u" * 20


@pytest.mark.parametrize("model_id", sorted(MODELS))
def test_no_reason_repeats_a_value(model_id: str) -> None:
    lines: list[Any] = [
        internal("sesame" * 50),
        internal(sip_password="sesame" * 50),
        external("example.org", voice_mail="sesame" * 50),
        external("sesame" * 40),
        external("example.org", "sesame" * 50, display_name="sesame" * 50),
    ]
    for line in lines:
        try:
            render(phone(MODELS[model_id], line), PLAIN)
        except CannotCarry as refused:
            found = str(refused)
            # The traceback, too, goes into a log.
            alone = refused.__cause__ is None
        else:
            continue
        assert found.startswith("line 1: ")
        assert "sesame" not in found
        assert alone


def test_long_lines_of_a_nortel() -> None:
    key = len("AUTOLOGIN_PASSWD_KEY01 ")
    nortel = MODELS["nortel11xx"]
    check(phone(nortel, internal(sip_password="x" * (79 - key))), [None])
    assert refusal(nortel.model_id, internal(sip_password="x" * (80 - key))) == (
        "line 1: password makes a line of more than 79 characters"
    )
    # A user and its server are one value.
    long = internal("u" * 60)
    assert refusal(nortel.model_id, long).startswith("line 1: userName ")
    server = external("a" * 60 + ".example.org")
    assert refusal(nortel.model_id, server).startswith("line 1: registrationServer ")


# The second file of an Avaya 12xx, which newer software reads.


def second_file(*lines: LineSnapshot, settings: ProvisioningSettings = PLAIN) -> dict[str, str]:
    first, second = render(phone(MODELS["avaya-1220"], *lines), settings)
    assert (first.path, second.path) == (
        f"Nortel/config/SIP{MAC.upper()}.xml",
        "SIP0004F2ABCDEF.cfg",
    )
    return parsers.short(second.content)


def test_an_avaya_12xx_has_the_file_of_a_nortel_too() -> None:
    settings = replace(PLAIN, registrar_port=5062)
    lines = [internal("200"), internal("201", sip_password="a b"), internal("202")]
    table = table_of(MODELS["nortel11xx"], None)
    expected = [shown(line, MODELS["avaya-1220"], settings, None) for line in lines]
    assert second_file(*lines, settings=settings) == table.keys(4, expected)
    assert expected[0].auth == f"200/{MAC}"
    assert second_file() == table.keys(4, [])


def test_lines_with_another_server_are_empty_in_it() -> None:
    lines = external("PBX.example.net", "bob"), internal("200"), external("pbx.example.net", "al")
    found = second_file(*lines)
    assert found["SIP_DOMAIN1"] == "PBX.example.net"
    keys = {key: value for key, value in found.items() if key.startswith("AUTOLOGIN_ID")}
    assert keys == {
        "AUTOLOGIN_ID_KEY01": "bob@PBX.example.net",
        "AUTOLOGIN_ID_KEY02": "",
        "AUTOLOGIN_ID_KEY03": "al@pbx.example.net",
        "AUTOLOGIN_ID_KEY04": "",
    }
    assert found["AUTOLOGIN_AUTHID_KEY02"] == found["AUTOLOGIN_PASSWD_KEY02"] == ""
    # Another port is another server.
    lines = external("pbx.example.net", "bob"), external("pbx.example.net:5070", "al")
    assert second_file(*lines)["AUTOLOGIN_ID_KEY02"] == ""


def test_what_one_of_the_two_cannot_carry_is_refused() -> None:
    room = 79 - len("AUTOLOGIN_PASSWD_KEY01 ")
    assert reason("avaya-1220", internal(sip_password="x" * room)) is None
    assert reason("avaya-1220", internal(sip_password="x" * (room + 1))) == (
        "line 1: password makes a line of more than 79 characters"
    )
    blank = internal(sip_password="sesame ")
    refused = refusal("avaya-1220", internal(), blank)
    assert refused.startswith("line 2: password has a blank at its ends")
    refused = refusal("avaya-1220", internal(sip_password="\x00"))
    assert refused.startswith("line 1: password ")
    # A line that the second file does not hold may be longer than its lines.
    assert reason("avaya-1220", internal(), external(ELSEWHERE, password="x " * 80)) is None


# The one server of a Nortel 1535, which all phones are given in a file that they share.


@pytest.mark.parametrize("server", ["example.org", "Example.ORG", "example.org:5060"])
def test_a_nortel_1535_has_the_server_of_the_domain(server: str) -> None:
    assert reason("nortel1535", external(server)) is None


@pytest.mark.parametrize("server", ["pbx.example.net", "example.org:5062", "[::1]"])
def test_a_nortel_1535_has_no_other_server(server: str) -> None:
    assert reason("nortel1535", external(server)) == (
        "line 1: registrationServer is another server than that of the SIP domain, which all "
        "phones of this model are given"
    )


def test_a_nortel_1535_is_told_the_port_of_the_setting() -> None:
    settings = replace(PLAIN, registrar_port=5062)
    assert reason("nortel1535", external("example.org:5062"), settings=settings) is None
    assert reason("nortel1535", external("example.org"), settings=settings) is not None
