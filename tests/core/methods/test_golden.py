"""Golden cases: every row answers the numbers that were found by other means, and every row has some."""

import numpy as np
import pytest
import torch

from core.methods import METHODS, answer, what_if
from core.methods.samplers import SAMPLERS
from core.training.losses import tensor_terms
from core.training.objectives import Batch, objective_class
from tests.core.methods.kit import classes_of, files_cases, golden_cases, name_of, vectors
from tests.core.training.kit import Fixed

CASES = [pytest.param(*found, id=name_of(*found[1:])) for found in golden_cases()]
REFERENCE = 65  # cases of the reference sheet, which the files hold


def loss_of(terms, case):
    """The loss of the case's logits [B, C] under its terms, as training has it, in float64."""
    z, labels = torch.tensor(case.given["logits"], dtype=torch.float64), torch.tensor(case.given["labels"])
    counts = torch.bincount(labels, minlength=z.shape[1])
    objective = objective_class(terms.objective)(z.shape[1], terms.knobs, counts, torch.Generator().manual_seed(0))
    acting = tensor_terms(terms, torch.device("cpu"), torch.float64)
    return objective.double()(Batch(Fixed(z), z, labels, acting, "batch_mean"))[0].item()


@pytest.mark.parametrize(("table", "row", "case"), CASES)
def test_the_numbers_of_a_golden_case(table, row, case):
    found = answer(row.key, what_if(classes_of(case), **vectors(case)), case.params, table=table)
    values = {**found.set(), **(found.info or {})}
    if "logits" in case.given:
        values["loss"] = loss_of(found, case)
    assert found.set().keys() <= case.expect.keys() <= values.keys()
    for name, expected in case.expect.items():
        np.testing.assert_allclose(values[name], np.squeeze(expected), rtol=0, atol=1e-9)
    if case.knobs is not None:
        assert found.knobs == pytest.approx(case.knobs, abs=1e-12)


@pytest.mark.parametrize("table", [METHODS, SAMPLERS], ids=lambda t: t.noun)
def test_every_row_has_a_golden_case(table):
    """Each row shows a formula, so each owes a case, in the row or beside its file."""
    held = {row.key for its, row, _ in golden_cases() if its is table}
    assert [row.key for row in table if row.key not in held] == []


def test_the_files_stand_beside_the_rows_they_hold_and_lose_no_case():
    found = list(files_cases())
    assert len(found) == REFERENCE
    assert [(file, row.key) for file, _, row, _ in found if row.terms.__module__ != f"core.methods.{file}"] == []


@pytest.mark.parametrize(("table", "row", "case"), [found[1:] for found in files_cases()])
def test_nothing_is_clipped_or_assumed_in_the_cases_of_the_reference_sheet(table, row, case):
    found = answer(row.key, what_if(classes_of(case), **vectors(case)), case.params, table=table)
    assert (found.notes, found.clipped) == ((), ())
