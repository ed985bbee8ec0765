"""Phones as they are at the moment of their jobs (phones.md §2)."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sipxconfig_soap.domain.grouping import PHONE_GROUPS
from sipxconfig_soap.domain.lines import lines_with_users
from sipxconfig_soap.domain.phone_tables import lines, phones, serial_key
from sipxconfig_soap.domain.tables import among
from sipxconfig_soap.domain.users import users
from sipxconfig_soap.provisioning.models import MODELS, cleaned_serial
from sipxconfig_soap.provisioning.phone import (
    ExternalLine,
    InternalLine,
    LineSnapshot,
    PhoneSnapshot,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def load(connection: sa.Connection, phone_ids: Sequence[int]) -> dict[int, PhoneSnapshot]:
    """The phones with these ids that are there, with their lines, all as of one moment."""
    groups = PHONE_GROUPS.of_entity(phones.c.id)
    rows = connection.execute(
        sa.select(
            phones.c.id,
            phones.c.serial_number,
            phones.c.model_id,
            phones.c.device_version,
            groups.c.names,
            lines,
            users.c.user_name,
            users.c.sip_password,
            users.c.first_name,
            users.c.last_name,
        )
        .select_from(
            phones.outerjoin(lines_with_users, lines.c.phone_id == phones.c.id).join(
                groups, sa.true()
            )
        )
        .where(among(phones.c.id, phone_ids))
        .order_by(phones.c.id, lines.c.id)
    )
    return {phone_id: _phone(list(group)) for phone_id, group in groupby(rows, itemgetter(0))}


def by_serial(connection: sa.Connection, serial: str) -> PhoneSnapshot | None:
    """The phone with this serial number, however it is written."""
    number = connection.execute(
        sa.select(phones.c.id).where(serial_key == cleaned_serial(serial))
    ).scalar()
    return None if number is None else load(connection, [number]).get(number)


def _phone(rows: Sequence[sa.Row[Any]]) -> PhoneSnapshot:
    """A phone from its rows: one for each line, or one without a line."""
    return PhoneSnapshot(
        serial=rows[0].serial_number,
        model=MODELS[rows[0].model_id],
        version=rows[0].device_version,
        lines=tuple(_line(row) for row in rows if row.phone_id is not None),
        groups=tuple(rows[0].names or ()),
    )


def _line(row: sa.Row[Any]) -> LineSnapshot:
    if row.user_id is None:
        return ExternalLine(
            user_id=row.external_user_id,
            registration_server=row.registration_server,
            display_name=row.display_name,
            password=row.password,
            voice_mail=row.voice_mail,
        )
    return InternalLine(
        user_name=row.user_name,
        sip_password=row.sip_password,
        first_name=row.first_name,
        last_name=row.last_name,
    )
