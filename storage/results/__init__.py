"""Results, in one place to import from: recording them (a worker), reading them, and the runs they belong to."""

from storage.results.checkpoint_rows import CheckpointRow, list_checkpoints, record_checkpoint
from storage.results.class_counts import ClassCounts, class_counts, confusion, epochs
from storage.results.class_history import ClassHistory, class_history
from storage.results.runs import (
    RunRow,
    archive,
    get_run,
    list_runs,
    rename,
    replicates,
    retag,
    set_notes,
    set_tags,
    tags_in,
)
from storage.results.runs import delete_runs as delete
from storage.results.writer import EpochRecord, SplitRecord, record_epoch, start_run

__all__ = [
    "CheckpointRow",
    "ClassCounts",
    "ClassHistory",
    "EpochRecord",
    "RunRow",
    "SplitRecord",
    "archive",
    "class_counts",
    "class_history",
    "confusion",
    "delete",
    "epochs",
    "get_run",
    "list_checkpoints",
    "list_runs",
    "record_checkpoint",
    "record_epoch",
    "rename",
    "replicates",
    "retag",
    "set_notes",
    "set_tags",
    "start_run",
    "tags_in",
]
