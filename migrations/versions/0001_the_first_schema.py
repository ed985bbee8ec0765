"""the first schema

Revision: 0001
After:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


POOLED = (
    ("users", "user_name"),
    ("call_groups", "name"),
    ("call_groups", "extension"),
    ("park_orbits", "name"),
    ("park_orbits", "extension"),
)
"""Columns whose values must stand in the pool of names; each row of the pool points back."""


def upgrade() -> None:
    """Change the schema."""
    op.execute(sa.schema.CreateSequence(sa.Sequence("permission_numbers")))

    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("administrator", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("address", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("service", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("operation", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("entities", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("outcome", sa.String(length=255, collation="C"), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('done', 'refused', 'failed')", name=op.f("ck_audit_log_outcome")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_time"), "audit_log", ["time"], unique=False)
    op.create_table(
        "branches",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.String(length=255, collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_branches")),
        sa.UniqueConstraint("name", name=op.f("uq_branches_name")),
    )
    op.create_table(
        "call_groups",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("extension", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("description", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_groups")),
        sa.UniqueConstraint("extension", name=op.f("uq_call_groups_extension")),
        sa.UniqueConstraint("name", name=op.f("uq_call_groups_name")),
    )
    op.create_table(
        "park_orbits",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("extension", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("description", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("music", sa.String(length=255, collation="C"), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_park_orbits")),
        sa.UniqueConstraint("extension", name=op.f("uq_park_orbits_extension")),
        sa.UniqueConstraint("name", name=op.f("uq_park_orbits_name")),
    )
    op.create_table(
        "permissions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("label", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("description", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("default_value", sa.Boolean(), nullable=False),
        sa.Column("type", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("built_in", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "type IN ('CALL', 'VOICEMAIL_SERVER', 'APPLICATION')", name=op.f("ck_permissions_type")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_permissions")),
        sa.UniqueConstraint("label", name=op.f("uq_permissions_label")),
        sa.UniqueConstraint("name", name=op.f("uq_permissions_name")),
    )
    op.create_table(
        "phone_groups",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.String(length=255, collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phone_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_phone_groups_name")),
    )
    op.create_table(
        "phones",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("serial_number", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("model_id", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("description", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("device_version", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("profile_file", sa.String(length=255, collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phones")),
        sa.UniqueConstraint("profile_file", name=op.f("uq_phones_profile_file")),
        sa.UniqueConstraint("serial_number", name=op.f("uq_phones_serial_number")),
    )
    op.create_table(
        "user_groups",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.String(length=255, collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_user_groups_name")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("phone_id", sa.BigInteger(), nullable=True),
        sa.Column("serial", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("files", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("state", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("finished", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(finished IS NULL) = (state IN ('waiting', 'running'))", name=op.f("ck_jobs_finished")
        ),
        sa.CheckConstraint("kind IN ('profiles', 'restart', 'removal')", name=op.f("ck_jobs_kind")),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed', 'unsupported', 'cancelled')",
            name=op.f("ck_jobs_state"),
        ),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_jobs_attempts")),
        sa.ForeignKeyConstraint(
            ["phone_id"], ["phones.id"], name=op.f("fk_jobs_phone_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(
        "uq_jobs_waiting",
        "jobs",
        ["phone_id", "kind"],
        unique=True,
        postgresql_where=sa.text("state = 'waiting' AND kind <> 'removal'"),
    )
    op.create_table(
        "phone_group_members",
        sa.Column("entity_id", sa.BigInteger(), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity_id"],
            ["phones.id"],
            name=op.f("fk_phone_group_members_entity_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["phone_groups.id"],
            name=op.f("fk_phone_group_members_group_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("entity_id", "group_id", name=op.f("pk_phone_group_members")),
    )
    op.create_index(
        op.f("ix_phone_group_members_group_id_entity_id"),
        "phone_group_members",
        ["group_id", "entity_id"],
        unique=False,
    )
    op.create_table(
        "user_group_permissions",
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("permission_id", sa.BigInteger(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["user_groups.id"],
            name=op.f("fk_user_group_permissions_group_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["permission_id"],
            ["permissions.id"],
            name=op.f("fk_user_group_permissions_permission_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "group_id", "permission_id", name=op.f("pk_user_group_permissions")
        ),
    )
    op.create_index(
        op.f("ix_user_group_permissions_permission_id"),
        "user_group_permissions",
        ["permission_id"],
        unique=False,
    )
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_name", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("pin_hash", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("voicemail_pin_hash", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("last_name", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("first_name", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("last_name_folded", sa.String(length=1024, collation="C"), nullable=True),
        sa.Column("first_name_folded", sa.String(length=1024, collation="C"), nullable=True),
        sa.Column("sip_password", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("email_address", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("branch_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("sip_password <> ''", name=op.f("ck_users_sip_password")),
        sa.ForeignKeyConstraint(
            ["branch_id"], ["branches.id"], name=op.f("fk_users_branch_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("user_name", name=op.f("uq_users_user_name")),
    )
    op.create_index(op.f("ix_users_branch_id"), "users", ["branch_id"], unique=False)
    op.create_table(
        "lines",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("phone_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("external_user_id", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("display_name", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("password", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("registration_server", sa.String(length=255, collation="C"), nullable=True),
        sa.Column("voice_mail", sa.String(length=255, collation="C"), nullable=True),
        sa.CheckConstraint(
            "(user_id IS NOT NULL AND num_nonnulls(external_user_id, display_name, password, registration_server, voice_mail) = 0) OR (user_id IS NULL AND num_nonnulls(external_user_id, registration_server) = 2)",
            name=op.f("ck_lines_internal_or_external"),
        ),
        sa.ForeignKeyConstraint(
            ["phone_id"], ["phones.id"], name=op.f("fk_lines_phone_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_lines_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lines")),
    )
    op.create_index(op.f("ix_lines_phone_id_id"), "lines", ["phone_id", "id"], unique=False)
    op.create_index(op.f("ix_lines_user_id"), "lines", ["user_id"], unique=False)
    op.create_table(
        "names",
        sa.Column("value", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("folded", sa.String(length=1024, collation="C"), nullable=False),
        sa.Column("kind", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("call_group_id", sa.BigInteger(), nullable=True),
        sa.Column("park_orbit_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('userName', 'alias', 'name', 'extension')", name=op.f("ck_names_kind")
        ),
        sa.CheckConstraint("left(value, 2) <> '~~'", name=op.f("ck_names_not_reserved")),
        sa.CheckConstraint(
            "num_nonnulls(user_id, call_group_id, park_orbit_id) = 1",
            name=op.f("ck_names_one_owner"),
        ),
        sa.ForeignKeyConstraint(
            ["call_group_id"],
            ["call_groups.id"],
            name=op.f("fk_names_call_group_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["park_orbit_id"],
            ["park_orbits.id"],
            name=op.f("fk_names_park_orbit_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_names_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("value", name=op.f("pk_names")),
    )
    op.create_index(op.f("ix_names_call_group_id"), "names", ["call_group_id"], unique=False)
    op.create_index(op.f("ix_names_park_orbit_id"), "names", ["park_orbit_id"], unique=False)
    op.create_index(op.f("ix_names_user_id_value"), "names", ["user_id", "value"], unique=False)
    op.create_table(
        "rings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("call_group_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("expiration", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.CheckConstraint("type IN ('delayed', 'immediate')", name=op.f("ck_rings_type")),
        sa.CheckConstraint("expiration >= 0", name=op.f("ck_rings_expiration")),
        sa.ForeignKeyConstraint(
            ["call_group_id"],
            ["call_groups.id"],
            name=op.f("fk_rings_call_group_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_rings_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rings")),
    )
    op.create_index(op.f("ix_rings_call_group_id"), "rings", ["call_group_id"], unique=False)
    op.create_index(op.f("ix_rings_user_id"), "rings", ["user_id"], unique=False)
    op.create_table(
        "user_group_members",
        sa.Column("entity_id", sa.BigInteger(), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity_id"],
            ["users.id"],
            name=op.f("fk_user_group_members_entity_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["user_groups.id"],
            name=op.f("fk_user_group_members_group_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("entity_id", "group_id", name=op.f("pk_user_group_members")),
    )
    op.create_index(
        op.f("ix_user_group_members_group_id_entity_id"),
        "user_group_members",
        ["group_id", "entity_id"],
        unique=False,
    )
    op.create_table(
        "user_permissions",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("permission_id", sa.BigInteger(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["permission_id"],
            ["permissions.id"],
            name=op.f("fk_user_permissions_permission_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_permissions_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "permission_id", name=op.f("pk_user_permissions")),
    )
    op.create_index(
        op.f("ix_user_permissions_permission_id"),
        "user_permissions",
        ["permission_id"],
        unique=False,
    )
    for table, column in POOLED:
        op.create_foreign_key(
            f"fk_{table}_{column}",
            table,
            "names",
            [column],
            ["value"],
            initially="DEFERRED",
            deferrable=True,
        )


def downgrade() -> None:
    """Undo the change."""
    for table, column in POOLED:
        op.drop_constraint(f"fk_{table}_{column}", table, type_="foreignkey")
    op.drop_index(op.f("ix_user_permissions_permission_id"), table_name="user_permissions")
    op.drop_table("user_permissions")
    op.drop_index(op.f("ix_user_group_members_group_id_entity_id"), table_name="user_group_members")
    op.drop_table("user_group_members")
    op.drop_index(op.f("ix_rings_user_id"), table_name="rings")
    op.drop_index(op.f("ix_rings_call_group_id"), table_name="rings")
    op.drop_table("rings")
    op.drop_index(op.f("ix_names_user_id_value"), table_name="names")
    op.drop_index(op.f("ix_names_park_orbit_id"), table_name="names")
    op.drop_index(op.f("ix_names_call_group_id"), table_name="names")
    op.drop_table("names")
    op.drop_index(op.f("ix_lines_user_id"), table_name="lines")
    op.drop_index(op.f("ix_lines_phone_id_id"), table_name="lines")
    op.drop_table("lines")
    op.drop_index(op.f("ix_users_branch_id"), table_name="users")
    op.drop_table("users")
    op.drop_index(
        op.f("ix_user_group_permissions_permission_id"), table_name="user_group_permissions"
    )
    op.drop_table("user_group_permissions")
    op.drop_index(
        op.f("ix_phone_group_members_group_id_entity_id"), table_name="phone_group_members"
    )
    op.drop_table("phone_group_members")
    op.drop_index(
        "uq_jobs_waiting",
        table_name="jobs",
        postgresql_where=sa.text("state = 'waiting' AND kind <> 'removal'"),
    )
    op.drop_table("jobs")
    op.drop_table("user_groups")
    op.drop_table("phones")
    op.drop_table("phone_groups")
    op.drop_table("permissions")
    op.drop_table("park_orbits")
    op.drop_table("call_groups")
    op.drop_table("branches")
    op.drop_index(op.f("ix_audit_log_time"), table_name="audit_log")
    op.drop_table("audit_log")
    op.execute(sa.schema.DropSequence(sa.Sequence("permission_numbers")))
