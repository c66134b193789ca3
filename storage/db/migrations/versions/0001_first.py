"""The first schema: workers, runs, their epochs, classes, confusion matrices, checkpoints and log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "worker",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(length=80), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("beat", sa.Integer(), server_default="0", nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.Column("stopped_at", sa.Float()),
        sa.PrimaryKeyConstraint("id", name="pk_worker"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("wanted", sa.String(length=10), server_default="run", nullable=False),
        sa.Column("token", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker_id", sa.Integer()),
        sa.Column("baseline_id", sa.Integer()),
        sa.Column("archived", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("started_at", sa.Float()),
        sa.Column("finished_at", sa.Float()),
        sa.Column("dataset", sa.String(length=1000), nullable=False),
        sa.Column("model", sa.String(length=80), nullable=False),
        sa.Column("method", sa.String(length=80), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("last_epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("seconds", sa.Float(), server_default="0", nullable=False),
        sa.Column("final_accuracy", sa.Float()),
        sa.Column("final_balanced_accuracy", sa.Float()),
        sa.Column("final_tpr_mean", sa.Float()),
        sa.Column("final_tpr_variance", sa.Float()),
        sa.Column("final_tpr_min", sa.Float()),
        sa.Column("best_epoch", sa.Integer()),
        sa.Column("best_score", sa.Float()),
        sa.Column("best_accuracy", sa.Float()),
        sa.Column("best_balanced_accuracy", sa.Float()),
        sa.Column("best_tpr_mean", sa.Float()),
        sa.Column("best_tpr_variance", sa.Float()),
        sa.Column("best_tpr_min", sa.Float()),
        sa.Column("device", sa.String(length=80)),
        sa.Column("config_sha", sa.String(length=64), nullable=False),
        sa.Column("group_sha", sa.String(length=64), nullable=False),
        sa.Column("submit_key", sa.String(length=200)),
        sa.Column("submit_index", sa.Integer()),
        sa.Column("name", sa.String(length=1000), nullable=False),
        sa.Column("tags", sa.Text(), server_default="", nullable=False),
        sa.Column("notes", sa.Text(), server_default="", nullable=False),
        sa.Column("error", sa.Text()),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'paused')", name=op.f("ck_run_status")
        ),
        sa.CheckConstraint("wanted IN ('run', 'pause', 'cancel')", name=op.f("ck_run_wanted")),
        sa.ForeignKeyConstraint(["baseline_id"], ["run.id"], name="fk_run_baseline_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["worker_id"], ["worker.id"], name="fk_run_worker_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
        sa.UniqueConstraint("submit_key", "submit_index", name="uq_run_submit_key_submit_index"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_run_baseline_id", "run", ["baseline_id"])
    op.create_index("ix_run_group_sha_status", "run", ["group_sha", "status"])
    op.create_index("ix_run_status_id", "run", ["status", "id"])
    op.create_index("ix_run_worker_id", "run", ["worker_id"])
    op.create_table(
        "detail",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("facts", sa.JSON(none_as_null=True)),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_detail_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name="pk_detail"),
    )
    op.create_table(
        "checkpoint",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_checkpoint_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "kind", "epoch", name="pk_checkpoint"),
    )
    op.create_table(
        "class_epoch",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("split", sa.SmallInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("support", sa.Integer(), nullable=False),
        sa.Column("tp", sa.Integer(), nullable=False),
        sa.Column("predicted", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Float()),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_class_epoch_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "split", "epoch", "class_id", name="pk_class_epoch"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "confusion",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("split", sa.SmallInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("classes", sa.Integer(), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_confusion_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "split", "epoch", name="pk_confusion"),
    )
    op.create_table(
        "epoch",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("split", sa.SmallInteger(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("loss", sa.Float()),
        sa.Column("accuracy", sa.Float()),
        sa.Column("balanced_accuracy", sa.Float()),
        sa.Column("tpr_mean", sa.Float()),
        sa.Column("tpr_variance", sa.Float()),
        sa.Column("tpr_min", sa.Float()),
        sa.Column("tpr_max", sa.Float()),
        sa.Column("top5", sa.Integer()),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("lr", sa.Float()),
        sa.Column("info", sa.JSON(none_as_null=True)),
        sa.CheckConstraint("epoch >= 1", name=op.f("ck_epoch_epoch")),
        sa.CheckConstraint("split BETWEEN 0 AND 2", name=op.f("ck_epoch_split")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_epoch_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "epoch", "split", name="pk_epoch"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_event_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
    )
    op.create_index("ix_event_run_id_id", "event", ["run_id", "id"])
