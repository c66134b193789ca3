"""RunConfig: all settings of a run, as plain values. Stored as JSON; equal settings have equal hashes."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np

from core.errors import EvenlyError, TrainingError
from core.experiment.recipes import RECIPES
from core.methods import METHODS
from core.methods.method import CLASSIFIER, POSTHOC
from core.methods.no_weighting import UNWEIGHTED
from core.methods.samplers import PLAIN, SAMPLERS
from core.methods.types import Vector
from core.registry import Param, Registry, check_params
from core.split_names import DEFAULT_VALIDATION, PROFILES

SCHEMA = 1
# Where New run shows a setting: beside the recipe, under More settings, or there next to the sampler
Shown = Literal["in_sight", "folded", "late"]
# What a field decides: which samples are in which split; the method and its loss; what is sampled, and from when on;
# the given TPRs; how the network is trained; with "where" the data or the machine, which nobody compares
Role = Literal["splits", "method", "sampling", "evidence", "training", "where"]


def setting(
    key: str, label: str, default: Any, *, shown: Shown, role: Role | None = None, first: bool = False, **about: Any
) -> Any:
    """A field of RunConfig with the Param that page, command line, validation and docs read.

    `shown` is its place on New run; `role` see `having`. `first`: the first release had it; any other is left out of the
    stored form at its default, so that runs stored before it keep their sha.
    """
    about = {"param": Param(key, label, default, **about), "shown": shown, "role": role, "later": not first}
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class RunConfig:
    """One run's settings. Build it with `checked`; a raw instance is not validated.

    others  stored settings that this version does not know; kept unchanged, rejected by `checked`
    """

    dataset: str = field(metadata={"role": "where"})
    model: str
    method: str = field(default=UNWEIGHTED, metadata={"role": "method"})
    params: Mapping[str, Any] = field(default_factory=dict, metadata={"role": "method"})
    recipe: str = field(default="adam_cycle", metadata={"role": "training"})
    recipe_params: Mapping[str, Any] = field(default_factory=dict, metadata={"role": "training"})
    epochs: int = setting(
        "epochs",
        "Epochs",
        20,
        shown="in_sight",
        role="training",
        first=True,
        low=1,
        high=100000,
        step=1,
        integer=True,
        help="Passes over the training split.",
    )
    seed: int = setting(
        "seed",
        "Seed",
        0,
        shown="in_sight",
        role="splits",
        first=True,
        low=0,
        high=2**31 - 1,
        step=1,
        integer=True,
        help="Determines the splits, the initial parameters and the order of samples.",
    )
    imbalance: float = setting(
        "imbalance",
        "Imbalance factor",
        1.0,
        shown="folded",
        role="splits",
        first=True,
        low=1.0,
        high=10000.0,
        step=1.0,
        help="Largest over smallest class of the training split; 1 keeps it as it is.",
    )
    profile: str = setting(
        "profile",
        "Long-tail profile",
        PROFILES[0],
        shown="folded",
        role="splits",
        first=True,
        choices=PROFILES,
        help="How the counts fall from class to class.",
    )
    validation: float = setting(
        "validation",
        "Validation share",
        DEFAULT_VALIDATION,
        shown="folded",
        role="splits",
        first=True,
        low=0.01,
        high=0.5,
        step=0.01,
        help="Share of the training data held out; weights are computed from it.",
    )
    reduction: str = setting(
        "reduction",
        "Reduction",
        "weighted_mean",
        shown="folded",
        role="method",
        first=True,
        choices=("weighted_mean", "batch_mean"),
        help="weighted_mean divides by the sum of the weights in the batch (PyTorch's weight=), batch_mean by the batch size.",
    )
    start: float = setting(
        "start",
        "Late start",
        0.0,
        shown="late",
        role="sampling",
        low=0.0,
        high=0.99,
        step=0.05,
        help="Share of the epochs without weighting before the method and the sampler act; 0.8 is usual (DRW, DRS).",
    )
    deferred: str = setting(
        "deferred",
        "What starts late",
        "everything",
        shown="late",
        role="sampling",
        choices=("everything", "weight"),
        help="everything: all terms and the sampler. weight: class weights and sampling only; "
        "logit terms act from the first epoch, as in LDAM-DRW.",
    )
    device: str = setting(
        "device",
        "Device",
        "auto",
        shown="folded",
        role="where",
        first=True,
        choices=("auto", "cpu", "cuda", "mps"),
        help="auto uses CUDA, else Apple MPS, else the CPU.",
    )
    precision: str = setting(
        "precision",
        "Precision",
        "auto",
        shown="folded",
        choices=("auto", "float32", "bfloat16"),
        help="Precision of the training steps. auto uses bfloat16 for large networks on hardware that supports it, else float32. "
        "float32 may use TF32 in convolutions on GPUs that have it (PyTorch's default). "
        "Metrics, features and everything that is fitted are computed in exact float32.",
    )
    sampler: str = field(default=PLAIN, metadata={"role": "sampling", "later": True})
    sampler_params: Mapping[str, Any] = field(default_factory=dict, metadata={"role": "sampling", "later": True})
    # Pasted or uploaded TPRs, None when a baseline run supplies them; the validation samples behind each, None when unknown
    tpr: tuple[float | None, ...] | None = field(default=None, metadata={"role": "evidence"})
    tpr_support: tuple[float, ...] | None = field(default=None, metadata={"role": "evidence"})
    tpr_source: str = field(default="", metadata={"role": "evidence"})
    others: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Canonical JSON of `stored`: sorted keys."""
        return json.dumps(self.stored(), sort_keys=True)

    def stored(self) -> dict[str, Any]:
        """The settings as plain values, with the schema number: what the database and the exports hold.

        Settings added since the first release are left out at their defaults, so that runs made before them keep
        their sha. `from_dict` reads them back.
        """
        left_out = {k for k, v in LATER.items() if getattr(self, k) == v} | {"others"}
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}
        return {"schema": SCHEMA, **values, **self.others}

    def sha(self) -> str:
        """sha256 of the canonical JSON: equal for equal settings."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def group_sha(self, baseline: str = "") -> str:
        """sha256 of all settings but the seed and the device: replicates share it. `baseline` is the baseline's own group."""
        return hashlib.sha256((replace(self, seed=0, device="auto").to_json() + baseline).encode()).hexdigest()


NO_CONFIG = RunConfig("", "")  # where none is known
SETTINGS: Registry[Param] = Registry(
    "setting", *(f.metadata["param"] for f in fields(RunConfig) if "param" in f.metadata)
)
# The settings added since the first release, at their defaults
LATER = {f.name: getattr(NO_CONFIG, f.name) for f in fields(RunConfig) if f.metadata.get("later")}


def having(*roles: Role) -> tuple[str, ...]:
    """The names of the fields of RunConfig with one of these roles."""
    return tuple(f.name for f in fields(RunConfig) if f.metadata.get("role") in roles)


def defaults(*roles: Role) -> dict[str, Any]:
    """The fields with one of these roles at their defaults."""
    return {key: getattr(NO_CONFIG, key) for key in having(*roles)}


def shown(place: Shown) -> tuple[Param, ...]:
    """The settings that New run shows in this place, in their order."""
    return tuple(f.metadata["param"] for f in fields(RunConfig) if f.metadata.get("shown") == place)


def usual_epochs(method: str, recipe: str) -> int:
    """The number of epochs where none is set: one for a post-hoc step, else the method's own, else the recipe's."""
    row = METHODS[method]
    return 1 if row.stage == POSTHOC else row.epochs or RECIPES[recipe].epochs


def with_given_tprs(config: RunConfig, tpr: Sequence[float], support: Sequence[float] | None, source: str) -> RunConfig:
    """The config with pasted or uploaded TPRs [C] (NaN where undefined), their supports [C] and where they come from in words."""
    return replace(
        config,
        tpr=tuple(None if math.isnan(v) else float(v) for v in tpr),
        tpr_support=None if support is None else tuple(float(v) for v in support),
        tpr_source=source,
    )


def given_tprs(config: RunConfig) -> tuple[Vector | None, Vector | None]:
    """The TPRs [C] of `with_given_tprs` (NaN where undefined) and their supports [C]; None where not given."""
    if config.tpr is None:
        return None, None
    tpr = np.array([np.nan if v is None else v for v in config.tpr], dtype=np.float64)
    return tpr, None if config.tpr_support is None else np.array(config.tpr_support, dtype=np.float64)


def from_dict(data: Mapping[str, Any]) -> RunConfig:
    """The RunConfig of `RunConfig.stored`. Unknown settings are kept in `others`, so that such a run can be shown."""
    known = {f.name for f in fields(RunConfig)} - {"others"}
    values = {k: v for k, v in data.items() if k in known}
    for key in ("tpr", "tpr_support"):
        if values.get(key) is not None:
            values[key] = tuple(values[key])
    newer = {"schema"} if data.get("schema", SCHEMA) > SCHEMA else set()
    values = {"dataset": "", "model": ""} | values  # a row without them was not written by Evenly; `checked` rejects it
    return RunConfig(**values, others={k: v for k, v in data.items() if k not in known and (k != "schema" or newer)})


def checked(config: RunConfig) -> RunConfig:
    """The config with every parameter checked and defaults filled in. Raises EvenlyError naming the value.

    The dataset and the model are checked elsewhere: in `core.datasets` and the MODELS table.
    """
    _refuse_others(config)
    method, recipe = METHODS[config.method], RECIPES[config.recipe]
    settings = {p.key: p.check(getattr(config, p.key), "run") for p in SETTINGS}
    params = check_params(method.params, config.params, method.key)
    recipe_params = check_params(recipe.params, config.recipe_params, recipe.key)
    if "tpr" not in method.needs_with(params) and config.tpr is not None:
        config = replace(config, tpr=None, tpr_support=None, tpr_source="")
    config = replace(config, params=params, recipe_params=recipe_params, **settings)
    return replace(config, **_fitting_stage(config))


def check_batch(config: RunConfig, samples: int) -> None:
    """Raise TrainingError where a batch of a checked config is larger than the training split: no step could be made."""
    batch = int(config.recipe_params["batch_size"])
    if batch > samples:
        raise TrainingError(
            f"batch size {batch} is larger than the training split of {samples} samples; choose at most {samples}"
        )


def _refuse_others(config: RunConfig) -> None:
    """Reject settings of another version of Evenly: a run is not trained with settings that are not understood."""
    if "schema" in config.others:
        raise EvenlyError(
            f"this run was written by a newer Evenly (schema {config.others['schema']}, this one reads {SCHEMA}); update Evenly"
        )
    if config.others:
        known = ", ".join(sorted(f.name for f in fields(RunConfig) if f.name != "others"))
        raise EvenlyError(f"unknown setting {min(config.others)!r}; known: {known}")


def _fitting_stage(config: RunConfig) -> dict[str, Any]:
    """The sampler's parameters and the late start that the method's stage allows. A post-hoc step trains nothing: one epoch."""
    method, sampler = METHODS[config.method], SAMPLERS[config.sampler]
    if sampler.stage == CLASSIFIER and method.stage != CLASSIFIER:
        able = ", ".join(m.key for m in METHODS if m.stage == CLASSIFIER)
        raise EvenlyError(
            f"sampler {sampler.key} works on the features of a second stage, and {method.key} is not one; "
            f"choose one of {able}, or another sampler"
        )
    if method.stage == POSTHOC:
        return {**defaults("sampling"), "epochs": 1}
    return {"sampler_params": check_params(sampler.params, config.sampler_params, sampler.key)}
