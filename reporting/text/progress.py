"""How far a run is within an epoch, and that it does not get further."""

from __future__ import annotations


def epoch_step(step: int, steps: int) -> str:
    """The progress of a run within an epoch in words: "step 479 of 3,516"; once all are done "evaluating"."""
    return f"step {step:,} of {steps:,}" if step < steps else "evaluating"


def no_step(minutes: int) -> str:
    """The missing progress of a worker in words: "no step for 12 min"."""
    return f"no step for {minutes} min"
