"""Every network on every shape it says it fits: sizes from the papers, output shapes, gradients, reasons."""

from __future__ import annotations

import math

import pytest
import torch

from core.errors import EvenlyError
from models import MODELS, Model, fitting

SHAPES = [
    (1, 40),
    (1, 8),
    (1, 8, 8),
    (1, 28, 28),
    (3, 28, 28),
    (1, 32, 32),
    (3, 32, 32),
    (3, 33, 31),
    (3, 64, 64),
    (3, 96, 96),
]


def why_not(model: Model, shape: tuple[int, ...], classes: int = 10) -> str | None:
    """Why a network does not take signals (two axes) or images (all others) of this shape."""
    return model.fits("signal" if len(shape) == 2 else "image", shape, classes)


PAIRS = [(m.key, shape) for m in MODELS for shape in SHAPES if why_not(m, shape) is None]


def built(key: str, shape: tuple[int, ...], classes: int = 10, seed: int = 0) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MODELS[key].build(shape, classes)


def sample(shape: tuple[int, ...], n: int = 2) -> torch.Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(1))


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.key)
def test_the_stated_size_is_the_real_one(model):
    assert parameters(model.build(model.size.shape, model.size.classes)) == model.size.parameters


@pytest.mark.parametrize(
    ("key", "shape", "classes", "published"),
    [
        ("lenet5", (1, 32, 32), 2, 61_026),  # methods sheet of the CDB paper, variant b
        ("lenet5", (1, 28, 28), 10, 61_706),  # 61,026 + 8 x 85 more outputs
        ("resnet32", (3, 32, 32), 100, 470_004),  # LDAM-DRW and the rest of the long-tailed literature
        ("resnet32", (3, 32, 32), 10, 464_154),  # "0.46 M", He et al. 2016, table 6
        ("resnet20", (3, 32, 32), 10, 269_722),  # "0.27 M", the same table
        ("resnet18", (3, 64, 64), 1000, 11_689_512),  # torchvision's own documentation
    ],
)
def test_sizes_are_the_published_ones(key, shape, classes, published):
    assert parameters(built(key, shape, classes)) == published


@pytest.mark.parametrize(("key", "shape"), PAIRS)
def test_logits_have_one_column_per_class(key, shape):
    for classes in (2, 10):
        assert built(key, shape, classes)(sample(shape)).shape == (2, classes)


@pytest.mark.parametrize(("key", "shape"), PAIRS)
def test_a_gradient_reaches_every_parameter(key, shape):
    network = built(key, shape)
    torch.nn.functional.cross_entropy(network(sample(shape, 8)), torch.arange(8)).backward()
    still = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.key)
def test_same_seed_same_parameters_and_nothing_else_is_drawn(model):
    shape = next(shape for shape in SHAPES if why_not(model, shape) is None)
    one, two, other = built(model.key, shape), built(model.key, shape), built(model.key, shape, seed=1)
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True))
    assert not all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))
    before = torch.get_rng_state()
    one.train()(sample(shape))
    assert torch.equal(before, torch.get_rng_state()), "the forward pass drew from torch's global generator"


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.key)
@pytest.mark.parametrize("shape", [*SHAPES, (1, 3), (7, 16, 16), (3, 2000, 2000), (1,), (1, 0, 5), (1, 2, 3, 4)])
def test_what_does_not_fit_says_why(model, shape):
    for classes in (0, 1):
        assert "at least 2 classes" in why_not(model, shape, classes)
    reason = why_not(model, shape)
    if reason is not None:
        named = [str(math.prod(shape)), "x".join(map(str, shape)), *map(str, shape)]
        assert any(word in reason for word in named), "the reason names what the data has"
        assert reason.startswith("it takes ")
        assert "\n" not in reason


def test_every_embedded_shape_has_a_choice_of_models():
    assert [m.key for m in fitting("signal", (1, 40), 10)] == ["mlp", "cnn1d"]
    assert [m.key for m in fitting("image", (1, 8, 8), 10)] == ["mlp", "cnn"]
    assert [m.key for m in fitting("image", (1, 28, 28), 10)] == ["mlp", "lenet5", "cnn", "resnet20", "resnet32"]
    assert [m.key for m in fitting("image", (3, 32, 32), 100)] == ["mlp", "lenet5", "cnn", "resnet20", "resnet32"]
    assert [m.key for m in fitting("image", (3, 224, 224), 5)] == ["resnet18"]


@pytest.mark.parametrize("side", [8, 16, 24, 32, 48, 64, 96, 128, 160, 224, 256, 512])
def test_every_image_folder_size_has_a_model(side):
    assert fitting("image", (3, side, side), 10)


def test_an_unknown_model_names_the_known_ones():
    with pytest.raises(EvenlyError, match="unknown model 'vgg'; known: mlp, cnn1d"):
        MODELS["vgg"]


def test_resnet_shortcuts_are_option_a():
    """Where a stage begins, the shortcut is every second pixel between zero channels; it has no parameters."""
    from models.networks.resnet import Block

    x = sample((16, 8, 8))
    out = Block(16, 32, stride=2).shortcut(x)
    assert out.shape == (2, 32, 4, 4)
    assert torch.equal(out[:, 8:24], x[:, :, ::2, ::2])
    assert not out[:, :8].any()
    assert not out[:, 24:].any()
    assert torch.equal(Block(16, 16, stride=1).shortcut(x), x)


def test_resnet_parameters_start_as_in_the_paper():
    """Convolutions: normal with sd sqrt(2 / fan_in); the head: torch's uniform within 1 / sqrt(64)."""
    network = built("resnet32", (3, 32, 32), 100)
    convs = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convs) == 31
    for conv in convs[1:]:
        fan_in = conv.weight[0].numel()
        assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / fan_in), rel=0.08)
    assert network.head.weight.abs().max().item() <= 1 / math.sqrt(64)


def test_lenet_pads_small_images_to_32():
    """A 28x28 image gives the same logits as the same image with a border of zeros at 32x32."""
    small, large = built("lenet5", (1, 28, 28)), built("lenet5", (1, 32, 32))
    large.load_state_dict(small.state_dict())
    x = sample((1, 28, 28))
    torch.testing.assert_close(small(x), large(torch.nn.functional.pad(x, (2, 2, 2, 2))))
