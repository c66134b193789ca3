"""The worker's work: a claimed run from its settings to its end, and what keeps workers alive. Composes core, models and storage."""
