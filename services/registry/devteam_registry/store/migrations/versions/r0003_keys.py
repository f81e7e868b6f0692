"""Who may call, and who may join."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables. Of keys and tokens there are digests only."""
    op.create_table(
        "registry_keys",
        sa.Column("key_id", sa.String(8), primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("queues", sa.JSON, nullable=False),
        sa.Column("worker_id", sa.String(128), nullable=False),
        sa.Column("rate", sa.Float, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(8), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
    )
    op.create_index("registry_keys_in_order", "registry_keys", ["created_at", "key_id"])
    op.create_table(
        "registry_join_tokens",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("queues", sa.JSON, nullable=False),
        sa.Column("worker_id", sa.String(128), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(8), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True)),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("registry_join_tokens")
    op.drop_table("registry_keys")
