"""The settings in which two runs differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.experiment.config import RunConfig
from core.methods import trains


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings on one level, under keys like "params.exponent", in alphabetical order."""
    found: dict[str, Any] = {}
    for key, value in sorted(settings.items()):
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return found


def settings_of(config: RunConfig) -> dict[str, Any]:
    """A run's settings on one level; without the epochs for a post-hoc step, which has none."""
    return {key: value for key, value in flat(config.stored()).items() if key != "epochs" or trains(config.method)}


def config_differences(a: RunConfig, b: RunConfig) -> list[tuple[str, Any, Any]]:
    """(setting, in a, in b) for the settings that differ; nested ones as "params.exponent", a missing one as None."""
    x, y = settings_of(a), settings_of(b)
    return [(key, x.get(key), y.get(key)) for key in {**x, **y} if x.get(key) != y.get(key)]
