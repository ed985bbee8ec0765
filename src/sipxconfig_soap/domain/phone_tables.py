"""The tables of phones and their lines, and the jobs that changes of users mean for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from sipxconfig_soap.domain import jobs
from sipxconfig_soap.domain.tables import among, identity, metadata, owned_by, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipxconfig_soap.domain.work import Work

phones = sa.Table(
    "phones",
    metadata,
    identity(),
    text("serial_number", nullable=False),
    text("model_id", nullable=False),
    text("description"),
    text("device_version"),
    # The file that the phone fetches: two phones must never share one (phones.md §1).
    text("profile_file", nullable=False),
    sa.UniqueConstraint("profile_file"),
)

serial_key = sa.func.lower(phones.c.serial_number)
"""The form in which serial numbers are unique and searched (services.md §6).

Stored ones have only letters and digits of ASCII, of which "C" knows upper and lower case.
"""

_unique = sa.Index("uq_phones_serial_number", serial_key, unique=True)

lines = sa.Table(
    "lines",
    metadata,
    identity(),
    owned_by("phone_id", "phones.id"),
    # An internal line has a user; an external one what follows.
    owned_by("user_id", "users.id", nullable=True),
    text("external_user_id"),
    text("display_name"),
    text("password"),
    text("registration_server"),
    text("voice_mail"),
    sa.CheckConstraint(
        "(user_id IS NOT NULL AND num_nonnulls(external_user_id, display_name, password,"
        " registration_server, voice_mail) = 0)"
        " OR (user_id IS NULL AND num_nonnulls(external_user_id, registration_server) = 2)",
        name="internal_or_external",
    ),
    sa.Index(None, "phone_id", "id"),
    sa.Index(None, "user_id"),
)


def queue_jobs(connection: sa.Connection, kind: str, where: sa.ColumnElement[bool]) -> None:
    """Queue a job of this kind for the phones that match, in the order of their creation.

    Each phone is locked before its job, as by those who change phones; other orders deadlock.
    """
    chosen = sa.select(phones.c.id, phones.c.serial_number, phones.c.profile_file)
    chosen = chosen.where(where).order_by(phones.c.id)
    jobs.queue(connection, kind, chosen.with_for_update(read=True, key_share=True, of=phones))


def queue_profiles_of_users(work: Work, user_ids: Sequence[int]) -> None:
    """Queue new profiles for the phones with lines of these users."""
    with_lines = sa.select(lines.c.phone_id).where(among(lines.c.user_id, user_ids))
    queue_jobs(work.connection, jobs.PROFILES, phones.c.id.in_(with_lines))
