"""Methods that change the shape of the loss instead of weighting classes: how much a sample counts, and against which classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.methods.frequency_weights import smooth_inverse_frequency
from core.methods.method import Golden, Method, filled
from core.methods.notes import ClassesMasked, EqualSmoothing
from core.methods.types import ClassTerms, Evidence, Vector
from core.registry import Param, Source


def focal(
    evidence: Evidence, *, form: str, gamma: float, alpha: float | str, variant: str, prior: float | str
) -> ClassTerms:
    """focus_c = gamma for every class: the loss of a sample is scaled by (1 - p_y)^gamma.

    The softmax form is a modulated cross entropy; the sigmoid form sums C modulated binary cross entropies. alpha weights
    positives (1 - alpha negatives) in the sigmoid form; in the softmax form it is a common factor. `prior`: sigmoid form only.
    """
    knobs: dict[str, float] = {} if alpha == "off" else {"alpha": float(alpha)}
    if variant == "detached":
        knobs["detached"] = 1.0
    sigmoid = form == "sigmoid"
    return ClassTerms(
        focus=np.full(evidence.classes, gamma),
        objective="sigmoid" if sigmoid else "terms",
        knobs=knobs | (_prior(prior, evidence) if sigmoid else {}),
    )


def ghm(evidence: Evidence, *, bins: int, momentum: float, prior: float | str) -> ClassTerms:
    """Outputs (sample, class) whose gradient norm |sigmoid(z) - y| is common count less; see core/training/objectives."""
    return ClassTerms(objective="ghm", knobs={"bins": bins, "momentum": momentum, **_prior(prior, evidence)})


def seql(evidence: Evidence, *, gamma: float, threshold: float, variant: str) -> ClassTerms:
    """mask_c = gamma for classes with n_c / N < lambda: the probability that their logit is left out for a sample of another class."""
    return _equalized(evidence, gamma, threshold, "terms", _variant(variant))


def eql(evidence: Evidence, *, gamma: float, threshold: float, variant: str, prior: float | str) -> ClassTerms:
    """The sigmoid form: gamma is the probability that a rare class's binary loss is left out for a sample of another class."""
    return _equalized(evidence, gamma, threshold, "sigmoid", _variant(variant) | _prior(prior, evidence))


def _variant(variant: str) -> dict[str, float]:
    return {"together": 1.0} if variant == "cdb_code" else {}


def _prior(prior: float | str, evidence: Evidence) -> dict[str, float]:
    """The knob `prior`: the probability at which the head's sigmoids start; no knob where it is off."""
    return {} if prior == "off" else {"prior": 1 / evidence.classes if prior == "1/C" else float(prior)}


def _equalized(
    evidence: Evidence, gamma: float, threshold: float, objective: str, knobs: Mapping[str, float]
) -> ClassTerms:
    n, notes = filled(evidence)
    rare = n / n.sum() < threshold
    masked = ClassesMasked(int(rare.sum()), len(n), threshold)
    return ClassTerms(mask=np.where(rare, gamma, 0.0), objective=objective, knobs=knobs, notes=(*notes, masked))


@dataclass(frozen=True)
class Shape:
    """x in [0, 1], (n - n_min) / (n_max - n_min) -> fraction of the way from tail to head; `latex` writes it with {x} and <power>."""

    share: Callable[[Vector, float], Vector]
    latex: str


SHAPES = {
    "concave": Shape(lambda x, _: np.sin(math.pi / 2 * x), r"\sin\left(\tfrac{\pi}{2} {x}\right)"),
    "linear": Shape(lambda x, _: x, "{x}"),
    "convex": Shape(
        lambda x, _: 1 + np.sin(1.5 * math.pi + math.pi / 2 * x),
        r"\left(1 + \sin\left(\tfrac{3\pi}{2} + \tfrac{\pi}{2} {x}\right)\right)",
    ),
    "exp": Shape(lambda x, power: x**power, r"{x}^{<power>}"),
}


def label_aware_smoothing(evidence: Evidence, *, head: float, tail: float, shape: str, power: float) -> ClassTerms:
    """smoothing_c from `head` for the largest class to `tail` for the smallest. Equal counts: the mean of both for all."""
    n, notes = filled(evidence, as_smallest=True)
    span = n.max() - n.min()
    if span == 0:
        return ClassTerms(
            smoothing=np.full(len(n), (head + tail) / 2),
            notes=(*notes, EqualSmoothing()),
        )
    share = SHAPES[shape].share((n - n.min()) / span, power)
    return ClassTerms(smoothing=np.clip(tail + (head - tail) * share, 0.0, 1.0), notes=notes)


def poly_tail(evidence: Evidence, *, alpha: float, beta: float, reweight: float) -> ClassTerms:
    """Cross entropy whose tail falls as a power of the margin, so that weights still act once the data are fitted.

    w_c ~ (min n / n_c)^reweight at mean 1.
    """
    return replace(
        smooth_inverse_frequency(evidence, gamma=reweight), objective="poly_tail", knobs={"alpha": alpha, "beta": beta}
    )


def _focal_latex(params: Mapping[str, Any]) -> str:
    """The chosen form, with the factor alpha where it is set."""
    on = params["alpha"] != "off"
    if params["form"] == "softmax":
        return rf"\mathrm{{FL}} = -{'<alpha>' if on else ''}(1 - p_y)^{{<gamma>}} \log p_y"
    own, other = ("<alpha>", "(1 - <alpha>)") if on else ("", "")
    return (
        rf"\mathrm{{FL}} = -{own}(1 - q_y)^{{<gamma>}} \log q_y - \sum_{{c \ne y}} {other}q_c^{{<gamma>}} \log(1 - q_c),"
        r"\quad q_c = \sigma(z_c)"
    )


def _ghm_latex(params: Mapping[str, Any]) -> str:
    """The formula, with the moving average of the bins where momentum is above 0."""
    text = (
        r"\frac{1}{M}\sum_{i,c} \frac{\mathrm{BCE}_{ic}}{R(g_{ic})},\quad g_{ic} = |\sigma(z_{ic}) - y_{ic}|,"
        r"\quad R(g) = \text{outputs in the bin of } g \text{, one of } <bins>"
    )
    if params["momentum"] == 0:
        return text
    return (
        text.replace("{R(g_{ic})}", "{S(g_{ic})}") + r",\quad S(g) \leftarrow <momentum>\,S(g) + (1 - <momentum>)\,R(g)"
    )


def _smoothing_latex(params: Mapping[str, Any]) -> str:
    """The formula with the chosen shape written out."""
    share = SHAPES[params["shape"]].latex.replace("{x}", "x_c")
    return rf"\epsilon_c = <tail> + (<head> - <tail>)\,{share},\quad x_c = \tfrac{{n_c - n_{{\min}}}}{{n_{{\max}} - n_{{\min}}}}"


_LIN = Source(
    "Lin, Goyal, Girshick, He and Dollar",
    2017,
    "Focal loss for dense object detection",
    "https://arxiv.org/abs/1708.02002",
)
_TAN = Source(
    "Tan, Wang, Li, Li, Ouyang, Yin and Yan",
    2020,
    "Equalization loss for long-tailed object recognition",
    "https://arxiv.org/abs/2003.05176",
)

_GAMMA = Param(
    key="gamma",
    label="Gamma",
    default=2.0,
    low=0.0,
    high=8.0,
    step=0.05,
    help="0 is plain cross entropy; larger values count samples less that are already right.",
)
_FORM = Param(
    "form",
    "Form",
    "softmax",
    choices=("softmax", "sigmoid"),
    help="softmax: one loss over all classes, as in the LDAM and CDB codes. "
    "sigmoid: one binary loss per class, summed, as in the paper and the class-balanced code.",
)
_ALPHA = Param(
    key="alpha",
    label="Alpha",
    default="off",
    low=0.0,
    high=1.0,
    step=0.05,
    words=("off",),
    help="Factor of the true class; in the sigmoid form 1 - alpha is the factor of the others (detection uses 0.25).",
)
_FOCAL_VARIANT = Param(
    "variant",
    "Variant",
    "paper",
    choices=("paper", "detached"),
    help="paper: the factor (1 - p)^gamma is differentiated through. detached: the factor is treated as a constant, as in the CDB code.",
)
_PRIOR_HELP = (
    "Initial probability p of every class's sigmoid, set by biases of -log((1 - p) / p) without weight decay. "
    "off: PyTorch's biases near 0, with which the C - 1 other classes start near 0.5 and dominate the first epochs. "
)
_FOCAL_PRIOR = Param(
    key="prior",
    label="Initial probability",
    default="1/C",
    low=1e-6,
    high=0.5,
    step=0.001,
    words=("1/C", "off"),
    help=_PRIOR_HELP + "Sigmoid form only. 1/C as in the class-balanced and CDB codes; detectors use 0.01.",
)
_EQL_PRIOR = Param(
    key="prior",
    label="Initial probability",
    default=0.001,
    low=1e-6,
    high=0.5,
    step=0.001,
    words=("1/C", "off"),
    help=_PRIOR_HELP + "0.001 as in the authors' detector, 1/C in the CDB code.",
)
_GHM_PRIOR = Param(
    key="prior",
    label="Initial probability",
    default="off",
    low=1e-6,
    high=0.5,
    step=0.001,
    words=("1/C", "off"),
    help=_PRIOR_HELP
    + "Off by default: we know of no source for it with this loss, which divides by how common a gradient norm is.",
)
_EQL_VARIANT = Param(
    "variant",
    "Variant",
    "paper",
    choices=("paper", "cdb_code"),
    help="paper: drawn per sample and class, as in public codes of the softmax form. "
    "cdb_code: drawn once per batch, so rare classes "
    "are shielded from all of its samples or none; that code uses the sigmoid form, gamma 0.95 and lambda 0.03.",
)
_BINS = Param(
    key="bins",
    label="Bins",
    default=10,
    low=1,
    high=100,
    step=1,
    integer=True,
    help="Equal bins of the gradient norm in [0, 1]: 10 by default in the authors' code, 30 in their detector.",
)
_MOMENTUM = Param(
    key="momentum",
    label="Momentum",
    default=0.0,
    low=0.0,
    high=0.99,
    step=0.01,
    help="Momentum of the moving average of the bin counts: 0 by default, "
    "0.75 in the authors' detector. The average starts at 0, so the first steps weigh more.",
)
_KEEP = Param(
    key="gamma",
    label="Gamma",
    default=0.9,
    low=0.0,
    high=1.0,
    step=0.05,
    help="Probability that a rare class is shielded from a sample of another class; 0 is plain cross entropy.",
)
_LAMBDA = Param(
    key="threshold",
    label="Lambda",
    default=0.005,
    low=0.0,
    high=1.0,
    step=0.001,
    help="A class below this share of the training samples is rare. Start with 0.05 for 10 classes; 0.005 suits 100.",
)
_HEAD = Param(
    key="head", label="Head", default=0.3, low=0.0, high=0.99, step=0.01, help="Smoothing of the largest class."
)
_TAIL = Param(
    key="tail", label="Tail", default=0.0, low=0.0, high=0.99, step=0.01, help="Smoothing of the smallest class."
)
_SHAPE = Param(
    "shape",
    "Shape",
    "concave",
    choices=tuple(SHAPES),
    help="How the smoothing falls from head to tail over the counts.",
)
_POWER = Param(
    key="power",
    label="Power",
    default=2.0,
    low=0.1,
    high=10.0,
    step=0.1,
    help="Exponent of the shape exp; the other shapes have none. The default is ours.",
)
_POLY_ALPHA = Param(
    key="alpha",
    label="Alpha",
    default=1.0,
    low=0.1,
    high=8.0,
    step=0.1,
    help="Power of the tail: the loss falls as 1 / margin^alpha.",
)
_POLY_BETA = Param(
    key="beta", label="Beta", default=1.0, low=-2.0, high=8.0, step=0.1, help="Margin at which the tail begins."
)
_REWEIGHT = Param(
    key="reweight",
    label="Weight exponent",
    default=1.0,
    low=0.0,
    high=3.0,
    step=0.05,
    help="Exponent of the inverse-frequency weights; 0 is unweighted, the paper also tries values above 1.",
)

COUNTS = frozenset({"counts"})
SIGMOID = "core.training.objectives.sigmoid:Sigmoid"

ORDER = 50
ROWS = (
    Method(
        key="focal",
        label="Focal",
        group="Loss shape",
        terms=focal,
        params=(_GAMMA, _FORM, _ALPHA, _FOCAL_VARIANT, _FOCAL_PRIOR),
        formula=r"\mathrm{FL} = -(1 - p_y)^{<gamma>} \log p_y",
        needs=frozenset(),
        slider=None,
        summary="Samples already classified with confidence count less. It sets no class weights.",
        caveat="Two losses share this name: the sigmoid form of the paper and the softmax form of most long-tail code. "
        "The CDB code does not differentiate "
        "through the factor (variant detached).",
        source=_LIN,
        when="Many easy samples outweigh a few hard ones, as in detection.",
        latex=_focal_latex,
        objective=SIGMOID,
        tested_with={"form": "sigmoid", "alpha": 0.25},
        golden=(
            Golden(given={"logits": ((0, 0),), "labels": (0,)}, expect={"focus": (2, 2), "loss": 0.25 * math.log(2)}),
            Golden(
                given={"logits": ((0, 0),), "labels": (0,)},
                expect={"focus": (2, 2), "loss": 0.25 * (0.25 + 0.75) * math.log(2)},
                params={"form": "sigmoid", "alpha": 0.25},
            ),
        ),
    ),
    Method(
        key="ghm",
        label="Gradient harmonizing (GHM-C)",
        group="Loss shape",
        terms=ghm,
        params=(_BINS, _MOMENTUM, _GHM_PRIOR),
        formula=_ghm_latex({"momentum": 0.0}),
        needs=frozenset(),
        slider=None,
        summary="Binary losses per class, each divided by how common its gradient norm is in the batch: "
        "very easy and very hard samples count less.",
        caveat="All B x C outputs of a batch are binned together; M is the number of bins that are not empty. "
        "With momentum m, the moving average S of a bin replaces R: it starts at 0 and becomes "
        "m S + (1 - m) R in every step in which the bin is not empty. Sigmoid form only. It depends on samples, not on classes. "
        "With hundreds of classes try an initial probability of 1/C; no source recommends it for this loss.",
        source=Source(
            "Li, Liu and Wang", 2019, "Gradient harmonized single-stage detector", "https://arxiv.org/abs/1811.05181"
        ),
        when="Outliers and easy samples dominate the gradient.",
        latex=_ghm_latex,
        decided="Computed in every step: an output counts less, the more outputs of the batch have a similar gradient norm.",
        objective="core.training.objectives.ghm:GradientHarmonizing",
        golden=(
            Golden(
                given={"logits": ((0, 0), (math.log(3), 0)), "labels": (0, 0)},
                expect={"loss": (math.log(2) + math.log(4 / 3)) / 2},
            ),
        ),
    ),
    Method(
        key="seql",
        label="Softmax equalization (SEQL)",
        group="Loss shape",
        terms=seql,
        params=(_KEEP, _LAMBDA, _EQL_VARIANT),
        formula=r"p_j = \frac{e^{z_j}}{\sum_k \omega_k e^{z_k}},\quad "
        r"\omega_k = 1 - \beta_k\,\mathbf{1}[\tfrac{n_k}{N} \lt <threshold>]\,(1 - y_k),\ \beta_k \sim \mathrm{Bernoulli}(<gamma>)",
        needs=COUNTS,
        slider="threshold",
        summary="Rare classes are left out of the softmax of other classes' samples most of the time, so "
        "frequent classes do not push them down.",
        caveat="Masks are drawn per sample and class, as in two public codes; the CDB code, of the sigmoid form, "
        "draws once per batch (variant cdb_code).",
        source=_TAN,
        when="Many rare classes.",
        tested_with={"variant": "cdb_code"},
        golden=(Golden(given={"counts": (90, 8, 2)}, expect={"mask": (0, 0, 0.9)}, params={"threshold": 0.05}),),
    ),
    Method(
        key="eql",
        label="Sigmoid equalization (EQL)",
        group="Loss shape",
        terms=eql,
        params=(_KEEP, _LAMBDA, _EQL_VARIANT, _EQL_PRIOR),
        formula=r"\sum_j \omega_j\,\mathrm{BCE}_j,\quad "
        r"\omega_j = 1 - \beta_j\,\mathbf{1}[\tfrac{n_j}{N} \lt <threshold>]\,(1 - y_j),\ \beta_j \sim \mathrm{Bernoulli}(<gamma>)",
        needs=COUNTS,
        slider="threshold",
        summary="The detection form: one binary loss per class, where that of a rare class is left out for samples of other classes.",
        caveat="Made for detection, where gamma is 1 except for background; here there is no background, "
        "and masks are drawn per sample and class.",
        source=_TAN,
        when="Many rare classes, sigmoid outputs.",
        objective=SIGMOID,
        golden=(
            Golden(
                given={"counts": (90, 8, 2)},
                expect={"mask": (0, 0, 0.9)},
                params={"threshold": 0.05},
                knobs={"prior": 0.001},
            ),
        ),
    ),
    Method(
        key="label_aware_smoothing",
        label="Label-aware smoothing",
        group="Loss shape",
        terms=label_aware_smoothing,
        params=(_HEAD, _TAIL, _SHAPE, _POWER),
        formula=r"\epsilon_c = <tail> + (<head> - <tail>)\, f\left(\tfrac{n_c - n_{\min}}{n_{\max} - n_{\min}}\right)",
        needs=COUNTS,
        slider="head",
        summary="Label smoothing that is strong for large classes and weak for small ones, against over-confidence in the head.",
        caveat="Published for a second stage after mixup; here it acts from the first epoch. "
        "The smoothing is spread over all classes, the true one included.",
        source=Source(
            "Zhong, Cui, Liu and Jia",
            2021,
            "Improving calibration for long-tailed recognition",
            "https://arxiv.org/abs/2104.00466",
        ),
        when="Long-tailed data, over-confident probabilities.",
        latex=_smoothing_latex,
    ),
    Method(
        key="poly_tail",
        label="Polynomially tailed loss",
        group="Loss shape",
        terms=poly_tail,
        params=(_POLY_ALPHA, _POLY_BETA, _REWEIGHT),
        formula=r"w_y\,\ell(m),\quad w_c \propto \left(\frac{n_{\min}}{n_c}\right)^{<reweight>},\quad "
        r"m = z_y - \log \sum_{j \ne y} e^{z_j},"
        r"\quad \ell(m) = \begin{cases}\log(1 + e^{-m})\,/\,\log(1 + e^{-<beta>}) & m \lt <beta>\\ "
        r"(m - (<beta> - 1))^{-<alpha>} & m \ge <beta>\end{cases}",
        needs=COUNTS,
        slider="alpha",
        summary="Cross entropy up to a margin, then a tail that falls as a power instead of exponentially: "
        "weights keep acting once the training data are fitted.",
        caveat="Our version for C classes: the margin is the true logit minus the log-sum-exp of the others, "
        "so below beta it is cross entropy up to a factor.",
        source=Source(
            "Wang, Chatterji, Haque and Hashimoto",
            2022,
            "Is importance weighting incompatible with interpolating classifiers?",
            "https://arxiv.org/abs/2112.12986",
        ),
        when="The network fits its training data perfectly and weights have stopped acting.",
        objective="core.training.objectives.poly_tail:PolynomialTail",
        golden=(
            Golden(
                given={"counts": (4, 1), "logits": ((2, 0), (0, 0)), "labels": (0, 1)},
                expect={"weight": (0.4, 1.6), "loss": (0.4 * 0.5 + 1.6 * math.log(2) / math.log(1 + math.exp(-1))) / 2},
            ),
        ),
    ),
)
