"""views for SIP servers, and word of changes

Revision: 0008
After: 0007

What the views show is a contract of its own (docs/spec/sip.md). A later migration that changes a
table under them drops them first and makes them anew; readers keep their rights, since sip-role has
granted them for what is still to be made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

VIEWS = {
    "domains": "SELECT domain, realm, main FROM sip_domains",
    "users": "SELECT user_name, first_name, last_name FROM users",
    # A userName may have a slash in it: a user who is called like another one's phone comes first.
    "credentials": r"""
        SELECT
            login.username, login.user_name, login.serial, domain.domain, domain.realm,
            md5(concat_ws('\:', login.username, domain.realm, login.password)) AS ha1,
            md5(concat_ws('\:', login.username || '@' || domain.domain, domain.realm,
                login.password)) AS ha1b,
            login.password
        FROM (
            SELECT user_name AS username, user_name, NULL AS serial, sip_password AS password
            FROM users
            UNION ALL
            SELECT DISTINCT
                users.user_name || '/' || phones.serial_number, users.user_name,
                phones.serial_number, users.sip_password
            FROM users
            JOIN lines ON lines.user_id = users.id
            JOIN phones ON phones.id = lines.phone_id
            WHERE NOT EXISTS (
                SELECT FROM users AS other
                WHERE other.user_name = users.user_name || '/' || phones.serial_number
            )
        ) AS login
        JOIN sip_domains AS domain ON domain.main
    """,
    "addresses": """
        SELECT
            names.value AS address,
            CASE
                WHEN names.user_id IS NOT NULL THEN 'user'
                WHEN names.call_group_id IS NOT NULL THEN 'callGroup'
                ELSE 'parkOrbit'
            END AS kind,
            coalesce(users.user_name, call_groups.name, park_orbits.name) AS name,
            coalesce(call_groups.enabled, park_orbits.enabled, true) AS enabled
        FROM names
        LEFT JOIN users ON users.id = names.user_id
        LEFT JOIN call_groups ON call_groups.id = names.call_group_id
        LEFT JOIN park_orbits ON park_orbits.id = names.park_orbit_id
    """,
    "call_groups": "SELECT name, extension, enabled, description FROM call_groups",
    # Who is not rung for any time is rung together with the next one.
    "rings": """
        SELECT
            call_group, place, user_name, type, expiration, stage,
            last_value(expiration) OVER (
                PARTITION BY call_group, stage ORDER BY place
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
            ) AS stage_seconds
        FROM (
            SELECT
                call_group, place, user_name, type, expiration,
                count(*) FILTER (WHERE type = 'delayed' AND before > 0) OVER (
                    PARTITION BY call_group ORDER BY place
                ) AS stage
            FROM (
                SELECT
                    call_groups.name AS call_group, users.user_name, rings.type, rings.expiration,
                    row_number() OVER ring - 1 AS place,
                    lag(rings.expiration) OVER ring AS before
                FROM rings
                JOIN call_groups ON call_groups.id = rings.call_group_id
                JOIN users ON users.id = rings.user_id
                WINDOW ring AS (PARTITION BY call_groups.name ORDER BY rings.position, rings.id)
            ) AS placed
        ) AS staged
    """,
    "park_orbits": "SELECT name, extension, enabled, description, music FROM park_orbits",
    "permissions": """
        SELECT users.user_name, permissions.name AS permission, permissions.label
        FROM users
        CROSS JOIN permissions
        WHERE (users.user_name = 'superadmin' AND permissions.name = 'superadmin') OR coalesce(
            (
                SELECT enabled FROM user_permissions
                WHERE user_id = users.id AND permission_id = permissions.id
            ),
            (
                SELECT held.enabled
                FROM user_group_permissions AS held
                JOIN user_group_members AS member ON member.group_id = held.group_id
                WHERE member.entity_id = users.id AND held.permission_id = permissions.id
                ORDER BY held.group_id DESC LIMIT 1
            ),
            permissions.default_value
        )
    """,
    "phones": """
        SELECT
            serial_number AS serial, '~~in~' || serial_number AS instrument, model_id AS model,
            device_version, description
        FROM phones
    """,
    "lines": """
        SELECT
            phones.serial_number AS serial,
            row_number() OVER (PARTITION BY phones.serial_number ORDER BY lines.id) AS line,
            users.user_name, lines.external_user_id, lines.registration_server
        FROM lines
        JOIN phones ON phones.id = lines.phone_id
        LEFT JOIN users ON users.id = lines.user_id
    """,
}

# Of what kind, and which names, the rows tell that a statement has changed. Who deletes users takes
# their rings and lines away, so their groups and phones have changed too.
OF_USER = "SELECT user_name FROM changed JOIN users ON users.id = changed.{}"
NAMES = {
    "sip_domains": ("domain", "SELECT domain FROM changed"),
    "users": ("user", "SELECT user_name FROM changed"),
    "names": ("user", OF_USER.format("user_id") + " WHERE kind = 'alias'"),
    "user_permissions": ("user", OF_USER.format("user_id")),
    "user_group_members": ("user", OF_USER.format("entity_id")),
    "user_group_permissions": ("user", "SELECT '*' FROM changed"),
    "permissions": ("permission", "SELECT name FROM changed"),
    "call_groups": ("callGroup", "SELECT name FROM changed"),
    "rings": (
        "callGroup",
        "SELECT name FROM changed JOIN call_groups ON call_groups.id = changed.call_group_id",
    ),
    "park_orbits": ("parkOrbit", "SELECT name FROM changed"),
    "phones": ("phone", "SELECT serial_number FROM changed"),
    "lines": (
        "phone",
        "SELECT serial_number FROM changed JOIN phones ON phones.id = changed.phone_id",
    ),
}

# PostgreSQL sends what is notified twice in a transaction once, at its end. Names are counted over
# all statements of the transaction; a setting that is local to it is the one place that a rollback
# to a savepoint brings back too.
CHANGED = """
CREATE FUNCTION sip.changed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
    FOR name IN EXECUTE format('SELECT DISTINCT * FROM (%s) AS named LIMIT %s', TG_ARGV[1], most + 1)
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

EVENTS = (("INSERT", "NEW"), ("UPDATE", "OLD"), ("UPDATE", "NEW"), ("DELETE", "OLD"))


def upgrade() -> None:
    """Change the schema."""
    op.create_table(
        "sip_domains",
        sa.Column("domain", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("realm", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("main", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("domain", name="pk_sip_domains"),
    )
    op.create_index(
        "uq_sip_domains_main",
        "sip_domains",
        ["main"],
        unique=True,
        postgresql_where=sa.text("main"),
    )
    op.execute("CREATE SCHEMA sip")
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW sip.{name} AS {query}")
    op.execute(CHANGED)
    for table, (kind, names) in NAMES.items():
        query = names.replace("'", "''")
        for event, rows in EVENTS:
            op.execute(
                f"CREATE TRIGGER sip_{event.lower()}_{rows.lower()} AFTER {event} ON {table}"
                f" REFERENCING {rows} TABLE AS changed"
                f" FOR EACH STATEMENT EXECUTE FUNCTION sip.changed('{kind}', '{query}')"
            )


def downgrade() -> None:
    """Change it back."""
    for table in NAMES:
        for event, rows in EVENTS:
            op.execute(f"DROP TRIGGER sip_{event.lower()}_{rows.lower()} ON {table}")
    op.execute("DROP FUNCTION sip.changed")
    for name in VIEWS:
        op.execute(f"DROP VIEW sip.{name}")
    op.execute("DROP SCHEMA sip")
    op.drop_table("sip_domains")
