"""Templates that are wrong, or harmful: an error with file and line (docs/spec/phones.md §3)."""

from __future__ import annotations

import shutil
from itertools import count
from typing import TYPE_CHECKING

import pytest
from cachetools import TTLCache

from sipxconfig_soap.provisioning.profiles import OwnTemplateError
from sipxconfig_soap.provisioning.profiles.renderer import SLOW_SECONDS
from tests.support.templates import HURRY_SECONDS, PLAIN, Own, hurried

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOW = f"takes more than {HURRY_SECONDS} seconds"


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


@pytest.fixture
def hasty(own: Own, monkeypatch: pytest.MonkeyPatch) -> Iterator[Own]:
    """One whose templates may take less time, for those that take it all."""
    with hurried() as child:
        monkeypatch.setattr(own.renderer, "_bounded", child)
        yield own


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ lines[0].usr }}", "'usr' is undefined"),
        ("{{ lin }}", "'lin' is undefined"),
        ("{{ lines[7].user }}", "something is undefined"),
        ("{{ serial|sha1 }}", "No filter named 'sha1'."),
        ("{% if %}", "Expected an expression, got 'end of statement block'"),
        ("{% endfor %}", "Encountered unknown tag 'endfor'."),
        ("{{ 1 / 0 }}", "fails with ZeroDivisionError"),
        ("{{ lines[0].number + 'x' }}", "fails with TypeError"),
    ],
)
def test_file_and_line_of_a_mistake(own: Own, text: str, reason: str) -> None:
    own.write("family/aastra.j2", f"first: 1\n\n{text}\n")
    assert own.error().startswith(f"family/aastra.j2, line 3: {reason}")


def test_the_line_is_that_of_the_last_own_template_on_the_way(own: Own) -> None:
    own.write("family/aastra.j2", "{% extends parent %}\n{% block own %}\n{{ oops }}{% endblock %}")
    own.write("group/Top.j2", "{% extends parent %}\n\n\n\n{% block lines %}{% endblock %}")
    assert own.error("aastra53i", "Top") == "family/aastra.j2, line 3: 'oops' is undefined"
    own.write("group/Top.j2", "\n{% extends parent %}{% block own %}\n{{ super(1) }}{% endblock %}")
    assert own.error("aastra53i", "Top") == "group/Top.j2, line 3: fails with TypeError"


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("filter", "{% filter wordwrap(24) %}title: {{ lines[0].name }}{% endfilter %}"),
        ("filter", "{% if lines %}{% filter upper %}{% endfilter %}{% endif %}"),
        ("filter", "{% macro m() %}{% filter upper %}{% endfilter %}{% endmacro %}"),
        ("call", "{% call '{}'.format(lines[0].name) %}{% endcall %}"),
    ],
)
def test_no_tag_writes_what_nothing_has_escaped(own: Own, tag: str, text: str) -> None:
    own.write(
        "family/aastra.j2", f"{{% extends parent %}}\n{{% block own %}}\n{text}{{% endblock %}}"
    )
    reason = f"the tag '{tag}' is not allowed: nothing escapes its text"
    assert own.error() == f"family/aastra.j2, line 3: {reason}"


@pytest.mark.parametrize(
    "text",
    [
        "{{ {}[lines[0].password] }}",
        "{{ lines[0][lines[0].password] }}",
        "{{ lines[0]|attr(lines[0].password) ~ '' }}",
        "{% include lines[0].password %}",
        "{% extends lines[0].password %}",
        "{{ lines[0].password + 1 }}",
        "{{ [1][lines[0].password] }}",
        "{{ ('{' ~ lines[0].password ~ '}').format() }}",
        "{{ ('%(' ~ lines[0].password ~ ')s')|format(a=1) }}",
        "{{ dict([lines[0].password]) }}",
        "{{ lines[0].password.index('zzz') }}",
    ],
)
def test_no_error_repeats_a_password(own: Own, text: str) -> None:
    own.write("family/aastra.j2", f"\n{text}\n")
    assert own.error().startswith("family/aastra.j2, line 2: ")


@pytest.mark.parametrize(
    "name",
    ["../secret.j2", "/etc/passwd", "family/snom.j2", "polycom.j2", "shared/nt1535-sysconf.j2", ""],
)
@pytest.mark.parametrize("tag", ["include", "extends", "import"])
def test_nothing_but_the_template_below_is_read(own: Own, tag: str, name: str) -> None:
    own.write("family/snom.j2", "theirs")
    own.write("secret.j2", "secret")
    more = " as x" if tag == "import" else ""
    own.write("family/aastra.j2", f'\n{{% {tag} "{name}"{more} %}}\n')
    reason = "own templates extend and include nothing but parent"
    assert own.error() == f"family/aastra.j2, line 2: {reason}"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{{ ''.__class__.__mro__ }}", "__class__"),
        ("{{ lines[0].password.__class__ ~ '' }}", "__class__"),
        ("{{ self._TemplateReference__context ~ '' }}", "_TemplateReference__context"),
        ("{{ cycler.__init__.__globals__ }}", "__init__"),
        ("{{ lines[0].server.fget }}", "fget"),
        ("{{ ('{0.__class__}'|attr('format'))('') }}", "__class__"),
        ("{{ '{0.__class__}'.format('') }}", "__class__"),
        ("{{ lines|map(attribute='__class__')|join }}", "__class__"),
    ],
)
def test_nothing_leads_out_of_the_sandbox(own: Own, text: str, name: str) -> None:
    own.write("family/aastra.j2", text)
    assert own.error() in (
        f"family/aastra.j2, line 1: '{name}' is not allowed",
        f"family/aastra.j2, line 1: '{name}' is undefined",
    )


@pytest.mark.parametrize(
    "text", ["{{ lines.append(1) }}", "{{ lines.clear() }}", "{% set _ = lines.pop() %}"]
)
def test_what_a_template_is_given_cannot_be_changed(own: Own, text: str) -> None:
    own.write("family/aastra.j2", text)
    assert own.error().endswith(" is not allowed")


def test_a_loop_for_ever_ends_with_its_line(hasty: Own) -> None:
    hasty.write(
        "family/aastra.j2",
        "\n{% for a in range(99999) %}{% for b in range(99999) %}\n{% endfor %}{% endfor %}",
    )
    assert hasty.error() == f"family/aastra.j2, line 2: {SLOW}"
    assert hasty.error("aastra57i") == f"family/aastra.j2, line 2: {SLOW}"


@pytest.mark.parametrize(
    "text",
    [
        "{{ 3 ** (3 ** 19) }}",
        "{% set n = lines|length + 2 %}{{ n ** (n ** 19) }}",
    ],
)
def test_what_does_not_come_back_to_python_ends_too(hasty: Own, text: str) -> None:
    hasty.write("family/aastra.j2", text)
    assert hasty.error().startswith("family/aastra.j2")
    hasty.write("family/aastra.j2", "fine\n")
    assert hasty.file("aastra53i") == "fine\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ 'a' * 10**9 }}", None),
        ("{% set n = lines|length * 10**9 %}{{ 'a' * n }}", "takes more than 256 MB of memory"),
        ("{{ '%1000000000d'|format(1) }}", "takes more than 256 MB of memory"),
        ("{{ 'a' * (1024 * 1024 + 1) }}", "makes more than 1024 KiB"),
        ("{% for a in range(99999) %}aaaaaaaaaaaaaaa{% endfor %}", "makes more than 1024 KiB"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself without end"),
        ("{% include 'parent' %}" + "{{ (" * 5000, None),
        ("{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}", None),
        ("{{ " + "-" * 50_000 + "1 }}", None),
        ("{% if 1 %}" * 5000 + "{% endif %}" * 5000, None),
    ],
)
def test_memory_size_and_depth_are_bounded(own: Own, text: str, reason: str | None) -> None:
    own.write("family/aastra.j2", text)
    assert (reason or "family/aastra.j2") in own.error()
    own.write("family/aastra.j2", "fine\n")
    assert own.file("aastra53i") == "fine\n"


def test_what_takes_too_much_is_not_tried_for_every_phone(own: Own) -> None:
    own.write("family/polycom.j2", "{% set n = lines|length * 10**9 %}{{ 'a' * n }}")
    first = own.error("polycom331")
    child = own.child()
    assert own.error("polycom550") == first
    own.write("model/polycom550.j2", "fine\n")
    assert own.file("polycom550") == "fine\n"
    assert own.child() == child


def test_what_took_too_much_may_be_forgotten_at_any_moment(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A time to live that ends between two looks at the clock.
    clock = count(step=SLOW_SECONDS / 2 + 1)
    monkeypatch.setattr(own.renderer, "_slow", TTLCache(16, SLOW_SECONDS, lambda: next(clock)))
    own.write("family/polycom.j2", "{% set n = lines|length * 10**9 %}{{ 'a' * n }}")
    first = own.error("polycom331")
    assert [own.error("polycom331") for _ in range(3)] == [first] * 3


def test_one_that_kills_its_process_harms_nobody_else(hasty: Own) -> None:
    hasty.write("family/aastra.j2", "{% set n = lines|length + 2 %}{{ (n ** (n ** 19)) % 7 }}")
    hasty.write("family/snom.j2", "fine\n")
    for _ in range(2):
        with pytest.raises(OwnTemplateError, match=SLOW):
            hasty.file("aastra53i", line=PLAIN)
        assert hasty.file("snom300") == "fine\n"
