"""Objectives: they compute the loss of every batch from a method's terms.

To add one, write a class in its own file and name it in the row of the method: objective="core.training.objectives.file:Class".
Its terms then have objective="file".
"""

from core.training.objectives.base import Batch, Objective
from core.training.objectives.registry import addresses, key_of, objective_class

__all__ = ["Batch", "Objective", "addresses", "key_of", "objective_class"]
