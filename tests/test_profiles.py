"""Every model's profile, read back by a parser of its format (docs/spec/phones.md §3)."""

from __future__ import annotations

import configparser
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.provisioning.phone import (
    ExternalLine,
    InternalLine,
    PhoneSnapshot,
    ProvisioningSettings,
)
from sipxconfig_soap.provisioning.profiles import CannotCarry, render
from sipxconfig_soap.provisioning.profiles.families import FAMILIES, family_of
from tests.profile_parsers.tables import Expected, table_of

if TYPE_CHECKING:
    from sipxconfig_soap.provisioning.models import Model
    from sipxconfig_soap.provisioning.phone import LineSnapshot

MAC = "0004f2abcdef"
PLAIN = ProvisioningSettings(domain="example.org")

# First and last name, and how they must be shown.
NAMES = [
    ('"Bob" <script>', "& Söhne\n漢字", '"Bob" <script> & Söhne 漢字'),
    ("Back\\slash", "100 % %NULL% {{ 7*7 }} %s", "Back\\slash 100 % %NULL% {{ 7*7 }} %s"),
    ('Bob" /><reg', "x\r\nsip line2 password: x", 'Bob" /><reg x sip line2 password: x'),
    ("\t Tab \x00\x85 ", "\u2028;//[line9]\u2029", "Tab ;//[line9]"),
    (None, "Only", "Only"),
    ("Only", " ", "Only"),
    (None, None, None),
    ("𝄞 ]]>", "<!-- \x1b[31m", "𝄞 ]]> <!-- [31m"),
]
PASSWORDS = ["s3cret", "<&>';=:,[]%\\", "{{ password }} ${x} %NULL%", "ä漢𝄞", "-", "p w\\"]
USERS = ["200", "bob.o-neil_1", "a;b//c", "~!*'()&=+$,?/", "%C3%A4", "x" * 17]


def phone(model: Model, *lines: LineSnapshot, version: str | None = None) -> PhoneSnapshot:
    return PhoneSnapshot(serial=MAC, model=model, version=version, lines=lines)


def internal(user: str = "200", **values: Any) -> InternalLine:
    return InternalLine(user_name=user, **{"sip_password": "s3cret", **values})


def external(server: str, user: str = "bob", **values: Any) -> ExternalLine:
    return ExternalLine(user_id=user, registration_server=server, **values)


def shown(
    line: LineSnapshot, model: Model, settings: ProvisioningSettings, name: str | None
) -> Expected:
    """What the file must hold for a line, of which the shown name is known."""
    family = table_of(model, None)
    if isinstance(line, ExternalLine):
        host, port = line.registration_server, ""
        if ":" in host and not host.endswith("]"):
            host, _, port = host.rpartition(":")
        user = auth = line.user_id
        realm = host
        password, voice = line.password or "", line.voice_mail or ""
    else:
        host, port = settings.domain, str(settings.registrar_port or "")
        user = auth = line.user_name
        if family.instrument and settings.auth_user == "instrument":
            auth = f"{user}/{MAC}"
        password, voice = line.sip_password, settings.voicemail_extension
        realm = settings.realm or settings.domain
    name = name or user
    if family.apostrophes:
        name = name.replace('"', "'")
    label = name if settings.line_label == "name" else None
    return Expected(user, auth, password, host, port, name, voice, realm, label)


def check(
    snapshot: PhoneSnapshot,
    names: list[str | None],
    settings: ProvisioningSettings = PLAIN,
) -> None:
    """The file of a phone holds exactly what it must."""
    table = table_of(snapshot.model, snapshot.version)
    lines = [
        shown(line, snapshot.model, settings, name)
        for line, name in zip(snapshot.lines, names, strict=True)
    ]
    file = render(snapshot, settings)[0]
    limit = snapshot.model.max_lines_for(snapshot.version)
    assert table.parse(file.content) == table.keys(limit, lines)
    assert b"\r" not in file.content


def nasty_lines(count: int) -> tuple[list[LineSnapshot], list[str | None]]:
    """As many lines as asked for, each with other values."""
    lines: list[LineSnapshot] = []
    names: list[str | None] = []
    for number in range(count):
        first, last, name = NAMES[number % len(NAMES)]
        user, password = USERS[number % len(USERS)], PASSWORDS[number % len(PASSWORDS)]
        lines.append(internal(user, sip_password=password, first_name=first, last_name=last))
        names.append(name)
    return lines, names


@pytest.mark.parametrize(
    "settings",
    [
        PLAIN,
        replace(PLAIN, registrar_port=5062, realm="Realm of Söhne"),
        replace(PLAIN, line_label="name"),
    ],
)
@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.model_id)
def test_every_model_with_all_its_lines(model: Model, settings: ProvisioningSettings) -> None:
    for version in {model.default_version, *model.versions[:1], *model.versions[-1:], None}:
        for start in range(len(NAMES)):
            count = model.max_lines_for(version)
            lines, names = nasty_lines(count + start)
            snapshot = phone(model, *lines[start:], version=version)
            check(snapshot, names[start:], settings)


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.model_id)
def test_lines_that_the_phone_has_not(model: Model) -> None:
    version = "nortelPhone3.2" if model.family == "nortel" else model.default_version
    for count in {0, 1, model.max_lines_for(version) // 2}:
        lines, names = nasty_lines(count)
        check(phone(model, *lines, version=version), names)


@pytest.mark.parametrize(
    "server", ["pbx.example.net", "192.0.2.7:5070", "[2001:db8::1]", "[::1]:6"]
)
@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.model_id)
def test_external_lines(model: Model, server: str) -> None:
    lines: list[LineSnapshot] = [
        external(server, "200", display_name=" Büro ", password="s3c&et", voice_mail="*97"),
        external(server, "alice"),
    ]
    names = ["Büro", None]
    if table_of(model, None).home_server:
        assert refusal(model.model_id, *lines[:1]).startswith("line 1: registrationServer ")
        return
    if not table_of(model, None).one_server:
        lines.append(internal("201", first_name="Bob"))
        names.append("Bob")
    fitting = lines[: model.max_lines_for(None)]
    check(phone(model, *fitting), names[: len(fitting)], replace(PLAIN, registrar_port=5062))


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.model_id)
def test_plain_log_in_names_for_other_registrars(model: Model) -> None:
    check(phone(model, internal()), [None], replace(PLAIN, auth_user="plain"))


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.model_id)
def test_a_first_line_without_a_number(model: Model) -> None:
    check(phone(model, external("example.org", "alice")), [None])


def test_every_family_has_a_template() -> None:
    assert {model.family for model in MODELS.values()} == set(FAMILIES)
    for model in MODELS.values():
        assert len(family_of(model).forms) == len(model.profile_paths(MAC))


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.model_id)
def test_files_are_named_as_the_table_says(model: Model) -> None:
    serial = MAC if model.is_mac else "Bobs1"
    snapshot = replace(phone(model, internal()), serial=serial)
    paths = [file.path for file in render(snapshot, PLAIN)]
    assert paths == list(model.profile_paths(serial))
    assert model.profile_path(serial) in paths


def test_a_polycom_has_a_second_file_that_names_the_first() -> None:
    lines, application = render(phone(MODELS["polycom331"], internal()), PLAIN)
    assert (lines.path, application.path) == (f"{MAC}-sipx-phone.cfg", f"{MAC}.cfg")
    assert application.content == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<APPLICATION APP_FILE_PATH="sip.ld" CONFIG_FILES="0004f2abcdef-sipx-phone.cfg"/>\n'
    )


@pytest.mark.parametrize(
    ("version", "root"),
    [
        (None, b"<phone1>"),
        ("polycom1.6", b"<phone1>"),
        ("polycom2.0", b"<phone1>"),
        ("polycom3.1.X", b"<phone1>"),
        ("polycom3.2.X", b"<polycomConfig>"),
        ("polycom4.0.X", b"<polycomConfig>"),
        ("polycom5.5.2", b"<polycomConfig>"),
    ],
)
def test_the_root_of_a_polycom_file_depends_on_the_version(
    version: str | None, root: bytes
) -> None:
    file = render(phone(MODELS["polycom331"], internal(), version=version), PLAIN)[0]
    assert file.content.splitlines()[1] == root


@pytest.mark.parametrize(
    ("model_id", "text"),
    [
        ("yealinkPhoneSIPT46G", "#!version:1.0.0.1\naccount.1.enable = 1\n"),
        ("aastra57i", 'sip line1 user name: "200"\n'),
        ("aastra57i", "sip line1 display name: \"B'o'b\"\n"),
        ("aastra57i", "sip line1 proxy port: 5062\n"),
        ("cisco7960", 'sync: "1"\n'),
        ("snomM3", "%SRV_0_SIP_UA_DATA_SERVER_PORT%:5062\n"),
        ("snomM3", "%CALL_GROUPS8%:257\n"),
        ("lip6804", "line1_displayname \"B'o'b\"\n"),
        ("cisco7960", "line1_displayname: \"B'o'b\"\n"),
        ("cisco7960", "proxy1_port: 5062\n"),
        ("cisco18x", "#txt\n"),
        ("bria", "[DATA]\nSuccess=1\n"),
        ("jitsiPhoneModel", 'acc1.DISPLAY_NAME=B"o"b\n'),
        ("nortel11xx", "AUTOLOGIN_ENABLE USE_AUTOLOGIN_ID\n"),
        ("audiocodesMP114_FXS", "[\\TrunkGroup]\n"),
        ("audiocodesMP114_FXS", 'Authentication 0 = "200", "s3cret";\n'),
        ("snomM3", '%SUBSCR_0_SIP_UA_DATA_SIP_NAME%:"200"\n'),
        ("snom300", '<user_name idx="1" perm="R">200</user_name>'),
        ("ipDialog", "<registrar>\n        <manual>TRUE</manual>\n"),
        ("ipDialog", "<sipProxy>\n        <forwardAllThroughProxy>TRUE<"),
        ("ipDialog", ">TRUE</registerThroughProxy>\n      </sipProxy>\n"),
        ("linksys941", "<Display_Name_1_>B&quot;o&quot;b</Display_Name_1_>"),
    ],
)
def test_the_form_of_a_file(model_id: str, text: str) -> None:
    line = internal(first_name='B"o"b')
    settings = replace(PLAIN, registrar_port=5062)
    assert text in render(phone(MODELS[model_id], line), settings)[0].content.decode()


@pytest.mark.parametrize("model_id", ["karelIP116", "unidatawpu7700", "gtekVt20x", "hitachi3000"])
def test_python_reads_the_ini_files_too(model_id: str) -> None:
    reader = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=(), strict=True)
    line = internal(sip_password="a%b;c#d=e", first_name="Söhne")
    reader.read_string(render(phone(MODELS[model_id], line), PLAIN)[0].content.decode())
    values = {value for section in reader.sections() for _, value in reader.items(section)}
    assert {"200", "a%b;c#d=e", "Söhne", "example.org"} <= values


# What a format cannot carry.

EVERY_LINE_FORMAT = [
    "cisco18x",
    "audiocodes-440",
    "nortel11xx",
    "nortel1535",
    "lip6804",
    "unidatawpu7700",
    "hitachi5000",
    "gtekVt20x",
    "gtekAq10x",
    "yealinkPhoneSIPT46G",
    "karelIP116",
    "acmePhoneStandard",
]
QUOTED = ["aastra57i", "snomM3", "cisco7960", "audiocodesMP118_FXS", "bria"]


def refusal(model_id: str, *lines: LineSnapshot, version: str | None = None) -> str:
    with pytest.raises(CannotCarry) as caught:
        render(phone(MODELS[model_id], *lines, version=version), PLAIN)
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.mark.parametrize("model_id", EVERY_LINE_FORMAT)
@pytest.mark.parametrize(
    "password", [" sesame", "sesame ", "se\nsame", "se\x85same", "se\u2028same"]
)
def test_a_password_that_a_line_cannot_carry(model_id: str, password: str) -> None:
    reason = refusal(model_id, internal(sip_password=password))
    assert reason.startswith("line 1: password ")
    assert "same" not in reason


@pytest.mark.parametrize("model_id", QUOTED)
@pytest.mark.parametrize("password", ['se"same', "se\nsame", "se\x00same"])
def test_a_password_that_quotes_cannot_carry(model_id: str, password: str) -> None:
    reason = refusal(model_id, internal(sip_password=password))
    assert reason.startswith("line 1: password ")
    assert "same" not in reason


@pytest.mark.parametrize("model_id", QUOTED)
def test_quotes_carry_blanks_at_the_ends(model_id: str) -> None:
    check(phone(MODELS[model_id], internal(sip_password=" se;//#same ")), [None])


@pytest.mark.parametrize("model_id", ["snom300", "polycom331", "mitel5224", "zoiperPhoneModel"])
def test_xml_carries_blanks_quotes_and_line_breaks(model_id: str) -> None:
    password = " \"\t\r\n<&>' "
    check(phone(MODELS[model_id], internal(sip_password=password)), [None])


@pytest.mark.parametrize("model_id", ["linksys941", "SPA525G", "linksys2102"])
def test_a_linksys_trims_what_it_reads(model_id: str) -> None:
    for password in (" sesame", "sesame ", "\tsesame", "sesame\n"):
        reason = refusal(model_id, internal(sip_password=password))
        assert reason.startswith("line 1: password has a blank at its ends")
    reason = refusal(model_id, internal(sip_password="se\nsame"))
    assert reason.startswith("line 1: password holds a line break")
    check(phone(MODELS[model_id], internal(sip_password="s \"<&>' #;e")), [None])


@pytest.mark.parametrize("password", ["\x00", "\x0b", "\ufffe", "\ud800"])
def test_characters_that_xml_does_not_have(password: str) -> None:
    assert refusal("snom300", internal(sip_password=password)) == (
        "line 1: password holds a character that XML does not have"
    )


@pytest.mark.parametrize("model_id", [*EVERY_LINE_FORMAT, *QUOTED])
def test_characters_that_cannot_be_encoded(model_id: str) -> None:
    assert "password" in refusal(model_id, internal(sip_password="a\udc80b"))


def test_java_properties_carry_everything() -> None:
    password = " \\u0041 =:#!\x00\r\n\u2028ä漢𝄞\\ "
    file = render(phone(MODELS["jitsiPhoneModel"], internal(sip_password=password)), PLAIN)[0]
    file.content.decode("ascii")
    check(phone(MODELS["jitsiPhoneModel"], internal(sip_password=password)), [None])


def test_the_reason_names_line_and_field() -> None:
    good = internal()
    bad = external("example.org", display_name="a\udc80", voice_mail="\t*1")
    assert refusal("aastra57i", good, bad).startswith("line 2: displayName ")
    bad = replace(bad, display_name=None)
    assert refusal("aastra57i", good, bad).startswith("line 2: voiceMail ")
    named = internal("201", first_name="Room", last_name="\udc80")
    assert refusal("aastra57i", good, named).startswith("line 2: firstName, lastName ")


def test_values_that_mean_something_else() -> None:
    yealink = MODELS["yealinkPhoneSIPT46G"]
    assert "line 1: password is a word that" in refusal(
        yealink.model_id, internal(sip_password="%NULL%")
    )
    assert "line 1: firstName, lastName is a word that" in refusal(
        yealink.model_id, internal(first_name="%NULL%")
    )
    check(phone(yealink, internal(sip_password="%NULL%x", first_name="#1 #2")), ["#1 #2"])
    jitsi = MODELS["jitsiPhoneModel"]
    assert refusal(jitsi.model_id, internal(sip_password="${null}")) == (
        "line 1: password is a word that means something else in this model's file"
    )
    check(phone(jitsi, internal(sip_password="${null} ", first_name="${null}x")), ["${null}x"])
    # It would switch the line off.
    assert "line 2: userName is a word that" in refusal("cisco18x", internal(), internal("0"))


@pytest.mark.parametrize(
    ("model_id", "password"),
    [
        ("cisco18x", "0"),
        ("yealinkPhoneSIPT46G", "%NULL%"),
        ("jitsiPhoneModel", "${null}"),
        ("lip6804", "sesame "),
        ("cisco7960", 'se"same'),
        ("polycom331", "se\x01same"),
        ("nortel11xx", "sesame" * 20),
    ],
)
def test_no_reason_repeats_a_password(model_id: str, password: str) -> None:
    reason = refusal(model_id, internal(sip_password=password))
    assert reason.startswith("line 1: password ")
    assert password not in reason


ONE_SERVER = [
    "cisco18x",
    "audiocodes-440",
    "audiocodesMP118_FXS",
    "gsFxsGxw4024",
    "gsHt704",
]


@pytest.mark.parametrize("model_id", ONE_SERVER)
@pytest.mark.parametrize("server", ["other.example.org", "example.org:5061", "[::1]"])
def test_one_server_for_all_lines(model_id: str, server: str) -> None:
    lines: list[LineSnapshot] = [internal("200"), external("Example.ORG"), external(server)]
    if MODELS[model_id].max_lines < 3:
        del lines[1]
    assert refusal(model_id, *lines).startswith(f"line {len(lines)}: registrationServer ")


def test_one_server_is_marked_as_in_the_page() -> None:
    for model in MODELS.values():
        assert family_of(model).one_server == table_of(model, None).one_server


def test_a_phone_with_too_many_lines_is_refused() -> None:
    assert refusal("polycom331", *[internal()] * 3).startswith("line 3: ")
    assert refusal("nortel11xx", *[internal()] * 2).startswith("line 2: ")
    render(phone(MODELS["nortel11xx"], *[internal()] * 24, version="nortelPhone3.2"), PLAIN)


@pytest.mark.parametrize("serial", ["../x", "a/b", "", ".", "A.B", "x" * 65, "a\n"])
@pytest.mark.parametrize(
    "model_id", [model.model_id for model in MODELS.values() if not model.is_mac]
)
def test_no_serial_number_leads_out_of_the_root(model_id: str, serial: str) -> None:
    with pytest.raises(ValueError, match="serial number"):
        render(replace(phone(MODELS[model_id]), serial=serial), PLAIN)


def test_secrets_are_in_no_repr() -> None:
    lines = (internal(sip_password="sesame"), external("x", password="sesame"))
    snapshot = phone(MODELS["polycom331"], *lines)
    assert "sesame" not in repr(snapshot)
    assert "sesame" not in repr(render(snapshot, PLAIN))
