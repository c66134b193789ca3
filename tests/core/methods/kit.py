"""What the tests of methods share: vectors, a method's terms for them, and the settings and golden cases of the rows."""

import json
from pathlib import Path

import numpy as np

import core.methods
from core.methods import METHODS, answer, what_if
from core.methods.method import Golden
from core.methods.samplers import SAMPLERS

SEED = [0.9560878243512974, 0.7365384615384616, 0.7807933194154488]
FIVE = [0.9, 0.7, 0.5, 0.3, 0.1]
COUNTS = [1000, 300, 100, 30, 10]
MANY = 1e9  # validation samples: so many that the floors are out of sight
RAW = {"normalize": "none"}
FOLDER = Path(core.methods.__file__).parent / "golden"


def settings_of(row, classes):
    """The parameters a contract is tried with: what the row is tested with, and its defaults where they do for any number of classes."""
    tested = row.tested(classes)
    needed = any(callable(value) for value in row.tested_with.values())
    return [tested] if needed or not tested else [{}, tested]


def files_cases():
    """(name of the row's file, table, row, case) of every case that stands beside a file of rows."""
    for path in sorted(FOLDER.glob("*.json")):
        for case in json.loads(path.read_text("utf-8"))["cases"]:
            key = case.pop("method")
            table = SAMPLERS if key.startswith("sampler:") else METHODS
            yield path.stem, table, table[key.removeprefix("sampler:")], Golden(**case)


def golden_cases():
    """(table, row, case) of every golden case, the rows' own first."""
    yield from ((table, row, case) for table in (METHODS, SAMPLERS) for row in table for case in row.golden)
    yield from (found[1:] for found in files_cases())


def vectors(case):
    """The TPRs and counts of a case."""
    return {k: v for k, v in case.given.items() if k in ("tpr", "counts")}


def classes_of(case):
    return len(next(iter(vectors(case).values()), None) or case.given["logits"][0])


def name_of(row, case):
    return f"{row.key}-{classes_of(case)}-{dict(case.params)}"


def terms(key, params=None, **vectors):
    """The answer for these vectors: tpr stands for an earlier run and for the last epoch alike."""
    return answer(key, what_if(len(next(iter(vectors.values()))), **vectors), params)


def close(found, expected, digits=11):
    np.testing.assert_allclose(found, expected, rtol=10.0**-digits, atol=1e-12)
