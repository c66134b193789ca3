"""Methods that move the logits while training: shifts, scales, margins from the training counts. pi_c = n_c / N."""

from __future__ import annotations

import numpy as np

from core.methods.frequency_weights import class_balanced
from core.methods.method import Method, filled
from core.methods.types import ClassTerms, Evidence
from core.registry import Param, Source


def balanced_softmax(evidence: Evidence) -> ClassTerms:
    """shift_c = log pi_c (published as log n_c: a common summand changes nothing). Needs counts [C]."""
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
    """margin_c = max_margin (n_c / n_min)^(-1/4) on the cosines of a normalised last layer, everything times s. Needs counts [C].

    s (z - m 1[y]) = s z - s m 1[y]: the loss takes the scale s from the cosine head (`knobs`), and the margin before it.
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
    "tau", "Tau", 1.0, 0.0, 4.0, 0.05, help="0 is plain cross entropy, 1 is consistent with balanced accuracy."
)
_CDT_GAMMA = Param(
    "gamma",
    "Gamma",
    0.2,
    0.0,
    1.0,
    0.01,
    help="0 is plain cross entropy; published values lie between 0.1 and 0.3, and the default in their middle.",
)
_VS_GAMMA = Param(
    "gamma",
    "Gamma",
    0.3,
    0.0,
    1.0,
    0.01,
    help="Exponent of the logit scale: 0.3 by default in the authors' code, "
    "0.2 (with tau 1.2) there for long-tailed CIFAR-10; 0.05 in a later rerun on CIFAR-100.",
)
_MARGIN = Param("max_margin", "Largest margin", 0.5, 0.0, 1.0, 0.05, help="Margin of the smallest class, on cosines.")
_S = Param("s", "Scale", 30.0, 1.0, 100.0, 1.0, help="Factor of the cosines before the softmax.")
_LDAM_BETA = Param(
    "reweight",
    "Beta of the weights",
    0.0,
    0.0,
    0.999999,
    0.0001,
    help="0 sets no weights. 0.9999 with a start at 80 % of the epochs, weights and sampling only, is LDAM-DRW.",
)

_LDAM_MARGIN = r"m_c = <max_margin>\left(\frac{n_{\min}}{n_c}\right)^{1/4},\quad "
_LDAM_LOSS = r"\mathrm{CE}\left(<s>\,(\cos\theta_c - m_y\,\mathbf{1}[c = y])\right)"
_LDAM = _LDAM_MARGIN + r"w_y\," + _LDAM_LOSS + r",\quad w_c \propto \frac{1 - <reweight>}{1 - <reweight>^{n_c}}"

COUNTS = frozenset({"counts"})
_TAILED = "Long-tailed training data, balanced test data."

ROWS = (
    Method(
        "balanced_softmax",
        "Balanced softmax",
        "Logits",
        balanced_softmax,
        (),
        r"b_c = \log n_c",
        COUNTS,
        None,
        "Adds the log count of each class to its logit while training, so the network need not learn the imbalance.",
        "Equal to logit adjustment at tau 1. On balanced data it changes nothing. Predictions use the plain logits.",
        Source(
            "Ren, Yu, Sheng, Ma, Zhao, Yi and Li",
            2020,
            "Balanced meta-softmax for long-tailed visual recognition",
            "https://arxiv.org/abs/2007.10740",
        ),
        when=_TAILED,
    ),
    Method(
        "logit_adjusted",
        "Logit adjustment",
        "Logits",
        logit_adjusted,
        (_TAU,),
        r"b_c = <tau>\,\log \pi_c",
        COUNTS,
        "tau",
        "Balanced softmax with a strength: the logarithm of the class's share of the samples, times tau, on its logit.",
        "The authors' recipe has 1,241 to 1,419 epochs; other recipes give other figures.",
        _MENON,
        when=_TAILED,
    ),
    Method(
        "cdt",
        "Class-dependent temperature (CDT)",
        "Logits",
        cdt,
        (_CDT_GAMMA,),
        r"a_c = \left(\frac{n_c}{n_{\max}}\right)^{<gamma>}",
        COUNTS,
        "gamma",
        "Shrinks the logits of rare classes while training, so that they must grow larger to fit.",
        "A factor keeps acting once the training data are fitted, where a weight fades.",
        Source(
            "Ye, Chen, Zhan and Chao",
            2020,
            "Identifying and compensating for feature deviation in imbalanced deep learning",
            "https://arxiv.org/abs/2001.01385",
        ),
        when=_TAILED,
    ),
    Method(
        "vs",
        "Vector scaling (VS)",
        "Logits",
        vs,
        (_VS_GAMMA, _TAU),
        r"a_c = \left(\frac{n_c}{n_{\max}}\right)^{<gamma>},\quad b_c = <tau>\,\log \pi_c",
        COUNTS,
        "gamma",
        "Class-dependent temperature and logit adjustment at once.",
        "Gamma and tau want tuning for each dataset; the defaults are those of the authors' code.",
        Source(
            "Kini, Paraskevas, Oymak and Thrampoulidis",
            2021,
            "Label-imbalanced and group-sensitive classification under overparameterization",
            "https://arxiv.org/abs/2103.01550",
        ),
        when=_TAILED,
    ),
    Method(
        "ldam",
        "Label-distribution-aware margin (LDAM)",
        "Logits",
        ldam,
        (_MARGIN, _S, _LDAM_BETA),
        _LDAM,
        COUNTS,
        "max_margin",
        "Asks for a larger margin from rare classes. The last layer is a cosine classifier.",
        "Compare it with cross entropy on an ordinary last layer, as the paper does: the cosine head alone changes the result.",
        Source(
            "Cao, Wei, Gaidon, Arechiga and Ma",
            2019,
            "Learning imbalanced datasets with label-distribution-aware margin loss",
            "https://arxiv.org/abs/1906.07413",
        ),
        when=_TAILED,
        head="cosine",
        latex=lambda p: _LDAM if p["reweight"] > 0 else _LDAM_MARGIN + _LDAM_LOSS,
    ),
)
