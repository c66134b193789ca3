"""The networks and the shapes they fit. torch is imported only when a network is built: the pages read this table too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import EvenlyError
from core.registry import Registry, Source, imported
from models.shapes import Fits, images, signals, up_to

if TYPE_CHECKING:
    from models.networks.heads import Network

Shape = tuple[int, ...]  # one sample: (1, L) a signal, (channels, height, width) an image


@dataclass(frozen=True)
class Size:
    """The number of parameters of a network for one shape and number of classes."""

    shape: Shape
    classes: int
    parameters: int

    def __str__(self) -> str:
        return f"{self.parameters:,} parameters for {self.classes} classes on {'x'.join(map(str, self.shape))}"


@dataclass(frozen=True)
class Model:
    """A network.

    size   its number of parameters in the usual case
    fits   (key of MODALITIES, shape, classes) -> why it does not fit, in words, or None if it does
    maker  "module:function" of the builder, which returns a Sequential that ends in a Linear; imported by `build`
    bf16   with precision "auto" it trains in bfloat16 if the hardware supports it: it was measured to be faster
    """

    key: str
    label: str
    summary: str
    size: Size
    fits: Fits
    maker: str
    source: Source
    bf16: bool = False

    def check(self, kind: str, shape: Shape, classes: int, data: str) -> None:
        """Raise EvenlyError where it does not fit; arguments as of `fits`, then what the data is called."""
        if reason := self.fits(kind, shape, classes):
            raise EvenlyError(f"model {self.key} does not fit {data}: {reason}")

    def build(self, shape: Shape, classes: int) -> Network:
        """A fresh network: [B, *shape] float32 -> logits [B, classes], in two parts, `body` and `head`.

        The initial parameters come from torch's global generator, as torch's layers initialize them: fork and seed it around
        this call. Nothing else is random, here or in the forward pass. Call `fits` first.
        """
        from models.networks.heads import split

        return split(imported(self.maker)(shape, classes), shape)


_HE = Source(
    "He, Zhang, Ren and Sun",
    2016,
    "Deep residual learning for image recognition",
    "https://arxiv.org/abs/1512.03385",
)
MODELS = Registry(
    "model",
    Model(
        key="mlp",
        label="MLP",
        summary="Two hidden layers, 256 and 128 wide. Takes any small input; does not use the order of its values.",
        size=Size((1, 40), 10, 44_682),
        fits=up_to(12_288),
        maker="models.networks.small:mlp",
        source=Source("Rumelhart, Hinton and Williams", 1986, "Learning representations by back-propagating errors"),
    ),
    Model(
        key="cnn1d",
        label="CNN-1D",
        summary="Three 1-D convolutions, 16 to 32 wide, and a mean over time: seconds per run on a CPU.",
        size=Size((1, 40), 10, 5_098),
        fits=signals(8),
        maker="models.networks.small:cnn1d",
        source=Source(
            "Greydanus and Kobak", 2024, "Scaling down deep learning with MNIST-1D", "https://arxiv.org/abs/2011.14439"
        ),
    ),
    Model(
        key="lenet5",
        label="LeNet-5",
        summary="The 1998 network for digits, with ReLU and max pooling; 28x28 is padded to 32x32.",
        size=Size((1, 32, 32), 2, 61_026),
        fits=images((1, 3), sides=(28, 32)),
        maker="models.networks.lenet:lenet5",
        source=Source(
            "LeCun, Bottou, Bengio and Haffner", 1998, "Gradient-based learning applied to document recognition"
        ),
    ),
    Model(
        key="cnn",
        label="Small CNN",
        summary="Three convolutions with batch norm, 32 to 128 wide, for images from 8x8 to 128x128.",
        size=Size((1, 8, 8), 10, 94_186),
        fits=images((1, 2, 3, 4), low=8, high=128),
        maker="models.networks.small:cnn",
        source=Source("Ioffe and Szegedy", 2015, "Batch normalization", "https://arxiv.org/abs/1502.03167"),
    ),
    Model(
        key="resnet20",
        label="ResNet-20",
        summary="The small residual network for CIFAR, parameter-free shortcuts (option A).",
        size=Size((3, 32, 32), 10, 269_722),
        fits=images((1, 3), low=16, high=64),
        maker="models.networks.resnet:resnet20",
        source=_HE,
        bf16=True,
    ),
    Model(
        key="resnet32",
        label="ResNet-32",
        summary="The standard network of the long-tailed CIFAR papers, shortcuts of option A.",
        size=Size((3, 32, 32), 100, 470_004),
        fits=images((1, 3), low=16, high=64),
        maker="models.networks.resnet:resnet32",
        source=_HE,
        bf16=True,
    ),
    Model(
        key="resnet18",
        label="ResNet-18",
        summary="torchvision's ResNet-18, not pretrained, for image folders; needs a GPU.",
        size=Size((3, 224, 224), 1000, 11_689_512),
        fits=images((3,), low=64, high=512),
        maker="models.networks.resnet:resnet18",
        source=_HE,
        bf16=True,
    ),
)


def fitting(kind: str, shape: Shape, classes: int) -> list[Model]:
    """The models that fit, in the order of the table."""
    return [model for model in MODELS if model.fits(kind, shape, classes) is None]
