"""Users, their sessions and tokens, API keys, the audit trail, and whose a review is.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_ROWS = ("users", "user_sessions", "account_tokens", "api_keys")
# What a worker remembers of callers; a change by another program has to reach it.
_REMEMBERED = ("users", "user_sessions", "api_keys")

_REFUSE_TO_OTHERS = """
CREATE FUNCTION refuse_to_others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
        RAISE insufficient_privilege USING MESSAGE = 'only the owner of ' || TG_TABLE_NAME || ' changes or removes its rows';
    END IF;
    RETURN NULL;
END
$$
"""


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _key() -> sa.Column[object]:
    return sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False)


def _times() -> tuple[sa.Column[object], sa.Column[object]]:
    now = sa.text("now()")
    return (
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
    )


def _create_users() -> None:
    op.create_table(
        "users",
        _key(),
        sa.Column("username", sa.String(length=50), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=False),
        sa.Column("full_name", sa.String(length=200), nullable=True),
        sa.Column("role", sa.String(length=10), server_default="customer", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=True),
        _moment("email_verified_at"),
        _moment("last_login_at"),
        sa.Column("password_hash", sa.Text(), nullable=True),
        *_times(),
        sa.CheckConstraint("role IN ('customer', 'staff', 'admin')", name=op.f("ck_users_role_known")),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id_key"], name=op.f("fk_users_client_id_clients"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_users")),
        sa.UniqueConstraint("client_id", name=op.f("uq_users_client_id")),
        sa.UniqueConstraint("email_key", name=op.f("uq_users_email_key")),
    )
    for column in ("created_at", "email", "username", "role"):
        op.create_index(f"ix_users_{column}", "users", [column, "id_key"])
    op.create_index("uq_users_username_key", "users", [sa.text("text_key(username)")], unique=True)
    op.create_index("uq_users_email", "users", [sa.text("text_key(email)")], unique=True)


def _create_sessions_and_tokens() -> None:
    op.create_table(
        "user_sessions",
        _key(),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "replaced_at",
            postgresql.ARRAY(sa.DateTime(timezone=True)),
            server_default=sa.text("'{}'::timestamptz[]"),
            nullable=False,
        ),
        _moment("expires_at", nullable=False),
        sa.Column("device", sa.String(length=300), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=False),
        *_times(),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id_key"], name=op.f("fk_user_sessions_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_user_sessions")),
    )
    op.create_table(
        "account_tokens",
        _key(),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        _moment("expires_at", nullable=False),
        *_times(),
        sa.CheckConstraint(
            "purpose IN ('verify_email', 'change_email', 'reset_password')", name=op.f("ck_account_tokens_purpose_known")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id_key"], name=op.f("fk_account_tokens_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_account_tokens")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_account_tokens_secret_hash")),
    )
    for table in ("user_sessions", "account_tokens"):
        for column in ("user_id", "expires_at"):
            op.create_index(f"ix_{table}_{column}", table, [column, "id_key"])


def _create_keys_and_trail() -> None:
    op.create_table(
        "api_keys",
        _key(),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("prefix", sa.String(length=12), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        _moment("expires_at"),
        _moment("last_used_at"),
        *_times(),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_keys_prefix")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_keys_secret_hash")),
    )
    for column in ("created_at", "name"):
        op.create_index(f"ix_api_keys_{column}", "api_keys", [column, "id_key"])
    op.create_table(
        "audit_entries",
        _key(),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("resource", sa.String(length=40), nullable=False),
        sa.Column("resource_id", sa.BigInteger(), nullable=True),
        sa.Column("changes", postgresql.JSONB(), nullable=False),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_audit_entries")),
    )
    for column in ("at", "actor", "action", "resource_id"):
        op.create_index(f"ix_audit_entries_{column}", "audit_entries", [column, "id_key"])
    # A grant on all tables is soon given, and this one is not to change: whatever a role was granted, only the owner does.
    op.execute(_REFUSE_TO_OTHERS)
    op.execute(
        "CREATE TRIGGER only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_others()"
    )


def upgrade() -> None:
    _create_users()
    _create_sessions_and_tokens()
    _create_keys_and_trail()
    op.add_column("reviews", sa.Column("client_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_reviews_client_id_clients"), "reviews", "clients", ["client_id"], ["id_key"], ondelete="SET NULL"
    )
    op.create_unique_constraint(op.f("uq_reviews_client_id"), "reviews", ["client_id", "product_id"])
    for table in _ROWS:
        op.execute(
            f"CREATE TRIGGER move_version BEFORE UPDATE ON {table} FOR EACH ROW "
            "WHEN (NEW.updated_at <= OLD.updated_at) EXECUTE FUNCTION move_version()"
        )
    for table in _REMEMBERED:
        op.execute(
            f"CREATE TRIGGER tell_shop AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT "
            "WHEN (current_setting('shop.tells_caches', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION tell_shop()"
        )


def downgrade() -> None:
    op.drop_column("reviews", "client_id")
    for table in ("audit_entries", "account_tokens", "user_sessions", "api_keys", "users"):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_to_others()")
