"""Objectives: what a method's terms act through in a training step. The engine asks one for the loss of every batch.

To add one, write a class in a file of its own and name it in the row of the method: objective="core.training.objectives.file:Class".
Its terms then say objective="file".
"""

from core.training.objectives.base import Batch, Objective
from core.training.objectives.registry import addresses, key_of, objective_class

__all__ = ["Batch", "Objective", "addresses", "key_of", "objective_class"]
