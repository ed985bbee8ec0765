"""addresses of good logins, and proxies that are not trusted

Revision: 0006
After: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    op.create_table(
        "known_addresses",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        _address(),
        sa.Column("day", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_known_addresses_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "address", name="pk_known_addresses"),
    )
    op.create_table(
        "untrusted_proxies",
        _address(),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("address", name="pk_untrusted_proxies"),
    )


def downgrade() -> None:
    """Change it back."""
    op.drop_table("untrusted_proxies")
    op.drop_table("known_addresses")


def _address() -> sa.Column[str]:
    return sa.Column("address", sa.String(length=255, collation="C"), nullable=False)
