"""Addresses say who lives there and in which country, and one of a client's may be the default.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op
from config.settings import get_settings

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_OPTIONAL = {"recipient": 200, "postcode": 20, "region": 100, "telephone": 21}


def upgrade() -> None:
    for name, longest in _OPTIONAL.items():
        op.add_column("addresses", sa.Column(name, sa.String(length=longest), nullable=True))
    # Those that are there are where the shop is, as far as anybody knows. With a default no row has to be written.
    country = get_settings().shop_country
    op.add_column("addresses", sa.Column("country", sa.String(length=2), server_default=country, nullable=False))
    op.alter_column("addresses", "country", server_default="ES")
    op.add_column("addresses", sa.Column("is_default", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index("ix_addresses_country", "addresses", ["country", "id_key"])
    op.create_index("ix_addresses_postcode_key", "addresses", [sa.text("text_key(postcode)"), "id_key"])
    op.create_index(
        "uq_addresses_client_id_default", "addresses", ["client_id"], unique=True, postgresql_where=sa.text("is_default")
    )


def downgrade() -> None:
    for name in ("is_default", "country", *_OPTIONAL):
        op.drop_column("addresses", name)
