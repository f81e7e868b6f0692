"""Run by Alembic, on the connection that `devteam.mesh.database.migrate` hands in."""

from alembic import context

# A version table of its own, so that several services may share one database.
context.configure(connection=context.config.attributes["connection"], version_table="registry_alembic_version")
with context.begin_transaction():
    context.run_migrations()
