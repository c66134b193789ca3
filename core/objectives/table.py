"""OBJECTIVES: every objective by its key."""

from __future__ import annotations

from core.objectives.base import Objective
from core.objectives.difficulty_net import DifficultyNet
from core.objectives.ghm import GradientHarmonising
from core.objectives.group_dro import GroupDRO
from core.objectives.l2rw import LearningToReweight
from core.objectives.meta_weight_net import MetaWeightNet
from core.objectives.oltr import MemoryLoss
from core.objectives.poly_tail import PolynomialTail
from core.objectives.sigmoid import Sigmoid
from core.objectives.terms import Terms

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
