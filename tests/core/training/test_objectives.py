"""What every objective of the table owes: a step that trains, buffers in place, the same bits when resumed inside an epoch."""

import copy
import io

import pytest
import torch

from core.errors import EvenlyError
from core.methods import METHODS, answer
from core.methods.evaluate import what_if
from core.methods.method import POSTHOC
from tests.core.methods.kit import settings_of
from tests.core.training.kit import KNOBS, LOOKS_AHEAD, OBJECTIVES, C, batch, make, net, seeded, started, trained


def test_every_method_names_an_objective_that_takes_its_terms():
    """A term that the objective ignored would be a method that silently does nothing."""
    for method in METHODS:
        if method.stage == POSTHOC:
            continue
        for params in settings_of(method, C):
            answered = answer(method.key, what_if(C, tpr=[0.9, 0.7, 0.5, 0.3], counts=[100, 50, 20, 5]), params)
            kind = OBJECTIVES[answered.objective]
            assert answered.set().keys() <= kind.takes | {"sampling"}, method.key
            kind(C, answered.knobs, torch.tensor([100, 50, 20, 5]), seeded())


@pytest.mark.parametrize("key", OBJECTIVES)
def test_one_step_trains_and_answers_the_models_own_logits(key):
    model, objective = net(dtype=torch.float32), make(key)
    given = batch(model, dtype=torch.float32)
    expected = copy.deepcopy(model)(given.x)
    objective.new_epoch(None)
    loss, logits = objective(given)
    loss.backward()
    assert loss.shape == ()
    assert torch.equal(logits, expected)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("key", OBJECTIVES)
def test_batch_norm_statistics_move_as_in_a_plain_step(key):
    """Virtual steps and looks at meta samples leave the running statistics alone."""
    model = net(dtype=torch.float32)
    plain = copy.deepcopy(model)
    given = batch(model, dtype=torch.float32)
    plain(given.x)
    make(key)(given)
    for (name, found), (_, expected) in zip(model.named_buffers(), plain.named_buffers(), strict=True):
        assert torch.equal(found, expected), name


@pytest.mark.parametrize("key", OBJECTIVES)
def test_nothing_depends_on_the_global_generator(key):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = make(key).state_dict()
    model = net(dtype=torch.float32)
    make(key)(batch(model, dtype=torch.float32))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert all(torch.equal(v, first[k]) for k, v in make(key).state_dict().items() if isinstance(v, torch.Tensor))


@pytest.mark.parametrize("key", ["meta_weight_net", "difficulty_net"])
def test_another_generator_draws_another_small_network(key):
    one, two, again = (next(make(key, seed=s).network.parameters()) for s in (0, 1, 0))
    assert not torch.equal(one, two)
    assert torch.equal(one, again)
    with pytest.raises(EvenlyError, match="initializes a small network but was given no generator"):
        OBJECTIVES[key](C, KNOBS[key], None)


@pytest.mark.parametrize("key", OBJECTIVES)
def test_a_run_resumed_inside_an_epoch_ends_with_the_same_bits(key):
    """Through a file read with weights_only, as checkpoints are."""
    unbroken, first = started(key), started(key)
    expected = trained(*unbroken, range(11))
    found = trained(*first, range(6))
    file = io.BytesIO()
    torch.save([part.state_dict() for part in first], file)
    file.seek(0)
    second = started(key)
    for part, state in zip(second, torch.load(file, weights_only=True), strict=True):
        part.load_state_dict(state)
    found += trained(*second, range(6, 11))
    assert found == expected
    for a, b in zip(unbroken[:2], second[:2], strict=True):
        assert all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items() if isinstance(v, torch.Tensor))
    one, two = (parts[1].class_weight() for parts in (unbroken, second))
    assert (one is None and two is None) or torch.equal(one, two)


GRAPHS = [key for key, kind in OBJECTIVES.items() if kind.graph]


def test_what_looks_ahead_is_not_captured():
    assert all(OBJECTIVES[key].meta for key in LOOKS_AHEAD)
    assert [key for key, kind in OBJECTIVES.items() if kind.meta and kind.graph] == []


@pytest.mark.parametrize("key", GRAPHS)
def test_a_captured_objective_never_asks_for_a_value(key):
    """On the meta device there are none: an .item(), a branch on a tensor or a size that depends on values raises."""
    model, objective = (
        net(dtype=torch.float32).to("meta"),
        make(key, **({"momentum": 0.5} if key == "ghm" else {})).to("meta"),
    )
    given = batch(model, dtype=torch.float32)
    given.x, given.labels = given.x.to("meta"), given.labels.to("meta")
    names = OBJECTIVES[key].takes - {"mask"}
    given.terms = {name: torch.ones(C, device="meta") for name in names}
    objective(given)[0].backward()


@pytest.mark.parametrize("key", OBJECTIVES)
def test_buffers_change_in_place(key):
    """A captured graph and a tally go on with the addresses they have."""
    model, objective, optimizer = started(key)
    at = [b.data_ptr() for b in objective.buffers()]
    trained(model, objective, optimizer, range(5))
    assert [b.data_ptr() for b in objective.buffers()] == at


def test_terms_say_it_all():
    assert all(make(key).class_weight() is None for key in ("terms", "sigmoid", "ghm", "poly_tail", "oltr"))
