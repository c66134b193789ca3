"""On a CUDA device only: the captured graph is the plain step, both precisions train and resume alike, and a card that is
full fails one run alone. `make gpu` runs these."""

from itertools import count

import numpy as np
import pytest
import torch
from torch import nn

from core.experiment.config import RunConfig, checked
from core.methods.types import ClassTerms
from core.split_names import SPLITS
from core.training.checkpoint import dumps, loads
from core.training.crop import CropFlip
from core.training.device import choose
from core.training.device_data import Split
from core.training.interrupts import Interrupted
from core.training.train_step import WARM_UP, GraphStep, PlainStep
from core.training.trainer import Trainer
from models import MODELS

pytestmark = pytest.mark.gpu
CLASSES, SAMPLES, BATCH = 10, 1000, 96
both_precisions = pytest.mark.parametrize("precision", ["float32", "bfloat16"])


def card(precision="float32"):
    """The card in a precision; bfloat16 is left out where the card only emulates it."""
    device = choose("cuda")
    if precision == "bfloat16" and not device.bf16:
        pytest.skip(f"{device.name} does not compute in bfloat16")
    return device.training(precision)


@pytest.fixture
def deterministic():
    """The same cuDNN algorithm each time, and float32 products without TF32: what differs then is not the arithmetic."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def make_splits(device, n=SAMPLES):
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, n)
    x = np.clip(rng.normal(128, 40, (n, 3, 32, 32)) + (y * 8 - 40)[:, None, None, None], 0, 255).astype(np.uint8)
    mean, std = np.full(3, 0.5, np.float32), np.full(3, 0.25, np.float32)
    return {name: Split(x, y, mean, std, device, CropFlip() if name == "train" else None) for name in SPLITS}


def make_trainer(
    device, terms_for=lambda *_: ClassTerms(), epochs=3, n=SAMPLES, recipe="sgd_cosine", model=None, **given
):
    params = {"batch_size": BATCH, "lr": 0.01, **given}
    config = checked(RunConfig("x", "resnet20", recipe=recipe, recipe_params=params, epochs=epochs))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model or MODELS["resnet20"].build((3, 32, 32), CLASSES)
    return Trainer(config, make_splits(device, n), model, terms_for, CLASSES, device)


class Plain(type(choose("cpu"))):
    """The same card without graphs."""

    graphs = False


def plain(device):
    return Plain(device.device, device.name, device.bf16, device.channels_last, device.precision)


def weights_by_epoch(epoch, *_):
    return ClassTerms(weight=np.linspace(0.5, 1.5, CLASSES) if epoch % 2 else np.ones(CLASSES))


def losses(results):
    return [r.splits["train"].loss for r in results]


def counted(results):
    """Samples that each epoch's training counts hold."""
    return [int(r.splits["train"].confusion.sum()) for r in results]


# -- captured steps ------------------------------------------------------------------------------------------------


@both_precisions
@pytest.mark.usefixtures("deterministic")
def test_a_replayed_graph_is_the_plain_step(precision):
    """Same data, order, augmentation and changing weights: the losses agree to bf16 accuracy and every sample is counted."""
    device = card(precision)
    graph, eager = make_trainer(device, weights_by_epoch), make_trainer(plain(device), weights_by_epoch)
    ours, theirs = list(graph.run()), list(eager.run())
    assert counted(ours) == counted(theirs) == [SAMPLES] * 3
    assert losses(ours) == pytest.approx(losses(theirs), rel=0.05)
    assert isinstance(graph._made, GraphStep)
    assert graph._made.graph is not None
    assert type(eager._made) is PlainStep


@pytest.mark.parametrize(("recipe", "lr", "most"), [("sgd_cosine", 0.01, 1e-3), ("adam_cycle", 0.001, 1e-2)])
@pytest.mark.usefixtures("deterministic")
def test_in_float32_captured_steps_leave_the_network_of_plain_ones(recipe, lr, most):
    """Three plain steps, then three replayed ones. A step left out would put them a tenth of the way apart; AdamW, which divides by
    the size of a gradient, also enlarges what the rounding of its rate to float32 does: 2e-3 of the way on a CPU.
    """
    given = {"n": (WARM_UP + 3) * BATCH, "epochs": 1, "recipe": recipe, "lr": lr}
    graph, eager = make_trainer(card(), **given), make_trainer(plain(card()), **given)
    before = flat(graph.model.parameters()).clone()
    (ours,), (theirs,) = list(graph.run()), list(eager.run())
    assert graph._made.graph is not None
    assert ours.splits["train"].loss == pytest.approx(theirs.splits["train"].loss, rel=1e-5)
    expected = flat(eager.model.parameters())
    apart, moved = flat(graph.model.parameters()) - expected, expected - before
    assert apart.norm() <= most * moved.norm()
    for (name, a), b in zip(graph.model.named_buffers(), eager.model.buffers(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5, msg=name)


def flat(parameters):
    return torch.cat([p.detach().flatten() for p in parameters])


def test_the_learning_rate_reaches_the_graph():
    """A graph that had kept the first step's rate would not stop moving at a rate of zero."""
    device = card()
    trainer = make_trainer(device, epochs=2)
    list(trainer.run())
    assert float(trainer.optimizer.param_groups[0]["lr"]) < 0.1 * trainer.config.recipe_params["lr"]
    before = [p.clone() for p in trainer.model.parameters()]
    trainer.optimizer.param_groups[0]["lr"].zero_()
    trainer._made(torch.arange(BATCH, device=device.device), trainer.progress)
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))


# -- precision -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("deterministic")
def test_both_precisions_train_alike_and_evaluate_one_network_identically():
    """bfloat16 rounds the training steps alone: the losses are close, and what is reported of a given network is the same."""
    exact, rounded = make_trainer(card()), make_trainer(card("bfloat16"))
    full, half = losses(exact.run()), losses(rounded.run())
    assert full != half
    assert half == pytest.approx(full, rel=0.1)
    rounded.model.load_state_dict(exact.model.state_dict())
    a, b = exact.evaluate(exact.splits["test"]), rounded.evaluate(rounded.splits["test"])
    assert np.array_equal(a.confusion, b.confusion)
    assert a.top5 == b.top5
    assert b.loss == pytest.approx(a.loss, rel=1e-6)  # bfloat16 logits would move it by about 1e-3
    assert np.array_equal(
        a.calibration[:2], b.calibration[:2]
    )  # samples and hits; confidences are added up in any order
    assert b.calibration[2] == pytest.approx(a.calibration[2], rel=1e-6)


@both_precisions
def test_training_steps_compute_in_their_precision_and_evaluation_in_float32(precision):
    device, seen = card(precision), {True: set(), False: set()}
    trainer = make_trainer(device, epochs=1)
    trainer.model.register_forward_hook(lambda model, _, logits: seen[model.training].add(logits.dtype))
    list(trainer.run())
    assert seen == {True: {getattr(torch, precision)}, False: {torch.float32}}
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}


# -- resume --------------------------------------------------------------------------------------------------------


@both_precisions
@pytest.mark.parametrize("recipe", ["sgd_cosine", "adam_cycle"])
@pytest.mark.usefixtures("deterministic")
def test_resume_on_cuda_goes_on_where_it_was(precision, recipe):
    """Between two epochs, through the bytes of a checkpoint, into a fresh trainer that captures its own graph."""
    device = card(precision)
    whole = list(make_trainer(device, recipe=recipe).run())
    first = make_trainer(device, recipe=recipe)
    next(iter(first.run()))
    second = resumed(first, device, recipe=recipe)
    rest = list(second.run())
    assert [r.epoch for r in rest] == [1, 2]
    assert counted(rest) == [SAMPLES] * 2
    assert losses(rest) == pytest.approx(losses(whole[1:]), rel=0.1)
    assert second._made.graph is not None


@both_precisions
@pytest.mark.usefixtures("deterministic")
def test_resume_in_the_middle_of_an_epoch_counts_every_sample_once(monkeypatch, precision):
    """Interrupted after replayed steps: the sums on the device go through the checkpoint, and the epoch ends whole."""
    monkeypatch.setattr("core.training.interrupts.LOOK_SECONDS", -1)  # a look at every step
    device, looks = card(precision), count()
    whole = list(make_trainer(device).run())
    first = make_trainer(device)
    with pytest.raises(Interrupted, match="pause"):
        list(first.run(lambda: "pause" if next(looks) == WARM_UP + 2 else None))
    assert (first.progress.epoch, first.progress.step) == (0, WARM_UP + 3)
    assert first._made.graph is not None
    done = list(resumed(first, device).run())
    assert counted(done) == [SAMPLES] * 3
    assert losses(done) == pytest.approx(losses(whole), rel=0.1)


def resumed(trainer, device, **given):
    """A fresh trainer that goes on from another's checkpoint, as a worker on the same card makes it."""
    saved = dumps(trainer.state(), {"config_sha": "x"})
    fresh = make_trainer(device, **given)
    fresh.load(loads(saved, "x"))
    return fresh


def test_a_checkpoint_of_the_card_goes_on_on_the_cpu():
    first = make_trainer(card(), epochs=2)
    before = next(iter(first.run()))
    (after,) = list(resumed(first, choose("cpu"), epochs=2).run())
    assert (before.epoch, after.epoch) == (0, 1)
    assert counted([after]) == [SAMPLES]
    assert after.splits["train"].loss < before.splits["train"].loss


# -- out of memory -------------------------------------------------------------------------------------------------


class Hungry(nn.Module):
    """A network that asks for more memory than any card has in one of its training steps, counted from 0."""

    def __init__(self, step):
        super().__init__()
        self.network, self.step, self.steps = MODELS["resnet20"].build((3, 32, 32), CLASSES), step, count()

    def forward(self, x):
        if self.training and next(self.steps) == self.step:
            torch.empty(2**50, dtype=torch.uint8, device=x.device)
        return self.network(x)


def test_out_of_memory_is_torchs_and_the_card_is_usable_after():
    device = card()
    with pytest.raises(torch.OutOfMemoryError):
        nn.Linear(400_000, 400_000, device=device.device)
    assert_usable(device)


@pytest.mark.parametrize(
    ("step", "expected"),
    [(1, torch.OutOfMemoryError), (WARM_UP, RuntimeError)],  # torch may say instead that the capture was broken off
    ids=["plain", "captured"],
)
def test_out_of_memory_in_a_step_ends_that_training_alone(step, expected):
    device = card()
    with pytest.raises(expected):
        list(make_trainer(device, model=Hungry(step), epochs=1).run())
    assert_usable(device)


def assert_usable(device):
    torch.cuda.empty_cache()
    assert next(iter(make_trainer(device, epochs=1).run())).splits["test"].confusion.sum() == SAMPLES
