"""What applies to every method: the one loss and its rules. The Methods page and docs/methods.md show the same text."""

from __future__ import annotations

from core.methods.normalization import NEGLIGIBLE, UNKNOWN_FLOOR

ONE_LOSS = (
    r"\mathrm{reduce}_i\left[ w_y\,(1-p_y)^{f_y}\,\ell_i \right],\quad "
    r"\ell_i = \mathrm{CE}_{s_y}\left( a_c z_c + b_c - m_y\,\mathbf{1}[c=y] \right)"
)

NOTATION = r"""$\mathrm{TPR}_c$ is the true-positive rate of class $c$ on the validation split, $\overline{\mathrm{TPR}}$ its mean
over the classes, $n_c$ the number of training samples, $\pi_c = n_c / N$ its share of all $N$, $p$ the softmax of the logits $z$, $y$ the
true class."""

TERMS = """with weight $w$, focus $f$, smoothing $s$, logit scale $a$, logit shift $b$ and margin $m$ per class; what a method
does not set is left out. A method may also set the probability with which a class is sampled, and the one with which a class's logit
is left out for samples of other classes (mask). Methods that do not fit this form (binary losses, weights updated in every
step, second stages, post-hoc steps) say so in their rows and have one file each in `core/training/objectives/`,
`models/networks/heads.py` or `core/methods/posthoc.py`."""

RULES = {
    "Late start": """Any method and any sampler but SMOTE can start late (`start`, a share of the epochs): 0.8 with class-balanced
weights is DRW, with a sampler DRS. `deferred weight` delays weights and sampling only, so that LDAM's margins act from the first
epoch: LDAM-DRW. Weights that are updated in every step are delayed too; a method without a weight is rejected there, unless its sampler
can be delayed.""",
    "Reduction": """The weighted mean (`weighted_mean`) divides by the sum of the weights in the batch, as PyTorch's
`CrossEntropyLoss(weight=w)` does: a common factor on the weights changes nothing. The batch mean (`batch_mean`) divides by the batch
size: a common factor acts as a learning rate. Papers differ in this, so it is a setting of the run. Group DRO, L2RW, Meta-Weight-Net and
Difficulty-Net weight the samples of a batch in their own way, described in their rows: the setting has no effect there.""",
    "Scale": r"""$\propto$ means that the weights are rescaled to mean 1 over the classes that have evidence.""",
    "Clipping": rf"""A TPR is clipped into $[\epsilon_c, 1-\epsilon_c]$ with $\epsilon_c = 1/(2m_c)$, half of one of the class's $m_c$
validation samples; if the number of samples is unknown, $\epsilon = {UNKNOWN_FLOOR:g}$. If all TPRs are equal, all weights are 1. A class
without evidence gets the mean weight of the others. A weight below {NEGLIGIBLE:g} of the largest is reported. What was clipped or assumed
is shown on the page and stored with the answer. No weight is ever NaN, and none is 0 unless asked for (manual weights, a formula).""",
}
