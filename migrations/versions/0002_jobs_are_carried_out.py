"""jobs are carried out

Revision: 0002
After: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UNFINISHED = sa.text("state IN ('waiting', 'running')")


def upgrade() -> None:
    """Change the schema."""
    op.add_column("jobs", sa.Column("target", sa.Text()))
    # Jobs that are there already are about the file of their phone, or the last one they remove.
    op.execute(
        "UPDATE jobs SET target = coalesce(files[cardinality(files)],"
        " (SELECT profile_file FROM phones WHERE phones.id = jobs.phone_id), serial)"
    )
    op.alter_column("jobs", "target", nullable=False)
    op.add_column(
        "jobs",
        sa.Column(
            "due", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
    )
    op.add_column("jobs", sa.Column("worker", sa.BigInteger()))
    op.create_check_constraint(
        op.f("ck_jobs_worker"), "jobs", "(worker IS NULL) = (state <> 'running')"
    )
    op.create_index("ix_jobs_unfinished", "jobs", ["id"], postgresql_where=UNFINISHED)
    op.create_index("ix_jobs_target", "jobs", ["target"], postgresql_where=UNFINISHED)
    op.create_index("ix_jobs_phone_id_state", "jobs", ["phone_id", "state"])


def downgrade() -> None:
    """Undo the change."""
    op.drop_index("ix_jobs_phone_id_state", table_name="jobs")
    op.drop_index("ix_jobs_target", table_name="jobs", postgresql_where=UNFINISHED)
    op.drop_index("ix_jobs_unfinished", table_name="jobs", postgresql_where=UNFINISHED)
    op.drop_constraint(op.f("ck_jobs_worker"), "jobs", type_="check")
    op.drop_column("jobs", "worker")
    op.drop_column("jobs", "due")
    op.drop_column("jobs", "target")
