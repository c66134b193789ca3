"""The copied command starts the same run, and the copied PyTorch code computes the same loss to the last digits."""

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import EvenlyError
from core.experiment.config import SETTINGS, RunConfig, checked
from core.experiment.recipes import RECIPES
from core.experiment.tpr_file import parse
from core.methods import METHODS, POSTHOC, TRAIN, answer, what_if
from core.methods.samplers import SAMPLERS
from core.methods.types import TERMS, ClassTerms, Evidence
from core.training.index_samplers import DRAWS, order
from core.training.losses import tensor_terms
from core.training.objectives import Batch, addresses, objective_class
from reporting import loss_source
from reporting.code_snippet import cli_command, pytorch_snippet
from tests.core.training.kit import Fixed

C = 5
CPU = torch.device("cpu")
NAMES = ["car", "dog", "cat", "frog", "ship"]
COUNTS = [1000, 300, 100, 30, 10]
ROOT = Path(__file__).resolve().parents[2]
BOTH = pytest.mark.parametrize("reduction", ["weighted_mean", "batch_mean"])


@pytest.fixture
def double():
    """Snippets run in float64, so that they can be compared to twelve digits."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def loaded(text):
    """The names that the snippet defines."""
    scope = {}
    exec(compile(text, "snippet", "exec"), scope)
    return scope


def vectors(keys=TERMS):
    rng = np.random.default_rng(0)
    v = {name: rng.uniform(0.1, 0.9, C) for name in TERMS}
    v |= {"focus": rng.uniform(0.5, 3, C), "sampling": v["sampling"] / v["sampling"].sum()}
    return {name: v[name] for name in keys}


def assert_same_loss(terms, reduction, method="none"):
    """Loss and gradient of the snippet's criterion equal those of the objective of a run, random numbers included."""
    g = torch.Generator().manual_seed(0)
    model, labels = Fixed(torch.randn(64, C, generator=g) * 3), torch.randint(0, C, (64,), generator=g)
    acting = tensor_terms(terms, CPU, torch.float64)
    objective = objective_class(terms.objective)(C, terms.knobs, torch.tensor(COUNTS), torch.Generator().manual_seed(0))
    expected, logits = objective(
        Batch(model, model.z, labels, acting, reduction, generator=torch.Generator().manual_seed(7))
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)  # what torch.rand draws in the snippet
        found = loaded(pytorch_snippet(terms, NAMES, reduction, method))["criterion"](logits, labels)
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    (a,), (b,) = torch.autograd.grad(expected, model.z, retain_graph=True), torch.autograd.grad(found, model.z)
    assert torch.allclose(a, b, rtol=1e-10, atol=1e-14)


SOFTMAX = [
    (),
    ("weight",),
    ("shift",),
    ("scale",),
    ("margin",),
    ("smoothing",),
    ("focus",),
    ("mask",),
    ("weight", "focus"),
    ("mask", "smoothing"),
    ("scale", "shift", "margin"),
    TERMS,
]
KNOBS = [{}, {"s": 4.0}, {"alpha": 0.25}, {"detached": 1.0}, {"s": 4.0, "alpha": 0.25, "detached": 1.0}]


@pytest.mark.usefixtures("double")
@BOTH
@pytest.mark.parametrize("knobs", KNOBS, ids=lambda k: "+".join(k) or "plain")
@pytest.mark.parametrize("keys", SOFTMAX, ids=lambda k: "+".join(k) or "nothing")
def test_snippet_is_the_one_loss(keys, knobs, reduction):
    assert_same_loss(ClassTerms(**vectors(keys), knobs=knobs), reduction)


@pytest.mark.usefixtures("double")
@BOTH
@pytest.mark.parametrize(
    "knobs",
    [{}, {"alpha": 0.25}, {"detached": 1.0}, {"alpha": 0.7, "detached": 1.0}],
    ids=lambda k: "+".join(k) or "plain",
)
@pytest.mark.parametrize(
    "keys",
    [(), ("weight",), ("focus",), ("mask",), ("weight", "focus", "mask")],
    ids=lambda k: "+".join(k) or "nothing",
)
def test_snippet_of_the_sigmoid_loss(keys, knobs, reduction):
    assert_same_loss(ClassTerms(**vectors(keys), objective="sigmoid", knobs=knobs), reduction)


@pytest.mark.usefixtures("double")
@BOTH
@pytest.mark.parametrize("keys", [(), ("weight",)], ids=["nothing", "weight"])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (2.5, -0.5), (0.5, 3.0)])
def test_snippet_of_the_polynomial_tail(alpha, beta, keys, reduction):
    assert_same_loss(
        ClassTerms(**vectors(keys), objective="poly_tail", knobs={"alpha": alpha, "beta": beta}), reduction
    )


def of(method):
    return answer(method.key, what_if(C, tpr=[0.9, 0.7, 0.5, 0.3, 0.1], counts=COUNTS), method.tested(C))


def files_named(text):
    """Paths in the comments of the snippet."""
    return {name for line in text.splitlines() if line.startswith("#") for name in re.findall(r"[\w/]+\.py", line)}


PURE = {"terms", "sigmoid", "poly_tail"}


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("method", list(METHODS), ids=lambda m: m.key)
def test_snippet_of_every_method(method):
    """The whole loss if the method is one; else a comment on what is missing, with the file that has it."""
    terms = of(method)
    text = pytorch_snippet(terms, NAMES, "weighted_mean", method.key)
    scope = loaded(text)
    for name, vector in terms.set().items():
        assert scope[name].tolist() == vector.tolist()
    if terms.objective in PURE:
        assert_same_loss(terms, "weighted_mean", method.key)
    whole = terms.objective in PURE and method.stage == TRAIN and method.head == "linear"
    assert bool(files_named(text)) != whole
    for name in files_named(text):
        assert (ROOT / name).is_file()


@pytest.mark.parametrize(
    ("key", "note"),
    [
        (
            "ghm",
            "Only the class terms are included. For what ghm does in each step, see core/training/objectives/ghm.py.",
        ),
        (
            "l2rw",
            "Only the class terms are included. For what l2rw does in each step, see core/training/objectives/l2rw.py.",
        ),
        (
            "lws",
            "Only the loss and the sampler are included. lws continues from a finished run, "
            "see work/network_start.py and models/networks/heads.py.",
        ),
        (
            "tau_norm",
            "tau_norm trains nothing: it acts on the outputs of a finished run, see core/methods/posthoc.py. Below is the unweighted loss.",
        ),
        (
            "ldam",
            "The logits are cosines: the last layer has normalized features and class vectors and no bias, see models/networks/heads.py.",
        ),
    ],
)
def test_what_goes_beyond_a_loss_is_named(key, note):
    assert f"# {note}" in pytorch_snippet(of(METHODS[key]), NAMES, "batch_mean", key).splitlines()


@pytest.mark.parametrize("objective", addresses())
def test_every_objective_is_in_the_code_or_named(objective):
    knobs = {"alpha": 1.0, "beta": 1.0} if objective == "poly_tail" else {}
    text = pytorch_snippet(ClassTerms(objective=objective, knobs=knobs), NAMES, "batch_mean")
    assert files_named(text) == (set() if objective in PURE else {f"core/training/objectives/{objective}.py"})
    assert (ROOT / "core" / "training" / "objectives" / f"{objective}.py").is_file()


def test_plain_weights_use_torchs_own_loss():
    text = pytorch_snippet(ClassTerms(weight=np.array([0.5, 1.5])), ["cat", "dog"], "weighted_mean")
    assert text == (
        "import torch\n\nweight = torch.tensor([\n    0.5,  # cat\n    1.5,  # dog\n])\n\n"
        "criterion = torch.nn.CrossEntropyLoss(weight=weight)  # weight.to(device) on a GPU\n"
    )
    assert (
        pytorch_snippet(ClassTerms(), NAMES, "batch_mean")
        == "import torch\n\ncriterion = torch.nn.CrossEntropyLoss()\n"
    )


@pytest.fixture
def rewritten(tmp_path, monkeypatch):
    """A copy of core/training with a changed piece of its loss."""

    def rewrite(old, new):
        shutil.copytree(loss_source.TRAINING, tmp_path / "training")
        losses = tmp_path / "training" / "losses.py"
        assert old in losses.read_text()
        losses.write_text(losses.read_text().replace(old, new))
        monkeypatch.setattr(loss_source, "TRAINING", tmp_path / "training")

    return rewrite


def test_the_code_follows_the_source_of_the_loss(rewritten):
    rewritten("losses = -true", "losses = -3 * true")
    scope = loaded(pytorch_snippet(ClassTerms(shift=np.zeros(C)), NAMES, "batch_mean"))
    logits, labels = torch.randn(8, C), torch.arange(8) % C
    expected = 3 * torch.nn.functional.cross_entropy(logits, labels)
    assert scope["criterion"](logits, labels).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("losses = -true", "losses = -true\n    for _ in labels_B: pass", "cannot inline 'for _ in labels"),
        ('if "s" in knobs', "if z.sum() > 0", r"cannot evaluate '.*sum\(\) > 0'"),
    ],
)
def test_a_loss_that_cannot_be_inlined_is_refused(rewritten, old, new, message):
    rewritten(old, new)
    with pytest.raises(EvenlyError, match=message):
        pytorch_snippet(ClassTerms(shift=np.zeros(C)), NAMES, "batch_mean")


# ---------------------------------------------------------------- samplers


def sampler_of(key, labels, params=None):
    counts = np.bincount(labels, minlength=C)
    terms = answer(key, Evidence(C, counts=counts), params, table=SAMPLERS)
    return terms, loaded(pytorch_snippet(terms, NAMES, "batch_mean"))["sampler"](labels)


def labels_of(counts):
    return torch.from_numpy(np.random.default_rng(0).permutation(np.repeat(np.arange(C), counts)))


@pytest.mark.usefixtures("double")
def test_sampler_draws_classes_with_the_given_probabilities():
    labels = labels_of([10, 200, 50, 5, 100])
    terms, sampler = sampler_of("square_root", labels)
    drawn = torch.stack([sampler.weights[labels == c].sum() for c in range(C)])
    np.testing.assert_allclose(drawn / drawn.sum(), terms.sampling)


@pytest.mark.parametrize(
    ("key", "params", "window", "each"),
    [
        ("half_and_half", {}, 5, 1),
        ("half_and_half", {"length": "whole"}, 5, 1),
        ("class_aware", {"run": 4}, 20, 4),
        ("undersample", {}, 25, 5),
    ],
)
def test_samplers_with_fixed_class_counts(key, params, window, each):
    """As many samples as in a run, the same number of every class in each window, and another order every epoch."""
    labels = labels_of([10, 200, 50, 5, 100])
    terms, sampler = sampler_of(key, labels, params)
    loader = torch.utils.data.DataLoader(torch.arange(len(labels)), batch_size=window, sampler=sampler)
    epochs = [torch.cat(list(loader)) for _ in range(2)]
    assert len(sampler) == len(epochs[0]) == len(order(labels, terms, 0, 0, window))
    for part in labels[epochs[0]].split(window):
        if len(part) == window:
            assert np.bincount(part, minlength=C).tolist() == [each] * C
    assert not torch.equal(*epochs)
    longest = epochs[0][labels[epochs[0]] == 1]
    assert len(longest.unique()) == min(200, len(longest)), "no sample repeats before all were drawn"


@pytest.mark.parametrize("key", ["half_and_half", "class_aware", "undersample"])
def test_a_sampler_without_samples_of_a_class(key):
    labels = labels_of([8, 0, 4, 4, 9])
    assert 1 not in labels[list(sampler_of(key, labels)[1])]


def test_class_aware_takes_runs_in_a_shuffled_cycle():
    labels = labels_of([40] * C)
    rounds = labels[list(sampler_of("class_aware", labels, {"run": 4})[1])].reshape(-1, C, 4)
    assert (rounds == rounds[:, :, :1]).all()
    assert len(rounds[:, :, 0].unique(dim=0)) > 1


@pytest.mark.parametrize("draw", DRAWS)
def test_every_draw_has_its_code_and_never_draws_a_probability_of_0(draw):
    text = pytorch_snippet(ClassTerms(sampling=np.array([0.5, 0.5, 0, 0, 0]), draw=draw), NAMES, "batch_mean")
    labels = labels_of([8] * C)
    assert set(labels[list(loaded(text)["sampler"](labels))].tolist()) == {0, 1}


def test_interpolated_features_are_named():
    terms = answer("smote", what_if(C, counts=COUNTS), table=SAMPLERS)
    assert files_named(pytorch_snippet(terms, NAMES, "batch_mean")) == {"core/training/feature_smote.py"}


# ---------------------------------------------------------------- the text


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


def test_everything_else_is_in_the_command():
    config = RunConfig(
        "my data/a'b.zip",
        "cnn1d",
        "tpr_ratio",
        {"exponent": 2.5, "normalize": "none", "max_ratio": 10_000.0},
        "sgd_cosine",
        {"lr": 0.05, "batch_size": 128},
        7,
        3,
        100.0,
        "step",
        0.2,
        "batch_mean",
        device="cpu",
    )
    assert shlex.split(cli_command(checked(config), 12)) == [
        "python",
        "cli.py",
        "run",
        "--dataset",
        "my data/a'b.zip",
        "--model",
        "cnn1d",
        "--method",
        "tpr_ratio",
        "--param",
        "exponent=2.5",
        "--param",
        "normalize=none",
        "--baseline",
        "12",
        "--recipe",
        "sgd_cosine",
        "--recipe-param",
        "lr=0.05",
        "--epochs",
        "7",
        "--seed",
        "3",
        "--imbalance",
        "100",
        "--profile",
        "step",
        "--validation",
        "0.2",
        "--reduction",
        "batch_mean",
        "--device",
        "cpu",
    ]


@pytest.mark.parametrize("param", SETTINGS, ids=lambda p: p.key)
def test_every_setting_has_its_option(param):
    other = (
        next(c for c in param.choices if c != param.default)
        if param.choices
        else (param.low + param.high) / 2 // 1
        if param.integer
        else 0.25
    )
    other = 3.0 if param.key == "imbalance" else int(other) if param.integer else other
    words = shlex.split(cli_command(checked(replace(PLAIN, **{param.key: other}))))
    value = words[words.index(f"--{param.key}") + 1]
    assert param.check(value, "run") == other


def test_the_sampler_and_its_parameters():
    config = checked(
        replace(PLAIN, method="ldam", sampler="class_aware", sampler_params={"run": 2}, start=0.8, deferred="weight")
    )
    assert shlex.split(cli_command(config))[7:] == [
        "--method",
        "ldam",
        "--sampler",
        "class_aware",
        "--sampler-param",
        "run=2",
        "--start",
        "0.8",
        "--deferred",
        "weight",
    ]
    assert "sampler" not in cli_command(checked(replace(PLAIN, sampler="instance")))


def test_a_post_hoc_step_has_no_epochs():
    for method in (m.key for m in METHODS if m.stage == POSTHOC):
        assert (
            cli_command(checked(replace(PLAIN, method=method)), 7)
            == f"python cli.py run --dataset mnist1d --model cnn1d --method {method} --baseline 7"
        )


def test_pasted_tprs_are_written_to_a_file_that_reads_back():
    tpr = (0.1, None, 1 / 3)
    first, command = cli_command(replace(PLAIN, method="tpr_deficit", tpr=tpr)).splitlines()
    assert command.endswith("--method tpr_deficit --tpr tprs.csv")
    assert first.endswith(" > tprs.csv")
    values, _ = parse("\n".join(shlex.split(first)[2:-2]), 3)
    assert [None if np.isnan(v) else v for v in values] == list(tpr)


def test_a_baseline_goes_before_pasted_tprs():
    assert "tprs.csv" not in cli_command(replace(PLAIN, method="tpr_deficit", tpr=(0.1, 0.2)), 4)
