"""Templates of the administrator: layers, blocks, escapes (docs/spec/phones.md §3)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Literal

import pytest

from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.provisioning.phone import InternalLine, ProvisioningSettings
from sipxconfig_soap.provisioning.profiles import CannotCarry, Unreadable, render
from sipxconfig_soap.provisioning.profiles.own import file_name
from tests.support.templates import MAC, Own, phone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def one_child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    """One for all tests, since each starts a process."""
    made = Own(tmp_path_factory.mktemp("own") / "templates")
    with made.renderer:
        yield made


@pytest.fixture
def own(one_child: Own) -> Own:
    shutil.rmtree(one_child.directory, ignore_errors=True)
    one_child.directory.mkdir()
    return one_child


def shipped(own: Own, model_id: str) -> str:
    return render(phone(model_id), own.settings)[0].content.decode()


# Layers.


def test_an_extension_without_blocks_changes_nothing(own: Own) -> None:
    for model_id, model in MODELS.items():
        own.write(f"family/{model.family}.j2", "{% extends parent %}\n")
        assert own.file(model_id) == shipped(own, model_id)


def test_every_template_has_a_place_for_further_keys(own: Own) -> None:
    text = "{% extends parent %}{% block own %}\nmine: 1\n{% endblock %}"
    for family, model_id in {model.family: model_id for model_id, model in MODELS.items()}.items():
        own.write(f"family/{family}.j2", text)
        before, after = shipped(own, model_id).splitlines(), own.file(model_id).splitlines()
        assert after.count("mine: 1") == 1
        assert [line for line in after if line != "mine: 1"] == before


def test_the_more_special_counts_more(own: Own) -> None:
    block = "{{% extends parent %}}{{% block own %}}{}{{{{ super() }}}}{{% endblock %}}"
    for number, name in enumerate(
        ["family/polycom", "model/polycom331", "group/Sales", "group/Reception", "group/Others"]
    ):
        own.write(f"{name}.j2", block.format(f"<l{number}/>"))
    assert "<l3/><l2/><l1/><l0/>" in own.file("polycom331", "Sales", "Reception")
    assert "<l2/><l3/><l1/><l0/>" in own.file("polycom331", "Reception", "Sales")
    assert "<l1/><l0/>" in own.file("polycom331")
    assert "<l2/><l0/>" in own.file("polycom550", "Sales")
    assert "<l2/>" in own.file("snom300", "Sales")
    assert own.file("snom300") == shipped(own, "snom300")


def test_a_template_that_extends_nothing_replaces_what_is_below(own: Own) -> None:
    own.write("family/aastra.j2", "{% extends parent %}{% block own %}\nlost: 1\n{% endblock %}")
    own.write("model/aastra53i.j2", "all: {{ lines[0].user }}\n")
    own.write("group/Top.j2", "top: 1\n{% include parent %}")
    assert own.file("aastra53i") == "all: 200\n"
    assert own.file("aastra53i", "Top") == "top: 1\nall: 200\n"


def test_blocks_are_filled_anew_or_added_to(own: Own) -> None:
    own.write("family/polycom.j2", "{% extends parent %}{% block settings %}<x/>{% endblock %}")
    text = own.file("polycom331")
    assert "<x/>" in text
    assert "dialplan" not in text
    assert "reg.1.address" in text
    own.write("family/polycom.j2", "{% extends parent %}{% block lines %}{% endblock %}")
    text = own.file("polycom331")
    assert "dialplan" in text
    assert "reg.1.address" not in text


def test_a_changed_file_counts_at_once(own: Own) -> None:
    assert own.file("aastra53i") == shipped(own, "aastra53i")
    own.write("family/aastra.j2", "one: 1\n")
    assert own.file("aastra53i") == "one: 1\n"
    own.write("family/aastra.j2", "two: 2\n")
    assert own.file("aastra53i") == "two: 2\n"
    (own.directory / "family/aastra.j2").unlink()
    assert own.file("aastra53i") == shipped(own, "aastra53i")


def test_of_several_files_the_others_have_templates_of_their_own(own: Own) -> None:
    own.write("family/polycom.j2", "first {{ model }}\n")
    assert own.files("polycom331")[0] == b"first polycom331\n"
    assert b"<APPLICATION" in own.files("polycom331")[1]
    own.write("family/polycom/polycom-application.j2", "second\n")
    own.write("group/Lab/polycom-application.j2", "{% include parent %}third\n")
    assert own.files("polycom331") == (b"first polycom331\n", b"second\n")
    assert own.files("polycom331", "Lab")[1] == b"second\nthird\n"
    own.write("family/nortel12x0/nortel-11xx.j2", "OWN 1\n")
    assert own.files("avaya-1220")[1] == b"OWN 1\n"


def test_windows_editors_may_be_used(own: Own) -> None:
    own.write("family/aastra.j2", "\ufeffname: {{ lines[0].user }}\r\nb: 2\r\n")
    assert own.file("aastra53i") == "name: 200\nb: 2\n"


# What they can write.


def test_what_a_template_knows(own: Own) -> None:
    names = ("serial", "model", "family", "version", "domain", "many_lines|int", "groups|join(';')")
    own.write("group/Top.j2", "".join(f"{{{{ {name} }}}}\n" for name in names if name != "version"))
    assert own.file("aastra53i", "Top", "A&B").splitlines() == [
        *(MAC, "aastra53i", "aastra", "example.org", "1", "Top;A&B"),
    ]


@pytest.mark.parametrize(
    ("written", "xml"),
    [
        ("{{ lines[0].name }}", "&quot;Bob&quot; &lt;x&gt; &amp; Söhne"),
        ("{{ lines[0].name ~ '<' }}", "&quot;Bob&quot; &lt;x&gt; &amp; Söhne&lt;"),
        ("{{ '<b>' }}", "&lt;b&gt;"),
        ("{{ lines[0].name|safe }}", "&quot;Bob&quot; &lt;x&gt; &amp; Söhne"),
        ("{{ lines[0].name|upper }}", "&quot;BOB&quot; &lt;X&gt; &amp; SÖHNE"),
        ("{{ lines[0].name.format() }}", "&quot;Bob&quot; &lt;x&gt; &amp; Söhne"),
        ("{% set x %}<{}>{% endset %}{{ x.format('<') }}", "&lt;&lt;&gt;"),
        ("{% set f %}{}{% endset %}{% set f = f['format'] %}{{ f('<') }}", "&lt;"),
        ("{% set x|replace('&lt;', '<') %}{{ '<' }}{% endset %}{{ x }}", "&lt;"),
        ("{{ lines|map(attribute='user')|join(',') }}", "200"),
        ("{{ 1 + 1 }} {{ 0.5 }}", "2 0.5"),
        ("{% set x %}<i>{{ lines[0].password }}</i>{% endset %}{{ x }}", None),
        ("{% macro m(a) %}<i>{{ a }}</i>{% endmacro %}{{ m(lines[0].password) }}", None),
        ("{% for line in lines %}<i>{{ line.password }}</i>{% endfor %}", None),
    ],
)
def test_every_text_is_escaped_once(own: Own, written: str, xml: str | None) -> None:
    own.write("family/snom.j2", written)
    assert own.file("snom300") == (xml or "<i>s3cret&lt;&amp;&gt;</i>")


def test_a_value_that_the_format_cannot_carry_is_named(own: Own) -> None:
    own.write("family/unidata.j2", "a: {{ lines[0].password|quoted }}\n")
    line = InternalLine(user_name="200", sip_password='s3"cret')
    with pytest.raises(CannotCarry, match=r"^line 1: password holds a quotation mark") as caught:
        own.file("unidatawpu7700", line=line)
    assert (caught.value.line, caught.value.field) == (1, "password")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ 'a\\nb' }}", "a value holds a control character or line break"),
        ("{{ 'a\"b'|quoted }}", "a value holds a quotation mark, which this model's file cannot"),
        ("{{ ' a' }}", "a value has a blank at its ends"),
        ("{{ lines[0].password ~ '\\n' }}", "a value holds a control character or line break"),
        ("{{ true }}", "a value is a bool, which cannot be written"),
        ("{{ lines }}", "a value is a list, which cannot be written"),
        ("{{ version }}", "a value is a NoneType, which cannot be written"),
    ],
)
def test_a_text_that_the_format_cannot_carry(own: Own, text: str, reason: str) -> None:
    own.write("family/aastra.j2", f"first\n{text}\n")
    assert own.error().startswith(f"family/aastra.j2, line 2: {reason}")


def test_quotes_of_line_formats_are_none_of_xml(own: Own) -> None:
    own.write("family/snom.j2", "{{ lines[0].name|quoted }}")
    assert own.error("snom300") == "family/snom.j2, line 1: No filter named 'quoted'."


@pytest.mark.parametrize(("label", "shown"), [("user", "200"), ("name", "'Bob' <x> & Söhne")])
def test_the_label_of_a_line(label: Literal["user", "name"], shown: str) -> None:
    settings = ProvisioningSettings(domain="example.org", line_label=label)
    assert f'line1_shortname: "{shown}"' in render(phone("cisco7960"), settings)[0].content.decode()


# Names of files.


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("Reception", "Reception"),
        ("St. Gallen – Süd", "St. Gallen – Süd"),
        ("../../etc", "%2E.%2F..%2Fetc"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("100%", "100%25"),
        ("%2F", "%252F"),
        ("a/b", "a%2Fb"),
        ("a\\b", "a\\b"),
        ("a\x00\x7f", "a%00%7F"),
    ],
)
def test_the_name_of_a_group_in_file_names(own: Own, group: str, name: str) -> None:
    assert file_name(group) == name
    own.write(f"group/{name}.j2", "it\n")
    assert own.file("aastra53i", group) == "it\n"


def test_a_group_whose_name_no_file_can_have(own: Own) -> None:
    assert own.file("aastra53i", "x" * 255, "漢" * 200) == shipped(own, "aastra53i")


def test_links_may_lead_within_the_directory_and_not_out_of_it(own: Own, tmp_path: Path) -> None:
    own.write("common.j2", "common\n")
    own.write("family/x", "x")
    (own.directory / "family/aastra.j2").symlink_to("../common.j2")
    assert own.file("aastra53i") == "common\n"
    (tmp_path / "secret.txt").write_text("root:x:0:0")
    (own.directory / "family/snom.j2").symlink_to(tmp_path / "secret.txt")
    reason = f"family/snom.j2: is a link that leads out of {own.directory}"
    assert own.error("snom300") == reason
    (own.directory / "model").symlink_to(tmp_path)
    (tmp_path / "polycom331.j2").write_text("x")
    assert own.error("polycom331").startswith("model/polycom331.j2: is a link that leads out")
    (own.directory / "family/gtek.j2").symlink_to("nowhere")
    assert own.error("gtekHl20x") == "family/gtek.j2: is a link that leads nowhere"
    (own.directory / "family/yealink.j2").symlink_to("yealink.j2")
    assert own.error("yealinkPhoneSIPT28P") == "family/yealink.j2: is a link without end"


def test_what_is_no_text_file(own: Own) -> None:
    (own.directory / "family/aastra.j2").mkdir(parents=True)
    assert own.error() == "family/aastra.j2: is no file"
    own.write("family/snom.j2", b"one\ntwo \xff\n")
    assert own.error("snom300") == "family/snom.j2, line 2: is not UTF-8"
    own.write("family/polycom.j2", "x" * (256 * 1024 + 1))
    assert own.error("polycom331") == "family/polycom.j2: is longer than 256 KiB"


def test_a_directory_that_cannot_be_read_may_be_there_later(own: Own) -> None:
    own.directory.rmdir()
    with pytest.raises(Unreadable, match=f"^{own.directory}: No such file or directory$"):
        own.file("aastra53i")
    own.directory.write_text("a file")
    with pytest.raises(Unreadable, match=f"^{own.directory}: Not a directory$"):
        own.file("aastra53i")
