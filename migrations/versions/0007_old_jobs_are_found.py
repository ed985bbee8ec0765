"""old jobs, and those of a phone, are found by an index

Revision: 0007
After: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ENDED = sa.text("finished IS NOT NULL")


def upgrade() -> None:
    """Change the schema."""
    op.create_index("ix_jobs_finished", "jobs", ["finished"], postgresql_where=ENDED)
    op.create_index("ix_jobs_serial", "jobs", [sa.text("lower(serial)"), "id"])


def downgrade() -> None:
    """Change it back."""
    op.drop_index("ix_jobs_serial", table_name="jobs")
    op.drop_index("ix_jobs_finished", table_name="jobs", postgresql_where=ENDED)
