"""Every objective against its written formula in float64, against finite differences where it looks ahead, and resumed."""

import copy
import io
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from core.errors import EvenlyError
from core.losses import class_loss
from core.methods import METHODS, answer
from core.methods.row import POSTHOC
from core.methods.use import what_if
from core.objectives import OBJECTIVES, Batch

C, B = 4, 12
KNOBS = {
    "terms": {}, "sigmoid": {}, "ghm": {"bins": 10, "momentum": 0.0}, "poly_tail": {"alpha": 1.0, "beta": 1.0},
    "group_dro": {"eta": 0.01, "adjustment": 0.0}, "l2rw": {"meta_batch": 8}, "meta_weight_net": {"meta_batch": 8, "hidden": 5, "lr": 1e-2},
    "difficulty_net": {"driver": 0.3, "lr": 1e-2}, "oltr": {"memory": 0.01, "repel": 0.01},
}
PARAMS = {"manual": {"weights": "1, 2, 3, 4"}}  # what a method cannot do without
LOOKS_AHEAD = ("l2rw", "meta_weight_net", "difficulty_net")
REDUCTIONS = ("weighted_mean", "batch_mean")


class Fixed(nn.Module):
    """A model whose logits are its parameters: what a loss does to logits shows in their gradient."""

    def __init__(self, logits):
        super().__init__()
        self.z = nn.Parameter(logits)

    def forward(self, x):
        return self.z


class Head(nn.Linear):
    """A head with a memory loss, as the one of OLTR has."""

    def memory_loss(self, labels, repel):
        return self.weight[labels].pow(2).sum() + repel


class Net(nn.Module):
    """Small, with batch norm, so that buffers and batch statistics are in play."""

    def __init__(self, classes=C):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh())
        self.head = Head(8, classes)

    def forward(self, x):
        return self.head(self.body(x))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make(key, classes=C, counts=None, **knobs):
    return OBJECTIVES[key](classes, {**KNOBS[key], **knobs}, counts)


def double(objective):
    """An objective's own network in float64, so that it can be compared with finite differences."""
    return objective.double()


def net(classes=C, dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Net(classes).to(dtype)


def draw(step=0, n=B, classes=C, dtype=torch.float64):
    g = seeded(100 + step)
    return torch.randn(n, 6, generator=g, dtype=dtype), torch.randint(0, classes, (n,), generator=g)


def batch(model, step=0, n=B, classes=C, dtype=torch.float64, reduction="batch_mean", rate=0.1, **more):
    x, labels = draw(step, n, classes, dtype)
    return Batch(model, x, labels, {}, reduction, rate, seeded(step), lambda: draw(1000 + step, 8, classes, dtype), **more)


def of_logits(logits, labels, terms=None, reduction="batch_mean", seed=0):
    """The batch of a model that answers these very logits."""
    return Batch(Fixed(logits.clone()), torch.zeros(len(labels), 1), labels, terms or {}, reduction, 0.0, seeded(seed))


def loss_and_slope(objective, given):
    loss, logits = objective(given)
    assert logits is given.model.z
    return loss, torch.autograd.grad(loss, given.model.z)[0]


def random_logits(n=B, classes=C, scale=2.0, seed=1):
    g = seeded(seed)
    return scale * torch.randn(n, classes, generator=g, dtype=torch.float64), torch.randint(0, classes, (n,), generator=g)


# ---------------------------------------------------------------- the table


def test_every_method_names_an_objective_that_takes_its_terms():
    """A term that the objective ignored would be a method that silently does nothing."""
    for method in METHODS:
        if method.stage == POSTHOC:
            continue
        answered = answer(method.key, what_if(C, tpr=[0.9, 0.7, 0.5, 0.3], counts=[100, 50, 20, 5]), PARAMS.get(method.key))
        taken = OBJECTIVES[answered.objective].takes | {"sampling"}
        assert answered.set().keys() <= taken, method.key
        OBJECTIVES[answered.objective](C, answered.knobs, torch.tensor([100, 50, 20, 5]))


@pytest.mark.parametrize("key", OBJECTIVES)
def test_one_step_trains_and_answers_the_models_own_logits(key):
    model, objective = net(dtype=torch.float32), make(key)
    given = batch(model, dtype=torch.float32)
    expected = copy.deepcopy(model)(given.x)
    objective.new_epoch(None)
    loss, logits = objective(given)
    loss.backward()
    assert loss.shape == ()
    assert torch.equal(logits, expected)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("key", OBJECTIVES)
def test_batch_norm_statistics_move_as_in_a_plain_step(key):
    """Virtual steps and looks at meta samples leave the running statistics alone."""
    model = net(dtype=torch.float32)
    plain = copy.deepcopy(model)
    given = batch(model, dtype=torch.float32)
    plain(given.x)
    make(key)(given)
    for (name, found), (_, expected) in zip(model.named_buffers(), plain.named_buffers(), strict=True):
        assert torch.equal(found, expected), name


@pytest.mark.parametrize("key", OBJECTIVES)
def test_nothing_depends_on_the_global_generator(key):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = make(key).state_dict()
    model = net(dtype=torch.float32)
    make(key)(batch(model, dtype=torch.float32))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert all(torch.equal(v, first[k]) for k, v in make(key).state_dict().items() if isinstance(v, torch.Tensor))


def test_the_seed_knob_draws_another_small_network():
    one, two = (make("meta_weight_net", seed=s).network[0].weight for s in (0, 1))
    assert not torch.equal(one, two)


def trained(model, objective, optimiser, steps):
    losses = []
    for step in steps:
        if step % 4 == 0:
            objective.new_epoch(torch.linspace(0.1, 0.9, C) if step else None)
        loss, _ = objective(batch(model, step, dtype=torch.float32, reduction="weighted_mean"))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def started(key):
    model = net(dtype=torch.float32)
    extra = {"momentum": 0.75} if key == "ghm" else {"eta": 1.0} if key == "group_dro" else {}
    return model, make(key, **extra), torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


@pytest.mark.parametrize("key", OBJECTIVES)
def test_a_run_resumed_inside_an_epoch_ends_with_the_same_bits(key):
    """Through a file read with weights_only, as checkpoints are."""
    unbroken, first = started(key), started(key)
    expected = trained(*unbroken, range(11))
    found = trained(*first, range(6))
    file = io.BytesIO()
    torch.save([part.state_dict() for part in first], file)
    file.seek(0)
    second = started(key)
    for part, state in zip(second, torch.load(file, weights_only=True), strict=True):
        part.load_state_dict(state)
    found += trained(*second, range(6, 11))
    assert found == expected
    for a, b in zip(unbroken[:2], second[:2], strict=True):
        assert all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items() if isinstance(v, torch.Tensor))
    one, two = (parts[1].class_weight() for parts in (unbroken, second))
    assert (one is None and two is None) or torch.equal(one, two)


GRAPHS = [key for key, kind in OBJECTIVES.items() if kind.graph]


def test_what_looks_ahead_is_not_captured():
    assert {key for key, kind in OBJECTIVES.items() if not kind.graph} == set(LOOKS_AHEAD)
    assert {key for key, kind in OBJECTIVES.items() if kind.meta} == set(LOOKS_AHEAD)


@pytest.mark.parametrize("key", GRAPHS)
def test_a_captured_objective_never_asks_for_a_value(key):
    """On the meta device there are none: an .item(), a branch on a tensor or a size that depends on values raises."""
    model, objective = net(dtype=torch.float32).to("meta"), make(key, **({"momentum": 0.5} if key == "ghm" else {})).to("meta")
    given = batch(model, dtype=torch.float32)
    given.x, given.labels = given.x.to("meta"), given.labels.to("meta")
    names = OBJECTIVES[key].takes - {"mask"}
    given.terms = {name: torch.ones(C, device="meta") for name in names}
    objective(given)[0].backward()


@pytest.mark.parametrize("key", OBJECTIVES)
def test_buffers_change_in_place(key):
    """A captured graph and a tally go on with the addresses they have."""
    model, objective, optimiser = started(key)
    at = [b.data_ptr() for b in objective.buffers()]
    trained(model, objective, optimiser, range(5))
    assert [b.data_ptr() for b in objective.buffers()] == at


# ---------------------------------------------------------------- terms, oltr


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_terms_is_the_one_loss(reduction):
    z, labels = random_logits()
    terms = {"weight": torch.tensor([0.5, 1, 2, 3.0]).double(), "mask": torch.full((C,), 0.5).double(), "focus": torch.ones(C).double()}
    knobs = {"s": 2.0, "alpha": 0.5, "detached": 1.0}
    loss, _ = make("terms", **knobs)(of_logits(z, labels, terms, reduction))
    assert torch.equal(loss, class_loss(z, labels, terms, reduction, knobs, seeded()))


def test_oltr_adds_the_heads_memory_loss():
    model = net()
    given = batch(model)
    loss, logits = make("oltr", memory=0.5, repel=0.25)(given)
    expected = cross_entropy(logits, given.labels) + 0.5 * (model.head.weight[given.labels].pow(2).sum() + 0.25)
    assert torch.allclose(loss, expected)


# ---------------------------------------------------------------- sigmoid


def torchvisions(z, labels, alpha, gamma):
    """sigmoid_focal_loss as torchvision writes it."""
    y = one_hot(labels, z.shape[1]).to(z)
    p = torch.sigmoid(z)
    p_t = p * y + (1 - p) * (1 - y)
    loss = binary_cross_entropy_with_logits(z, y, reduction="none") * (1 - p_t) ** gamma
    return loss if alpha is None else (alpha * y + (1 - alpha) * (1 - y)) * loss


@pytest.mark.parametrize(("alpha", "gamma"), [(None, 0.0), (None, 2.0), (0.25, 2.0), (0.1, 0.5), (0.9, 1.0)])
def test_sigmoid_is_torchvisions_focal_loss(alpha, gamma):
    z, labels = random_logits()
    knobs = {} if alpha is None else {"alpha": alpha}
    found = loss_and_slope(make("sigmoid", **knobs), of_logits(z, labels, {"focus": torch.full((C,), gamma).double()}))
    z = z.clone().requires_grad_()
    loss = torchvisions(z, labels, alpha, gamma).sum() / B
    assert torch.allclose(found[0], loss, atol=1e-13)
    assert torch.allclose(found[1], torch.autograd.grad(loss, z)[0], atol=1e-13)


def test_sigmoid_alone_is_the_sum_of_binary_cross_entropies():
    z, labels = random_logits()
    loss, _ = make("sigmoid")(of_logits(z, labels))
    assert torch.allclose(loss, binary_cross_entropy_with_logits(z, one_hot(labels, C).double(), reduction="sum") / B)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_sigmoid_weight_multiplies_all_outputs_of_a_sample(reduction):
    z, labels = random_logits()
    w = torch.tensor([0.5, 1, 2, 3.0]).double()
    loss, _ = make("sigmoid")(of_logits(z, labels, {"weight": w}, reduction))
    total = (w[labels][:, None] * torchvisions(z, labels, None, 0)).sum()
    assert torch.allclose(loss, total / (w[labels].sum() if reduction == "weighted_mean" else B))


def test_sigmoid_mask_is_eql():
    """w_j = 1 - beta_j (1 - y_j)."""
    z, labels = random_logits()
    mask = torch.tensor([0.0, 0.3, 0.6, 1.0]).double()
    loss, slope = loss_and_slope(make("sigmoid"), of_logits(z, labels, {"mask": mask}, seed=7))
    y = one_hot(labels, C)
    keep = 1 - (torch.rand(B, C, generator=seeded(7)) < mask).double() * (1 - y)
    assert torch.allclose(loss, (keep * torchvisions(z, labels, None, 0)).sum() / B)
    assert torch.allclose(slope, keep * (torch.sigmoid(z) - y) / B)
    zero, _ = make("sigmoid")(of_logits(z, labels, {"mask": torch.zeros(C).double()}))
    assert torch.equal(zero, make("sigmoid")(of_logits(z, labels))[0])


def test_sigmoid_detached_focus():
    z, labels = random_logits()
    focus = {"focus": torch.full((C,), 2.0).double()}
    loss, slope = loss_and_slope(make("sigmoid", detached=1.0), of_logits(z, labels, focus))
    assert torch.equal(loss, make("sigmoid")(of_logits(z, labels, focus))[0])
    y = one_hot(labels, C).double()
    p = torch.sigmoid(z)
    assert torch.allclose(slope, (p - y) * ((1 - p) * y + p * (1 - y)) ** 2 / B)


# ---------------------------------------------------------------- ghm


def ghm_by_hand(z, labels, bins, memory, momentum):
    """Bin by bin, as methods are written; `memory` is changed."""
    y = one_hot(labels, z.shape[1]).double()
    g = (torch.sigmoid(z) - y).abs().detach()
    edges = [float(e) for e in torch.arange(bins + 1).float() / bins]
    edges[-1] += 1e-6
    beta, full = torch.zeros_like(z), 0
    for k in range(bins):
        inside = (g >= edges[k]) & (g < edges[k + 1])
        if inside.any():
            full += 1
            memory[k] = momentum * memory[k] + (1 - momentum) * int(inside.sum())
            beta[inside] = z.numel() / memory[k]
    return (beta / full * binary_cross_entropy_with_logits(z, y, reduction="none")).sum() / z.numel()


@pytest.mark.parametrize(("bins", "momentum"), [(10, 0.0), (30, 0.75), (1, 0.0)])
def test_ghm_is_the_written_formula_step_after_step(bins, momentum):
    objective, memory = double(make("ghm", bins=bins, momentum=momentum)), [0.0] * bins
    for step in range(4):
        z, labels = random_logits(seed=step)
        loss, slope = loss_and_slope(objective, of_logits(z, labels))
        leaf = z.clone().requires_grad_()
        expected = ghm_by_hand(leaf, labels, bins, memory, momentum)
        assert torch.allclose(loss, expected, rtol=1e-12)
        assert torch.allclose(slope, torch.autograd.grad(expected, leaf)[0], rtol=1e-10)


def test_ghm_with_one_bin_is_the_mean_binary_cross_entropy():
    z, labels = random_logits()
    loss, _ = make("ghm", bins=1)(of_logits(z, labels))
    assert torch.allclose(loss, binary_cross_entropy_with_logits(z, one_hot(labels, C).double()))


def test_ghm_momentum_starts_at_nothing():
    """The first weights are 1 / (1 - m) times those without momentum."""
    z, labels = random_logits()
    with_memory, without = (make("ghm", momentum=m)(of_logits(z, labels))[0] for m in (0.75, 0.0))
    assert torch.allclose(with_memory, 4 * without, rtol=1e-6)


# ---------------------------------------------------------------- poly_tail


def tail_by_hand(z, y, alpha, beta):
    m = z[y] - math.log(sum(math.exp(v) for j, v in enumerate(z) if j != y))
    return math.log(1 + math.exp(-m)) / math.log(1 + math.exp(-beta)) if m < beta else 1 / (m - (beta - 1)) ** alpha


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (2.0, -1.0), (0.5, 3.0)])
def test_poly_tail_is_the_written_formula(alpha, beta, reduction):
    z, labels = random_logits(n=40, scale=4)
    w = torch.tensor([0.5, 1, 2, 3.0]).double()
    loss, slope = loss_and_slope(make("poly_tail", alpha=alpha, beta=beta), of_logits(z, labels, {"weight": w}, reduction))

    def value(rows):
        total = sum(w[y] * tail_by_hand(row, y, alpha, beta) for row, y in zip(rows.tolist(), labels.tolist(), strict=True))
        return float(total / (w[labels].sum() if reduction == "weighted_mean" else len(labels)))

    assert loss.item() == pytest.approx(value(z), rel=1e-12)
    for i, c in [(0, 0), (3, 1), (7, 2), (11, 3), (20, int(labels[20]))]:
        up, down = z.clone(), z.clone()
        up[i, c] += 1e-6
        down[i, c] -= 1e-6
        assert slope[i, c].item() == pytest.approx((value(up) - value(down)) / 2e-6, abs=1e-7)


def test_poly_tail_is_cross_entropy_up_to_a_factor_below_beta():
    z, labels = random_logits()
    loss, _ = make("poly_tail", beta=50.0)(of_logits(z, labels))
    assert torch.allclose(loss, cross_entropy(z, labels) / math.log1p(math.exp(-50.0)))


def test_poly_tail_is_1_where_head_and_tail_meet():
    for beta in (-1.0, 0.0, 1.0, 4.0):
        below, above = (make("poly_tail", beta=beta)(of_logits(torch.tensor([[m, 0.0]]).double(), torch.tensor([0])))[0] for m in (beta - 1e-9, beta))
        assert below.item() == pytest.approx(1.0, abs=1e-8)
        assert above.item() == 1.0


# ---------------------------------------------------------------- group_dro


def test_group_dro_worked_example():
    """q = 1/3, l = (.2, .5, 2), eta .01: vector of the reference sheet."""
    objective = double(make("group_dro", classes=3))
    margins = torch.log(torch.expm1(torch.tensor([0.2, 0.5, 2.0]).double()) / 2)  # cross entropy of (0, v, v) is log(1 + 2 e^v)
    z = margins[:, None].repeat(1, 3)
    z[range(3), range(3)] = 0.0
    loss, slope = loss_and_slope(objective, of_logits(z, torch.arange(3)))
    q = [0.33099786964, 0.33199235423, 0.337009776131]
    assert objective.q.tolist() == pytest.approx(q, abs=1e-7)  # log q starts in float32
    assert loss.item() == pytest.approx(0.906215303304, abs=1e-7)
    leaf = z.clone().requires_grad_()
    expected = (torch.tensor(q).double() * cross_entropy(leaf, torch.arange(3), reduction="none")).sum()
    assert torch.allclose(slope, torch.autograd.grad(expected, leaf)[0], atol=1e-7)


def test_group_dro_eta_0_weighs_the_classes_alike():
    z, labels = random_logits()
    loss, _ = make("group_dro", eta=0.0)(of_logits(z, labels))
    per_class = [cross_entropy(z[labels == c], labels[labels == c]) for c in range(C)]
    assert loss.item() == pytest.approx(sum(v.item() for v in per_class) / C, rel=1e-6)


def test_group_dro_a_class_absent_from_the_batch_falls_behind():
    z, labels = random_logits()
    objective = make("group_dro", eta=1.0)
    loss, _ = objective(of_logits(z, labels.clamp_max(2)))
    assert objective.q[3] < 1 / C
    assert objective.q[3] == objective.q.min()
    assert objective.q.sum().item() == pytest.approx(1, abs=1e-6)
    assert torch.isfinite(loss)


def test_group_dro_adjustment_is_part_of_the_loss_and_of_q():
    z, labels = random_logits()
    counts = torch.tensor([100, 25, 4, 0])
    labels = labels.clamp_max(2)
    objective = double(make("group_dro", eta=0.1, adjustment=2.0, counts=counts))
    loss, _ = objective(of_logits(z, labels))
    added = torch.tensor([0.2, 0.4, 1.0, 0.0]).double()
    losses = added + torch.stack([cross_entropy(z[labels == c], labels[labels == c]) if c < 3 else torch.zeros(()).double() for c in range(C)])
    q = torch.softmax(0.1 * losses, 0)
    assert torch.allclose(objective.q, q, atol=1e-6)
    assert torch.allclose(loss, (q * losses).sum(), atol=1e-6)


def test_group_dro_adjustment_needs_counts():
    with pytest.raises(EvenlyError, match="adjustment 2 needs the training counts"):
        make("group_dro", adjustment=2.0)


def test_group_dro_comes_back_from_a_very_small_q():
    """Thousands of steps with one class far better than the others: in plain float32 its q would be 0 for good."""
    objective = make("group_dro", classes=2, eta=1.0)
    easy, hard = torch.tensor([[5.0, 0.0], [5.0, 0.0]]).double(), torch.tensor([[0.0, 5.0], [0.0, 5.0]]).double()
    for _ in range(100):
        objective(of_logits(easy, torch.arange(2)))
    assert objective.q[0] == 0  # e^-500
    for _ in range(150):
        objective(of_logits(hard, torch.arange(2)))
    assert objective.q[0] == 1


def test_group_dro_survives_huge_losses():
    z = torch.tensor([[-1e4, 1e4], [0.0, 1.0]])
    objective = make("group_dro", classes=2, eta=1.0)
    loss, slope = loss_and_slope(objective, of_logits(z, torch.arange(2)))
    assert torch.isfinite(loss)
    assert torch.isfinite(slope).all()
    assert objective.q.tolist() == [1.0, 0.0]


def test_group_dro_records_the_mean_weight_of_a_sample():
    """eta 0, two classes, three samples of one and one of the other: q alike, so the lone sample weighs three times as much."""
    objective = make("group_dro", classes=2, eta=0.0)
    objective(of_logits(random_logits(4, 2)[0], torch.tensor([0, 0, 0, 1])))
    assert objective.class_weight().tolist() == pytest.approx([0.5, 1.5], rel=1e-6)
    objective.new_epoch(None)
    assert objective.class_weight().tolist() == [1.0, 1.0]


# ---------------------------------------------------------------- what looks ahead


def virtual_meta_loss(model, given, weights, step):
    """L_meta(theta - step grad sum_i a_i l_i), on a copy of the model, without any graph."""
    moved = copy.deepcopy(model)
    losses = cross_entropy(moved(given.x), given.labels, reduction="none")
    grads = torch.autograd.grad((weights * losses).sum(), list(moved.parameters()))
    with torch.no_grad():
        for p, g in zip(moved.parameters(), grads, strict=True):
            p -= step * g
    x, labels = given.meta()
    return cross_entropy(moved(x), labels).item()


def expected_l2rw(model, given, h=1e-5):
    """The weights by central differences in every eps."""
    u = []
    for i in range(len(given.labels)):
        eps = torch.zeros(len(given.labels), dtype=torch.float64)
        eps[i] = h
        u.append((virtual_meta_loss(model, given, -eps, 1.0) - virtual_meta_loss(model, given, eps, 1.0)) / (2 * h))
    u = torch.tensor(u, dtype=torch.float64).clamp_min(0)
    return u / u.sum()


def test_l2rw_weights_are_those_of_finite_differences():
    for step in range(3):
        model = net()
        given = batch(model, step)
        weights = expected_l2rw(model, given)
        plain = copy.deepcopy(model)
        assert 0 < (weights > 0).sum() < B, "some samples help and some do not"
        loss, _ = make("l2rw")(given)
        expected = (weights * cross_entropy(plain(given.x), given.labels, reduction="none")).sum()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-7)
        for p, q in zip(torch.autograd.grad(loss, list(model.parameters())), torch.autograd.grad(expected, list(plain.parameters())), strict=True):
            assert torch.allclose(p, q, atol=1e-7)


def test_l2rw_weights_do_not_depend_on_the_rate():
    losses = [make("l2rw")(batch(net(), rate=rate))[0].item() for rate in (0.0, 1e-6, 10.0)]
    assert losses[0] == losses[1] == losses[2]


def test_l2rw_all_weights_zero():
    """A meta batch of one class and a training batch of another: every sample would raise the meta loss."""
    model = net()
    given = batch(model)
    given.x = given.x[:1].expand(B, 6) + torch.randn(B, 6, generator=seeded(1), dtype=torch.float64) / 100
    given.labels = torch.zeros(B, dtype=torch.int64)
    given.meta = lambda: (given.x, torch.ones(B, dtype=torch.int64))
    objective = make("l2rw")
    loss, _ = objective(given)
    loss.backward()
    assert loss.item() == 0
    assert all((p.grad == 0).all() for p in model.parameters())
    assert objective.class_weight().tolist() == [0.0] * C


def test_l2rw_records_what_each_class_was_weighed():
    model = net()
    given = batch(model)
    objective = make("l2rw")
    weights = expected_l2rw(model, given)
    objective(given)
    mean = torch.stack([weights[given.labels == c].mean() for c in range(C)])
    assert objective.class_weight().tolist() == pytest.approx((mean / mean.mean()).tolist(), rel=1e-5)
    assert objective.class_weight().mean().item() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("key", LOOKS_AHEAD)
def test_looking_ahead_without_meta_samples(key):
    given = batch(net(dtype=torch.float32), dtype=torch.float32)
    given.meta = None
    with pytest.raises(EvenlyError, match="learns from meta samples and was given none"):
        make(key)(given)


def hyper_gradient(objective, value, h=1e-5):
    """Central differences of `value()` in every parameter of the small network."""
    slopes = []
    for p in objective.network.parameters():
        flat, slope = p.data.view(-1), torch.zeros_like(p).view(-1)
        for i in range(len(flat)):
            was = flat[i].item()
            flat[i] = was + h
            up = value()
            flat[i] = was - h
            slope[i] = (up - value()) / (2 * h)
            flat[i] = was
        slopes.append(slope.view_as(p))
    return slopes


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_meta_weight_net_learns_along_the_true_gradient(reduction):
    model, objective = net(), double(make("meta_weight_net"))
    given = batch(model, reduction=reduction, rate=0.5)

    def weights(losses):
        v = objective.network(losses[:, None]).squeeze(1)
        return v / v.sum() if reduction == "weighted_mean" else v / B

    def meta_loss():
        with torch.no_grad():
            a = weights(cross_entropy(copy.deepcopy(model)(given.x), given.labels, reduction="none"))
        return virtual_meta_loss(model, given, a, 0.5)

    expected = hyper_gradient(objective, meta_loss)
    plain = copy.deepcopy(model)
    loss, _ = objective(given)
    assert max(e.abs().max() for e in expected) > 1e-4
    for p, e in zip(objective.network.parameters(), expected, strict=True):
        assert torch.allclose(p.grad, e, atol=1e-9, rtol=1e-5)
    losses = cross_entropy(plain(given.x), given.labels, reduction="none")
    assert torch.allclose(loss, (weights(losses.detach()) * losses).sum()), "the loss takes the improved network's weights"


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_difficulty_net_learns_along_the_true_gradient(reduction, monkeypatch):
    monkeypatch.setattr("core.objectives.difficulty_net.WIDTH", 5)
    model, objective = net(), double(make("difficulty_net", driver=0.3))
    tpr = torch.tensor([0.9, 0.5, 0.1, 0.0]).double()
    objective.new_epoch(torch.tensor([0.9, 0.5, 0.1, math.nan]).double())
    given = batch(model, reduction=reduction, rate=0.5)

    def weights():
        w = objective.network(tpr)
        w = (C * w / w.sum())[given.labels]
        return w / (w.sum() if reduction == "weighted_mean" else B)

    def meta_loss():
        with torch.no_grad():
            a, d = weights(), objective.network(tpr)
        return virtual_meta_loss(model, given, a, 0.5) + 0.3 * ((d - (1 - tpr / tpr.sum())) ** 2).mean().item()

    expected = hyper_gradient(objective, meta_loss)
    plain = copy.deepcopy(model)
    loss, _ = objective(given)
    for p, e in zip(objective.network.parameters(), expected, strict=True):
        assert torch.allclose(p.grad, e, atol=1e-9, rtol=1e-5)
    losses = cross_entropy(plain(given.x), given.labels, reduction="none")
    assert torch.allclose(loss, (weights().detach() * losses).sum())


def test_difficulty_net_starts_with_equal_weights():
    """C-128-128-C without biases: an input of zeros gives 0.5 for every class."""
    objective = make("difficulty_net")
    assert [tuple(p.shape) for p in objective.network.parameters()] == [(128, C), (128, 128), (C, 128)]
    assert objective.difficulties().tolist() == [0.5] * C
    model = net(dtype=torch.float32)
    plain = copy.deepcopy(model)
    given = batch(model, dtype=torch.float32)
    loss, _ = objective(given)
    assert loss.item() == pytest.approx(cross_entropy(plain(given.x), given.labels).item(), rel=1e-6)
    assert objective.class_weight().tolist() == pytest.approx([1.0] * C)


@pytest.mark.parametrize("key", ["meta_weight_net", "difficulty_net"])
def test_small_network_uses_adam_with_the_papers_decay(key):
    group = make(key).adam.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (1e-2, 1e-4)


def test_meta_weight_net_guards_a_sum_of_zero():
    objective = make("meta_weight_net")
    nn.init.constant_(objective.network[2].bias, -1e4)
    nn.init.zeros_(objective.network[2].weight)
    loss, _ = objective(batch(net(dtype=torch.float32), dtype=torch.float32, reduction="weighted_mean"))
    assert loss.item() == 0


def test_frozen_parameters_stay_out_of_the_virtual_step():
    model = net()
    model.body.requires_grad_(False)
    loss, _ = make("l2rw")(batch(model))
    loss.backward()
    assert model.head.weight.grad is not None
    assert model.body[0].weight.grad is None


# ---------------------------------------------------------------- edges


@pytest.mark.parametrize("classes", [2, 1000])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("key", OBJECTIVES)
def test_one_class_in_the_batch(key, reduction, classes):
    model, objective = net(classes, torch.float32), make(key, classes=classes)
    given = batch(model, classes=classes, dtype=torch.float32, reduction=reduction)
    given.labels = torch.full((B,), classes - 1)
    loss, logits = objective(given)
    loss.backward()
    assert logits.shape == (B, classes)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    weight = objective.class_weight()
    assert weight is None or (weight.shape == (classes,) and torch.isfinite(weight).all())


@pytest.mark.parametrize("key", [k for k in OBJECTIVES if k not in (*LOOKS_AHEAD, "oltr")])
def test_huge_logits(key):
    """1e4 either way, right and wrong, in float32."""
    z = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4]])
    labels = torch.zeros(4, dtype=torch.int64)
    terms = {"focus": torch.full((3,), 0.5), "mask": torch.full((3,), 0.5)}
    terms = {k: v for k, v in terms.items() if k in OBJECTIVES[key].takes}
    loss, slope = loss_and_slope(make(key, classes=3), of_logits(z, labels, terms))
    assert torch.isfinite(loss)
    assert torch.isfinite(slope).all()


@pytest.mark.parametrize("key", LOOKS_AHEAD)
def test_huge_logits_ahead(key):
    model = net(dtype=torch.float32)
    with torch.no_grad():
        model.head.weight *= 1e4
    loss, _ = make(key)(batch(model, dtype=torch.float32))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("key", OBJECTIVES)
def test_half_precision_forward_gives_a_full_precision_loss(key):
    given = batch(net(dtype=torch.float32), dtype=torch.float32, autocast=lambda: torch.autocast("cpu", torch.bfloat16))
    loss, logits = make(key)(given)
    loss.backward()
    assert logits.dtype == torch.bfloat16
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)


@pytest.mark.parametrize("key", ["group_dro", *LOOKS_AHEAD])
def test_the_record_grows_over_an_epoch_and_starts_anew(key):
    model, objective, optimiser = started(key)
    trained(model, objective, optimiser, range(4, 6))
    first = objective.class_weight()
    assert first.mean().item() == pytest.approx(1, abs=1e-5)
    trained(model, objective, optimiser, range(6, 7))
    assert not torch.equal(objective.class_weight(), first)
    objective.new_epoch(None)
    assert objective.class_weight().tolist() == [1.0] * C


def test_terms_say_it_all():
    assert all(make(key).class_weight() is None for key in ("terms", "sigmoid", "ghm", "poly_tail", "oltr"))


def test_difficulty_net_follows_the_tprs_it_is_given():
    objective = make("difficulty_net", lr=0.05)
    model = net(dtype=torch.float32)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    objective.new_epoch(torch.tensor([0.9, 0.7, 0.3, 0.1]))
    for step in range(60):
        loss, _ = objective(batch(model, step, dtype=torch.float32))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    w = np.asarray(objective.difficulties().detach())
    assert all(a < b for a, b in pairwise(w)), "the driver pulls harder classes up"
