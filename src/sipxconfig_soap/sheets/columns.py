"""The columns of CSV files: sipXconfig's, and the few of ours behind them (docs/migration.md)."""

from __future__ import annotations

from typing import NamedTuple

from sipxconfig_soap.values import fold


class Column(NamedTuple):
    """A column.

    Attributes:
        label: as the first line has it.
        field: what it is called in the contract.
        secret: whether only those should read it who may read the database.
    """

    label: str
    field: str
    secret: bool = False


USER_NAME = Column("User name", "userName")

USER_COLUMNS = (
    USER_NAME,
    Column("PIN", "pin", secret=True),
    Column("Voicemail PIN", "vmpin", secret=True),
    Column("SIP password", "sipPassword", secret=True),
    Column("First name", "firstName"),
    Column("Last name", "lastName"),
    Column("User alias", "aliases"),
    Column("EMail address", "emailAddress"),
    Column("User group", "groups"),
)
"""What sipXconfig's files have of a user."""

PHONE_COLUMNS = (
    Column("Phone serial number", "serialNumber"),
    Column("Phone model", "modelId"),
    Column("Phone group", "groups"),
    Column("Phone description", "description"),
)
"""What they have of a phone, behind its user."""

OUR_USER_COLUMNS = (
    Column("Branch", "branchName"),
    Column("PIN hash", "pintoken", secret=True),
    Column("Voicemail PIN hash", "vmpintoken", secret=True),
)

LINE_COLUMNS = (
    Column("Line user", "userId"),
    Column("Line name", "displayName"),
    Column("Line password", "password", secret=True),
    Column("Line server", "registrationServer"),
    Column("Line voicemail", "voiceMail"),
)
"""An external line."""

OUR_PHONE_COLUMNS = (Column("Device version", "deviceVersion"), *LINE_COLUMNS)

OURS = frozenset(fold(each.label) for each in (*OUR_USER_COLUMNS, *OUR_PHONE_COLUMNS))

_WITHOUT_A_PLACE = (
    *("Im Id", "Salutation", "Manager", "EmployeeId", "Job Title", "Job department"),
    *("Company name", "Assistant name", "Cell phone number", "Home phone number"),
    *("Assistant phone number", "Fax number", "Did number", "Alternate email", "Alternate im"),
    *("Location", "Home street", "Home city", "Home state", "Home country", "Home zip"),
    *("Office street", "Office city", "Office state", "Office country", "Office zip"),
    *("Office mail stop", "Twitter", "Linkedin", "Facebook", "Xing", "Active greeting"),
    *("Email voicemail notification", "Email format", "Email attach audio"),
    *("Alternate email voicemail notification", "Alternate email format"),
    *("Alternate email attach audio", "Internal Voicemail Server", "Caller ID"),
    *("Block Caller ID", "Additional phone settings", "Additional line settings"),
    *("Auth Account Name", "EMail address aliases", "Custom 1", "Custom 2", "Custom 3"),
)
"""What sipXconfig's files of some release have beside, and nothing here could keep."""

KNOWN = {
    fold(label): label
    for label in (
        *(each.label for each in (*USER_COLUMNS, *PHONE_COLUMNS)),
        *(each.label for each in (*OUR_USER_COLUMNS, *OUR_PHONE_COLUMNS)),
        *_WITHOUT_A_PLACE,
    )
}
"""Every label that a first line may have, by its form without regard to case."""
