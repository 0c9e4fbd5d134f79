"""Entry point of Alembic. `engine.migrate` provides the connection, in whose transaction it all runs."""

from alembic import context

from relay.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
