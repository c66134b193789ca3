"""What alembic runs for every migration. It is always given an open connection in one writing transaction (storage/db/migrate.py)."""

from alembic import context

from storage.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
