"""What is shown of a method is what the code does: worked examples of every row, exact formulas, the notes that go with the numbers."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from core.methods import METHODS, POSTHOC, answer, formula_with, posthoc, what_if
from core.methods.notes import CountsNearlyEqual, NoMinority
from core.methods.samplers import SAMPLERS
from core.registry import check_params
from core.training.objectives import objective_class
from core.training.objectives.poly_tail import margins, tailed
from docs.worked_examples import WORKINGS, computed
from reporting.code_snippet import pytorch_snippet
from reporting.method_examples import WORKED, examples, terms_example
from tests.pages.components.new_run.kit import baselines
from tests.pages.kit import NEW, visit

PAGE = "pages/views/methods.py"
ROWS = [*((m, METHODS) for m in METHODS), *((s, SAMPLERS) for s in SAMPLERS)]
COUNTS = np.array([100.0, 10.0, 0.0, 40.0])


def numbers(text):
    return [float(v) for v in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", text)]


def shown(key):
    """The stored example of a row as label -> cells."""
    return dict(next(e for e in examples(METHODS[key]) if not e.command).rows)


def cells(key, label):
    return [float(c) for c in shown(key)[label]]


def terms_of(key, params=None, table=METHODS, **vectors):
    given = {k: np.array(v, dtype=float) for k, v in vectors.items()}
    return answer(key, what_if(len(next(iter(given.values()))), **given), params or {}, table=table)


# ---------------------------------------------------------------- the worked examples


@pytest.mark.parametrize(("row", "table"), ROWS, ids=[m.key for m, _ in ROWS])
def test_every_row_has_a_worked_example_with_a_word_on_what_is_shown(row, table):
    found = examples(row, table)
    assert found
    assert all(e.command or e.intro for e in found)
    assert any(e.rows or e.sentences for e in found)
    assert all(len({len(row) for _, row in e.rows}) <= 1 for e in found)


def test_no_row_of_an_example_repeats_the_first():
    for row, table in ROWS:
        example = terms_example(row, table)
        first = dict(example.rows[1:]) if example else {}
        for label, values in first.items():
            term = label.split(",")[0]
            assert label == term or term not in first or values != first[term], (row.key, label)


def test_the_stored_examples_are_what_the_code_computes():
    stored, now = json.loads(WORKED.read_text("utf-8")), computed()
    assert list(stored) == list(now), "run `python docs/generate.py`"
    assert set(now) == set(WORKINGS)
    for key, example in now.items():
        old = stored[key]
        assert (old["of"], old["intro"]) == (example["of"], example["intro"]), key
        assert [label for label, _ in old["rows"]] == [label for label, _ in example["rows"]], key
        for (label, before), (_, after) in zip(old["rows"], example["rows"], strict=True):
            for a, b in zip(before, after, strict=True):
                assert (re.sub(r"[-\d.e]", "", a), numbers(a)) == (
                    re.sub(r"[-\d.e]", "", b),
                    pytest.approx(numbers(b), rel=2e-3, abs=1e-6),
                ), (key, label)
        for a, b in zip(old["sentences"], example["sentences"], strict=True):
            assert numbers(a) == pytest.approx(numbers(b), rel=2e-3), key


def test_group_dro_shows_the_vector_of_the_reference():
    assert cells("group_dro", "q after 1 step") == [0.330998, 0.331992, 0.33701]
    assert "0.906215" in " ".join(e.sentences[0] for e in examples(METHODS["group_dro"]))


def test_l2rw_shows_what_can_be_computed_by_hand():
    """Weights 0, p = 1/2: u_i = <mean of the meta gradients, gradient of i> = 1/2, 1/4, 1/4 and -1/4."""
    assert cells("l2rw", "weight") == [0.5, 0.25, 0.25, 0]


def test_ghm_divides_by_how_many_outputs_share_a_bin():
    g = np.array(cells("ghm", "gradient norm g"))
    for bins in (10, 30):
        at = np.floor(g * bins)
        expected = [1 / (len(set(at)) * (at == a).sum()) for a in at]
        assert cells("ghm", f"factor on its loss, {bins} bins") == pytest.approx(expected, rel=1e-3)


def test_the_learned_weights_go_where_the_examples_say():
    *right, wrong = cells("meta_weight_net", "weight after 500 steps, lr 0.001")
    assert wrong < 0.2 * min(right)
    drive = np.array(cells("difficulty_net", "relative difficulty"))
    label = next(k for k in shown("difficulty_net") if "cifar_code" in k)
    np.testing.assert_allclose(cells("difficulty_net", label), drive / drive.mean(), atol=1e-3)
    paper = next(k for k in shown("difficulty_net") if "300 steps" in k)
    assert cells("difficulty_net", paper)[2] > cells("difficulty_net", label)[2]


def test_the_tail_shows_what_alpha_changes():
    m = cells("poly_tail", "margin")
    for alpha in (1, 0.5, 2):
        assert cells("poly_tail", f"loss, alpha {alpha:g}") == pytest.approx(
            tailed(torch.tensor(m).double(), alpha, 1.0).tolist(), rel=1e-3
        )
    assert len({shown("poly_tail")[f"loss, alpha {a}"] for a in ("1", "0.5", "2")}) == 3


def test_the_post_hoc_steps_show_what_they_change():
    assert np.argmax(cells("tau_norm", "logit, tau 0")) == 0
    assert np.argmax(cells("tau_norm", "logit, tau 1")) == 2
    assert cells("tau_norm", "logit, tau 0") != cells("tau_norm", "logit, tau 0, bias keep")
    assert np.argmax(cells("ncm", "score, features unc")) != np.argmax(cells("ncm", "score, features l2n"))
    assert cells("equal_tpr_bias", "TPR before") == [1, 0.25]
    assert cells("equal_tpr_bias", "TPR, strength 1") == [0.75, 0.75]


def test_what_moves_shows_its_last_epoch_too():
    rows = dict(terms_example(SAMPLERS["progressive"], SAMPLERS).rows)
    assert rows["sampling, last epoch"] == ("0.2",) * 5
    assert rows["sampling"] != rows["sampling, last epoch"]


@pytest.mark.parametrize("key", ["tpr_ratio", "tpr_deficit", "tpr_neglog", "cdb"])
def test_a_class_at_tpr_1_is_shown_clipped(empty, key):
    """A formula such as (1 - TPR)^tau says 0 there; no weight is 0, and the page says why."""
    (example,) = examples(METHODS[key])
    value = next(
        float(found[1])
        for text in example.sentences
        if (found := re.match(r"With class 0 at TPR 1 its weight is (\S+)\.$", text))
    )
    assert value == pytest.approx(answer(key, what_if(3, tpr=np.array([1.0, 0.7365, 0.7808]))).weight[0], rel=1e-3)
    assert value > 0
    note = "The TPR of class 0 is clipped away from 0 and 1"
    assert any(text.startswith(note) for text in example.sentences)
    said = "\n".join(m.value for m in visit(PAGE, row=key).markdown)
    assert note in said
    for rule in ("**Clipping.**", "**Reduction.**", "**Late start.**", "**Loss.**"):
        assert rule in said


# ---------------------------------------------------------------- post-hoc logit adjustment


@pytest.mark.parametrize("tau", [-1.0, 0.0, 0.7, 1.0])
def test_the_shift_is_what_the_step_adds_once(tau):
    terms = terms_of("logit_adjusted_posthoc", {"tau": tau}, counts=COUNTS)
    z = np.random.default_rng(0).normal(size=(6, 4))
    y, every = np.array([0, 1, 3, 0, 1, 3]), ("train", "validation", "test")
    given = posthoc.Outputs(
        dict.fromkeys(every, y), dict.fromkeys(every, z), dict.fromkeys(every, z), None, None, COUNTS
    )
    stepped = posthoc.apply(terms.objective, given, terms.knobs)
    np.testing.assert_allclose(terms.shift, stepped.summand, rtol=1e-12)
    np.testing.assert_allclose(stepped.scores["test"], z + terms.shift, rtol=1e-12)
    np.testing.assert_allclose(
        terms.shift,
        -terms_of("logit_adjusted", {"tau": abs(tau)}, counts=COUNTS).shift * (1 if tau >= 0 else -1),
        rtol=1e-12,
    )


def test_the_code_to_take_away_keeps_the_shift_out_of_the_loss():
    text = pytorch_snippet(
        terms_of("logit_adjusted_posthoc", counts=[100, 10]), ["a", "b"], "weighted_mean", "logit_adjusted_posthoc"
    )
    assert "criterion = torch.nn.CrossEntropyLoss()" in text
    assert "(logits + shift).argmax(dim=1)" in text
    scope = {}
    exec(text, scope)
    assert scope["shift"].tolist() == pytest.approx([-math.log(100 / 110), -math.log(10 / 110)])


def test_new_run_pictures_the_shift_and_it_follows_tau(empty):
    baselines(empty, 0, imbalance=100.0)
    at = visit(NEW)
    at.number_input(key="new_run_imbalance").set_value(100.0).run()
    at.selectbox(key="method").set_value("logit_adjusted_posthoc").run()
    seen = []
    for tau in (1.0, 0.5):
        at.session_state["new_preview_logit_adjusted_posthoc_kept"] = tau
        at.run()
        assert not at.exception
        (chart,) = at.get("plotly_chart")
        assert chart.proto.alt.startswith("Logit shift per class")
        seen.append(float(re.search(r"to ([\d.]+) \(", chart.proto.alt)[1]))
    assert seen[1] == pytest.approx(seen[0] / 2, rel=0.01)
    assert "new_overlay" not in {m.key for m in at.multiselect}, "a shift when predicting is not one in the loss"


# ---------------------------------------------------------------- formulas


def test_the_formula_of_the_difficulty_sampler_holds_its_floor():
    tpr, tau, floor = np.array([0.9, 0.5, 0.7]), 2.0, 0.2
    hard = (1 - tpr) ** tau
    found = terms_of("difficulty", {"tau": tau, "floor": floor}, SAMPLERS, tpr=tpr, counts=[10, 10, 10]).sampling
    np.testing.assert_allclose(found, (1 - floor) * hard / hard.sum() + floor / 3, rtol=1e-12)
    assert formula_with(SAMPLERS["difficulty"], {"tau": tau, "floor": floor}) == (
        r"P_t(c) = (1 - 0.2)\,\frac{(1 - \mathrm{TPR}_{c,t-1})^{2}}{\sum_k (1 - \mathrm{TPR}_{k,t-1})^{2}} + \frac{0.2}{C}"
    )


def made(key, classes, **params):
    terms = terms_of(key, params, tpr=[0.9, 0.4, 0.6][:classes], counts=[100, 10, 20][:classes])
    return objective_class(terms.objective)(
        classes, terms.knobs, torch.tensor([100.0, 10, 20][:classes]), torch.Generator().manual_seed(1)
    ).double()


def test_difficulty_net_shows_the_mean_over_the_classes_and_what_each_variant_learns_from():
    net = made("difficulty_net", 3, driver=2.0)
    a = torch.tensor([0.9, 0.4, 0.6]).double()
    net.new_epoch(a)
    expected = 2 / 3 * ((net.difficulties() - (1 - a / a.sum())) ** 2).sum()
    assert net.side_loss().item() == pytest.approx(expected.item(), rel=1e-9)
    paper, code = (
        formula_with(METHODS["difficulty_net"], {"driver": 2.0, "variant": v}) for v in ("paper", "cifar_code")
    )
    assert r"\frac{2}{C}\sum_c" in paper
    assert r"\mathrm{CE}_\mathrm{meta}" in paper
    assert r"\mathrm{CE}_\mathrm{meta}" not in code


def test_ghm_shows_its_sum_and_the_memory_where_there_is_one():
    plain, kept = (formula_with(METHODS["ghm"], {"momentum": m}) for m in (0.0, 0.75))
    assert plain.startswith(r"\frac{1}{M}\sum_{i,c} \frac{\mathrm{BCE}_{ic}}{R(g_{ic})}")
    assert "one of } 10" in plain
    assert kept.endswith(r"S(g) \leftarrow 0.75\,S(g) + (1 - 0.75)\,R(g)")
    assert r"{S(g_{ic})}" in kept


def test_poly_tail_shows_weight_and_margin():
    text = formula_with(METHODS["poly_tail"], {"reweight": 0.5})
    assert r"w_y\,\ell(m),\quad w_c \propto \left(\frac{n_{\min}}{n_c}\right)^{0.5}" in text
    z, y = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).double(), torch.tensor([0, 1, 2, 0])
    others = torch.stack(
        [torch.logsumexp(torch.cat([row[:c], row[c + 1 :]]), 0) for row, c in zip(z, y.tolist(), strict=True)]
    )
    np.testing.assert_allclose(margins(z, y), z[torch.arange(4), y] - others)
    assert r"z_y - \log \sum_{j \ne y} e^{z_j}" in text
    np.testing.assert_allclose(
        terms_of("poly_tail", {"reweight": 0.5}, counts=[100, 25]).weight, np.array([0.5, 1]) / 0.75
    )


def test_group_dro_shows_the_adjustment():
    assert r"+ \frac{2}{\sqrt{n_c}}" in formula_with(METHODS["group_dro"], {"adjustment": 2.0})
    losses, _ = made("group_dro", 2, adjustment=2.0).class_losses(
        torch.tensor([0.5, 0.7, 0.1]).double(), torch.tensor([0, 0, 1])
    )
    np.testing.assert_allclose(losses, [0.6 + 2 / 10, 0.1 + 2 / math.sqrt(10)], rtol=1e-6)


def test_ldam_shows_its_weights():
    text = formula_with(METHODS["ldam"], {"reweight": 0.99})
    assert text.endswith(r"w_c \propto \frac{1 - 0.99}{1 - 0.99^{n_c}}")
    raw = 0.01 / (1 - 0.99 ** np.array([100.0, 10.0]))
    np.testing.assert_allclose(
        terms_of("ldam", {"reweight": 0.99}, counts=[100, 10]).weight, raw / raw.mean(), rtol=1e-9
    )


def test_the_equal_tpr_bias_shows_how_it_is_fitted():
    row = METHODS["equal_tpr_bias"]
    assert (
        r"b_c \leftarrow b_c + \eta_t\left(\overline{\mathrm{TPR}}(z + b) - \mathrm{TPR}_c(z + b)\right)"
        in formula_with(row)
    )
    assert f"takes {posthoc.ROUNDS} steps" in row.caveat
    assert (
        f"from {posthoc.FIRST_STEP:g} to 1/{posthoc.FIRST_STEP / posthoc.LAST_STEP:g} of the scale of the logits"
        in row.caveat
    )


@pytest.mark.parametrize(("row", "table"), ROWS, ids=[m.key for m, _ in ROWS])
def test_formulas_are_whole_at_every_choice(row, table):
    """Braces are even, \\left has its \\right, and no placeholder is left, whatever word is chosen."""
    for choice in [{}, *({p.key: c} for p in row.params for c in p.choices)]:
        text = formula_with(row, check_params(row.params, choice, row.key))
        assert text.count("{") == text.count("}"), choice
        assert text.count(r"\left") - text.count(r"\leftarrow") == text.count(r"\right"), choice
        assert not re.search(r"<\w+>", text), choice


def test_tau_0_changes_nothing_only_where_the_bias_is_kept():
    help_text = next(p.help for p in METHODS["tau_norm"].params if p.key == "tau")
    assert "0 changes nothing" not in help_text
    assert "with the bias kept nothing changes" in help_text


# ---------------------------------------------------------------- the share sampler


def test_equal_counts_have_no_minority_and_it_is_said():
    terms = terms_of("share", {"rho": 0.9}, SAMPLERS, counts=[100, 100])
    assert terms.sampling.tolist() == [0.5, 0.5]
    assert terms.notes == (NoMinority(),)


def test_nearly_equal_counts_name_the_minority():
    terms = terms_of("share", {"rho": 0.9}, SAMPLERS, counts=[101, 100])
    np.testing.assert_allclose(terms.sampling, [0.1, 0.9])
    assert terms.notes == (CountsNearlyEqual(pytest.approx(0.1), 0.9, (1,)),)
    assert terms_of("share", {"rho": 0.9}, SAMPLERS, counts=[111, 100]).notes == ()


# ---------------------------------------------------------------- no torch


def test_every_post_hoc_row_is_shown_without_torch():
    assert {m.key for m in METHODS if m.stage == POSTHOC} <= set(WORKINGS) | {"logit_adjusted_posthoc"}
    code = (
        "import sys; from reporting.method_examples import examples; from core.methods import METHODS; "
        "[examples(m) for m in METHODS]; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=WORKED.parents[1])
