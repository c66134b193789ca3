"""The device a run trains on, and what its hardware supports."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from core.errors import TrainingError
from core.training.host import free_memory

NO_MEMORY = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "MPS backend out of memory")  # in a RuntimeError


@dataclass(frozen=True)
class Device:
    """A device with the choices that depend on its hardware (bf16, channels_last, CUDA graphs) and the precision of a run's steps.

    bf16       its hardware multiplies in bfloat16; otherwise bfloat16 is emulated
    precision  "float32" or "bfloat16", of training steps only, see `exact`; "float32" convolutions on NVIDIA GPUs may use
               TF32 there, as torch's default allows
    """

    device: torch.device
    name: str
    bf16: bool
    channels_last: bool
    precision: str = "float32"

    @property
    def graphs(self) -> bool:
        return self.device.type == "cuda"

    def training(self, precision: str) -> Device:
        """This device with the precision of a run's training steps: "float32" or "bfloat16"."""
        return replace(self, precision=precision)

    def autocast(self) -> torch.autocast:
        """The context of a training step's forward pass."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")

    @contextmanager
    def exact(self) -> Iterator[None]:
        """The context of everything that is reported or fitted: no gradients, and float32 whatever the training precision.

        TF32, which rounds float32 products to 10 bits on NVIDIA GPUs, is also off for convolutions, where torch's default is on.
        """
        with (
            torch.no_grad(),
            torch.autocast(self.device.type, enabled=False),
            torch.backends.cudnn.flags(
                enabled=torch.backends.cudnn.enabled,
                benchmark=torch.backends.cudnn.benchmark,
                deterministic=torch.backends.cudnn.deterministic,
                allow_tf32=False,
            ),
        ):
            yield

    def free_bytes(self) -> int:
        """Memory available for data: free memory of the GPU, or of the machine."""
        if self.device.type == "cuda":
            return torch.cuda.mem_get_info(self.device)[0]
        return free_memory()


def choose(name: str = "auto", index: int | None = None) -> Device:
    """The device for "auto", "cpu", "cuda" or "mps". One that is not available raises TrainingError."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    if not available.get(name, False):
        have = ", ".join(kind for kind, yes in available.items() if yes)
        raise TrainingError(f"device {name!r} is not available on this machine; choose one of {have} or auto")
    if name == "cuda":
        if (index or 0) >= torch.cuda.device_count():
            raise TrainingError(
                f"slot {index}: this machine has {torch.cuda.device_count()} GPUs, counted from 0; choose a lower slot"
            )
        device = torch.device("cuda", index or 0)
        torch.cuda.set_device(device)  # streams and graphs are created on the current device
        capable = torch.cuda.get_device_capability(device) >= (8, 0)
        return Device(device, torch.cuda.get_device_name(device), bf16=capable, channels_last=capable)
    if name == "mps":
        return Device(torch.device("mps"), "Apple MPS", bf16=False, channels_last=False)
    return Device(
        torch.device("cpu"),
        f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)",
        bf16=cpu_bf16(),
        channels_last=True,
    )


def precision_of(asked: str, gains: bool, device: Device) -> str:
    """The precision of a run's training steps, "float32" or "bfloat16".

    asked  the run's setting; "auto" is bfloat16 if the hardware has it and the network gains from it (`gains`)
    """
    if asked != "auto":
        return asked
    return "bfloat16" if gains and device.bf16 else "float32"


def cpu_bf16() -> bool:
    """True if the CPU multiplies bf16 in hardware (AVX512-BF16 or AMX); otherwise bf16 is emulated and slower."""
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)


def out_of_memory(error: Exception) -> bool:
    """True for the out-of-memory errors of Python, torch's allocators and cuBLAS."""
    named = isinstance(error, RuntimeError) and any(name in str(error) for name in NO_MEMORY)
    return named or isinstance(error, (MemoryError, torch.OutOfMemoryError))


def device_lost(error: Exception) -> bool:
    """True for a CUDA error that ends the context: this process cannot use the GPU any more."""
    return isinstance(error, torch.AcceleratorError) and not out_of_memory(error)


def versions() -> dict[str, str]:
    """The versions needed to reproduce a figure: torch, CUDA, Python and platform."""
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "none",
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
    }
