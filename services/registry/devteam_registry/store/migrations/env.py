"""Run by Alembic, on the connection that `devteam.mesh.schema` hands in."""

import sqlalchemy as sa
from alembic import context
from devteam_registry.store import sql_keys as sql_keys  # noqa: PLC0414 - adds its tables to the others
from devteam_registry.store.sql import metadata

from devteam.mesh.table_locks import hold_tables

# Any number will do, as long as every Registry, and whoever migrates, takes the same.
_LOCK = 7401

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
if context.config.attributes.get("changes"):
    hold_tables(connection, metadata.tables)
# A version table of its own, so that several services may share one database.
context.configure(connection=connection, version_table="registry_alembic_version")
with context.begin_transaction():
    context.run_migrations()
