"""Whose workers they are: the key that each registered with, and its tenant."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COLUMNS = ("owner_key", "owner_bound", "tenant")


def upgrade() -> None:
    """Add them: whoever is there already registered without a key."""
    op.add_column("registry_workers", sa.Column("owner_key", sa.String(256), nullable=False, server_default=""))
    op.add_column("registry_workers", sa.Column("owner_bound", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("registry_workers", sa.Column("tenant", sa.String(64), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop them."""
    for column in _COLUMNS:
        op.drop_column("registry_workers", column)
