"""The formula that a user types: exact values, what is refused and in which words, and its LaTeX."""

import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.errors import EvenlyError
from core.experiment.config import RunConfig, checked
from core.methods import METHODS, answer, formula, formula_with, grid, what_if
from core.methods.normalization import NEGLIGIBLE
from core.methods.notes import WeightsClipped, WeightsFilled, WeightsNegligible, WeightsOfEpoch
from core.methods.types import Evidence

TPR = np.array([0.9, 0.7, 0.5, 0.3, 0.1])
N = np.array([1000.0, 300.0, 100.0, 30.0, 10.0])
VALUES = {"n": N, "N": N.sum(), "C": 5, "tpr": TPR, "mean_tpr": TPR.mean(), "epoch": 3, "epochs": 10}


def weights(text, **params):
    return answer("custom", what_if(5, tpr=TPR, counts=N), {"formula": text, **params}).weight


def outcome(use, text):
    """What a use of the text gives: its value and no words, or no value and the words it is refused with."""
    try:
        return use(text), ""
    except EvenlyError as error:
        return None, str(error)


def refusal(text, values=VALUES, classes=5):
    with pytest.raises(EvenlyError) as caught:
        formula.evaluate(text, values, classes)
    return str(caught.value)


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 / n", 1 / N),
        ("1/n**.5", N**-0.5),
        ("N / (C * n)", N.sum() / (5 * N)),
        ("(mean_tpr / tpr) ** 2", (TPR.mean() / TPR) ** 2),
        ("(1 - (tpr - mean_tpr) / tpr) ** 2", (TPR.mean() / TPR) ** 2),
        ("1 - log(n / max(n))", 1 - np.log(N / 1000)),
        ("mean(n) / n", N.mean() / N),
        ("(min(n) / n) ** 0.5", (10 / N) ** 0.5),
        ("exp((1 - tpr) / 0.2)", np.exp((1 - TPR) / 0.2)),
        ("C * exp(-tpr) / sum(exp(-tpr))", 5 * np.exp(-TPR) / np.exp(-TPR).sum()),
        ("-log(tpr)", -np.log(TPR)),
        ("(1 - tpr) ** (epoch / epochs)", (1 - TPR) ** 0.3),
        ("1 - epoch / epochs + epoch / epochs / n", 0.7 + 0.3 / N),
        ("abs(tpr - mean(tpr))", np.abs(TPR - TPR.mean())),
        ("max(0, mean_tpr - tpr)", np.maximum(0, TPR.mean() - TPR)),
        ("min(1 / n, 0.01, tpr)", np.minimum(1 / N, 0.01)),
        ("clip(1 / n, 1e-2, 5E-2)", np.clip(1 / N, 0.01, 0.05)),
        ("sigmoid(10 * (0.5 - tpr))", 1 / (1 + np.exp(-10 * (0.5 - TPR)))),
        ("sigmoid(-700) + sigmoid(n)", 1 / (1 + np.exp(700)) + 1 / (1 + np.exp(-N))),
        ("sum(1) + 0 * n", np.full(5, 5.0)),
        ("2 ** 3 ** 2 - -+2 ** 2", np.full(5, 516.0)),
        ("-2 ** 2 + 5 - 1 - 1", np.full(5, -1.0 + 0)),
        ("1_000 / n / 2 * 4", 2000 / N),
        (" 1\n / \t n ", 1 / N),
        ("(1 - 0.9999) / (1 - 0.9999 ** n)", (1 - 0.9999) / (1 - 0.9999**N)),
    ],
)
def test_values(text, expected):
    """As written in numpy by hand; a value below 0 is shown in its refusal."""
    if (expected < 0).any():
        assert f"the weight of class 0 is {expected[0]:g}, expected at least 0" in refusal(text)
    else:
        np.testing.assert_allclose(formula.evaluate(text, VALUES, 5), expected, rtol=1e-14)


@pytest.mark.parametrize(
    "vectors",
    [
        {"tpr": TPR, "counts": N},
        {"tpr": [0, 0.5, 1], "support": [200, 100, 50], "counts": [10, 0, 5]},
        {"tpr": [np.nan, 0.5, 0.2], "support": [0, 7, 9], "counts": [1, 10**6, 3]},
        {"tpr": [0.4, 0.4], "support": [10, 3000], "counts": [7, 7]},
        {"tpr": [0.99, 1e-9], "support": [10**8] * 2, "counts": [1, 2]},
    ],
)
@pytest.mark.parametrize(
    ("text", "key", "params"),
    [
        ("(mean_tpr / tpr) ** 2", "tpr_ratio", {}),
        ("(mean_tpr / tpr) ** 4", "tpr_ratio", {"exponent": 4}),
        ("(1 - (tpr - mean_tpr) / tpr) ** 2", "tpr_ratio", {"normalize": "none"}),
        ("(mean_tpr / tpr) ** 2", "tpr_ratio", {"max_ratio": 3}),
        ("1 / tpr", "tpr_inverse", {}),
        ("(1 - tpr) ** 1.5", "tpr_deficit", {"tau": 1.5}),
        ("-log(tpr)", "tpr_neglog", {}),
        ("1 / n", "inverse_frequency", {}),
        ("1 / sqrt(n)", "sqrt_inverse_frequency", {}),
        ("n ** -0.5", "sqrt_inverse_frequency", {}),
        ("(min(n) / n) ** 0.3", "smooth_inverse_frequency", {"gamma": 0.3}),
        ("1 - log(n / max(n))", "log_frequency", {}),
        ("7 / n", "inverse_frequency", {}),
    ],
)
def test_equals_the_method_of_that_formula(text, key, params, vectors):
    """Weights, notes and what was clipped, also where TPRs are 0 or 1 and classes lack samples."""
    e = what_if(len(vectors["tpr"]), **vectors)
    ratio = next((p.default for p in METHODS[key].params if p.key == "max_ratio"), 1e6)
    own = {k: v for k, v in params.items() if k in ("normalize", "max_ratio")}
    theirs, ours = answer(key, e, params), answer("custom", e, {"formula": text, "max_ratio": ratio, **own})
    np.testing.assert_allclose(ours.weight, theirs.weight, rtol=1e-12)
    assert (ours.notes, ours.clipped) == (theirs.notes, theirs.clipped)


def test_balanced_is_the_formula_without_rescaling():
    np.testing.assert_allclose(
        weights("N / (C * n)", normalize="none"), answer("balanced", what_if(5, counts=N)).weight, rtol=1e-14
    )


def test_the_default_is_the_tpr_ratio():
    e = what_if(5, tpr=TPR)
    np.testing.assert_allclose(answer("custom", e).weight, answer("tpr_ratio", e).weight, rtol=1e-14)


def test_a_class_without_evidence_gets_the_mean_of_the_others():
    """NaN goes through every operation, powers of 0 and larger-of-two included; reductions leave it out."""
    e = what_if(4, tpr=[0.9, np.nan, 0.5, 0.1], counts=[0, 50, 10, 40])
    for text in ("n ** 0", "1 ** n", "max(0, n)", "clip(n, 1, 2)", "sum(n) / n / max(n)", "abs(n) + sigmoid(n)"):
        terms = answer("custom", e, {"formula": text, "normalize": "none"})
        assert terms.weight[0] == pytest.approx(terms.weight[1:].mean())
        assert terms.notes[0] == WeightsFilled((0,), ("counts",))
    both = answer("custom", e, {"formula": "n * tpr", "normalize": "none"})
    assert both.weight.tolist() == [4.5, 4.5, 5, 4]
    assert both.notes == (WeightsFilled((0, 1), ("counts", "tpr")),)
    assert answer("custom", e, {"formula": "mean(tpr) + mean_tpr + N + C"}).notes == ()
    for text, said in (
        ("1 / n", "no class has training samples"),
        ("tpr", "no class has a TPR"),
    ):
        with pytest.raises(EvenlyError, match=said):
            answer("custom", what_if(2, tpr=[np.nan, np.nan], counts=[0, 0]), {"formula": text})


def test_a_weight_of_zero_is_meant_to_be_zero():
    """It is left next to nothing, and the largest ratio looks at the smallest weight above it."""
    e = what_if(4, counts=[1, 2, 3, 300])
    terms = answer("custom", e, {"formula": "n - 1", "max_ratio": 10, "normalize": "none"})
    np.testing.assert_allclose(terms.weight, [1e-11, 1, 2, 10])
    assert terms.clipped == (0, 3)
    assert terms.notes == (WeightsClipped((3,), 10), WeightsNegligible((0,), NEGLIGIBLE))


@pytest.mark.parametrize("text", ["1e300 * n", "1e-300 / n", "exp(-740) * n", "1e305 * (n + tpr)"])
def test_weights_of_any_size_are_rescaled_and_refused_without(text):
    assert weights(text).mean() == pytest.approx(1)
    with pytest.raises(
        EvenlyError,
        match=r"the largest weight is .*, expected 1e-30 to 1e\+30 without rescaling; set normalize to mean_one",
    ):
        weights(text, normalize="none")


def test_weights_follow_the_epoch():
    e = [Evidence(2, counts=[1, 4], epoch=k, epochs=2) for k in (0, 1)]
    first, last = (answer("custom", x, {"formula": "n ** ((epoch - 1) / (epochs - 1))"}) for x in e)
    assert first.weight.tolist() == [1, 1]
    assert last.weight.tolist() == [0.4, 1.6]
    assert last.notes == (WeightsOfEpoch(2, 2),)


def test_an_epoch_without_a_value_is_refused_before_the_first():
    with pytest.raises(EvenlyError, match=r"where 7 - epoch is 0; divide .* \(in epoch 7 of 20\)"):
        answer("custom", Evidence(2, epochs=20), {"formula": "1 / (7 - epoch)"})
    with pytest.raises(EvenlyError, match=r"is -1, expected at least 0; .* \(in epoch 8 of 20\)"):
        answer("custom", Evidence(2, epochs=20), {"formula": "7 - epoch + 0 ** abs(epoch - 7)"})


def test_as_many_classes_as_there_are():
    tpr = np.linspace(0.01, 0.99, 1000)
    np.testing.assert_allclose(
        answer("custom", what_if(1000, tpr=tpr), {"formula": "1/tpr"}).weight, (1 / tpr) / (1 / tpr).mean(), rtol=1e-12
    )


# ---------------------------------------------------------------- what it needs


@pytest.mark.parametrize(
    ("text", "names", "needs"),
    [
        ("1", set(), set()),
        ("epoch / epochs + C", {"epoch", "epochs", "C"}, set()),
        ("1/n", {"n"}, {"counts"}),
        ("N", {"N"}, {"counts"}),
        ("mean_tpr", {"mean_tpr"}, {"tpr"}),
        ("log(tpr)", {"tpr"}, {"tpr"}),
        ("max(n) * tpr", {"n", "tpr"}, {"counts", "tpr"}),
    ],
)
def test_variables_and_needs(text, names, needs):
    assert formula.variables(text) == names
    assert formula.needs(text) == METHODS["custom"].needs_with({"formula": text}) == needs


def test_only_what_the_formula_looks_at_is_asked_for():
    assert METHODS["custom"].needs_with({}) == {"tpr"}
    assert answer("custom", Evidence(2, counts=[1, 4]), {"formula": "n"}).weight.tolist() == [0.4, 1.6]
    assert answer("custom", Evidence(2), {"formula": "3"}).weight.tolist() == [1, 1]
    with pytest.raises(EvenlyError, match="custom needs the training counts"):
        answer("custom", Evidence(2, tpr=[0.5, 0.5]), {"formula": "1 / n"})
    with pytest.raises(EvenlyError, match="custom needs the TPRs of an earlier run"):
        answer("custom", Evidence(2, counts=[1, 2]), {"formula": "1 / n * mean_tpr"})


def test_a_run_with_a_bad_formula_is_refused_when_it_is_given():
    config = RunConfig("mnist1d", "mlp", method="custom", params={"formula": "1 / x"})
    with pytest.raises(
        EvenlyError,
        match="formula: unknown name 'x'; names: n, N, C, tpr, mean_tpr, epoch, epochs; functions: log, exp",
    ):
        checked(config)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has 0 characters, expected 1 to 200"),
        ("n" * 201, "has 201 characters, expected 1 to 200"),
        ("n ^ 2", "'^' at character 3 is not understood; write ** for a power"),
        ("2 × n", "'×' at character 3 is not understood; write *"),
        ("1 − tpr", "'−' at character 3 is not understood; write -"),
        ("2n", "'2n' is not understood; to multiply write 2 * n"),
        ("1 / 2.5tpr", "'2.5tpr' is not understood; to multiply write 2.5 * tpr"),
        ("2(n + 1)", "'2' is followed by ( but is not a function; write * to multiply"),
        ("n(1 - tpr)", "n is followed by ( but is not a function; write n * (...) to multiply"),
        ("0,5 * n", "write decimals with a point, as in 0.5"),
        ("n // 2", "'n // 2' is not allowed; write / to divide"),
        ("TPR", "unknown name 'TPR'; names: n, N"),
        ("ln(n)", "unknown function 'ln'; names: n, N"),
        ("1 / log", "log is a function and needs an argument: log(x)"),
        ("clip(n, 1)", "clip is given 2 values; write clip(x, low, high)"),
        ("log(n, 10)", "log is given 2 values; write log(x)"),
        ("min()", "min is given 0 values; write min(x) over the classes"),
        ("n n", "syntax error at character 3, 'n'; check parentheses and operators there"),
        ("(n", "syntax error at character 1, '(n'"),
        ("n.real", "'n.real' is not allowed; a point is allowed in numbers only"),
        ("+".join(["n"] * 41), "has 81 numbers, names and operations, expected at most 80"),
        ("1e999", "the number inf is too large; numbers stay below 1.8e308"),
        (
            "1 / (n - 100)",
            "1 / (n - 100) has no finite value for class 2, where n - 100 is 0; divide by something other than 0",
        ),
        (
            "log(tpr - 0.5)",
            "log(tpr - 0.5) has no finite value for class 2, where tpr - 0.5 is 0; log needs more than 0",
        ),
        (
            "sqrt(0.2 - tpr)",
            "sqrt(0.2 - tpr) has no finite value for class 0, where 0.2 - tpr is -0.7; sqrt needs at least 0",
        ),
        ("(tpr - 1) ** tpr", "where tpr - 1 is -0.1 and tpr is 0.9; a power needs a base above 0"),
        ("exp(n)", "exp(n) has no finite value for class 0, where n is 1000; exp needs less than 709"),
        ("1 / 0", "1 / 0 has no finite value for any class; divide by"),
        ("(tpr - tpr) / (n - n)", "has no finite value for any class, where tpr - tpr is 0 and n - n is 0; divide by"),
        ("1e308 + 1e308", "1e+308 + 1e+308 has no finite value for any class; numbers stay below 1.8e308"),
        (
            "sum(1e308 + n)",
            "sum(1e+308 + n) has no finite value for any class, where 1e+308 + n is 1e+308; numbers stay",
        ),
        ("clip(n, tpr, 0.6)", "clip has the limits 0.9 and 0.6; write the smaller first"),
        ("0.5 - tpr", "the weight of class 0 is -0.4, expected at least 0; write max(..., 0) around it"),
        ("0 * n", "every weight is 0; write a formula that is above 0 for some class"),
    ],
)
def test_refusals_say_what_to_write(text, said):
    found = refusal(text)
    assert said in found
    assert found.startswith("formula")
    assert "\n" not in found


def test_only_a_text_is_read():
    for value in (None, 3, 2.5, b"n", ["n"]):
        with pytest.raises(EvenlyError, match=r"formula is .*, expected a text such as"):
            formula.parse(value)


HOSTILE = [
    "__import__('os').system('id')",
    "().__class__.__bases__[0].__subclasses__()",
    "n.__class__",
    "n.tofile('x')",
    "n.ctypes.data",
    "log.__globals__",
    "(log).__call__(n)",
    "n[0]",
    "n[:]",
    "n[0]*1",
    "lambda: n",
    "(lambda x: x)(n)",
    "(n := 2)",
    "n := 2",
    "f'{n}'",
    'f"{n.__class__}"',
    "'n'",
    "b'n'",
    "'a'*10**9",
    "[n for n in n]",
    "{n for n in n}",
    "{n: n}",
    "sum(n for n in n)",
    "(n for n in n)",
    "[n]",
    "(n,)",
    "n,",
    "()",
    "{}",
    "...",
    "None",
    "True",
    "False",
    "1 if n else 2",
    "n and N",
    "not n",
    "~n",
    "n < N",
    "n == n",
    "n is n",
    "n in n",
    "n | N",
    "n & N",
    "n << 9999999",
    "1 << 99999999",
    "n @ n",
    "n % 2",
    "n // 2",
    "log(*n)",
    "log(**n)",
    "*n",
    "min(*(n, n))",
    "log(x=n)",
    "log(n, out=n)",
    "log(n)(n)",
    "log()",
    "yield n",
    "(yield)",
    "await n",
    "import os",
    "n; n",
    "n = 1",
    "n\nimport os",
    "eval(n)",
    "exec(n)",
    "open(n)",
    "getattr(n, N)",
    "globals()",
    "breakpoint()",
    "exit()",
    "print(n)",
    "__builtins__",
    "__name__",
    "_",
    "np.log(n)",
    "math.inf",
    "inf",
    "nan",
    "9**9**9**9",
    "9**9**9**9**9**9**9",
    "10**999999999",
    "2**(2**(2**(2**(2**2))))",
    "9" * 200,
    "-" * 199 + "n",
    "+" * 199 + "n",
    "~" * 199 + "n",
    "(" * 99 + "n" + ")" * 99,
    "(" * 200,
    "[" * 200,
    "(" * 100 + ")" * 100,
    "log(" * 40 + "n" + ")" * 40,
    "exp(" * 39 + "n" + ")" * 39,
    "n" + "**n" * 60,
    "n" + "*n" * 39,
    "1e308*10",
    "1e-999",
    "-1e999",
    "1j",
    "1J*n",
    "0x1f",
    "0b1",
    "0o7",
    "1_000",
    "1__0",
    "07",
    "1.2.3",
    "1..real",
    ".",
    ".5.",
    "1e",
    "1e+",
    "1if n else 2",
    "0or n",
    "0_7",
    "1.e5",
    "5.",
    "1._5",
    "1e1_0",
    "n" * 10**6,
    "1+" * 10**6,
    "(" * 10**6,
    "n\0",
    "\0",
    "n\x00+1",
    "n\ufeff",
    "\ufeffn",
    "ｎ",
    "𝑛",
    "n\u200b",
    "n\u202e",
    "٣",
    "²",
    "n²",
    "½",
    "∞",
    "１",
    "n\u0301",
    "ｌｏｇ(n)",
    "\ud800",
    "😀",
    "n#comment",
    "#",
    "\\",
    "n\\\n",
    "n\x0c",
    "\n",
    "\t",
    " ",
    "$n",
    "n?",
    "n!",
    "`n`",
    "n;",
    ";",
    "n,,n",
    "log(n,)",
    "log(,)",
    "min(n,)",
    "* n",
    "n *",
    "/",
    "**",
    "n ** ** n",
    "-",
    "()()",
    "(n)(n)",
    "2(n)",
    "n if",
    "if",
    "def",
    "lambda",
    "pass",
    "assert n",
    "del n",
    "n -> n",
    "n !n",
    "0**-1",
    "0/0",
    "0**0",
    "(-1)**0.5",
    "log(0)",
    "sqrt(-1)",
    "exp(1e9)",
    "n-n",
    "-n",
    "nan*n",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda t: ascii(t[:24]))
def test_hostile_text_is_refused_or_harmless(text):
    """Finite weights or an EvenlyError of one short line; nothing else, and no waiting."""
    start = time.process_time()
    for use in (weights, formula.latex, formula.variables):
        found, said = outcome(use, text)
        assert "\n" not in said
        assert len(said.encode()) < 700
        assert use is not weights or said or (np.isfinite(found).all() and (found > 0).all())
    assert time.process_time() - start < 1


def test_which_of_the_hostile_are_harmless():
    """Odd ways to write a plain formula; everything else of the list is refused."""
    harmless = [
        "9" * 200,
        "(" * 99 + "n" + ")" * 99,
        "n" + "*n" * 39,
        "1_000",
        "1.e5",
        "5.",
        "n\x0c",
        "log(n,)",
        "min(n,)",
        "0**0",
    ]
    assert [text for text in HOSTILE if not outcome(weights, text)[1]] == harmless


@settings(max_examples=200)
@given(
    st.one_of(
        st.text(max_size=220),
        st.text(alphabet="nNC()+-*/.,_ 0123456789eE", max_size=60),
        st.lists(
            st.sampled_from(
                [
                    *formula.VARIABLES,
                    *formula.FUNCTIONS,
                    "(",
                    ")",
                    ",",
                    "+",
                    "-",
                    "*",
                    "**",
                    "/",
                    "0",
                    "1",
                    "2.5",
                    "1e3",
                    "lambda",
                    "if",
                    "else",
                    "=",
                    ":",
                    "[",
                    "]",
                    ".",
                    "in",
                    " ",
                ]
            ),
            max_size=40,
        ).map("".join),
    )
)
@example("1e5and n")
@example("0or n")
def test_any_text(text):
    for use in (weights, formula.latex):
        found, said = outcome(use, text)
        assert "\n" not in said
        assert said or (found if isinstance(found, str) else np.isfinite(found).all())


def power(a, b):
    return np.asarray(a, dtype=float) ** b


atoms = st.one_of(
    st.sampled_from(list(VALUES)).map(
        lambda name: (name, lambda v: np.broadcast_to(np.asarray(v[name], dtype=float), 5))
    ),
    st.one_of(st.integers(0, 99), st.floats(0, 1e3)).map(lambda x: (repr(x), lambda v: np.full(5, float(x)))),
)
PAIRS = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": power}
ONES = {
    "log": np.log,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "mean": lambda x: np.full(5, x.mean()),
    "sum": lambda x: np.full(5, x.sum()),
    "min": lambda x: np.full(5, x.min()),
    "max": lambda x: np.full(5, x.max()),
}
made = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(list(PAIRS)), inner).map(
            lambda t: (f"({t[0][0]}) {t[1]} ({t[2][0]})", lambda v: PAIRS[t[1]](t[0][1](v), t[2][1](v)))
        ),
        st.tuples(st.sampled_from(list(ONES)), inner).map(
            lambda t: (f"{t[0]}({t[1][0]})", lambda v: ONES[t[0]](t[1][1](v)))
        ),
        inner.map(lambda t: (f"-({t[0]})", lambda v: -t[1](v))),
    ),
    max_leaves=8,
)


@settings(max_examples=150)
@given(made.filter(lambda t: len(t[0]) <= formula.LONGEST))
def test_any_formula_means_what_numpy_says(pair):
    """Where every step is finite and the result a usable weight; and its LaTeX closes every bracket it opens."""
    text, meant = pair
    shown = formula.latex(text)
    assert shown.count("{") == shown.count("}")
    assert shown.count("(") == shown.count(")")
    assert shown.count(r"\left") == shown.count(r"\right")
    with np.errstate(all="ignore"):
        expected = meant(VALUES)
    found, said = outcome(lambda t: formula.evaluate(t, VALUES, 5), text)
    if said:
        usable = np.isfinite(expected).all() and (expected >= 0).all() and (expected > 0).any()
        assert not usable or "has no finite value" in said
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-12)


# ---------------------------------------------------------------- LaTeX

R = r"\mathrm{TPR}_c"
MEAN = r"\overline{\mathrm{TPR}}"


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("(mean_tpr / tpr) ** 2", rf"\left(\frac{{{MEAN}}}{{{R}}}\right)^{{2}}"),
        ("mean_tpr / tpr ** 2", rf"\frac{{{MEAN}}}{{{R}^{{2}}}}"),
        ("1 / n", r"\frac{1}{n_c}"),
        ("1 / sqrt(n)", r"\frac{1}{\sqrt{n_c}}"),
        ("sqrt(n / N) ** 3", r"\left(\sqrt{\frac{n_c}{N}}\right)^{3}"),
        ("N / (C * n)", r"\frac{N}{C \cdot n_c}"),
        ("N / C * n", r"\frac{N}{C} \cdot n_c"),
        ("n / N / C", r"\frac{\frac{n_c}{N}}{C}"),
        ("n / (N / C)", r"\frac{n_c}{\frac{N}{C}}"),
        ("1 - tpr ** 2", rf"1 - {R}^{{2}}"),
        ("(1 - tpr) ** 2", rf"(1 - {R})^{{2}}"),
        ("n - (N - C)", "n_c - (N - C)"),
        ("n - N - C", "n_c - N - C"),
        ("n + (N - C)", "n_c + (N - C)"),
        ("(n + N) * C", r"(n_c + N) \cdot C"),
        ("n + N * C", r"n_c + N \cdot C"),
        ("n * (N + C)", r"n_c \cdot (N + C)"),
        ("(n / N + 1) * C", r"\left(\frac{n_c}{N} + 1\right) \cdot C"),
        ("n ** N ** C", "n_c^{N^{C}}"),
        ("(n ** N) ** C", "(n_c^{N})^{C}"),
        ("n ** (N + C)", "n_c^{N + C}"),
        ("n ** -0.5", "n_c^{-0.5}"),
        ("-n ** 2", "-n_c^{2}"),
        ("(-n) ** 2", "(-n_c)^{2}"),
        ("n - -N", "n_c - (-N)"),
        ("n * -N", r"n_c \cdot (-N)"),
        ("-(n + N)", "-(n_c + N)"),
        ("-(n - N) - C", "-(n_c - N) - C"),
        ("+n", "n_c"),
        ("(n * N) ** 2", r"(n_c \cdot N)^{2}"),
        ("log(n) ** 2", r"(\log(n_c))^{2}"),
        ("log(n / N)", r"\log\left(\frac{n_c}{N}\right)"),
        ("exp(-tpr)", rf"\exp(-{R})"),
        ("sigmoid(epoch / epochs)", r"\operatorname{sigmoid}\left(\frac{\mathrm{epoch}}{\mathrm{epochs}}\right)"),
        ("abs(n - N) ** 2", r"\left|n_c - N\right|^{2}"),
        ("clip(n, 1, 10)", r"\operatorname{clip}(n_c, 1, 10)"),
        ("min(n) / n", r"\frac{\min_k(n_k)}{n_c}"),
        ("max(n, 10)", r"\max(n_c, 10)"),
        ("n / sum(n)", r"\frac{n_c}{\sum_k(n_k)}"),
        ("mean(tpr)", r"\operatorname{mean}_k(\mathrm{TPR}_k)"),
        ("0.5 * n", r"0.5 \cdot n_c"),
        ("1e-5", "10^{-5}"),
        ("2.5e20 * n", r"2.5 \cdot 10^{20} \cdot n_c"),
        ("1e-5 ** n", "(10^{-5})^{n_c}"),
        ("2.0", "2"),
        ("0.12345678901234", "0.12345678901234"),
    ],
)
def test_latex(text, latex):
    assert formula.latex(text) == latex


def test_the_method_shows_the_formula_typed():
    row = METHODS["custom"]
    assert formula_with(row) == rf"w_c \propto \left(\frac{{{MEAN}}}{{{R}}}\right)^{{2}}"
    assert formula_with(row, {"formula": "1 / n", "normalize": "none"}) == r"w_c = \frac{1}{n_c}"
    shown = grid("custom", what_if(5, counts=N), {"formula": "1 / n"})
    assert shown.formula == [r"w_c \propto \frac{1}{n_c}"]
    assert shown.weight.shape == (1, 5)


def test_help_names_all_there_is():
    text = METHODS["custom"].params[0].help
    for name in (*formula.VARIABLES, *formula.FUNCTIONS):
        assert name in text
