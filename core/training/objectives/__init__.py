"""Objectives: what a method's terms act through in a training step. The engine asks one for the loss of every batch.

To add one, write a class in a file of its own and name it in OBJECTIVES; a method names it in ClassTerms.objective.
"""

from core.training.objectives.base import Batch, Objective
from core.training.objectives.registry import OBJECTIVES

__all__ = ["OBJECTIVES", "Batch", "Objective"]
