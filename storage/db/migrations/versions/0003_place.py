"""The data folder that a database belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "place",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_place_id")),
        sa.PrimaryKeyConstraint("id", name="pk_place"),
    )
