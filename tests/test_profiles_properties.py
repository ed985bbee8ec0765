"""Whatever people write: a profile holds exactly that, or is refused (docs/spec/phones.md §3)."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.provisioning.phone import (
    ExternalLine,
    InternalLine,
    PhoneSnapshot,
    ProvisioningSettings,
)
from sipxconfig_soap.provisioning.profiles import CannotCarry, formats, render
from sipxconfig_soap.provisioning.profiles.families import family_of
from tests.profile_parsers.tables import Expected, table_of

if TYPE_CHECKING:
    from sipxconfig_soap.provisioning.models import Model
    from sipxconfig_soap.provisioning.phone import LineSnapshot

MAC = "0004f2abcdef"
SETTINGS = ProvisioningSettings(domain="example.org")
ONE_OF_EACH = list(
    {(model.family, family_of(model).forms): model for model in MODELS.values()}.values()
)

# Letters are seldom the problem.
SIGNS = "\"'`\\%<>&;:#!=/,.()[]{}$|~ \t\r\n\0\x1b\x7f\x85\xa0\u2028\u2029\u3000\ufeff\uffff漢𝄞éa0"
TEXTS = st.text(st.one_of(st.sampled_from(SIGNS), st.characters(codec="utf-8")), max_size=20)
TEXTS |= st.sampled_from(
    ["%NULL%", "${null}", "0", "</config>", "[VOIP]", "\\u0041", "a\nkey: b", "//"]
)
# In XML such a text looks like the white space of an element that holds no others.
TEXTS = TEXTS.filter(lambda text: "\n" not in text or text.strip(" \n") != "")
SIP_USERS = st.text("abcXYZ019-_.!~*'()&=+$,;?/", min_size=1, max_size=20)


def one_line(text: str) -> str:
    """The name as it must be shown."""
    blank = {char for char in text if unicodedata.category(char) in {"Cc", "Zl", "Zp"}} | {" "}
    words = "".join(" " if char in blank else char for char in text).split(" ")
    return " ".join(filter(None, words))


def rendered(model: Model, line: LineSnapshot, fields: set[str]) -> bytes | None:
    """The file with the lines; None when one of these fields does not fit."""
    try:
        return render(PhoneSnapshot(serial=MAC, model=model, lines=(line,)), SETTINGS)[0].content
    except CannotCarry as refused:
        blamed = (refused.line, refused.field)
    assert blamed in {(1, field) for field in fields}
    return None


@pytest.mark.parametrize("model", ONE_OF_EACH, ids=lambda model: model.model_id)
@settings(max_examples=60, deadline=None)
@given(user=SIP_USERS, password=TEXTS, first=TEXTS | st.none(), last=TEXTS | st.none())
def test_what_goes_in_is_what_is_read(
    model: Model, user: str, password: str, first: str | None, last: str | None
) -> None:
    table = table_of(model, None)
    line = InternalLine(user_name=user, sip_password=password, first_name=first, last_name=last)
    content = rendered(model, line, {"userName", "password", "firstName, lastName"})
    if content is None:
        return
    name = one_line(f"{first or ''} {last or ''}") or user
    shown = Expected(
        user=user,
        auth=f"{user}/{MAC}" if table.instrument else user,
        password=password,
        host="example.org",
        port="",
        name=name.replace('"', "'") if table.apostrophes else name,
        voice="101",
        realm="example.org",
    )
    assert table.parse(content) == table.keys(model.max_lines, [shown])


@pytest.mark.parametrize("model", ONE_OF_EACH, ids=lambda model: model.model_id)
@settings(max_examples=30, deadline=None)
@given(voice=TEXTS, password=TEXTS)
def test_external_lines_too(model: Model, voice: str, password: str) -> None:
    table = table_of(model, None)
    host, port = ("example.org", "") if table.home_server else ("[::1]", "6")
    line = ExternalLine(
        user_id="bob",
        registration_server=f"{host}:{port}" if port else host,
        password=password,
        voice_mail=voice,
    )
    content = rendered(model, line, {"password", "voiceMail"})
    if content is None:
        return
    shown = Expected("bob", "bob", password, host, port, "bob", voice, host)
    assert table.parse(content) == table.keys(model.max_lines, [shown])


@settings(deadline=None)
@given(TEXTS)
def test_xml_refuses_only_what_it_does_not_have(text: str) -> None:
    fits = all(char in "\t\n\r" or (char >= " " and char not in "\ufffe\uffff") for char in text)
    if fits:
        formats.xml(text)
    else:
        with pytest.raises(formats.Unfit):
            formats.xml(text)


@settings(deadline=None)
@given(TEXTS)
def test_lines_refuse_only_what_breaks_them(text: str) -> None:
    whole = not any(unicodedata.category(char) in {"Cc", "Zl", "Zp"} for char in text)
    bare = formats.Bare()
    if whole and text.strip(" ") == text:
        assert bare(text) == text
    else:
        with pytest.raises(formats.Unfit):
            bare(text)
    if whole and '"' not in text:
        assert formats.quoted(text) == f'"{text}"'
    else:
        with pytest.raises(formats.Unfit):
            formats.quoted(text)


@settings(deadline=None)
@given(TEXTS)
def test_the_reason_never_holds_the_value(text: str) -> None:
    secret = f"sesame{text}sesame"
    for rule in (
        formats.xml,
        formats.xml_trimmed,
        formats.Bare(),
        formats.quoted,
        formats.JavaProperty(),
    ):
        reason = ""
        try:
            rule(secret)
        except formats.Unfit as unfit:
            reason = str(unfit)
        assert "sesame" not in reason
