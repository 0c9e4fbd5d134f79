"""Which records an audit has restored in a CRM."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column(
        "deliveries", sa.Column("restored", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
