"""What Alembic runs: on a connection that is open already."""

from alembic import context

from balance_tracker.storage.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
