"""word of changes costs what was changed

Revision: 0009
After: 0008

What sip.changed() tells stays the same. Names were joined with what had changed, in the order that
PostgreSQL thought best; right after many users had been added, that was all users for each name, so
that 20,000 aliases took seven seconds. Now each is looked up.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

FUNCTION = """
CREATE OR REPLACE FUNCTION sip.changed() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    most CONSTANT integer = 1000;
    kind CONSTANT text = TG_ARGV[0];
    counter CONSTANT text = 'sipxconfig_changes.' || kind;
    number integer = coalesce(nullif(current_setting(counter, true), ''), '0');
    name text;
BEGIN
    IF number > most THEN
        RETURN NULL;
    END IF;
    FOR name IN EXECUTE format('{names}', TG_ARGV[1], most + 1)
    LOOP
        number = number + 1;
        IF number > most THEN
            name = '*';
        END IF;
        PERFORM pg_notify('sipxconfig_changes', kind || ' ' || name);
        EXIT WHEN number > most;
    END LOOP;
    PERFORM set_config(counter, number::text, true);
    RETURN NULL;
END
$$
"""
NOW = FUNCTION.format(
    names="SELECT DISTINCT name FROM (%s) AS named (name) WHERE name IS NOT NULL LIMIT %s"
)
BEFORE = FUNCTION.format(names="SELECT DISTINCT * FROM (%s) AS named LIMIT %s")

# Of what kind, and which column names the one that has changed, in which table.
NAMES = {
    "names": ("user", "user_id", "users", "user_name", " WHERE kind = ''alias''"),
    "user_permissions": ("user", "user_id", "users", "user_name", ""),
    "user_group_members": ("user", "entity_id", "users", "user_name", ""),
    "rings": ("callGroup", "call_group_id", "call_groups", "name", ""),
    "lines": ("phone", "phone_id", "phones", "serial_number", ""),
}
EVENTS = (("INSERT", "NEW"), ("UPDATE", "OLD"), ("UPDATE", "NEW"), ("DELETE", "OLD"))

LOOKED_UP = "SELECT (SELECT {name} FROM {named} WHERE {named}.id = changed.{column}) FROM changed"
JOINED = "SELECT {name} FROM changed JOIN {named} ON {named}.id = changed.{column}"


def upgrade() -> None:
    """Change the schema."""
    _replace(NOW, LOOKED_UP)


def downgrade() -> None:
    """Change it back."""
    _replace(BEFORE, JOINED)


def _replace(function: str, names: str) -> None:
    op.execute(function)
    for table, (kind, column, named, name, condition) in NAMES.items():
        query = names.format(name=name, named=named, column=column) + condition
        for event, rows in EVENTS:
            trigger = f"sip_{event.lower()}_{rows.lower()}"
            op.execute(f"DROP TRIGGER {trigger} ON {table}")
            op.execute(
                f"CREATE TRIGGER {trigger} AFTER {event} ON {table}"
                f" REFERENCING {rows} TABLE AS changed"
                f" FOR EACH STATEMENT EXECUTE FUNCTION sip.changed('{kind}', '{query}')"
            )
