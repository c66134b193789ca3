"""The queue, its workers and its log."""
