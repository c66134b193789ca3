"""Fill a database with runs that look real: for tests of the pages and for screenshots, never used by the product.

EVENLY_DATA=/tmp/ui-data python tests/seed.py          a small, varied set
EVENLY_DATA=/tmp/ui-data python tests/seed.py 1000     and this many short runs more
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from sqlalchemy import Engine, select, update

from core.datasets import DATASETS
from core.experiment.config import RunConfig, checked
from core.experiment.facts import Facts
from core.metrics.classification import rows_of
from storage import results
from storage.db.connection import open_database
from storage.db.migrate import upgrade
from storage.db.schema import detail
from storage.jobs import queue, workers
from tests.core.metrics.kit import summary

DIGITS = tuple(str(d) for d in range(10))
ANIMALS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Made:
    """What a made-up run learns: TPRs [C] at its end, and how its samples are spread."""

    classes: tuple[str, ...]
    tpr: np.ndarray
    per_class: dict[str, int]


def mnist1d(even: float = 0.0, seed: int = 0) -> Made:
    """TPRs as MNIST-1D gives them, drawn towards their mean by `even` and down a little."""
    base = np.array([0.972, 0.955, 0.871, 0.823, 0.742, 0.905, 0.948, 0.671, 0.884, 0.796])
    t = base + np.random.default_rng(seed).normal(0, 0.008, 10)
    return Made(
        DIGITS,
        np.clip(t + even * (t.mean() - t) - 0.01 * even, 0.02, 0.995),
        {"train": 400, "validation": 200, "test": 1000},
    )


def many(classes: int, seed: int = 0, even: float = 0.0) -> Made:
    """A set with many classes."""
    t = np.random.default_rng(seed).beta(7, 3, classes)
    return Made(
        DATASETS["cifar100"].classes if classes == 100 else tuple(f"class {i:03d}" for i in range(classes)),
        np.clip(t + even * (t.mean() - t), 0.01, 0.99),
        {"train": 450, "validation": 50, "test": 100},
    )


def confusion_of(tpr: np.ndarray, per_class: int, rng: np.random.Generator) -> np.ndarray:
    """A confusion matrix [C, C] whose diagonal follows the TPRs; each class has one favourite mistake."""
    classes = len(tpr)
    out = np.zeros((classes, classes), np.int64)
    for c, t in enumerate(tpr):
        wrong = np.full(classes, 1.0)
        wrong[(c + 3) % classes] = classes
        wrong[c] = 0
        out[c] = rng.multinomial(
            per_class, np.append(0, (1 - t) * wrong / wrong.sum())[1:] + t * (np.arange(classes) == c)
        )
    return out


def split_record(confusion: np.ndarray, loss: float) -> Any:
    """One split at one epoch."""
    support, tp, predicted = rows_of(confusion)
    s = summary(confusion)
    return results.SplitRecord(
        loss=loss,
        n=s.n,
        support=support,
        tp=tp,
        predicted=predicted,
        top5=None,
        accuracy=s.accuracy,
        balanced_accuracy=s.balanced_accuracy,
        tpr_mean=s.tpr_mean,
        tpr_variance=s.tpr_variance,
        tpr_min=s.tpr_min,
        tpr_max=s.tpr_max,
    )


def epoch_record(
    made: Made, epoch: int, epochs: int, weight: np.ndarray | None, rng: np.random.Generator, matrices: bool = True
) -> Any:
    """One epoch on the way from chance to the run's TPRs."""
    grown = 1 - np.exp(-4.5 * epoch / epochs)
    tpr = np.clip(
        0.1 + (made.tpr - 0.1) * grown + rng.normal(0, 0.015 * (1 - epoch / epochs) + 0.002, len(made.tpr)), 0.01, 0.995
    )
    confusions = {
        split: confusion_of(np.clip(tpr + 0.02 * (split == "train"), 0, 0.999), n, rng)
        for split, n in made.per_class.items()
    }
    losses = {"train": 0.25, "validation": 0.42, "test": 0.43}
    splits = {s: split_record(m, losses[s] + 1.9 * (1 - grown) + 0.02 * rng.random()) for s, m in confusions.items()}
    return results.EpochRecord(
        epoch=epoch,
        seconds=0.42,
        lr=0.01 * (1 - epoch / (epochs + 1)),
        splits=splits,
        weight=weight,
        confusion={k: v for k, v in confusions.items() if k != "train"} if matrices else None,
        info={},
    )


def config_of(**settings: Any) -> RunConfig:
    """A checked config on the embedded default."""
    return checked(replace(RunConfig(dataset="mnist1d", model="cnn1d"), **settings))


def submit(engine: Engine, config: RunConfig, name: str, baseline: int | None = None, tags: str = "") -> int:
    """Queue one run, in the group that the pages and the command line would give it."""
    group = config.group_sha("" if baseline is None else results.get_run(engine, baseline).group_sha)
    row = queue.NewRun(
        config=config,
        name=name,
        group_sha=group,
        baseline=baseline,
        tags=tags,
    )
    return queue.submit(engine, [row])[0]


def facts(made: Made) -> Facts:
    """What a worker tells at the start of a run."""
    return Facts(
        classes=made.classes,
        counts={k: [n] * len(made.classes) for k, n in made.per_class.items()},
        index_hash="0" * 64,
        device="cpu",
        versions={"torch": "2.13.0"},
        parameters=5210,
    )


def weights_for(made: Made, exponent: float) -> np.ndarray:
    """Weights of mean 1 from made-up TPRs."""
    w = (made.tpr.mean() / made.tpr) ** exponent
    return w / w.mean()


def train(
    engine: Engine,
    worker: int,
    made: Made,
    epochs: int,
    *,
    until: int | None = None,
    weight: np.ndarray | None = None,
    moving: bool = False,
    end: str | None = "succeeded",
    error: str | None = None,
    seed: int = 0,
    matrices: bool = True,
) -> int:
    """Claim the oldest queued run and write its epochs; `until` stops early, `end` None leaves it running."""
    claim = queue.claim(engine, worker, "cpu")
    rng = np.random.default_rng(seed)
    results.start_run(engine, claim, facts(made))
    for epoch in range(1, (until or epochs) + 1):
        w = weight
        if moving and weight is not None:
            w = 1 + (weight - 1) * min(1.0, (epoch - 1) / 6) + rng.normal(0, 0.02, len(weight)) * (epoch > 1)
        results.record_epoch(engine, claim, epoch_record(made, epoch, epochs, w, rng, matrices))
    if end is not None:
        queue.finish(engine, claim, end, error)
    return claim.run_id


def worker_of(engine: Engine) -> int:
    """A registered worker."""
    return workers.register_worker(engine, 0, "cpu", 4242, "seed")


def small(engine: Engine) -> dict[str, int]:
    """One of everything: baseline, weighted, dynamic, many classes, failed, stopped, running, queued. Returns their ids."""
    worker, ids = worker_of(engine), {}
    plain = config_of(epochs=20)
    ids["baseline"] = submit(engine, plain, "MNIST-1D: none, seed 0", tags="first look")
    train(engine, worker, mnist1d(), 20, seed=1)
    weighted = replace(plain, method="tpr_ratio", params={"exponent": 2.0})
    ids["weighted"] = submit(engine, checked(weighted), "MNIST-1D: TPR ratio, exponent 2, seed 0", ids["baseline"])
    train(engine, worker, mnist1d(0.45), 20, weight=weights_for(mnist1d(), 2.0), seed=2)
    ids["dynamic"] = submit(
        engine, checked(replace(plain, method="cdb", params={})), "MNIST-1D: CDB, tau dynamic, seed 0", ids["baseline"]
    )
    train(engine, worker, mnist1d(0.3, 3), 20, weight=weights_for(mnist1d(), 2.5), moving=True, seed=3)
    hundred = checked(replace(plain, dataset="cifar100", model="resnet20", epochs=8))
    ids["hundred"] = submit(engine, hundred, "CIFAR-100: none, seed 0")
    train(engine, worker, many(100), 8, seed=4)
    ids["hundred_weighted"] = submit(
        engine,
        checked(replace(hundred, method="tpr_ratio", params={"exponent": 1.0})),
        "CIFAR-100: TPR ratio, exponent 1, seed 0",
        ids["hundred"],
    )
    train(engine, worker, many(100, 0, 0.35), 8, weight=weights_for(many(100), 1.0), seed=5)
    ids["failed"] = submit(
        engine,
        checked(replace(plain, seed=7, recipe="sgd_constant", recipe_params={"lr": 1000.0})),
        "MNIST-1D: none, seed 7",
    )
    train(
        engine,
        worker,
        mnist1d(0, 7),
        20,
        until=3,
        end="failed",
        error="the loss is not finite at epoch 4, step 12 (learning rate 1000); lower the learning rate",
        seed=6,
    )
    ids["stopped"] = submit(engine, checked(replace(plain, seed=8)), "MNIST-1D: none, seed 8")
    train(engine, worker, mnist1d(0, 8), 20, until=6, end="cancelled", seed=7)
    ids["running"] = submit(
        engine, checked(replace(weighted, seed=1)), "MNIST-1D: TPR ratio, exponent 2, seed 1", ids["baseline"]
    )
    train(engine, worker, mnist1d(0.4, 1), 20, until=9, weight=weights_for(mnist1d(), 2.0), end=None, seed=8)
    ids["queued"] = submit(
        engine, checked(replace(weighted, seed=2)), "MNIST-1D: TPR ratio, exponent 2, seed 2", ids["baseline"]
    )
    return ids


def crowd(engine: Engine, count: int) -> None:
    """Many short finished runs, for speed."""
    worker = worker_of(engine)
    for i in range(count):
        submit(engine, config_of(seed=i, epochs=2), f"MNIST-1D: none, seed {i}")
        train(engine, worker, mnist1d(0, i), 2, seed=i, matrices=False)


def record_fingerprint(engine: Engine, run_id: int, fingerprint: str | None) -> None:
    """Change the data fingerprint that a run recorded; None: it started before they were recorded."""
    with engine.begin() as connection:
        facts = connection.scalar(select(detail.c.facts).where(detail.c.run_id == run_id))
        facts = {k: v for k, v in facts.items() if k != "fingerprint"} | (
            {} if fingerprint is None else {"fingerprint": fingerprint}
        )
        connection.execute(update(detail).where(detail.c.run_id == run_id).values(facts=facts))


def main() -> None:
    """Seed the database the environment names."""
    engine = open_database(role="worker")
    upgrade(engine)
    if len(sys.argv) > 1:
        crowd(engine, int(sys.argv[1]))
    print(small(engine))


if __name__ == "__main__":
    main()
