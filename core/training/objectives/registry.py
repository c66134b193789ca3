"""OBJECTIVES: every objective by its key."""

from __future__ import annotations

from core.training.objectives.base import Objective
from core.training.objectives.difficulty_net import DifficultyNet
from core.training.objectives.ghm import GradientHarmonising
from core.training.objectives.group_dro import GroupDRO
from core.training.objectives.l2rw import LearningToReweight
from core.training.objectives.meta_weight_net import MetaWeightNet
from core.training.objectives.oltr import MemoryLoss
from core.training.objectives.poly_tail import PolynomialTail
from core.training.objectives.sigmoid import Sigmoid
from core.training.objectives.terms import Terms

OBJECTIVES: dict[str, type[Objective]] = {
    "terms": Terms,
    "sigmoid": Sigmoid,
    "ghm": GradientHarmonising,
    "poly_tail": PolynomialTail,
    "group_dro": GroupDRO,
    "l2rw": LearningToReweight,
    "meta_weight_net": MetaWeightNet,
    "difficulty_net": DifficultyNet,
    "oltr": MemoryLoss,
}
