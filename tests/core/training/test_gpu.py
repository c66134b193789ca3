"""On a CUDA device only: the captured graph is the plain step, and a card that is full fails one run alone."""

import numpy as np
import pytest
import torch
from torch import nn

from core.experiment.config import RunConfig, checked
from core.methods.types import ClassTerms
from core.training.device import choose
from core.training.device_data import Split
from core.training.train_step import GraphStep, PlainStep
from core.training.trainer import Trainer
from models import MODELS

pytestmark = pytest.mark.gpu
CLASSES = 10


def make_splits(device, n=1000):
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, n)
    x = np.clip(rng.normal(128, 40, (n, 3, 32, 32)) + (y * 8 - 40)[:, None, None, None], 0, 255).astype(np.uint8)
    mean, std = np.full(3, 0.5, np.float32), np.full(3, 0.25, np.float32)
    return {
        name: Split(x, y, mean, std, device, "crop_flip" if name == "train" else "none")
        for name in ("train", "validation", "test")
    }


def make_trainer(device, terms_for=lambda *_: ClassTerms(), epochs=3, **recipe):
    config = checked(
        RunConfig("x", "resnet20", recipe="sgd_cosine", recipe_params={"batch_size": 96, **recipe}, epochs=epochs)
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MODELS["resnet20"].build((3, 32, 32), CLASSES)
    return Trainer(config, make_splits(device), model, terms_for, CLASSES, device)


class Plain(type(choose("cpu"))):
    """The same card without graphs."""

    graphs = False


def plain(device):
    return Plain(device.device, device.name, device.bf16, device.channels_last)


def weights_by_epoch(epoch, *_):
    return ClassTerms(weight=np.linspace(0.5, 1.5, CLASSES) if epoch % 2 else np.ones(CLASSES))


def test_a_replayed_graph_is_the_plain_step():
    """Same data, order, augmentation and changing weights: the losses agree to bf16 accuracy and every sample is counted."""
    device = choose("cuda")
    graph, eager = make_trainer(device, weights_by_epoch), make_trainer(plain(device), weights_by_epoch)
    for a, b in zip(graph.run(), eager.run(), strict=True):
        assert a.splits["train"].confusion.sum() == b.splits["train"].confusion.sum() == 1000
        assert a.splits["train"].loss == pytest.approx(b.splits["train"].loss, rel=0.05)
    assert isinstance(graph._made, GraphStep)
    assert graph._made.graph is not None
    assert type(eager._made) is PlainStep


def test_resume_on_cuda_goes_on_where_it_was():
    device = choose("cuda")
    whole = [r.splits["train"].loss for r in make_trainer(device).run()]
    first = make_trainer(device)
    next(iter(first.run()))
    second = make_trainer(device)
    second.load(first.state())
    rest = [r.splits["train"].loss for r in second.run()]
    assert rest == pytest.approx(whole[1:], rel=0.1)


def test_the_learning_rate_reaches_the_graph():
    """A graph that had kept the first step's rate would not stop moving at a rate of zero."""
    device = choose("cuda")
    trainer = make_trainer(device, epochs=2)
    list(trainer.run())
    assert float(trainer.optimiser.param_groups[0]["lr"]) < 0.1 * trainer.config.recipe_params["lr"]
    before = [p.clone() for p in trainer.model.parameters()]
    trainer.optimiser.param_groups[0]["lr"].zero_()
    trainer._made(torch.arange(96, device=device.device), trainer.progress)
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))


def test_out_of_memory_is_torchs_and_the_card_is_usable_after():
    device = choose("cuda")
    with pytest.raises(torch.OutOfMemoryError):
        nn.Linear(400_000, 400_000, device=device.device)
    torch.cuda.empty_cache()
    assert next(iter(make_trainer(device, epochs=1).run())).splits["test"].confusion.sum() == 1000
