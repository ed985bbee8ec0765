"""The table of phone models (docs/spec/phones.md §1, docs/spec/services.md §6)."""

from __future__ import annotations

import csv
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipxconfig_soap.provisioning.models import (
    DEVICE_VERSIONS,
    MODELS,
    Model,
    RestartTarget,
    cleaned_serial,
    suggestions,
)

POLYCOM, BRIA, NORTEL = MODELS["polycom331"], MODELS["bria"], MODELS["nortel11xx"]

SAME = {
    "aastra sip ip 53i": "aastra53i",
    "bria": "counterpathCMCEnterprise",
    "clearone": "clearoneMax",
    "ipDialog": "ipDialogPhoneStandard",
    "isphone": "isphoneModel",
    "mitel": "mitel5224",
}


def rows() -> list[dict[str, str]]:
    table = resources.files("sipxconfig_soap.provisioning").joinpath("phone_models.csv")
    return list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))


def test_every_row_of_the_table_is_a_model() -> None:
    assert len(rows()) == 180
    assert [row["model_id"] for row in rows()] == list(MODELS)


def test_every_column_arrives() -> None:
    for row in rows():
        model = MODELS[row["model_id"]]
        target = model.restart_target.value if model.restart_target else ""
        limits = model.max_lines_by_version.items()
        assert row == {
            "model_id": model.model_id,
            "label": model.label,
            "vendor": model.vendor,
            "family": model.family,
            "max_lines": str(model.max_lines),
            "max_lines_by_version": ";".join(f"{version}={limit}" for version, limit in limits),
            "serial_pattern": model.serial_pattern.pattern,
            "default_version": model.default_version or "",
            "versions": ";".join(model.versions),
            "profile_file": model.profile_file,
            "restart_supported": str(model.restart_supported).lower(),
            "restart_target": target,
            "external_lines_supported": str(model.external_lines_supported).lower(),
            "documented": "yes" if model.documented else "no",
            "same_as": model.same_as or "",
        }


def test_95_models_are_documented_and_6_are_other_names() -> None:
    assert sum(model.documented for model in MODELS.values()) == 95
    assert {id_: model.same_as for id_, model in MODELS.items() if model.same_as} == SAME


@pytest.mark.parametrize(("name", "meant"), SAME.items())
def test_another_name_is_the_same_phone(name: str, meant: str) -> None:
    def phone(model: Model) -> tuple[object, ...]:
        lines = (model.max_lines, dict(model.max_lines_by_version))
        files = (model.family, model.profile_file, model.serial_pattern)
        return lines, files, model.default_version, model.restart_target

    assert phone(MODELS[name]) == phone(MODELS[meant])


def test_a_model_restarts_exactly_when_it_has_a_target() -> None:
    for model in MODELS.values():
        assert model.restart_supported == (model.restart_target is not None)
    assert POLYCOM.restart_target is RestartTarget.MAC_AOR
    assert {model.family for model in MODELS.values() if model.no_restart.count(":")} == {
        "ciscoplusPhone"
    }


def test_the_default_version_is_one_of_the_versions() -> None:
    defaults = {model.default_version for model in MODELS.values()} - {None}
    assert defaults <= DEVICE_VERSIONS
    assert {"acmePhone1", "audiocodes5.0", "nortelPhone3.2", "polycom5.5.2", "yealink8X"} <= (
        DEVICE_VERSIONS
    )
    assert "" not in DEVICE_VERSIONS


def test_lines_depend_on_the_version_where_the_table_says_so() -> None:
    assert NORTEL.max_lines_for(None) == 1
    assert NORTEL.max_lines_for("nortelPhone2.2") == 1
    assert NORTEL.max_lines_for("nortelPhone3.2") == 24
    assert POLYCOM.max_lines_for("nortelPhone3.2") == 2


@pytest.mark.parametrize(
    "sent",
    [
        "0004f2abcdef",
        "0004F2ABCDEF",
        "00:04:F2:AB:CD:EF",
        "0004.f2ab.cdef",
        " 00-04 f2\tab\r\ncdef",
    ],
)
def test_a_mac_address_is_cleaned(sent: str) -> None:
    assert POLYCOM.is_mac
    assert POLYCOM.clean_serial(sent) == "0004f2abcdef"


@pytest.mark.parametrize(
    "sent",
    [
        "",
        " ",
        "0004f2abcde",
        "0004f2abcdef0",
        "0004f2abcdeg",
        "\u0660\u0660\u0660\u0664f2abcdef",
        "0004/f2abcdef",
    ],
)
def test_what_is_no_mac_address_is_refused(sent: str) -> None:
    assert POLYCOM.clean_serial(sent) is None


def test_other_serial_numbers_are_trimmed_and_keep_their_case() -> None:
    assert not BRIA.is_mac
    assert BRIA.clean_serial(" \tBobsPhone1\r\n") == "BobsPhone1"
    assert BRIA.clean_serial("a" * 64) == "a" * 64


@pytest.mark.parametrize(
    "sent", ["", " ", "a" * 65, "a b", "a-b", "../x", "a/b", "a\x00", "a.b", "a\nb", "é", "a\\b"]
)
def test_other_serial_numbers_are_letters_and_digits(sent: str) -> None:
    assert BRIA.clean_serial(sent) is None


@settings(deadline=None)
@given(st.text(max_size=20), st.sampled_from(sorted(MODELS)))
def test_cleaning_twice_changes_nothing(text: str, model_id: str) -> None:
    cleaned = MODELS[model_id].clean_serial(text)
    assert cleaned is None or MODELS[model_id].clean_serial(cleaned) == cleaned


@pytest.mark.parametrize(
    ("model_id", "path"),
    [
        ("polycom331", "0004f2abcdef.cfg"),
        ("aastra53i", "0004F2ABCDEF.cfg"),
        ("hitachi3000", "abcdefuser.ini"),
        ("lip6804", "0004F2ABCDEF"),
        ("nortel1535", "1.0/0.1.90S/0004F2ABCDEF.cfg"),
        ("gsHt502", "gs_config/cfg0004f2abcdef.xml"),
    ],
)
def test_the_file_that_a_phone_fetches(model_id: str, path: str) -> None:
    assert MODELS[model_id].profile_path("0004f2abcdef") == path


def test_loose_serial_numbers_in_file_names() -> None:
    assert BRIA.profile_path("BobsPhone1") == "BobsPhone1.ini"
    assert MODELS["isphone"].profile_path("BobsPhone1") == "BOBSPHONE1.xml"


@pytest.mark.parametrize(
    ("sent", "compared"),
    [
        (" Bobs-Phone:1. ", "bobsphone1"),
        ("0004f2abcdef", "0004f2abcdef"),
        ("00:04:F2:AB:CD:EF", "0004f2abcdef"),
        (" -", ""),
    ],
)
def test_the_form_in_which_serial_numbers_are_compared(sent: str, compared: str) -> None:
    assert cleaned_serial(sent) == compared


SERIALS = st.text(max_size=20) | st.from_regex(r"[0-9A-Fa-f:. -]{12,17}|[0-9A-Za-z]+")


@settings(deadline=None)
@given(SERIALS, st.sampled_from(sorted(MODELS)))
def test_a_phone_is_found_by_the_number_it_was_added_with(text: str, model_id: str) -> None:
    stored = MODELS[model_id].clean_serial(text)
    if stored is not None:
        assert cleaned_serial(text) == cleaned_serial(stored)
        # What the unique index makes of it, which knows ASCII only.
        assert cleaned_serial(stored) == stored.encode().lower().decode()


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("ciscoIp7960", ["cisco7960"]),
        ("ciscoIp7940", ["cisco7940"]),
        ("7960", ["cisco7960"]),
        ("650", ["polycom650"]),
        ("360", ["snom360"]),
        ("300", ["polycom300", "snom300"]),
        ("5000A", ["hitachi5000A"]),
        ("PhoneBt", ["gsPhoneBt100"]),
        ("gsPhoneBt", ["gsPhoneBt100"]),
        ("gsPhoneGxp", ["gsPhoneGxp1200"]),
        ("nortel12x0PhoneStandard", ["avaya-1230"]),
        ("nortel-1210", ["avaya-1210"]),
        ("nortel-1220", ["avaya-1220"]),
        ("nortel-1230", ["avaya-1230"]),
        ("yealinkPhoneVP49G", ["yealinkPhoneSIPT49G"]),
        ("unmanagedPhone", ["acmePhoneStandard"]),
        ("POLYCOM331", ["polycom331"]),
        (" Polycom-331 ", ["polycom331"]),
        ("polycom331x", ["polycom331"]),
        ("hitachi", ["hitachi3000", "hitachi5000", "hitachi5000A"]),
        ("Jitsi", ["jitsiPhoneModel"]),
        ("polycom33", ["polycom330", "polycom331", "polycom335"]),
        ("polycom3310", ["polycom330", "polycom331"]),
        # Of many that are as near, or begin so, none is meant more than others.
        ("polycom999", []),
        *((name, []) for name in ("polycom", "Cisco", "snom", "yealink", "linksys", "SPA", "gs")),
        ("", []),
        ("toaster", []),
        ("x" * 255, []),
    ],
)
def test_an_unknown_model_may_mean_another(sent: str, meant: list[str]) -> None:
    assert sent not in MODELS
    assert sorted(suggestions(sent)) == meant
