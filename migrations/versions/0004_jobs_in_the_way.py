"""jobs in the way are found by one index only

Revision: 0004
After: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BEFORE = sa.text("state IN ('waiting', 'running')")
NOW = sa.text("finished IS NULL")


def upgrade() -> None:
    """Change the schema."""
    _replace(BEFORE, NOW)


def downgrade() -> None:
    """Change it back."""
    _replace(NOW, BEFORE)


def _replace(old: sa.TextClause, new: sa.TextClause) -> None:
    op.drop_index("ix_jobs_target", table_name="jobs", postgresql_where=old)
    op.create_index("ix_jobs_target", "jobs", ["target"], postgresql_where=new)
