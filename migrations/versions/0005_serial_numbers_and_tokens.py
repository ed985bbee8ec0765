"""serial numbers are unique without regard to case; hashes of tokens fit in

Revision: 0005
After: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

LISTED = 50
"""Serial numbers in a refusal, at most: it has to be read."""

CLASHES = """
SELECT string_agg(serial_number, ' and ' ORDER BY id) FROM phones
GROUP BY lower(serial_number) HAVING count(*) > 1 ORDER BY min(id)
"""


def upgrade() -> None:
    """Change the schema, unless phones are in the way."""
    if not op.get_context().as_sql:
        op.execute("LOCK TABLE phones IN SHARE ROW EXCLUSIVE MODE")
        _refuse_clashes(list(op.get_bind().execute(sa.text(CLASHES)).scalars()))
    op.drop_constraint("uq_phones_serial_number", "phones", type_="unique")
    op.create_index(
        "uq_phones_serial_number", "phones", [sa.text("lower(serial_number)")], unique=True
    )
    _resize_pin_hash(255, 2048)


def downgrade() -> None:
    """Change it back; fails while a user has a hash that is too long for it."""
    _resize_pin_hash(2048, 255)
    op.drop_index("uq_phones_serial_number", table_name="phones")
    op.create_unique_constraint("uq_phones_serial_number", "phones", ["serial_number"])


def _refuse_clashes(clashes: list[str]) -> None:
    if clashes:
        more = len(clashes) - LISTED
        listed = "; ".join(clashes[:LISTED]) + (f"; and {more} more" if more > 0 else "")
        raise CommandError(
            "Nothing was changed: serial numbers of phones must differ in more than upper and"
            f" lower case now, and these do not: {listed}. Delete one phone of each, or give it"
            " another number, with the version that you had; then migrate again."
        )


def _resize_pin_hash(before: int, after: int) -> None:
    op.alter_column(
        "users",
        "pin_hash",
        existing_type=sa.String(before, collation="C"),
        type_=sa.String(after, collation="C"),
    )
