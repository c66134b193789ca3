r"""A weight formula typed by a user: parsed, evaluated and rendered, never executed as code.

Python's parser builds the tree; anything but a number, a name of VARIABLES, a call of FUNCTIONS or one of + - * / ** is
rejected. All numbers are float64, all values vectors [C], one per class; NaN marks a class without evidence and stays NaN.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from core.errors import EvenlyError
from core.formatting import listed
from core.methods.types import Vector

LONGEST = 200  # characters
MOST = 80  # numbers, names, operations and calls


@dataclass(frozen=True)
class Variable:
    """A name in a formula. `needs`: the evidence it requires; see core.methods.method.Method."""

    meaning: str
    latex: str
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Function:
    """A function of one to `most` vectors [C]; `most` None means any number. `remedy` says how to keep it finite."""

    usage: str
    call: Callable[..., Vector]
    latex: Callable[..., str]
    least: int = 1
    most: int | None = 1
    remedy: str = ""


@dataclass(frozen=True)
class Operator:
    """An operation on two vectors [C]. `level`: precedence of its LaTeX; `left`, `right`: what the sides need."""

    call: Callable[[Vector, Vector], Vector]
    latex: str
    level: int
    left: int
    right: int
    remedy: str = ""


VARIABLES = {
    "n": Variable("training samples of the class", "n_<c>", frozenset({"counts"})),
    "N": Variable("training samples of all classes", "N", frozenset({"counts"})),
    "C": Variable("number of classes", "C"),
    "tpr": Variable("TPR of the class in an earlier run", r"\mathrm{TPR}_<c>", frozenset({"tpr"})),
    "mean_tpr": Variable("mean of these TPRs over the classes", r"\overline{\mathrm{TPR}}", frozenset({"tpr"})),
    "epoch": Variable("the epoch about to run, from 1", r"\mathrm{epoch}"),
    "epochs": Variable("epochs of the run", r"\mathrm{epochs}"),
}


# ---------------------------------------------------------------- arithmetic; NaN, a class without evidence, always stays NaN


def _power(a: Vector, b: Vector) -> Vector:
    return np.where(np.isnan(a) | np.isnan(b), np.nan, a**b)  # numpy's NaN ** 0 and 1 ** NaN are 1


def _over_classes(reduce: Callable[[Vector], Any]) -> Callable[[Vector], Vector]:
    """One number for all classes, from those with evidence."""

    def call(x: Vector) -> Vector:
        defined = x[~np.isnan(x)]
        return np.full(len(x), reduce(defined) if len(defined) else np.nan)

    return call


def _extreme(over_classes: Callable[[Vector], Vector], of_two: np.ufunc) -> Callable[..., Vector]:
    """min and max: over the classes with one argument, class by class with more."""
    return lambda *xs: over_classes(xs[0]) if len(xs) == 1 else of_two.reduce(np.stack(xs), axis=0)


def _clip(x: Vector, low: Vector, high: Vector) -> Vector:
    if (low > high).any():
        c = int(np.argmax(low > high))
        raise EvenlyError(
            f"formula: clip has the limits {low[c]:g} and {high[c]:g}; write the smaller first, as in clip(n, 10, 100)"
        )
    return np.clip(x, low, high)


def _sigmoid(x: Vector) -> Vector:
    return np.exp(-np.logaddexp(0, -x))


# ---------------------------------------------------------------- LaTeX

SUM, SIGN, PRODUCT, POWER, ATOM = range(1, 6)  # precedence of a piece of LaTeX


def _bracketed(latex: str) -> str:
    tall = re.search(r"\\frac|\\sum|\\left|\\sqrt", latex)
    return rf"\left({latex}\right)" if tall else f"({latex})"


def _upright(name: str) -> Callable[..., str]:
    return lambda *args: name + _bracketed(", ".join(args))


def _upright_over(name: str) -> Callable[..., str]:
    """Over the classes k with one argument, class by class with more."""
    return lambda *args: _upright(f"{name}_k" if len(args) == 1 else name)(*args)


_LARGE = "numbers stay below 1.8e308"
FUNCTIONS = {
    "log": Function(
        "log(x), natural", np.log, _upright(r"\log"), remedy="log needs more than 0, as in log(max(x, 0.001))"
    ),
    "exp": Function("exp(x)", np.exp, _upright(r"\exp"), remedy="exp needs less than 709, as in exp(min(x, 700))"),
    "sqrt": Function("sqrt(x)", np.sqrt, r"\sqrt{{{}}}".format, remedy="sqrt needs at least 0, as in sqrt(max(x, 0))"),
    "abs": Function("abs(x)", np.abs, r"\left|{}\right|".format),
    "sigmoid": Function("sigmoid(x) = 1 / (1 + exp(-x))", _sigmoid, _upright(r"\operatorname{sigmoid}")),
    "clip": Function("clip(x, low, high)", _clip, _upright(r"\operatorname{clip}"), 3, 3),
    "min": Function(
        "min(x) over the classes, min(x, y, ...) class by class",
        _extreme(_over_classes(np.min), np.minimum),
        _upright_over(r"\min"),
        most=None,
    ),
    "max": Function(
        "max(x) over the classes, max(x, y, ...) class by class",
        _extreme(_over_classes(np.max), np.maximum),
        _upright_over(r"\max"),
        most=None,
    ),
    "mean": Function(
        "mean(x) over the classes", _over_classes(np.mean), _upright_over(r"\operatorname{mean}"), remedy=_LARGE
    ),
    "sum": Function("sum(x) over the classes", _over_classes(np.sum), _upright_over(r"\sum"), remedy=_LARGE),
}
_OVER_CLASSES = {"min", "max", "mean", "sum"}  # with one argument

OPERATORS: dict[type[ast.operator], Operator] = {
    ast.Add: Operator(np.add, "{} + {}", SUM, SUM, PRODUCT, _LARGE),
    ast.Sub: Operator(np.subtract, "{} - {}", SUM, SUM, PRODUCT, _LARGE),
    ast.Mult: Operator(np.multiply, r"{} \cdot {}", PRODUCT, SIGN, POWER, _LARGE),
    ast.Div: Operator(
        np.divide, r"\frac{{{}}}{{{}}}", POWER, 0, 0, "divide by something other than 0, as in a / max(b, 0.001)"
    ),
    ast.Pow: Operator(
        _power,
        "{}^{{{}}}",
        POWER,
        ATOM,
        0,
        "a power needs a base above 0, as in max(a, 0.001) ** b, and an exponent of moderate size",
    ),
}

# ---------------------------------------------------------------- parsing

KNOWN = f"names: {', '.join(VARIABLES)}; functions: {', '.join(FUNCTIONS)}"
_INSTEAD = {
    "^": "** for a power",
    "×": "*",
    "·": "*",
    "⋅": "*",
    "∗": "*",
    "÷": "/",
    "−": "-",
    "–": "-",
    "²": "** 2",
    "³": "** 3",
    "√": "sqrt(...)",
    "[": "parentheses",
    "{": "parentheses",
}
_ALLOWED = re.compile(r"[A-Za-z0-9_.,+\-*/() \t\r\n]")
_GLUED = re.compile(r"(?<![\w.])((?>(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))([A-Za-z_]\w*)")  # 2n, 0x10, 1if
_REFUSED = {
    ast.Tuple: "only one formula is allowed; write decimals with a point, as in 0.5",
    ast.FloorDiv: "write / to divide",
    ast.Attribute: "a point is allowed in numbers only, as in 0.5",
}


def parse(text: str) -> ast.expr:
    """The formula as a tree of allowed nodes only. Anything else raises EvenlyError that says what to write instead."""
    if not isinstance(text, str):
        raise EvenlyError(f"formula is {str(text)[:40]!r}, expected a text such as (mean_tpr / tpr) ** 2")
    return _tree(text.strip())


@lru_cache(maxsize=64)
def _tree(text: str) -> ast.expr:
    if not 0 < len(text) <= LONGEST:
        raise EvenlyError(f"formula has {len(text)} characters, expected 1 to {LONGEST}, as in (mean_tpr / tpr) ** 2")
    for place, character in enumerate(text, 1):
        if not _ALLOWED.match(character):
            instead = (
                f"write {_INSTEAD[character]}"
                if character in _INSTEAD
                else "use numbers, + - * / **, parentheses and names only"
            )
            raise EvenlyError(f"formula: {character!r} at character {place} is not understood; {instead}")
    if glued := _GLUED.search(text):
        raise EvenlyError(f"formula: {glued[0]!r} is not understood; to multiply write {glued[1]} * {glued[2]}")
    text = " ".join(text.split())  # a line break would end the expression
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # odd code is rejected below
            tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        place = min(error.offset or 1, len(text))
        raise EvenlyError(
            f"formula: syntax error at character {place}, {text[place - 1 : place + 11]!r}; check parentheses and operators there"
        ) from None
    except (ValueError, MemoryError, RecursionError):
        raise EvenlyError(f"formula: {text[:40]!r} is too deeply nested; use fewer parentheses") from None
    parts = sum(isinstance(node, ast.expr) for node in ast.walk(tree))
    if parts > MOST:
        raise EvenlyError(
            f"formula has {parts} numbers, names and operations, expected at most {MOST}; write a shorter one"
        )
    _check(tree)
    return tree


def _check(node: ast.AST) -> None:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            if not math.isfinite(value):
                raise EvenlyError(f"formula: the number {value} is too large; numbers stay below 1.8e308")
        case ast.Name(id=name):
            _check_name(name)
        case ast.UnaryOp(op=ast.UAdd() | ast.USub(), operand=operand):
            _check(operand)
        case ast.BinOp(op=op, left=left, right=right) if type(op) in OPERATORS:
            _check(left)
            _check(right)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            _check_call(name, args)
        case ast.Call(func=func, keywords=[]) if not isinstance(func, ast.Attribute):
            raise EvenlyError(
                f"formula: {ast.unparse(func)[:40]!r} is followed by ( but is not a function; write * to multiply"
            )
        case _:
            kind = type(node.op if isinstance(node, (ast.BinOp, ast.UnaryOp)) else node)
            why = _REFUSED.get(kind, "use numbers, + - * / **, parentheses, names and calls such as log(n) only")
            raise EvenlyError(f"formula: {ast.unparse(node)[:40]!r} is not allowed; {why}")


def _check_name(name: str) -> None:
    if name in FUNCTIONS:
        raise EvenlyError(f"formula: {name} is a function and needs an argument: {FUNCTIONS[name].usage}")
    if name not in VARIABLES:
        raise EvenlyError(f"formula: unknown name {name[:40]!r}; {KNOWN}")


def _check_call(name: str, args: list[ast.expr]) -> None:
    if name in VARIABLES:
        raise EvenlyError(f"formula: {name} is followed by ( but is not a function; write {name} * (...) to multiply")
    if name not in FUNCTIONS:
        raise EvenlyError(f"formula: unknown function {name[:40]!r}; {KNOWN}")
    row = FUNCTIONS[name]
    if not row.least <= len(args) <= (row.most or MOST):
        raise EvenlyError(f"formula: {name} is given {len(args)} values; write {row.usage}")
    for arg in args:
        _check(arg)


def variables(text: str) -> frozenset[str]:
    """The names of VARIABLES that the formula uses. Errors as in `parse`."""
    return frozenset(n.id for n in ast.walk(parse(text)) if isinstance(n, ast.Name) and n.id in VARIABLES)


def needs(text: str) -> frozenset[str]:
    """The evidence it requires: "counts", "tpr", both or none. Errors as in `parse`."""
    return frozenset().union(*(VARIABLES[name].needs for name in variables(text)))


# ---------------------------------------------------------------- evaluation


def evaluate(
    text: str, values: Mapping[str, Vector | float], classes: int, cache: dict[ast.expr, Vector] | None = None
) -> Vector:
    """The formula's value per class [C]: finite and at least 0, not all 0, NaN where a class lacks the evidence it uses.

    `values` holds at least the formula's `variables`, a number or a vector [C] each. Any other result, and any
    intermediate step without a finite value, raises EvenlyError that names the step, the class and what to write instead.
    `cache`: a dictionary of the caller, empty at first, for calls that differ in `epoch` alone: parts that do not use it
    are evaluated once.
    """
    scope = {name: np.broadcast_to(np.asarray(value, dtype=np.float64), (classes,)) for name, value in values.items()}
    with np.errstate(all="ignore"):  # _finite checks every result
        weight = _value(parse(text), scope, classes, {} if cache is None else cache)
    negative = np.flatnonzero(weight < 0)
    if len(negative):
        raise EvenlyError(
            f"formula: the weight of class {negative[0]} is {weight[negative[0]]:g}, expected at least 0; write max(..., 0) around it"
        )
    if (weight == 0).any() and not (weight > 0).any():
        raise EvenlyError("formula: every weight is 0; write a formula that is above 0 for some class")
    return weight


def _value(node: ast.expr, scope: Mapping[str, Vector], classes: int, cache: dict[ast.expr, Vector]) -> Vector:
    if node in cache:
        return cache[node]
    match node:
        case ast.Constant(value=value):
            result, parts = np.full(classes, float(value)), []
        case ast.Name(id=name):
            result, parts = scope[name], []
        case ast.UnaryOp(op=op, operand=operand):
            value, parts = _value(operand, scope, classes, cache), [operand]
            result = -value if isinstance(op, ast.USub) else value
        case ast.BinOp(op=op, left=left, right=right):
            result, parts = _applied(OPERATORS[type(op)], node, [left, right], scope, classes, cache), [left, right]
        case ast.Call(func=func, args=parts):
            result = _applied(FUNCTIONS[func.id], node, parts, scope, classes, cache)
    if not (isinstance(node, ast.Name) and node.id == "epoch") and all(part in cache for part in parts):
        cache[node] = result
    return result


def _applied(
    row: Function | Operator,
    node: ast.expr,
    parts: list[ast.expr],
    scope: Mapping[str, Vector],
    classes: int,
    cache: dict[ast.expr, Vector],
) -> Vector:
    operands = [_value(part, scope, classes, cache) for part in parts]
    return _finite(row.call(*operands), node, parts, operands, row.remedy)


def _finite(result: Vector, node: ast.expr, parts: Iterable[ast.expr], operands: list[Vector], remedy: str) -> Vector:
    """The result; EvenlyError where it is infinite, or NaN although no operand is."""
    bad = np.isinf(result) | (np.isnan(result) & ~np.isnan(operands).any(axis=0))
    if not bad.any():
        return result
    c = int(np.argmax(bad))
    known = [
        f"{ast.unparse(p)} is {x[c]:g}" for p, x in zip(parts, operands, strict=True) if not isinstance(p, ast.Constant)
    ]
    where = "for any class" if all((x == x[0]).all() for x in operands) else f"for class {c}"
    raise EvenlyError(
        f"formula: {ast.unparse(node)} has no finite value {where}{', where ' if known else ''}{listed(known)}; {remedy}"
    )


# ---------------------------------------------------------------- rendering


def latex(text: str) -> str:
    """The parsed formula in LaTeX. c is the class; inside a mean, sum, min or max over the classes it is k."""
    return _latex(parse(text), "c")[0]


def _latex(node: ast.expr, index: str) -> tuple[str, int]:
    """LaTeX and its precedence."""
    match node:
        case ast.Constant(value=value):
            return _number(float(value))
        case ast.Name(id=name):
            return VARIABLES[name].latex.replace("<c>", index), ATOM
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _latex(operand, index)
        case ast.UnaryOp(operand=operand):
            return f"-{_within(operand, PRODUCT, index)}", SIGN
        case ast.BinOp(op=op, left=left, right=right):
            row = OPERATORS[type(op)]
            return row.latex.format(_within(left, row.left, index), _within(right, row.right, index)), row.level
        case ast.Call(func=func, args=args):
            inner = "k" if func.id in _OVER_CLASSES and len(args) == 1 else index
            return FUNCTIONS[func.id].latex(*(_within(a, 0, inner) for a in args)), ATOM if func.id == "abs" else POWER
    raise AssertionError(node)  # parse allows nothing else


def _within(node: ast.expr, level: int, index: str) -> str:
    """A subexpression, in parentheses where its precedence is below `level`."""
    text, binds = _latex(node, index)
    return text if binds >= level else _bracketed(text)


def _number(value: float) -> tuple[str, int]:
    """1e-05 as 10^{-5}, 2.5e+20 as 2.5 times a power of ten, all digits kept."""
    mantissa, _, exponent = repr(value).removesuffix(".0").partition("e")
    if not exponent:
        return mantissa, ATOM
    power = f"10^{{{int(exponent)}}}"
    return (power, POWER) if mantissa == "1" else (rf"{mantissa} \cdot {power}", PRODUCT)
