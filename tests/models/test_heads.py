"""Networks in two parts, and the last layers a method may want: same outputs as before the split, formulas, what learns."""

from __future__ import annotations

import copy
import importlib
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from core.errors import EvenlyError
from core.methods import METHODS
from core.training.optimizer import _groups
from models import MODELS
from models.networks.heads import HEADS, Memory, Network, Pooled, Staged, attach, freeze, split
from models.networks.oltr import Attention

SMALL = {
    "mlp": (1, 8), "cnn1d": (1, 40), "lenet5": (1, 28, 28), "cnn": (1, 8, 8),
    "resnet20": (1, 16, 16), "resnet32": (3, 16, 16), "resnet18": (3, 64, 64),
}  # fmt: skip
PLAIN = {"mlp", "lenet5"}  # no mean over positions before the last layer
CLASSES = 7
every_model = pytest.mark.parametrize("key", MODELS.keys)
every_head = pytest.mark.parametrize("head", HEADS.keys)


def built(key: str = "cnn", classes: int = CLASSES, seed: int = 0, head: str | None = None, **knobs: float) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = MODELS[key].build(SMALL[key], classes)
        return network if head is None else attach(network, head, knobs)


def sample(network: Network, n: int = 6) -> torch.Tensor:
    return torch.randn(n, *network.shape, generator=torch.Generator().manual_seed(1))


def random(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels_of(n: int, classes: int) -> torch.Tensor:
    return torch.arange(n) % classes


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def train(model: nn.Module, x: torch.Tensor, labels: torch.Tensor, steps: int = 3) -> None:
    """A few steps as the engine takes them: in training mode, on what has a gradient."""
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9, weight_decay=1e-3
    )
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model.train()(x), labels).backward()
        optimizer.step()


# ---------------------------------------------------------------- the split


def unsplit(key: str) -> nn.Module:
    module, _, name = MODELS[key].maker.partition(":")
    if key == "resnet18":  # torchvision's own, not our row of its layers
        from core.torchvision_compat import torchvision

        return torchvision().models.resnet18(weights=None, num_classes=CLASSES)
    return getattr(importlib.import_module(module), name)(SMALL[key], CLASSES)


@every_model
def test_the_split_changes_no_parameter_no_output_and_draws_nothing(key):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        before = unsplit(key)
        drawn = torch.get_rng_state()
        torch.manual_seed(0)
        after = MODELS[key].build(SMALL[key], CLASSES)
        assert torch.equal(drawn, torch.get_rng_state())
    assert all(torch.equal(p, q) for p, q in zip(before.parameters(), after.parameters(), strict=True))
    x = sample(after)
    for training in (True, False):
        assert torch.equal(before.train(training)(x), after.train(training)(x))
    assert all(torch.equal(p, q) for p, q in zip(before.buffers(), after.buffers(), strict=True))


@every_model
def test_a_network_is_its_head_on_its_features(key):
    network = built(key).eval()
    x = sample(network)
    features = network.features(x)
    assert features.shape == (6, network.width)
    torch.testing.assert_close(features @ network.head.weight.T + network.head.bias, network(x))
    assert isinstance(network.body, Pooled) is (key not in PLAIN)
    if key not in PLAIN:
        maps = network.body.maps(x)
        torch.testing.assert_close(maps.flatten(2).mean(2), features)


def test_a_network_without_a_linear_end_is_refused_with_what_to_change():
    with pytest.raises(EvenlyError, match="expected a Sequential whose last layer is Linear; change its maker"):
        split(nn.Sequential(nn.Linear(4, 2), nn.ReLU()), (4,))
    with pytest.raises(EvenlyError, match="the network is a Linear"):
        split(nn.Linear(4, 2), (4,))


# ---------------------------------------------------------------- attaching


def test_every_method_finds_its_head():
    assert {method.head for method in METHODS} <= set(HEADS.keys)
    with pytest.raises(EvenlyError, match="unknown head 'arc'; known: linear, cosine, scaled, oltr"):
        attach(built(), "arc", {})


@every_head
def test_a_fresh_head_depends_on_the_seed_alone_and_leaves_the_body(head):
    plain, one, two, other = built(), built(head=head), built(head=head), built(head=head, seed=1)
    assert same(state(one), state(two))
    assert not same(state(one), state(other))
    body = {k: v for k, v in state(one.body).items() if not k.startswith("attention")}
    assert same(body, state(plain.body))
    assert one.training
    assert not attach(plain.eval(), head, {}).head.training, "it takes the network's mode"


def test_a_fresh_linear_head_is_drawn_as_torch_draws_it():
    network = built(head="linear")
    assert not torch.equal(network.head.weight, built().head.weight)
    assert network.head.weight.abs().max() <= 1 / math.sqrt(network.width)


@every_model
@every_head
def test_a_state_dict_goes_round(key, head):
    one, other = built(key, head=head), built(key, head=head, seed=3)
    x = sample(one)
    one.train()(x)  # moves batch statistics
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.eval()(x), other.eval()(x))


@every_head
def test_a_network_can_be_copied_between_steps(head):
    network = built(head=head)
    x = sample(network)
    network.train()(x)
    assert torch.equal(copy.deepcopy(network).eval()(x), network.eval()(x))


# ---------------------------------------------------------------- cosine


@pytest.mark.parametrize("classes", [2, 100])
def test_a_cosine_head_gives_cosines_while_training_and_logits_after(classes):
    network = built(classes=classes, head="cosine", s=30.0)
    features = 50 * random(40, network.width).float()
    cosines = network.head.train()(features)
    assert cosines.shape == (40, classes)
    assert cosines.abs().max() <= 1 + 1e-6
    torch.testing.assert_close(cosines, F.cosine_similarity(features[:, None], network.head.weight[None], dim=2))
    torch.testing.assert_close(network.head.train()(0.01 * features), cosines)
    logits = network.head.eval()(features)
    assert torch.equal(logits, 30 * cosines)
    assert torch.equal(logits.argmax(1), cosines.argmax(1))
    torch.testing.assert_close(network.head.weight.norm(dim=1), torch.ones(classes))


@every_model
def test_a_cosine_head_learns_and_sends_gradients_through_the_body(key):
    network = built(key, head="cosine")
    x, y = sample(network, 14), labels_of(14, CLASSES)
    F.cross_entropy(30 * network(x), y).backward()
    assert [
        name for name, p in network.named_parameters() if not p.grad.abs().sum() > 0 or not p.grad.isfinite().all()
    ] == []


def test_features_of_zero_give_cosines_of_zero():
    network = built(head="cosine")
    features = torch.zeros(3, network.width, requires_grad=True)
    cosines = network.head(features)
    cosines.sum().backward()
    assert not cosines.any()
    assert features.grad.isfinite().all()


def test_cosines_are_not_rounded_by_autocast():
    network = built(head="cosine")
    features = random(8, network.width).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(network.head(features), network.head.train()(features))
        assert network.head(features.bfloat16()).dtype == torch.float32


# ---------------------------------------------------------------- scaled


def test_a_scaled_head_starts_as_the_finished_one_and_learns_one_factor_a_class():
    network = built()
    x = sample(network)
    before = network.eval()(x)
    attach(network, "scaled", {})
    assert torch.equal(network(x), before)
    freeze(network.body)
    assert [name for name, p in network.named_parameters() if p.requires_grad] == ["head.factors"]
    held = state(network)
    train(network, x, labels_of(6, CLASSES))
    changed = [k for k, v in state(network).items() if not torch.equal(v, held[k])]
    assert changed == ["head.factors"]
    network.head.factors.data.fill_(2.0)
    assert torch.equal(network.eval()(x), 2 * before), "the bias is scaled too"


def test_a_scaled_head_takes_a_cosine_head_as_it_answers():
    network = built(head="cosine", s=20.0).eval()
    features = random(5, network.width).float()
    before = network.head(features)
    attach(network, "scaled", {}).train()
    assert torch.equal(network.head(features), before)


# ---------------------------------------------------------------- frozen bodies, second stages


@every_model
def test_a_frozen_body_does_not_change_while_the_head_learns(key):
    network = attach(built(key), "linear", {})
    x = sample(network, 14)
    freeze(network.body)
    body, head = state(network.body), state(network.head)
    train(network, x, labels_of(14, CLASSES))
    assert same(state(network.body), body), "batch statistics too"
    assert not same(state(network.head), head)
    assert network.head.training
    assert not any(part.training for part in network.body.modules())
    assert not any(part.training for part in copy.deepcopy(network).train().body.modules())


@every_head
def test_a_staged_network_learns_from_features_computed_once(head):
    network = built(head=head)
    x, y = sample(network, 14), labels_of(14, CLASSES)
    staged = Staged(network)
    assert staged.state_dict().keys() == network.state_dict().keys()
    assert all(name.startswith("head.") for name, p in staged.named_parameters() if p.requires_grad)
    with torch.no_grad():
        features = staged.features(x)
    body, held = state(staged.body), state(staged.head)
    train(staged, features, y)
    assert same(state(staged.body), body)
    assert not same(state(staged.head), held)
    whole = built(head=head, seed=4)
    whole.load_state_dict(staged.state_dict())
    assert torch.equal(whole.eval()(x), staged.eval()(features))


def test_features_computed_once_train_the_head_as_the_frozen_network_would():
    network = freeze_body(built(head="linear"))
    twin = Staged(built(head="linear"))
    x, y = sample(network, 14), labels_of(14, CLASSES)
    with torch.no_grad():
        features = twin.features(x)
    train(network, x, y)
    train(twin, features, y)
    assert same(state(network), state(twin))


def freeze_body(network: Network) -> Network:
    freeze(network.body)
    return network


def test_a_body_can_have_a_rate_of_its_own():
    """Attention belongs to the features, as in the authors' code."""
    network = built(head="oltr")
    slow, fast = _groups(network, 0.1)
    assert [slow["share"], fast["share"]] == [0.1, 1.0]
    assert {id(p) for p in slow["params"]} == {id(p) for p in network.body.parameters()}
    assert {id(p) for p in fast["params"]} == {id(p) for p in network.head.parameters()}


# ---------------------------------------------------------------- oltr


def remembering(key: str = "cnn", classes: int = CLASSES) -> Network:
    network = built(key, classes, head="oltr", scale=16.0)
    network.head.remember(random(classes, network.width).float())
    return network


@every_model
@pytest.mark.parametrize("classes", [2, 100])
def test_oltr_has_logits_and_finite_gradients_on_every_network(key, classes):
    network = remembering(key, classes)
    x, y = sample(network), labels_of(6, classes)
    optimizer = torch.optim.SGD(network.parameters(), 1e-3)
    for _ in range(2):  # attention's other layers learn once its mask has left zero
        optimizer.zero_grad()
        logits = network.train()(x)
        assert logits.shape == (6, classes)
        (F.cross_entropy(logits, y) + 0.01 * network.head.memory_loss(y, 0.01)).backward()
        bad = [name for name, p in network.named_parameters() if not p.grad.isfinite().all() or not p.grad.any()]
        optimizer.step()
    assert [name for name in bad if "phi.bias" not in name and "theta.bias" not in name] == []
    assert (getattr(network.body, "attention", None) is not None) is (key not in PLAIN)


@every_model
def test_fresh_attention_changes_no_feature(key):
    plain, network = built(key).eval(), built(key, head="oltr").eval()
    x = sample(plain)
    assert torch.equal(plain.features(x), network.features(x))
    held = state(network.body)
    again = attach(network, "oltr", {})
    assert same(state(again.body), held), "attention that is there stays: it belongs to the features"


def test_attention_is_the_written_formula_before_the_mean():
    """map + spatial * mask(softmax(theta phi^T) g), then the mean over the map, position by position."""
    attention = Attention(4, (3, 2)).double()
    nn.init.normal_(attention.mask.weight, generator=torch.Generator().manual_seed(0))
    maps = random(2, 4, 3, 2)
    said = maps.mean((2, 3)) + attention(maps)
    for image, answer in zip(maps, said, strict=True):
        at = [image[:, r, c] for r in range(3) for c in range(2)]
        spatial = torch.softmax(attention.spatial(torch.cat(at)), 0)
        out = torch.zeros(4, dtype=torch.float64)
        for i, x in enumerate(at):
            related = torch.softmax(torch.stack([attention.theta(x) @ attention.phi(other) for other in at]), 0)
            mixed = sum(w * attention.g(other) for w, other in zip(related, at, strict=True))
            out += (x + spatial[i] * attention.mask(mixed)) / len(at)
        torch.testing.assert_close(answer, out)


@pytest.mark.parametrize(("key", "shape", "positions"), [
    ("cnn1d", (1, 40), 10), ("cnn1d", (1, 3000), 63), ("cnn", (1, 128, 128), 64),
    ("resnet20", (3, 33, 31), 40), ("resnet20", (3, 32, 32), 64),
])  # fmt: skip
def test_attention_stays_small_on_large_maps(key, shape, positions):
    network = attach(MODELS[key].build(shape, 3), "oltr", {})
    assert network.body.attention.spatial.out_features == positions
    assert network(torch.zeros(2, *shape)).shape == (2, 3)


def plain_logits(head: Memory, v: torch.Tensor) -> torch.Tensor:
    """The paper's formula, one sample after the other."""
    rows = []
    memory = head.centroids.detach()
    for x in v:
        distance = min((x - m).pow(2).sum().sqrt() for m in memory)
        recalled = sum(p * m for p, m in zip(torch.softmax(head.recall(x), 0), memory, strict=True))
        seen = 10 / distance * (x + torch.tanh(head.select(x)) * recalled)
        norm = seen.pow(2).sum().sqrt()
        rows.append(
            torch.stack([16 * norm / (1 + norm) * (seen / norm) @ (w / w.pow(2).sum().sqrt()) for w in head.weight])
        )
    return torch.stack(rows)


@pytest.mark.parametrize("classes", [2, 9])
def test_the_memory_layer_is_the_written_formula_and_so_are_its_gradients(classes):
    head = Memory(5, classes, 16.0).double()
    head.remember(random(classes, 5))
    v = random(4, 5, seed=3).requires_grad_()
    wanted = [v, head.weight, *head.recall.parameters(), *head.select.parameters()]
    factor = random(4, classes, seed=4)
    torch.testing.assert_close(head(v), plain_logits(head, v))
    said = torch.autograd.grad((factor * head(v)).sum(), wanted)
    written = torch.autograd.grad((factor * plain_logits(head, v)).sum(), wanted)
    for a, b in zip(said, written, strict=True):
        torch.testing.assert_close(a, b)


def test_a_sample_on_its_centroid_is_no_accident():
    head = Memory(5, 3, 16.0)
    means = random(3, 5).float()
    head.remember(means)
    v = means[:2].clone().requires_grad_()
    logits = head(v)
    F.cross_entropy(logits, torch.tensor([0, 1])).backward()
    assert logits.isfinite().all()
    assert v.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in (head.weight, *head.recall.parameters()))


def test_the_memory_starts_at_the_class_means_and_the_recall_at_the_old_layer():
    old = built()
    weight = old.head.weight.clone()
    head = attach(old, "oltr", {}).head
    assert torch.equal(head.recall.weight, weight)
    means = random(CLASSES, head.weight.shape[1]).float()
    means[2] = torch.nan
    head.remember(means)
    there = [0, 1, 3, 4, 5, 6]
    assert torch.equal(head.centroids[there], means[there])
    torch.testing.assert_close(head.centroids[2], means[there].mean(0))


def plain_memory_loss(
    v: torch.Tensor, labels: torch.Tensor, centroids: torch.Tensor, repel: float
) -> tuple[torch.Tensor, torch.Tensor]:
    attract, foreign = torch.zeros((), dtype=v.dtype), torch.zeros((), dtype=v.dtype)
    for x, y in zip(v, labels.tolist(), strict=True):
        attract = attract + (x - centroids[y]).pow(2).sum() / 2 / len(v)
        for c in range(len(centroids)):
            if c != y:
                foreign = foreign + (x - centroids[c]).pow(2).sum() / (len(v) * len(centroids))
    return attract, repel * (10 - foreign).clamp(0.0, 1e6)


@pytest.mark.parametrize("spread", [0.3, 3.0])  # foreign centroids within the margin and beyond it
def test_the_memory_loss_is_the_written_formula_and_so_are_its_gradients(spread):
    head = Memory(5, 4, 16.0).double()
    head.remember(spread * random(4, 5))
    v, labels = (spread * random(6, 5, seed=3)).requires_grad_(), torch.tensor([0, 0, 0, 1, 3, 3])
    head.train()(v)
    said = head.memory_loss(labels, 0.01)
    attract, repel = plain_memory_loss(v, labels, head.centroids, 0.01)
    assert bool(repel > 0) is (spread < 1)
    torch.testing.assert_close(said, attract + repel)
    to_v, to_memory = torch.autograd.grad(said, [v, head.centroids])
    torch.testing.assert_close(to_v, torch.autograd.grad(attract + repel, v, retain_graph=True)[0])
    pull = (
        torch.autograd.grad(attract, head.centroids, retain_graph=True)[0]
        / (1 + torch.tensor([3.0, 1.0, 0.0, 2.0]))[:, None]
    )
    push = torch.autograd.grad(repel, head.centroids)[0]
    torch.testing.assert_close(to_memory, pull + push)


def test_centroids_learn_from_the_memory_loss_alone():
    network = remembering()
    x, y = sample(network), labels_of(6, CLASSES)
    F.cross_entropy(network(x), y).backward()
    assert network.head.centroids.grad is None
    network(x)
    network.head.memory_loss(y, 0.01).backward()
    assert network.head.centroids.grad.any()


def test_the_memory_loss_speaks_of_a_training_batch():
    network = remembering().eval()
    network(sample(network))
    with pytest.raises(RuntimeError, match="forward pass in training mode"):
        network.head.memory_loss(labels_of(6, CLASSES), 0.01)
