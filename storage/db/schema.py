"""The schema. Times are Unix seconds (UTC); splits are small integers; JSON holds what is never searched.

`class_epoch` is clustered by its key: the counts of one split, epoch after epoch, are stored side by side.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from core.experiment.states import REQUESTS, STATES

LONGEST_NAME = 1000  # characters of a run's name

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(v) for v in values)})", name=column)


def _run_key(**options: bool) -> Column:
    return Column("run_id", ForeignKey("run.id", ondelete="CASCADE"), nullable=False, **options)


worker = Table(
    "worker",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("slot", Integer, nullable=False),
    Column("device", String(80), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("host", String(255), nullable=False),
    Column("state", String(40), nullable=False),
    Column(
        "beat", Integer, nullable=False, server_default="0"
    ),  # the heartbeat: grows while the worker is alive; readers time it by their own clocks
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),  # for display only, never used for decisions
    Column("stopped_at", Float),
    sqlite_autoincrement=True,
)

run = Table(
    "run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("status", String(10), nullable=False),
    Column("wanted", String(10), nullable=False, server_default="run"),
    Column("token", Integer, nullable=False, server_default="0"),  # grows with every claim: the fence
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("worker_id", ForeignKey("worker.id", ondelete="SET NULL")),
    Column("baseline_id", ForeignKey("run.id", ondelete="SET NULL")),
    Column("archived", Boolean, nullable=False, server_default=false()),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("dataset", String(1000), nullable=False),
    Column("model", String(80), nullable=False),
    Column("method", String(80), nullable=False),
    Column("seed", Integer, nullable=False),
    Column("epochs", Integer, nullable=False),
    Column("last_epoch", Integer, nullable=False, server_default="0"),
    Column("seconds", Float, nullable=False, server_default="0"),
    Column("final_accuracy", Float),  # final_* and best_*: test split, after the last and after the best epoch
    Column("final_balanced_accuracy", Float),
    Column("final_tpr_mean", Float),
    Column("final_tpr_variance", Float),
    Column("final_tpr_min", Float),
    Column("best_epoch", Integer),
    Column("best_score", Float),  # balanced accuracy on the validation split, by which the best epoch is chosen
    Column("best_accuracy", Float),
    Column("best_balanced_accuracy", Float),
    Column("best_tpr_mean", Float),
    Column("best_tpr_variance", Float),
    Column("best_tpr_min", Float),
    Column("device", String(80)),
    Column("config_sha", String(64), nullable=False),
    Column("group_sha", String(64), nullable=False),
    Column("submit_key", String(200)),
    Column("submit_index", Integer),
    Column("name", String(LONGEST_NAME), nullable=False),
    Column("tags", Text, nullable=False, server_default=""),
    Column("notes", Text, nullable=False, server_default=""),
    Column("error", Text),
    _one_of("status", STATES.keys),
    _one_of("wanted", REQUESTS.keys),
    UniqueConstraint("submit_key", "submit_index"),
    Index(None, "status", "id"),
    Index(None, "group_sha", "status"),
    Index(None, "baseline_id"),
    Index(None, "worker_id"),
    sqlite_autoincrement=True,  # an id is never used twice: it is part of URLs and file names
)

detail = Table(  # apart from `run`, so that a list of runs reads a third of the pages
    "detail",
    metadata,
    _run_key(primary_key=True),
    Column("config", JSON, nullable=False),
    Column("facts", JSON(none_as_null=True)),
)

epoch = Table(
    "epoch",
    metadata,
    _run_key(primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("split", SmallInteger, primary_key=True),
    Column("n", Integer, nullable=False),
    Column("loss", Float),
    Column("accuracy", Float),
    Column("balanced_accuracy", Float),
    Column("tpr_mean", Float),
    Column("tpr_variance", Float),
    Column("tpr_min", Float),
    Column("tpr_max", Float),
    Column("ece", Float),
    Column("top5", Integer),
    Column("seconds", Float, nullable=False),
    Column("lr", Float),
    Column("info", JSON(none_as_null=True)),
    CheckConstraint("epoch >= 1", name="epoch"),
    CheckConstraint("split BETWEEN 0 AND 2", name="split"),
    sqlite_with_rowid=False,
)

class_epoch = Table(
    "class_epoch",
    metadata,
    _run_key(primary_key=True),
    Column("split", SmallInteger, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("class_id", Integer, primary_key=True),
    Column("support", Integer, nullable=False),
    Column("tp", Integer, nullable=False),
    Column("predicted", Integer, nullable=False),
    Column("weight", Float),
    sqlite_with_rowid=False,
)

confusion = Table(
    "confusion",
    metadata,
    _run_key(primary_key=True),
    Column("split", SmallInteger, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("classes", Integer, nullable=False),
    Column("cells", LargeBinary, nullable=False),  # storage/results/confusion_codec.py
)

place = Table(  # at most one row
    "place",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("data", Text, nullable=False),  # the data folder, relative to the database's own: both can be moved together
    CheckConstraint("id = 1", name="id"),
)

event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    _run_key(),
    Column("at", Float, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("text", Text, nullable=False),
    Index(None, "run_id", "id"),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    _run_key(primary_key=True),
    Column("kind", String(10), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column(
        "path", Text, nullable=False
    ),  # relative to the data folder if it is inside it, so that the folder can be moved
    Column("sha256", String(64), nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("at", Float, nullable=False),
)
