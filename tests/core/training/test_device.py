"""Which device a run trains on. GPUs are made up here; tests/core/training/test_gpu.py uses real ones."""

from __future__ import annotations

import pytest
import torch

from core.training.device import TrainingError, choose


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine with two GPUs; returns what is current."""
    current = []
    for name, found in {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "set_device": current.append,
        "get_device_capability": lambda device: (7, 5) if device.index else (9, 0),
        "get_device_name": lambda device: f"card {device.index}",
    }.items():
        monkeypatch.setattr(torch.cuda, name, found)
    return current


def test_a_gpu_is_taken_where_there_is_one_and_each_slot_has_its_own(two_gpus):
    first, second = choose(), choose("auto", 1)
    assert [(d.device, d.name) for d in (first, second)] == [
        (torch.device("cuda", 0), "card 0"),
        (torch.device("cuda", 1), "card 1"),
    ]
    assert two_gpus == [first.device, second.device]
    assert [d.bf16 for d in (first, second)] == [True, False], "bf16 is fast from compute capability 8.0"


def test_a_slot_beyond_the_gpus_is_refused_with_their_number(two_gpus):
    with pytest.raises(TrainingError, match="slot 2: this machine has 2 GPUs, counted from 0; choose a lower slot"):
        choose("cuda", 2)


def test_the_cpu_is_taken_where_it_is_asked_for(two_gpus):
    assert choose("cpu").device == torch.device("cpu")
    assert two_gpus == []
