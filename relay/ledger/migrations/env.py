"""Alembic's entry: the ledger hands over the connection, whose transaction holds the lock."""

from alembic import context

from relay.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
