"""The engine: what a run reports, how it stops and goes on, what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import TrainingError
from core.experiment.config import RunConfig, checked
from core.methods.types import ClassTerms
from core.training import checkpoint, device_data
from core.training.crop import CropFlip
from core.training.device import choose, precision_of
from core.training.device_data import Split, augmentation
from core.training.interrupts import Interrupted
from core.training.state import Seen
from core.training.trainer import Trainer

CPU = choose("cpu")
CLASSES = 4
both_precisions = pytest.mark.parametrize("precision", ["float32", "bfloat16"])


def data(n, seed, kind=np.float32):
    """Four blobs in 2 x 8 x 8 "images", the first two overlapping, so that some classes are harder."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, n)
    centre = np.array([0.0, 0.4, 2.0, -2.0])[y]
    x = rng.normal(size=(n, 2, 8, 8)) * 2 + centre[:, None, None, None]
    return (np.clip(x * 20 + 128, 0, 255).astype(np.uint8) if kind is np.uint8 else x.astype(kind)), y


def make_splits(augment="none", kind=np.float32):
    mean, std = np.zeros(2, np.float32), np.ones(2, np.float32)
    parts = zip(("train", "validation", "test"), (210, 80, 120), strict=True)
    return {
        name: Split(*data(n, i, kind), mean, std, CPU, augmentation("image", augment) if name == "train" else None)
        for i, (name, n) in enumerate(parts)
    }


def make_config(**changes):
    settings = {
        "dataset": "blobs",
        "model": "net",
        "recipe_params": {"batch_size": 32, "lr": 0.01},
        "epochs": 4,
        "seed": 5,
    }
    return checked(RunConfig(**(settings | changes)))


def make_model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, CLASSES))


def make_trainer(terms_for=lambda *_: ClassTerms(), augment="none", kind=np.float32, **changes):
    config = make_config(**changes)
    device = CPU.training(precision_of(config.precision, False, CPU))
    return Trainer(config, make_splits(augment, kind), make_model(), terms_for, CLASSES, device)


def tensors(state):
    return {k: v.clone() for k, v in state["model"].items()}


def test_every_epoch_reports_counts_of_every_split():
    results = list(make_trainer().run())
    assert [r.epoch for r in results] == [0, 1, 2, 3]
    for result in results:
        assert [result.splits[s].confusion.sum() for s in ("train", "validation", "test")] == [210, 80, 120]
        assert np.array_equal(
            result.splits["test"].confusion.sum(axis=1), np.bincount(data(120, 2)[1], minlength=CLASSES)
        )
        assert result.splits["test"].top5 is None  # four classes
        assert result.seconds > 0
    assert np.trace(results[-1].splits["test"].confusion) > np.trace(results[0].splits["test"].confusion) - 10


@both_precisions
def test_evaluation_is_what_the_model_says_one_by_one(precision):
    trainer = make_trainer(precision=precision)
    list(trainer.run())
    x, y = data(120, 2)
    trainer.model.eval()
    with torch.no_grad():
        said = torch.cat([trainer.model(torch.from_numpy(x[i : i + 1])).argmax(1) for i in range(120)]).numpy()
    confusion = np.zeros((CLASSES, CLASSES), int)
    np.add.at(confusion, (y, said), 1)
    assert np.array_equal(trainer.evaluate(trainer.splits["test"]).confusion, confusion)


def stop_after(calls):
    """A control that orders a stop at its n-th look; looks are made due at every step."""
    count = iter(range(10_000))
    return lambda: "pause" if next(count) == calls else None


def collect(trainer, control):
    """The epochs that were finished before the order to pause came."""
    done, epochs = [], trainer.run(control)
    with pytest.raises(Interrupted, match="pause"):
        take_all(epochs, done)
    return done


def take_all(epochs, done):
    for result in epochs:
        done.append(result)


@pytest.mark.parametrize("looks", [0, 3, 6, 7, 8, 13, 20])
@pytest.mark.parametrize("augment", ["none", "crop_flip"])
@both_precisions
def test_resume_is_bit_identical(monkeypatch, looks, augment, precision):
    """Interrupted at any look (in training or in evaluation), saved, loaded elsewhere: the same bits at the end."""
    monkeypatch.setattr("core.training.interrupts.LOOK_SECONDS", -1)
    whole = make_trainer(augment=augment, precision=precision)
    unbroken = list(whole.run())
    first = make_trainer(augment=augment, precision=precision)
    done = collect(first, stop_after(looks))
    saved = checkpoint.dumps(first.state(), {"config_sha": "x"})
    second = make_trainer(augment=augment, precision=precision)
    second.load(checkpoint.loads(saved, "x"))
    done += list(second.run())
    assert [r.epoch for r in done] == [0, 1, 2, 3]
    for a, b in zip(unbroken, done, strict=True):
        for split in a.splits:
            assert np.array_equal(a.splits[split].confusion, b.splits[split].confusion)
            assert a.splits[split].loss == b.splits[split].loss
    for name, value in tensors(whole.state()).items():
        assert torch.equal(value, second.state()["model"][name]), name


def test_terms_see_the_last_epochs_validation_tprs():
    seen = []

    def terms_for(epoch, before):
        seen.append((epoch, before))
        return ClassTerms(weight=np.ones(CLASSES))

    results = list(make_trainer(terms_for).run())
    assert seen[0] == (0, Seen())
    tprs = []
    for result, (epoch, before) in zip(results, seen[1:], strict=False):
        confusion = result.splits["validation"].confusion
        tprs.append(np.diag(confusion) / confusion.sum(axis=1))
        assert epoch == result.epoch + 1
        assert np.array_equal(before.tpr, tprs[-1])
        assert np.array_equal(before.support, confusion.sum(axis=1))
        assert before.past is None, "nothing is carried that the method does not look at"


def test_a_heavy_weight_lifts_its_class():
    even = list(make_trainer(epochs=8).run())[-1].splits["test"].confusion
    heavy = np.array([8.0, 1, 1, 1])
    lifted = list(make_trainer(lambda *_: ClassTerms(weight=heavy), epochs=8).run())[-1].splits["test"].confusion
    assert lifted[0, 0] / lifted[0].sum() > even[0, 0] / even[0].sum()


def test_a_loss_that_is_not_finite_names_the_step_and_the_rate():
    trainer = make_trainer(recipe="sgd_constant", recipe_params={"batch_size": 32, "lr": 1e6})
    with pytest.raises(
        TrainingError,
        match=r"the (train )?loss is not finite at epoch \d, step \d+ \(learning rate 1e\+06, weights none\)",
    ):
        list(trainer.run())


def test_batch_larger_than_the_data():
    with pytest.raises(
        TrainingError, match="batch size 500 is larger than the training split of 210 samples; choose at most 210"
    ):
        make_trainer(recipe_params={"batch_size": 500, "lr": 0.01})


def test_a_last_batch_of_one_is_left_out():
    trainer = make_trainer(recipe_params={"batch_size": 11, "lr": 0.01}, epochs=1)  # 210 = 19 * 11 + 1
    assert next(trainer.run()).splits["train"].confusion.sum() == 209


def test_foreign_checkpoints_are_refused():
    trainer = make_trainer()
    saved = checkpoint.dumps(trainer.state(), {"config_sha": "x"})
    with pytest.raises(TrainingError, match="other settings"):
        checkpoint.loads(saved, "y")
    with pytest.raises(TrainingError, match="cannot be read"):
        checkpoint.loads(saved[:1000], "x")
    state = checkpoint.loads(saved, "x")
    state["model"].pop("4.bias")
    with pytest.raises(TrainingError, match="does not fit this run"):
        make_trainer().load(state)


def test_malicious_pickle_is_never_run(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("hit").touch, ())

    with pytest.raises(TrainingError, match="cannot be read"):
        checkpoint.loads(pickle.dumps(Evil(), protocol=2), "x")
    assert not tmp_path.joinpath("hit").exists()


def test_crops_are_windows_of_the_padded_image():
    splits = make_splits("crop_flip", np.uint8)
    split, (x, y) = splits["train"], data(210, 0, np.uint8)
    draws = split.draws(seed=1, epoch=0)
    index = torch.tensor([3, 77, 12])
    got, labels = split.batch(index, draws)
    assert labels.tolist() == y[index].tolist()
    for i, row in zip(index.tolist(), got.numpy(), strict=True):
        dy, dx, flip = draws[i].tolist()
        window = np.pad(x[i], ((0, 0), (4, 4), (4, 4)))[:, dy : dy + 8, dx : dx + 8]
        expected = (window[:, :, ::-1] if flip else window) / np.float32(255)
        assert np.allclose(row, expected, atol=1e-6)


def test_data_that_does_not_fit_streams_the_same_batches(monkeypatch):
    whole = make_splits("crop_flip", np.uint8)["train"]
    monkeypatch.setattr(device_data, "SHARE_OF_MEMORY", 0.0)
    mean, std = np.zeros(2, np.float32), np.ones(2, np.float32)
    streamed = device_data.placed({"train": data(210, 0, np.uint8)}, mean, std, CPU, CropFlip())["train"]
    assert whole.resident
    assert not streamed.resident
    index = torch.arange(5, 60)
    draws = whole.draws(2, 3)
    for a, b in zip(whole.batch(index, draws), streamed.batch(index, draws), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(whole.batch(index)[0], streamed.batch(index)[0])


def test_all_splits_share_one_budget_and_training_data_come_first(monkeypatch):
    parts = {name: data(100, i, np.uint8) for i, name in enumerate(("test", "validation", "train"))}
    size = parts["train"][0].nbytes
    monkeypatch.setattr(device_data, "SHARE_OF_MEMORY", 1.0)
    monkeypatch.setattr("core.training.device.free_memory", lambda: 3 * size + 1)
    found = device_data.placed(parts, np.zeros(2, np.float32), np.ones(2, np.float32), CPU, CropFlip())
    assert {name: s.resident for name, s in found.items()} == {
        "test": True,
        "validation": False,
        "train": True,
    }  # augmented data are padded: twice
    assert list(found) == list(parts)


def test_an_epoch_holds_the_samples_that_the_draw_gives():
    """Fewer than the split, as many, or more: the steps follow, and every sample counts once."""
    counts = np.bincount(data(210, 0)[1], minlength=CLASSES)
    even = np.full(CLASSES, 1 / CLASSES)
    for draw, knobs, each in (("subset", {}, counts.min()), ("turns", {"whole": 1.0}, counts.max())):
        result = next(make_trainer(lambda *_, d=draw, k=knobs: ClassTerms(sampling=even, draw=d, knobs=k)).run())
        assert result.splits["train"].confusion.sum(axis=1).tolist() == [each] * CLASSES
    assert next(make_trainer(lambda *_: ClassTerms(sampling=even)).run()).splits["train"].confusion.sum() == 210


def test_bfloat16_rounds_the_training_steps_alone():
    """The training loss moves with the precision; what is reported of a given network does not."""
    exact, rounded = make_trainer(epochs=1), make_trainer(epochs=1, precision="bfloat16")
    first, second = next(exact.run()), next(rounded.run())
    assert first.splits["train"].loss != second.splits["train"].loss
    assert first.splits["train"].loss == pytest.approx(second.splits["train"].loss, rel=0.05)
    rounded.model.load_state_dict(exact.model.state_dict())
    a, b = exact.evaluate(exact.splits["test"]), rounded.evaluate(rounded.splits["test"])
    assert a.loss == b.loss
    assert np.array_equal(a.confusion, b.confusion)
    assert np.array_equal(a.calibration, b.calibration)


@pytest.mark.parametrize(
    ("asked", "gains", "hardware", "expected"),
    [
        ("auto", True, True, "bfloat16"),
        ("auto", True, False, "float32"),
        ("auto", False, True, "float32"),
        ("float32", True, True, "float32"),
        ("bfloat16", False, False, "bfloat16"),
    ],
)
def test_auto_takes_bfloat16_where_network_and_hardware_gain(asked, gains, hardware, expected):
    assert precision_of(asked, gains, replace(CPU, bf16=hardware)) == expected


def test_a_device_that_is_not_there():
    if not torch.cuda.is_available():
        with pytest.raises(
            TrainingError, match=r"device 'cuda' is not available on this machine; choose one of .*cpu or auto"
        ):
            choose("cuda")
