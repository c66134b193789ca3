"""Samplers: how often each class is drawn during training. Rows like the methods', in their own table.

A run has a method and a sampler; a sampler other than instance replaces the sampling of the method (a second stage has
one).
"""

from __future__ import annotations

import numpy as np

from core.errors import EvenlyError
from core.methods.method import CLASSIFIER, Golden, Method, samples
from core.methods.normalization import clipped_tpr, indices
from core.methods.notes import CountsNearlyEqual, EpochShare, EqualBeforeFirstEpoch, NeverDrawn, NoMinority
from core.methods.types import ClassTerms, Evidence, Vector
from core.registry import Param, Registry, Source

PLAIN = "instance"  # the sampler that changes nothing
NEARLY = 1.1  # counts within this factor of each other: a minority among them is noted


def instance(evidence: Evidence) -> ClassTerms:
    """Every sample once an epoch, in random order."""
    return ClassTerms()


def power(evidence: Evidence, *, q: float) -> ClassTerms:
    """P(c) ~ n_c^q. A class without samples is never drawn. Needs counts [C]."""
    n = _present(evidence)
    raw = np.where(n > 0, (n / n.max()) ** q, 0.0)
    return ClassTerms(sampling=raw / raw.sum())


def balanced(evidence: Evidence) -> ClassTerms:
    """P(c) = 1 / C. Needs counts [C]."""
    return power(evidence, q=0.0)


def square_root(evidence: Evidence) -> ClassTerms:
    """P(c) ~ sqrt(n_c). Needs counts [C]."""
    return power(evidence, q=0.5)


def progressive(evidence: Evidence) -> ClassTerms:
    """P_t(c) = (1 - t) n_c / N + t / C, t from 0 in the first epoch to 1 in the last. Needs counts [C]."""
    t = evidence.epoch / max(evidence.epochs - 1, 1)
    even = balanced(evidence).sampling
    return ClassTerms(sampling=(1 - t) * power(evidence, q=1.0).sampling + t * even, info={"t": t})


def difficulty(evidence: Evidence, *, tau: float, floor: float) -> ClassTerms:
    """P(c) ~ (1 - A_c)^tau, A_c of the last epoch's validation split; equal before the first. At least floor / C each.

    A class without validation samples gets the mean of the others.
    """
    even = balanced(evidence).sampling
    if evidence.last_tpr is None:
        return ClassTerms(sampling=even, notes=(EqualBeforeFirstEpoch("sampling"),))
    tpr, clipped, notes = clipped_tpr(evidence.last_tpr, evidence.last_support)
    hard = (1 - tpr) ** tau
    hard = np.where(np.isnan(hard), np.nanmean(hard) if not np.isnan(hard).all() else 1.0, hard) * (even > 0)
    return ClassTerms(sampling=(1 - floor) * hard / hard.sum() + floor * even, clipped=clipped, notes=notes)


def class_aware(evidence: Evidence, *, run: int) -> ClassTerms:
    """The classes take turns in a shuffled cycle, `run` samples each. Needs counts [C]."""
    return ClassTerms(sampling=balanced(evidence).sampling, draw="turns", knobs={"run": run, "cycle": 1.0})


def half_and_half(evidence: Evidence, *, length: str) -> ClassTerms:
    """Every batch holds the same number of each class: one pointer per class, taking turns. Needs counts [C]."""
    knobs = {"run": 1.0, "whole": 1.0} if length == "whole" else {"run": 1.0}
    return ClassTerms(sampling=balanced(evidence).sampling, draw="turns", knobs=knobs)


def share(evidence: Evidence, *, rho: float) -> ClassTerms:
    """With probability rho a sample is drawn from the minority classes, uniformly over their samples. Needs counts [C].

    Minority: classes with fewer samples than the class mean. Without such classes, all counts equal, P(c) = n_c / N. Notes report
    counts that are nearly equal, and classes that are never drawn at rho 0 or 1.
    """
    n = _present(evidence)
    minority = (n < n[n > 0].mean()) & (n > 0)
    if not minority.any():
        return ClassTerms(sampling=n / n.sum(), notes=(NoMinority(),))
    shares = np.where(minority, rho * n / n[minority].sum(), (1 - rho) * n / n[~minority].sum())
    never = np.flatnonzero((shares == 0) & (n > 0))
    notes = (NeverDrawn(indices(never)),) if len(never) else ()
    if n.max() < NEARLY * n[n > 0].min():
        notes += (CountsNearlyEqual(NEARLY - 1, rho, indices(np.flatnonzero(minority))),)
    return ClassTerms(sampling=shares, notes=notes, info={"minority classes": float(minority.sum())})


def undersample(evidence: Evidence) -> ClassTerms:
    """As many samples of each class as the smallest has, chosen anew every epoch. Needs counts [C]."""
    n = _present(evidence)
    kept = n[n > 0].min() * np.sum(n > 0) / n.sum()
    return ClassTerms(
        sampling=balanced(evidence).sampling,
        draw="subset",
        notes=(EpochShare(float(kept)),),
    )


def smote(evidence: Evidence, *, k: int) -> ClassTerms:
    """Synthetic features between neighbors of a class until every class is as large as the largest: core.training.feature_smote."""
    return ClassTerms(knobs={"smote": k})


def _present(evidence: Evidence) -> Vector:
    """Counts [C], 0 for classes without samples. EvenlyError where there are no samples at all."""
    n = np.nan_to_num(samples(evidence))
    if not n.any():
        raise EvenlyError("no class has training samples; check the dataset")
    return n


_KANG = Source(
    "Kang, Xie, Rohrbach, Yan, Gordo, Feng and Kalantidis",
    2020,
    "Decoupling representation and classifier for long-tailed recognition",
    "https://arxiv.org/abs/1910.09217",
)
_CDBS = Source(
    "Sinha, Ohashi and Nakamura",
    2022,
    "Class-difficulty based methods for long-tailed visual recognition",
    "https://arxiv.org/abs/2207.14499",
)
_NOTES = Source("Course notes 50.039", 2021, "week 6: loss balancing (unpublished, the year is a guess)")

_Q = Param(
    key="q",
    label="Power q",
    default=0.5,
    low=0.0,
    high=1.0,
    step=0.05,
    help="1 draws in proportion to the counts, 1/2 to their square root, 0 every class equally often.",
)
_TAU = Param(
    key="tau",
    label="Tau",
    default=1.0,
    low=0.0,
    high=8.0,
    step=0.05,
    help="0 draws every class equally often; larger values draw hard classes more.",
)
_FLOOR = Param(
    key="floor",
    label="Floor",
    default=0.1,
    low=0.0,
    high=1.0,
    step=0.05,
    help="Share of the samples that is drawn equally from all classes, so that no class is forgotten.",
)
_RUN = Param(
    key="run",
    label="Samples a turn",
    default=4,
    low=1,
    high=100,
    step=1,
    integer=True,
    help="Consecutive samples of a class; 4 in the authors' code.",
)
_LENGTH = Param(
    "length",
    "Epoch length",
    "same",
    choices=("same", "whole"),
    help="same: as many samples as without the sampler. whole: until each sample of the largest class has been seen once.",
)
_RHO = Param(
    key="rho",
    label="Share of the minority",
    default=0.5,
    low=0.0,
    high=1.0,
    step=0.05,
    help="Probability that a sample is drawn from a minority class: one with fewer samples than the mean.",
)
_K = Param(
    key="k",
    label="Neighbors",
    default=5,
    low=1,
    high=50,
    step=1,
    integer=True,
    help="Nearest neighbors of the same class, of which one is chosen at random; fewer in smaller classes.",
)

COUNTS = frozenset({"counts"})
_REPEATS = "Samples of rare classes are seen many times an epoch and may be memorized."

SAMPLERS = Registry(
    "sampler",
    Method(
        key=PLAIN,
        label="Instance",
        group="Sampling",
        terms=instance,
        params=(),
        formula=r"P(c) = \frac{n_c}{N}",
        needs=frozenset(),
        slider=None,
        summary="Every sample once an epoch: ordinary training.",
        caveat="",
        source=_KANG,
        golden=(Golden(given={"counts": (3, 1)}, expect={}, knobs={}),),
    ),
    Method(
        key="balanced",
        label="Class-balanced",
        group="Sampling",
        terms=balanced,
        params=(),
        formula=r"P(c) = \frac{1}{C}",
        needs=COUNTS,
        slider=None,
        summary="Every class equally often, with replacement.",
        caveat=_REPEATS,
        source=_KANG,
        golden=(Golden(given={"counts": (3, 1)}, expect={"sampling": (0.5, 0.5)}),),
    ),
    Method(
        key="square_root",
        label="Square root",
        group="Sampling",
        terms=square_root,
        params=(),
        formula=r"P(c) \propto \sqrt{n_c}",
        needs=COUNTS,
        slider=None,
        summary="Halfway between instance and class-balanced sampling.",
        caveat="",
        source=_KANG,
        golden=(Golden(given={"counts": (9, 1)}, expect={"sampling": (0.75, 0.25)}),),
    ),
    Method(
        key="power",
        label="Power",
        group="Sampling",
        terms=power,
        params=(_Q,),
        formula=r"P(c) \propto n_c^{<q>}",
        needs=COUNTS,
        slider="q",
        summary="Anything between instance (q = 1) and class-balanced (q = 0) sampling.",
        caveat="",
        source=_KANG,
    ),
    Method(
        key="progressive",
        label="Progressive",
        group="Sampling",
        terms=progressive,
        params=(),
        formula=r"P_t(c) = (1 - t)\frac{n_c}{N} + \frac{t}{C}",
        needs=COUNTS,
        slider=None,
        summary="Begins with instance sampling and ends with class-balanced sampling.",
        caveat="t grows from 0 in the first epoch to 1 in the last.",
        source=_KANG,
        golden=(Golden(given={"counts": (9, 1)}, expect={"sampling": (0.9, 0.1), "t": 0}),),
    ),
    Method(
        key="difficulty",
        label="Difficulty (CDB-S)",
        group="Sampling",
        terms=difficulty,
        params=(_TAU, _FLOOR),
        formula=r"P_t(c) = (1 - <floor>)\,\frac{(1 - \mathrm{TPR}_{c,t-1})^{<tau>}}"
        r"{\sum_k (1 - \mathrm{TPR}_{k,t-1})^{<tau>}} + \frac{<floor>}{C}",
        needs=COUNTS | {"last_tpr"},
        slider="tau",
        summary="Draws hard classes more often, based on the run's own validation TPRs of the last epoch.",
        caveat="In the first epoch every class is drawn equally often. "
        "Our version: the paper's formula was not available to us and no code is public. The floor is ours.",
        source=_CDBS,
        golden=(Golden(given={"counts": (10, 10), "tpr": (0.9, 0.5)}, expect={"sampling": (0.2, 0.8)}),),
    ),
    Method(
        key="class_aware",
        label="Class-aware",
        group="Sampling",
        terms=class_aware,
        params=(_RUN,),
        formula=r"c_1 c_1 c_1 c_1\, c_2 c_2 c_2 c_2\, \ldots",
        needs=COUNTS,
        slider=None,
        summary="The classes take turns in a shuffled cycle, a few samples each.",
        caveat=_REPEATS,
        source=Source(
            "Shen, Lin and Huang",
            2016,
            "Relay backpropagation for effective learning of deep convolutional neural networks",
            "https://arxiv.org/abs/1512.05830",
        ),
        golden=(Golden(given={"counts": (3, 1)}, expect={"sampling": (0.5, 0.5)}, knobs={"run": 4, "cycle": 1}),),
    ),
    Method(
        key="half_and_half",
        label="Half and half, deterministic",
        group="Sampling",
        terms=half_and_half,
        params=(_LENGTH,),
        formula=r"\text{batch} = \tfrac{B}{C}\ \text{of each class}",
        needs=COUNTS,
        slider=None,
        summary="Every batch holds the same number of each class: one shuffled list and one pointer per class, taking turns.",
        caveat="With two classes and an even batch size each batch is exactly half minority, half majority. "
        + _REPEATS,
        source=_NOTES,
        golden=(Golden(given={"counts": (3, 1)}, expect={"sampling": (0.5, 0.5)}, knobs={"run": 1}),),
    ),
    Method(
        key="share",
        label="Half and half, probabilistic",
        group="Sampling",
        terms=share,
        params=(_RHO,),
        formula=r"P(\text{minority}) = <rho>",
        needs=COUNTS,
        slider="rho",
        summary="Each sample is drawn from a minority class with probability rho, so their number in a batch varies.",
        caveat="With two classes the minority is the smaller; with more, every class below the mean count. "
        "One sample fewer is enough. Where all counts are equal there is no "
        "minority: rho has no effect, and the classes are drawn equally often.",
        source=_NOTES,
        golden=(
            Golden(
                given={"counts": (6, 3, 3)},
                expect={"sampling": (0.6, 0.2, 0.2), "minority classes": 2},
                params={"rho": 0.4},
            ),
        ),
    ),
    Method(
        key="undersample",
        label="Under-sampling",
        group="Sampling",
        terms=undersample,
        params=(),
        formula=r"n'_c = n_{\min}",
        needs=COUNTS,
        slider=None,
        summary="As many samples of every class as the smallest has, chosen anew every epoch.",
        caveat="An epoch is shorter: use more epochs to train as long. It has been found to work where weights fail on large networks.",
        source=Source(
            "Sagawa, Raghunathan, Koh and Liang",
            2020,
            "An investigation of why overparameterization exacerbates spurious correlations",
            "https://arxiv.org/abs/2005.04345",
        ),
        golden=(Golden(given={"counts": (3, 1)}, expect={"sampling": (0.5, 0.5)}),),
    ),
    Method(
        key="smote",
        label="SMOTE in feature space",
        group="Sampling",
        terms=smote,
        params=(_K,),
        formula=r"x' = x_i + u\,(x_{nn} - x_i),\quad u \sim U(0, 1)",
        needs=COUNTS | {"network"},
        slider=None,
        summary="Makes new features between a sample and one of its neighbors until every class is as large as the largest.",
        caveat="For a second stage on frozen features only: between raw images it would produce meaningless blends.",
        source=Source(
            "Chawla, Bowyer, Hall and Kegelmeyer",
            2002,
            "SMOTE: synthetic minority over-sampling technique",
            "https://arxiv.org/abs/1106.1813",
        ),
        stage=CLASSIFIER,
        decided="Made during training: new features between neighbors, until every class is as large as the largest.",
        golden=(Golden(given={"counts": (3, 1)}, expect={}, knobs={"smote": 5}),),
    ),
)
