"""Every model from addPhone to its file: nothing is lost on the way, and nothing gets in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.provisioning.models import MODELS, SHARED_FILES
from sipxconfig_soap.provisioning.phone import InternalLine, ProvisioningSettings
from sipxconfig_soap.settings import Settings
from tests.profile_parsers.tables import table_of
from tests.support.system import System, edits
from tests.support.worker import ended, files_below, wait_for, working
from tests.test_profiles import MAC, PASSWORDS, shown

if TYPE_CHECKING:
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.provisioning.models import Model
    from tests.support.soap import Soap

SETTINGS = ProvisioningSettings(domain="example.org")
FAMILIES = sorted({model.family for model in MODELS.values()})

# userName, firstName, lastName, and how a phone must show them.
PEOPLE = [
    ("200", '"Bob" <script>', "& Söhne 漢字", '"Bob" <script> & Söhne 漢字'),
    ("bob.o-neil_1", "Back\\slash", "100 % %NULL% {{ 7*7 }}", "Back\\slash 100 % %NULL% {{ 7*7 }}"),
    ("~!*'()&=+$,;?/", 'x" /><reg', "]]> ;//[line9]", 'x" /><reg ]]> ;//[line9]'),
    ("x" * 17, None, None, "x" * 17),
]
DESCRIPTION = "Lobby\nsip line2 password: x\r\n[line3]\n<reg/>"


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    system = System(soap, database)
    for (user, first, last, _), password in zip(PEOPLE, PASSWORDS, strict=False):
        names = {"firstName": first, "lastName": last} if first else {}
        system.add_users(user, sipPassword=password, **names)
    return system


def check(model: Model, serial: str, root: Path) -> None:
    """The phone's file holds all of its lines and nothing else."""
    count = model.max_lines_for(model.default_version)
    lines = []
    for number in range(count):
        user, first, last, name = PEOPLE[number % len(PEOPLE)]
        password = PASSWORDS[number % len(PEOPLE)]
        line = InternalLine(user_name=user, sip_password=password, first_name=first, last_name=last)
        lines.append(shown(line, model, SETTINGS, name))
    table = table_of(model, model.default_version)
    content = (root / model.profile_paths(serial)[0]).read_bytes()
    wanted = {key: text.replace(MAC, serial) for key, text in table.keys(count, lines).items()}
    assert table.parse(content) == wanted


@pytest.mark.parametrize("family", FAMILIES)
def test_every_model_of_a_family(
    system: System, database_url: str, tmp_path: Path, family: str
) -> None:
    root = tmp_path / "profiles"
    settings = Settings.load({}, data_dir=str(tmp_path))
    shared = [SHARED_FILES[family]] if family in SHARED_FILES else []
    models = [model for model in MODELS.values() if model.family == family]
    phones = {f"0004f2abcd{number:02x}": model for number, model in enumerate(models)}
    with working(database_url, settings):
        for serial, model in phones.items():
            count = model.max_lines_for(model.default_version)
            lines = [{"userId": PEOPLE[number % len(PEOPLE)][0]} for number in range(count)]
            system.add_phone(serial, model.model_id, description=DESCRIPTION, lines=lines)
        system.do("managePhone", generateProfiles=True)
        assert {job.state for job in ended(system.database.engine)} == {"done"}
        paths = [path for serial, model in phones.items() for path in model.profile_paths(serial)]
        assert files_below(root) == sorted([*paths, *shared])
        for serial, model in phones.items():
            check(model, serial, root)
        system.do("managePhone", deletePhone=True)
        wait_for(lambda: files_below(root) == shared)


def test_of_two_files_both_are_there_or_none(
    system: System, database_url: str, tmp_path: Path
) -> None:
    root = tmp_path / "profiles"
    both = ["Nortel/config/SIP0004F2ABCDEF.xml", "SIP0004F2ABCDEF.cfg"]
    with working(database_url, Settings.load({}, data_dir=str(tmp_path))):
        system.add_phone(MAC, "avaya-1220", lines=[{"userId": "200"}])
        system.manage_phone(MAC, generateProfiles=True)
        assert ended(system.database.engine)[-1].state == "done"
        assert files_below(root) == both
        # The first could carry it; a line of the second is short.
        system.edit_user("200", sipPassword="x" * 60)
        last = ended(system.database.engine)[-1]
        assert (last.state, files_below(root)) == ("failed", [])
        assert last.reason == "line 1: password makes a line of more than 79 characters"
        system.edit_user("200", sipPassword="x" * 50)
        assert ended(system.database.engine)[-1].state == "done"
        assert files_below(root) == both
        # A serial number takes both along.
        system.manage_phone(MAC, edit=edits(serialNumber="0004f2000001"))
        wait_for(lambda: [path[-6:] for path in files_below(root)] == ["01.xml", "01.cfg"])
        system.manage_phone("0004f2000001", deletePhone=True)
        wait_for(lambda: files_below(root) == [])


LOOSE = [model for model in MODELS.values() if not model.is_mac]


@pytest.mark.parametrize(
    "serial", ["../x", "a/b", "..", ".", "a.b", "/etc/passwd", "a\\b", "a%2Fb"]
)
@pytest.mark.parametrize("model", LOOSE, ids=lambda model: model.model_id)
def test_no_serial_number_leads_out_of_the_root(system: System, model: Model, serial: str) -> None:
    fault = system.refusal("addPhone", phone={"serialNumber": serial, "modelId": model.model_id})
    assert fault.codes == ["invalidSerialNumber"]
