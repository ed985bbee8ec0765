"""substrings by grams

Revision: 0003
After: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PERSON = ("first_name_folded", "last_name_folded")

# A loop in PL/pgSQL takes half the time of a query over generate_series. The cost keeps the planner
# from calling it for every row of a table, however small the table was when it planned. Parallel
# safe it is not, since starting workers takes longer than what they would share.
NAME_GRAMS = """
CREATE FUNCTION name_grams(
    folded character varying, first_name character varying, last_name character varying
) RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL RESTRICTED COST 10000 AS $$
DECLARE
    part text;
    grams text[] := '{}';
    count integer := 0;
BEGIN
    FOREACH part IN ARRAY ARRAY[folded, first_name, last_name] LOOP
        FOR start IN 1 .. coalesce(pg_catalog.length(part), 0) - 2 LOOP
            count := count + 1;
            grams[count] := pg_catalog.substr(part, start, 3);
        END LOOP;
    END LOOP;
    RETURN grams;
END
$$
"""


def upgrade() -> None:
    """Change the schema."""
    for column in PERSON:
        op.add_column("names", _text(column))
    op.execute(
        "UPDATE names SET first_name_folded = users.first_name_folded,"
        " last_name_folded = users.last_name_folded FROM users"
        " WHERE users.id = names.user_id AND names.kind = 'userName'"
        " AND num_nonnulls(users.first_name_folded, users.last_name_folded) > 0"
    )
    for column in PERSON:
        op.drop_column("users", column)
    op.execute(NAME_GRAMS)
    op.create_index(
        "ix_names_grams",
        "names",
        [sa.text("name_grams(folded, first_name_folded, last_name_folded)")],
        postgresql_using="gin",
        postgresql_where=sa.text("user_id IS NOT NULL"),
        postgresql_with={"fastupdate": "on", "gin_pending_list_limit": "64"},
    )


def downgrade() -> None:
    """Undo the change."""
    op.drop_index("ix_names_grams", table_name="names")
    op.execute("DROP FUNCTION name_grams")
    for column in reversed(PERSON):
        op.add_column("users", _text(column))
    op.execute(
        "UPDATE users SET first_name_folded = names.first_name_folded,"
        " last_name_folded = names.last_name_folded FROM names"
        " WHERE users.id = names.user_id AND names.kind = 'userName'"
        " AND num_nonnulls(names.first_name_folded, names.last_name_folded) > 0"
    )
    for column in PERSON:
        op.drop_column("names", column)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=1024, collation="C"))
