"""Methods that change the logits during training: shifts, scales and margins from the training counts. pi_c = n_c / N."""

from __future__ import annotations

import numpy as np

from core.methods.frequency_weights import class_balanced
from core.methods.method import Method, filled
from core.methods.types import ClassTerms, Evidence
from core.registry import Param, Source


def balanced_softmax(evidence: Evidence) -> ClassTerms:
    """shift_c = log pi_c (published as log n_c: a constant on all logits changes nothing). Needs counts [C]."""
    return logit_adjusted(evidence, tau=1.0)


def logit_adjusted(evidence: Evidence, *, tau: float) -> ClassTerms:
    """shift_c = tau log pi_c. Needs counts [C]."""
    n, notes = filled(evidence)
    return ClassTerms(shift=tau * np.log(n / n.sum()), notes=notes)


def cdt(evidence: Evidence, *, gamma: float) -> ClassTerms:
    """scale_c = (n_c / n_max)^gamma. Needs counts [C]."""
    n, notes = filled(evidence)
    return ClassTerms(scale=(n / n.max()) ** gamma, notes=notes)


def vs(evidence: Evidence, *, gamma: float, tau: float) -> ClassTerms:
    """scale_c = (n_c / n_max)^gamma and shift_c = tau log pi_c. Needs counts [C]."""
    n, notes = filled(evidence)
    return ClassTerms(scale=(n / n.max()) ** gamma, shift=tau * np.log(n / n.sum()), notes=notes)


def ldam(evidence: Evidence, *, max_margin: float, s: float, reweight: float) -> ClassTerms:
    """margin_c = max_margin (n_c / n_min)^(-1/4) on the cosines of a normalized last layer, everything times s. Needs counts [C].

    s (z - m 1[y]) = s z - s m 1[y]: the loss subtracts the margin from the cosines, then applies the scale s (`knobs`).
    `reweight` > 0 adds class-balanced weights of that beta, as LDAM-DRW does with a late start.
    """
    n, notes = filled(evidence, as_smallest=True)
    weight = class_balanced(evidence, beta=reweight).weight if reweight > 0 else None
    return ClassTerms(margin=max_margin * (n / n.min()) ** -0.25, weight=weight, knobs={"s": s}, notes=notes)


_MENON = Source(
    "Menon, Jayasumana, Rawat, Jain, Veit and Kumar",
    2021,
    "Long-tail learning via logit adjustment",
    "https://arxiv.org/abs/2007.07314",
)
_TAU = Param(
    key="tau",
    label="Tau",
    default=1.0,
    low=0.0,
    high=4.0,
    step=0.05,
    help="0 is plain cross entropy, 1 is consistent with balanced accuracy.",
)
_CDT_GAMMA = Param(
    key="gamma",
    label="Gamma",
    default=0.2,
    low=0.0,
    high=1.0,
    step=0.01,
    help="0 is plain cross entropy; published values are 0.1 to 0.3, and the default is their midpoint.",
)
_VS_GAMMA = Param(
    key="gamma",
    label="Gamma",
    default=0.3,
    low=0.0,
    high=1.0,
    step=0.01,
    help="Exponent of the logit scale. The authors' code uses 0.3 by default and "
    "0.2 (with tau 1.2) for long-tailed CIFAR-10; a later rerun on CIFAR-100 uses 0.05.",
)
_MARGIN = Param(
    key="max_margin",
    label="Largest margin",
    default=0.5,
    low=0.0,
    high=1.0,
    step=0.05,
    help="Margin of the smallest class, on cosines.",
)
_S = Param(
    key="s",
    label="Scale",
    default=30.0,
    low=1.0,
    high=100.0,
    step=1.0,
    help="Factor of the cosines before the softmax.",
)
_LDAM_BETA = Param(
    key="reweight",
    label="Beta of the weights",
    default=0.0,
    low=0.0,
    high=0.999999,
    step=0.0001,
    help="0 is unweighted. 0.9999 with a late start at 80 % of the epochs, of weights and sampling only, is LDAM-DRW.",
)

_LDAM_MARGIN = r"m_c = <max_margin>\left(\frac{n_{\min}}{n_c}\right)^{1/4},\quad "
_LDAM_LOSS = r"\mathrm{CE}\left(<s>\,(\cos\theta_c - m_y\,\mathbf{1}[c = y])\right)"
_LDAM = _LDAM_MARGIN + r"w_y\," + _LDAM_LOSS + r",\quad w_c \propto \frac{1 - <reweight>}{1 - <reweight>^{n_c}}"

COUNTS = frozenset({"counts"})
_TAILED = "Long-tailed training data, balanced test data."

ORDER = 60
ROWS = (
    Method(
        key="balanced_softmax",
        label="Balanced softmax",
        group="Logits",
        terms=balanced_softmax,
        params=(),
        formula=r"b_c = \log n_c",
        needs=COUNTS,
        slider=None,
        summary="Adds the log count of each class to its logit during training, so the network need not learn the imbalance.",
        caveat="Equal to logit adjustment at tau 1. On balanced data it changes nothing. Predictions use the unshifted logits.",
        source=Source(
            "Ren, Yu, Sheng, Ma, Zhao, Yi and Li",
            2020,
            "Balanced meta-softmax for long-tailed visual recognition",
            "https://arxiv.org/abs/2007.10740",
        ),
        when=_TAILED,
    ),
    Method(
        key="logit_adjusted",
        label="Logit adjustment",
        group="Logits",
        terms=logit_adjusted,
        params=(_TAU,),
        formula=r"b_c = <tau>\,\log \pi_c",
        needs=COUNTS,
        slider="tau",
        summary="Balanced softmax with a strength: adds tau times the log of the class's share of the samples to its logit.",
        caveat="The authors' recipe has 1,241 to 1,419 epochs; other recipes give different figures.",
        source=_MENON,
        when=_TAILED,
    ),
    Method(
        key="cdt",
        label="Class-dependent temperature (CDT)",
        group="Logits",
        terms=cdt,
        params=(_CDT_GAMMA,),
        formula=r"a_c = \left(\frac{n_c}{n_{\max}}\right)^{<gamma>}",
        needs=COUNTS,
        slider="gamma",
        summary="Shrinks the logits of rare classes during training, so that they must grow larger to fit.",
        caveat="Unlike a weight, a factor on the logits keeps acting once the training data are fitted.",
        source=Source(
            "Ye, Chen, Zhan and Chao",
            2020,
            "Identifying and compensating for feature deviation in imbalanced deep learning",
            "https://arxiv.org/abs/2001.01385",
        ),
        when=_TAILED,
    ),
    Method(
        key="vs",
        label="Vector scaling (VS)",
        group="Logits",
        terms=vs,
        params=(_VS_GAMMA, _TAU),
        formula=r"a_c = \left(\frac{n_c}{n_{\max}}\right)^{<gamma>},\quad b_c = <tau>\,\log \pi_c",
        needs=COUNTS,
        slider="gamma",
        summary="Class-dependent temperature combined with logit adjustment.",
        caveat="Gamma and tau need tuning for each dataset; the defaults are those of the authors' code.",
        source=Source(
            "Kini, Paraskevas, Oymak and Thrampoulidis",
            2021,
            "Label-imbalanced and group-sensitive classification under overparameterization",
            "https://arxiv.org/abs/2103.01550",
        ),
        when=_TAILED,
    ),
    Method(
        key="ldam",
        label="Label-distribution-aware margin (LDAM)",
        group="Logits",
        terms=ldam,
        params=(_MARGIN, _S, _LDAM_BETA),
        formula=_LDAM,
        needs=COUNTS,
        slider="max_margin",
        summary="Requires a larger margin for rare classes. The last layer is a cosine classifier.",
        caveat="Compare it with cross entropy on an ordinary last layer, as the paper does: the cosine head alone changes the result.",
        source=Source(
            "Cao, Wei, Gaidon, Arechiga and Ma",
            2019,
            "Learning imbalanced datasets with label-distribution-aware margin loss",
            "https://arxiv.org/abs/1906.07413",
        ),
        when=_TAILED,
        head="cosine",
        latex=lambda p: _LDAM if p["reweight"] > 0 else _LDAM_MARGIN + _LDAM_LOSS,
        tested_with={"reweight": 0.9999},
    ),
)
