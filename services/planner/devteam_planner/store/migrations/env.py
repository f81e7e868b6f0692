"""Runs migrations on the connection that `devteam.mesh.schema` hands over."""

import sqlalchemy as sa
from alembic import context
from devteam_planner.store.tables import metadata

from devteam.mesh.table_locks import hold_tables

# Any number will do, as long as every Planner takes the same.
_LOCK = 7403

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    # Planners that start together migrate one after the other.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
if context.config.attributes.get("changes"):
    hold_tables(connection, metadata.tables)
context.configure(connection=connection, target_metadata=metadata, version_table="planner_alembic_version")
with context.begin_transaction():
    context.run_migrations()
