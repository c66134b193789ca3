"""What stages and meta samples are made of, by content: which split, which parameters, in which mode."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from core.experiment.config import RunConfig, checked
from core.experiment.term_schedule import in_force
from core.methods import posthoc
from core.methods.types import ClassTerms, Evidence
from core.training.device import choose
from core.training.device_data import Split
from core.training.features import features_of
from core.training.objectives.base import Objective
from core.training.trainer import Trainer
from models import MODELS
from models.networks.heads import Scaled
from services.queue_rows import new_run
from storage.jobs import queue
from tests.work.kit import drained, submit
from work import network_start

C, SHAPE = 3, (1, 8, 8)
COUNTS = {"train": (40, 12, 5), "validation": (7, 9, 8), "test": (10, 11, 12)}
MARK = {"train": 0.0, "validation": 50.0, "test": -50.0}  # added to the pixels: a sample tells where it is from


def labels_of(split):
    return np.repeat(np.arange(C), COUNTS[split])


@pytest.fixture(params=["float32", "bfloat16"])
def device(request):
    """The device as a run of either precision trains on it; features and outputs are float32 on both."""
    return choose("cpu").training(request.param)


@pytest.fixture
def splits(device):
    made = {}
    for i, name in enumerate(COUNTS):
        y = labels_of(name)
        x = np.random.default_rng(i).normal(size=(len(y), *SHAPE)) + y[:, None, None, None] + MARK[name]
        made[name] = Split(x.astype(np.float32), y, np.zeros(1, np.float32), np.ones(1, np.float32), device)
    return made


@pytest.fixture
def before():
    """A finished run of the small CNN, with statistics of batch norm that no fresh network has."""
    config = checked(RunConfig("blobs", "cnn", recipe_params={"batch_size": 16}))
    network = network_start.fresh(config, SHAPE, C, [])
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.uniform_(-1, 1, generator=torch.Generator().manual_seed(3))
    return network_start.Finished(None, config, network, [])


def begun(method, splits, before, device, sampler="instance", **params):
    """(the start of a run of this method, the config)."""
    config = replace(before.config, method=method, sampler=sampler, params=params)
    terms = in_force(config, Evidence(C, counts=COUNTS["train"]))
    return network_start.begin(config, terms, splits, SHAPE, C, device, before), config


def values(module):
    return {k: v.clone() for k, v in module.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(v, b[k]) for k, v in a.items())


def in_evaluation(network, split):
    """Features of a split, worked out here."""
    network.eval()
    with torch.no_grad():
        return network.features(split.batch(torch.arange(len(split)))[0]).numpy()


# ---------------------------------------------------------------- meta samples


class Asks(Objective):
    """Plain cross entropy that keeps the meta samples it is given."""

    graph = False
    meta = True

    def forward(self, batch):
        self.seen = [*getattr(self, "seen", []), batch.meta()]
        logits = batch.logits()
        return nn.functional.cross_entropy(logits, batch.labels), logits


def test_meta_samples_are_validation_samples_evenly_many_of_each_class(splits, device, monkeypatch):
    monkeypatch.setattr("core.training.trainer.objective_class", lambda key: {"asks": Asks}[key])
    config = checked(RunConfig("blobs", "cnn", epochs=2, recipe_params={"batch_size": 16}))
    trainer = Trainer(
        config,
        splits,
        network_start.fresh(config, SHAPE, C, []),
        lambda *_: ClassTerms(objective="asks", knobs={"meta_batch": 12}),
        C,
        device,
    )
    assert len(list(trainer.run())) == 2
    drawn = trainer.objectives["asks"].seen
    assert len(drawn) == 2 * 4  # steps
    own = {
        tuple(x.flatten().tolist()): int(y)
        for x, y in zip(*splits["validation"].batch(torch.arange(len(splits["validation"]))), strict=True)
    }
    for x, y in drawn:
        assert torch.bincount(y).tolist() == [4, 4, 4]
        assert [own[tuple(row.flatten().tolist())] for row in x] == y.tolist(), (
            "a sample that is not of the validation split"
        )
    assert len({tuple(x[:, 0, 0, 0].tolist()) for x, _ in drawn}) == len(drawn), "every step draws anew"


# ---------------------------------------------------------------- features


def test_features_are_those_of_evaluation_mode_and_leave_the_network_as_it_was(splits, before, device):
    """Running statistics of batch norm too: the finished run goes on to be the baseline of others."""
    was = values(before.network)
    before.network.train()
    features, logits = features_of(before.network, splits["train"], device)
    assert same(values(before.network), was)
    expected = in_evaluation(before.network, splits["train"])
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(logits, before.network.head(torch.as_tensor(expected)).numpy(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("method", ["crt", "lws"])
def test_a_second_stage_trains_on_the_features_of_each_split(splits, before, device, method):
    expected = {name: in_evaluation(before.network, split) for name, split in splits.items()}
    start, _ = begun(method, splits, before, device)
    for name, split in start.splits.items():
        x, y = split.batch(torch.arange(len(split)))
        np.testing.assert_allclose(x.numpy(), expected[name], rtol=1e-5, atol=1e-5)
        assert y.tolist() == labels_of(name).tolist()


def test_smote_makes_training_samples_alone(splits, before, device):
    start, _ = begun("crt", splits, before, device, "smote")
    found = {name: torch.bincount(split.labels).tolist() for name, split in start.splits.items()}
    assert found == {"train": [40, 40, 40], "validation": list(COUNTS["validation"]), "test": list(COUNTS["test"])}


def test_the_body_of_a_second_stage_does_not_learn(splits, before, device):
    body, was = values(before.network.body), values(before.network.head)
    start, config = begun("crt", splits, before, device)
    list(Trainer(replace(config, epochs=2), start.splits, start.model, lambda *_: ClassTerms(), C, device).run())
    assert same(values(start.network.body), body)
    assert not same(values(start.network.head), was)


# ---------------------------------------------------------------- heads


def test_crt_begins_with_a_new_last_layer_of_its_seed(splits, before, device):
    was = values(before.network.head)
    start, _ = begun("crt", splits, before, device)
    fresh = values(start.network.head)
    assert not any(torch.equal(v, was[k]) for k, v in fresh.items())
    assert start.heads == [("linear", {"fresh": 1.0})]
    again = replace(before, network=MODELS["cnn"].build(SHAPE, C))
    assert same(values(begun("crt", splits, again, device)[0].network.head), fresh)
    other = replace(before, config=replace(before.config, seed=1), network=MODELS["cnn"].build(SHAPE, C))
    assert not same(values(begun("crt", splits, other, device)[0].network.head), fresh)


def test_lws_begins_with_the_finished_last_layer(splits, before, device):
    was = values(before.network.head)
    head = begun("lws", splits, before, device)[0].network.head
    assert isinstance(head, Scaled)
    assert same(values(head.head), was)
    assert head.factors.tolist() == [1.0] * C


def test_the_memory_of_oltr_begins_with_the_class_means_of_the_training_features(splits, before, device):
    start, _ = begun("oltr", splits, before, device)
    features = in_evaluation(start.network, splits["train"])
    means = np.stack([features[labels_of("train") == c].mean(axis=0) for c in range(C)])
    np.testing.assert_allclose(start.network.head.centroids.detach().numpy(), means, rtol=1e-4, atol=1e-4)
    assert start.splits is splits
    assert start.feature_rate == 0.1


# ---------------------------------------------------------------- post-hoc steps


def test_outputs_are_those_of_each_split_with_the_training_counts(splits, before, device):
    out = network_start.outputs_of(before, splits, device)
    assert out.counts.tolist() == list(COUNTS["train"])
    for name, split in splits.items():
        assert out.labels[name].tolist() == labels_of(name).tolist()
        features = in_evaluation(before.network, split)
        np.testing.assert_allclose(out.features[name], features, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(out.logits[name], features @ out.weight.T + out.bias, rtol=1e-4, atol=1e-3)


def drawn_outputs(seeds):
    rng = {name: np.random.default_rng(seed) for name, seed in seeds.items()}
    labels = {name: np.repeat(np.arange(C), 60) for name in seeds}
    logits = {
        name: (r.normal(size=(180, C)) + 1.5 * np.eye(C)[labels[name]] + [0.0, 1.0, 2.0]).astype(np.float32)
        for name, r in rng.items()
    }
    return posthoc.Outputs(
        labels=labels, logits=logits, features=logits, weight=None, bias=None, counts=np.full(C, 60.0)
    )


def test_the_equal_tpr_bias_is_fitted_on_the_validation_split_alone():
    def fitted(**seeds):
        return posthoc.apply("equal_tpr_bias", drawn_outputs(seeds), {"strength": 1.0}).summand

    first = fitted(train=1, validation=2, test=3)
    assert np.array_equal(first, fitted(train=4, validation=2, test=5))
    assert not np.array_equal(first, fitted(train=1, validation=5, test=3))


# ---------------------------------------------------------------- what is recorded


def test_the_recorded_training_counts_are_those_of_the_data(worker):
    """SMOTE's samples are made, not counted."""
    plain = checked(RunConfig("mnist1d", "cnn1d", epochs=1, imbalance=100.0))
    (base,) = submit(worker, plain)
    counts = drained(worker, base).facts.counts
    (made,) = queue.submit(worker.engine, [new_run(replace(plain, method="crt", sampler="smote"), baseline=base)])
    assert drained(worker, made).facts.counts == counts
    assert max(counts["train"]) > 50 * min(counts["train"])
