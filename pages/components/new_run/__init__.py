"""The parts of New run."""
