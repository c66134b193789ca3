"""The copied command starts the same run, and the copied PyTorch code computes the same loss to the last digits."""

import shlex
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.config import SETTINGS, RunConfig, checked
from core.errors import EvenlyError
from core.evidence import TERMS, ClassTerms
from core.losses import class_loss, tensor_terms
from core.methods import METHODS, answer, what_if
from core.recipes import RECIPES
from core.snippet import cli_command, pytorch_snippet
from core.tprs import parse

C = 5
CPU = torch.device("cpu")
NAMES = ["car", "dog", "cat", "frog", "ship"]


@pytest.fixture
def double():
    """Snippets run in float64, so that they can be compared to twelve digits."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def loaded(text):
    """What the snippet defines."""
    scope = {}
    exec(compile(text, "snippet", "exec"), scope)
    return scope


def vectors(seed=0):
    rng = np.random.default_rng(seed)
    v = {name: rng.uniform(0.1, 0.9, C) for name in TERMS}
    return {**v, "focus": rng.uniform(0.5, 3, C), "sampling": v["sampling"] / v["sampling"].sum()}


def batch(n=64):
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, C, generator=g, dtype=torch.float64) * 3, torch.randint(0, C, (n,), generator=g)


SETS = [(), ("weight",), ("shift",), ("scale",), ("margin",), ("smoothing",), ("focus",), ("weight", "focus"), ("scale", "shift", "margin"), TERMS]


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("reduction", ["weighted_mean", "batch_mean"])
@pytest.mark.parametrize("keys", SETS, ids=lambda k: "+".join(k) or "nothing")
def test_snippet_is_the_one_loss(keys, reduction):
    terms = ClassTerms(**{k: v for k, v in vectors().items() if k in keys})
    logits, labels = batch()
    logits.requires_grad_(True)
    acting = tensor_terms(terms, CPU, torch.float64) or {"weight": torch.ones(C, dtype=torch.float64)}  # no terms: float32 there
    expected = class_loss(logits, labels, acting, reduction)
    found = loaded(pytorch_snippet(terms, NAMES, reduction))["criterion"](logits, labels)
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    (a,), (b,) = torch.autograd.grad(expected, logits), torch.autograd.grad(found, logits)
    assert torch.allclose(a, b, rtol=1e-10, atol=1e-14)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("method", list(METHODS), ids=lambda m: m.key)
def test_snippet_of_every_method(method):
    terms = answer(method.key, what_if(C, tpr=[0.9, 0.7, 0.5, 0.3, 0.1], counts=[1000, 300, 100, 30, 10]))
    scope = loaded(pytorch_snippet(terms, NAMES, "weighted_mean"))
    for name, vector in terms.set().items():
        assert scope[name].tolist() == vector.tolist()


def test_plain_weights_use_torchs_own_loss():
    text = pytorch_snippet(ClassTerms(weight=np.array([0.5, 1.5])), ["cat", "dog"], "weighted_mean")
    assert text == ("import torch\n\nweight = torch.tensor([\n    0.5,  # cat\n    1.5,  # dog\n])\n\n"
                    "criterion = torch.nn.CrossEntropyLoss(weight=weight)  # weight.to(device) on a GPU\n")
    assert pytorch_snippet(ClassTerms(), NAMES, "batch_mean") == "import torch\n\ncriterion = torch.nn.CrossEntropyLoss()\n"


@pytest.mark.usefixtures("double")
def test_sampler_draws_classes_as_told():
    sampling = np.array([0.5, 0.3, 0.1, 0.05, 0.05])
    labels = torch.tensor([0] * 10 + [1] * 200 + [2] * 50 + [3] * 5 + [4] * 100)
    sampler = loaded(pytorch_snippet(ClassTerms(sampling=sampling), NAMES, "batch_mean"))["sampler"](labels)
    drawn = torch.stack([sampler.weights[labels == c].sum() for c in range(C)])
    np.testing.assert_allclose(drawn / drawn.sum(), sampling)


def test_class_names_cannot_become_code():
    evil = ["a\nraise SystemExit", "b\r\nraise SystemExit", "c\x0craise", "d\u2028raise", "e\0\\"]
    scope = loaded(pytorch_snippet(ClassTerms(weight=np.arange(1.0, 6.0)), evil, "weighted_mean"))
    assert scope["weight"].tolist() == [1, 2, 3, 4, 5]


def test_thousand_classes_are_written_compactly():
    w = np.random.default_rng(0).uniform(0.1, 2, 1000)
    text = pytorch_snippet(ClassTerms(weight=w), [f"c{i}" for i in range(1000)], "weighted_mean")
    assert text.count("\n") < 220
    assert np.array_equal(loaded(text)["weight"].numpy(), w.astype(np.float32))


def test_unknown_reduction():
    with pytest.raises(EvenlyError, match="unknown reduction 'sum'"):
        pytorch_snippet(ClassTerms(), NAMES, "sum")


# ---------------------------------------------------------------- the command

PLAIN = RunConfig("mnist1d", "cnn1d")


def test_defaults_are_left_out():
    assert cli_command(checked(PLAIN)) == "python cli.py run --dataset mnist1d --model cnn1d --method none"
    steps = checked(RunConfig("cifar10", "resnet32", recipe="sgd_steps", epochs=RECIPES["sgd_steps"].epochs))
    assert cli_command(steps) == "python cli.py run --dataset cifar10 --model resnet32 --method none --recipe sgd_steps"


def test_everything_else_is_there():
    config = RunConfig("my data/a'b.zip", "cnn1d", "tpr_ratio", {"exponent": 2.5, "normalize": "none", "max_ratio": 10_000.0}, "sgd_cosine",
                       {"lr": 0.05, "batch_size": 128}, 7, 3, 100.0, "step", 0.2, "batch_mean", "cpu")
    assert shlex.split(cli_command(checked(config), 12)) == [
        "python", "cli.py", "run", "--dataset", "my data/a'b.zip", "--model", "cnn1d", "--method", "tpr_ratio",
        "--param", "exponent=2.5", "--param", "normalize=none", "--baseline", "12", "--recipe", "sgd_cosine", "--recipe-param", "lr=0.05",
        "--epochs", "7", "--seed", "3", "--imbalance", "100", "--profile", "step", "--validation", "0.2", "--reduction", "batch_mean", "--device", "cpu"]


@pytest.mark.parametrize("param", SETTINGS, ids=lambda p: p.key)
def test_every_setting_has_its_option(param):
    other = next(c for c in param.choices if c != param.default) if param.choices else (param.low + param.high) / 2 // 1 if param.integer else 0.25
    other = 3.0 if param.key == "imbalance" else int(other) if param.integer else other
    words = shlex.split(cli_command(checked(replace(PLAIN, **{param.key: other}))))
    value = words[words.index(f"--{param.key}") + 1]
    assert param.check(value, "run") == other


def test_pasted_tprs_are_written_to_a_file_that_reads_back():
    tpr = (0.1, None, 1 / 3)
    first, command = cli_command(replace(PLAIN, method="tpr_deficit", tpr=tpr)).splitlines()
    assert command.endswith("--method tpr_deficit --tpr tprs.csv")
    assert first.endswith(" > tprs.csv")
    values, _ = parse("\n".join(shlex.split(first)[2:-2]), 3)
    assert [None if np.isnan(v) else v for v in values] == list(tpr)


def test_a_baseline_goes_before_pasted_tprs():
    assert "tprs.csv" not in cli_command(replace(PLAIN, method="tpr_deficit", tpr=(0.1, 0.2)), 4)
