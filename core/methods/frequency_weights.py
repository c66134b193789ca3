"""Weights from the training counts of the classes, and weights typed by hand. n_c training samples of class c."""

from __future__ import annotations

import math

import numpy as np

from core.errors import EvenlyError
from core.methods.method import NO_SAMPLES, Golden, Method, samples
from core.methods.normalization import LARGEST, weight_terms
from core.methods.notes import WeightsZero
from core.methods.types import ClassTerms, Evidence
from core.registry import Param, Source


def inverse_frequency(evidence: Evidence) -> ClassTerms:
    """w_c ~ 1 / n_c at mean 1. Needs counts [C]."""
    return weight_terms(1 / samples(evidence), missing=NO_SAMPLES)


def balanced(evidence: Evidence) -> ClassTerms:
    """w_c = N / (C n_c): mean 1 over the samples, not over the classes. C counts the classes with samples. Needs counts [C]."""
    n = samples(evidence)
    return weight_terms(np.nansum(n) / (np.sum(~np.isnan(n)) * n), missing=NO_SAMPLES, mean_one=False)


def sqrt_inverse_frequency(evidence: Evidence) -> ClassTerms:
    """w_c ~ n_c^(-1/2) at mean 1. Needs counts [C]."""
    return weight_terms(samples(evidence) ** -0.5, missing=NO_SAMPLES)


def smooth_inverse_frequency(evidence: Evidence, *, gamma: float) -> ClassTerms:
    """w_c ~ (min n / n_c)^gamma at mean 1. Needs counts [C]."""
    n = samples(evidence)
    return weight_terms((_least(n) / n) ** gamma, missing=NO_SAMPLES)


def log_frequency(evidence: Evidence) -> ClassTerms:
    """w_c ~ 1 - log(n_c / max n) at mean 1. Needs counts [C]."""
    n = samples(evidence)
    return weight_terms(1 + np.log(1 / n) - np.log(1 / _most(n)), missing=NO_SAMPLES)


def class_balanced(evidence: Evidence, *, beta: float) -> ClassTerms:
    """w_c ~ (1 - beta) / (1 - beta^n_c) at mean 1: the inverse of the effective number of samples. Needs counts [C].

    1 - beta^n is computed as -expm1(n log beta), exact also for small n and beta near 1.
    """
    n = samples(evidence)
    raw = (1 - beta) / -np.expm1(n * math.log(beta)) if beta > 0 else np.where(np.isnan(n), np.nan, 1.0)
    return weight_terms(raw, missing=NO_SAMPLES)


def manual(evidence: Evidence, *, weights: str) -> ClassTerms:
    """w_c as typed: one number per class in class order, at least 0 and not all 0. Used as they are, without rescaling.

    Raises EvenlyError for anything else.
    """
    parts = [p for p in weights.replace(";", ",").replace("\n", ",").split(",") if p.strip()]
    try:
        values = np.array([float(p) for p in parts])
    except ValueError:
        bad = next(p for p in parts if not _is_number(p))
        raise EvenlyError(
            f"manual: weight {bad.strip()[:40]!r} is not a number; give one number per class, separated by commas"
        ) from None
    if len(values) != evidence.classes:
        raise EvenlyError(
            f"manual: {len(values)} weights given, expected {evidence.classes}, one per class in class order"
        )
    wrong = ~(values <= LARGEST) | (values < 0)
    if wrong.any() or not values.any():
        value = values[np.argmax(wrong)]
        raise EvenlyError(
            f"manual: weight {value:g} is not usable; give numbers from 0 to {LARGEST:g}, not all of them 0"
        )
    zero = np.flatnonzero(values == 0)
    notes = (WeightsZero(len(zero), len(values)),) if len(zero) else ()
    return ClassTerms(weight=values, notes=notes)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _most(n: np.ndarray) -> float:
    return float(np.nanmax(n)) if not np.isnan(n).all() else math.nan


def _least(n: np.ndarray) -> float:
    return float(np.nanmin(n)) if not np.isnan(n).all() else math.nan


_HUANG = Source("Huang, Li, Loy and Tang", 2016, "Learning deep representation for imbalanced classification")
_GAMMA = Param(
    key="gamma",
    label="Gamma",
    default=0.5,
    low=0.0,
    high=1.0,
    step=0.01,
    help="0 is unweighted, 1/2 is the square root, 1 is inverse frequency.",
)
_BETA = Param(
    key="beta",
    label="Beta",
    default=0.9999,
    low=0.0,
    high=0.999999,
    step=0.0001,
    help="0 is unweighted; toward 1 the weights become 1/n.",
)
_WEIGHTS = Param(
    "weights",
    "Weights",
    "1, 1",
    text=True,
    help="One number per class in class order, separated by commas; at least 0.",
)

COUNTS = frozenset({"counts"})
_TAILED = "Long-tailed data: classes with very different numbers of training samples."
_EARLY = "On strongly long-tailed data it often lowers accuracy when applied from the first epoch on; a late start (DRW) helps."

ORDER = 20
ROWS = (
    Method(
        key="inverse_frequency",
        label="Inverse frequency",
        group="From counts",
        terms=inverse_frequency,
        params=(),
        formula=r"w_c \propto \frac{1}{n_c}",
        needs=COUNTS,
        slider=None,
        summary="Rare classes weigh more: one over the number of training samples.",
        caveat=_EARLY,
        source=_HUANG,
        when=_TAILED,
    ),
    Method(
        key="balanced",
        label="Balanced",
        group="From counts",
        terms=balanced,
        params=(),
        formula=r"w_c = \frac{N}{C\,n_c}",
        needs=COUNTS,
        slider=None,
        summary='Inverse frequency at mean 1 over the samples instead of the classes: scikit-learn\'s class_weight="balanced".',
        caveat="With the weighted mean reduction it is the same loss as inverse frequency; "
        "with the batch mean the two differ by a factor, which acts as a learning rate.",
        source=Source("King and Zeng", 2001, "Logistic regression in rare events data"),
        when=_TAILED,
        golden=(Golden(given={"counts": (1000, 300, 100, 30, 10)}, expect={"weight": (0.288, 0.96, 2.88, 9.6, 28.8)}),),
    ),
    Method(
        key="sqrt_inverse_frequency",
        label="Square-root inverse frequency",
        group="From counts",
        terms=sqrt_inverse_frequency,
        params=(),
        formula=r"w_c \propto \frac{1}{\sqrt{n_c}}",
        needs=COUNTS,
        slider=None,
        summary="One over the square root of the number of samples: half as steep as inverse frequency on a log scale.",
        caveat="Milder than inverse frequency and less harmful from the first epoch on.",
        source=Source(
            "Mikolov, Sutskever, Chen, Corrado and Dean",
            2013,
            "Distributed representations of words and phrases and their compositionality",
            "https://arxiv.org/abs/1310.4546",
        ),
        when=_TAILED,
    ),
    Method(
        key="smooth_inverse_frequency",
        label="Smooth inverse frequency",
        group="From counts",
        terms=smooth_inverse_frequency,
        params=(_GAMMA,),
        formula=r"w_c \propto \left(\frac{n_{\min}}{n_c}\right)^{<gamma>}",
        needs=COUNTS,
        slider="gamma",
        summary="Anything between unweighted (gamma 0), the square root (1/2) and inverse frequency (1).",
        caveat="Published without rescaling (largest weight 1); here it is rescaled to mean 1, which matters for the batch mean only.",
        source=Source(
            "Zhang, Wei, Zhou and Wu",
            2021,
            "Bag of tricks for long-tailed visual recognition with deep convolutional neural networks",
        ),
        when=_TAILED,
    ),
    Method(
        key="log_frequency",
        label="Log frequency",
        group="From counts",
        terms=log_frequency,
        params=(),
        formula=r"w_c \propto 1 - \log\frac{n_c}{n_{\max}}",
        needs=COUNTS,
        slider=None,
        summary="Grows with the logarithm of a class's rarity: at imbalance 100 the largest weight is 5.6 times the smallest.",
        caveat="Mild on strong imbalance: inverse frequency reaches 100 there, its square root 10.",
        source=Source(
            "Zhang, Kang, Hooi, Yan and Feng",
            2023,
            "Deep long-tailed learning: a survey (its code)",
            "https://arxiv.org/abs/2110.04596",
        ),
        when=_TAILED,
    ),
    Method(
        key="class_balanced",
        label="Class-balanced",
        group="From counts",
        terms=class_balanced,
        params=(_BETA,),
        formula=r"w_c \propto \frac{1 - <beta>}{1 - <beta>^{n_c}}",
        needs=COUNTS,
        slider="beta",
        summary="One over the effective number of samples: between unweighted (beta 0) and inverse frequency (beta toward 1).",
        caveat="The effect depends on n: with thousands of samples per class, beta 0.9 has almost no effect.",
        source=Source(
            "Cui, Jia, Lin, Song and Belongie",
            2019,
            "Class-balanced loss based on effective number of samples",
            "https://arxiv.org/abs/1901.05555",
        ),
        stops=tuple(min(1 - 10 ** (-k / 20), 0.999999) for k in range(121)),
        when=_TAILED,
    ),
    Method(
        key="manual",
        label="Manual weights",
        group="From counts",
        terms=manual,
        params=(_WEIGHTS,),
        formula=r"w_c = \text{as given}",
        needs=frozenset(),
        slider=None,
        summary="Weights of your own, one per class, used as they are.",
        caveat="With the weighted mean reduction only their ratios matter. A weight of 0 is allowed: the class is then not learned.",
        source=Source("Evenly", 2026, "weights typed by hand"),
        when="You know what an error on a class costs.",
        tested_with={"weights": lambda classes: ", ".join(str(1 + c % 7) for c in range(classes))},
        golden=(Golden(given={"counts": (3, 1)}, expect={"weight": (2, 0.5)}, params={"weights": "2, 0.5"}),),
    ),
)
