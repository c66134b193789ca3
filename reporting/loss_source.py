"""The loss that a run trains with, as the lines of one function, generated from the source of core/training (without importing torch).

The run's settings are substituted: tests on its terms and knobs are evaluated, calls of core's own functions are inlined,
knobs become numbers. The result is straight-line code over `logits` [B, C], `labels` [B] and the terms.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from copy import deepcopy
from functools import cache, lru_cache
from pathlib import Path

from core.errors import EvenlyError

TRAINING = Path(__file__).resolve().parents[1] / "core" / "training"
PURE = ("terms", "sigmoid", "poly_tail")  # objectives that are only a loss: files of core/training/objectives
KEPT = "in_full"  # raises the precision of a bfloat16 step; dropped, since precision is up to the user of the code
FORWARD = "forward"


def loss_lines(objective: str, keys: AbstractSet[str], knobs: Mapping[str, float], reduction: str) -> list[str]:
    """The loss as source, the body of `criterion(logits, labels)`, for the terms that are set, each a tensor [C] under
    its own name.

    Raises EvenlyError for an objective that is not in PURE, and for source code that this file cannot evaluate.
    """
    if objective not in PURE:
        raise EvenlyError(f"objective {objective!r} is more than a loss; known: {', '.join(PURE)}")
    return list(_lines(TRAINING, objective, frozenset(keys), tuple(sorted(knobs.items())), reduction))


@lru_cache(maxsize=64)  # a page calls this at every click
def _lines(
    folder: Path, objective: str, keys: frozenset[str], knobs: tuple[tuple[str, float], ...], reduction: str
) -> tuple[str, ...]:
    unfolded = _Unfolded(*_source(folder, objective), keys, dict(knobs), reduction)
    loss = unfolded.forward()
    return tuple(ast.unparse(_OnDevice(keys).visit(line)) for line in (*unfolded.lines, ast.Return(loss)))


@cache
def _source(folder: Path, objective: str) -> tuple[dict[str, ast.FunctionDef], dict[str, ast.expr]]:
    """The functions that a loss may call, including the objective's `forward`, and the values of its other names."""
    trees = [
        ast.parse(path.read_text(encoding="utf-8"), str(path))
        for path in (folder / "losses.py", folder / "objectives" / f"{objective}.py")
    ]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
    names = {
        alias.name: ast.parse(f"{node.module}.{alias.name}", mode="eval").body
        for node in nodes
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("torch.")
        for alias in node.names
    }
    constants = [node for tree in trees for node in tree.body if isinstance(node, ast.Assign)]
    return functions, names | {ast.unparse(node.targets[0]): node.value for node in constants}


class _Unfolded(ast.NodeTransformer):
    """Expressions with all known values substituted; statements that must precede them go to `lines`."""

    def __init__(
        self,
        functions: Mapping[str, ast.FunctionDef],
        names: Mapping[str, ast.expr],
        keys: AbstractSet[str],
        knobs: Mapping[str, float],
        reduction: str,
    ) -> None:
        self.functions, self.names, self.keys, self.knobs = functions, names, keys, knobs
        self.reduction = reduction
        self.scope: dict[str, ast.expr] = {}  # values of the names in the current function
        self.lines: list[ast.stmt] = []

    def forward(self) -> ast.expr:
        """The loss: `forward` returns it together with the logits."""
        found = self._body(deepcopy(self.functions[FORWARD].body))
        if not isinstance(found, ast.Tuple):
            raise EvenlyError(f"{FORWARD} of an objective returns {_text(found)}; expected the loss and the logits")
        return found.elts[0]

    # -- statements

    def _body(self, statements: Sequence[ast.stmt]) -> ast.expr | None:
        """What these statements return; None if they do not return."""
        for statement in statements:
            match statement:
                case ast.Return(value=ast.expr() as value):
                    return self.visit(value)
                case ast.If(test=test, body=body, orelse=orelse):
                    if (found := self._body(body if self._holds(test) else orelse)) is not None:
                        return found
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.scope[name] = self._named(name, self.visit(value))
                case ast.Expr(value=ast.Constant()):  # the docstring
                    pass
                case _:
                    raise EvenlyError(f"cannot inline {_text(statement)!r}; expected an assignment, if or return")
        return None

    def _named(self, name: str, value: ast.expr) -> ast.expr:
        """A name or a constant unchanged; for anything else the name of a line that computes it."""
        if isinstance(value, ast.Name | ast.Constant):
            return value
        own = ast.Name(name.removesuffix("_BC").removesuffix("_B"))
        self.lines.append(ast.fix_missing_locations(ast.Assign([own], value, lineno=0)))
        return own

    def _holds(self, test: ast.expr) -> bool:
        known = self.visit(test)
        if not isinstance(known, ast.Constant):
            raise EvenlyError(f"cannot evaluate {_text(test)!r} from the terms and knobs of a run")
        return bool(known.value)

    def _inlined(self, function: ast.FunctionDef, given: Sequence[ast.expr]) -> ast.expr:
        """The value of a call; its statements go to `lines`."""
        outer, scope = self.scope, {}
        for parameter, value in zip(function.args.args, given, strict=True):
            scope[parameter.arg] = self._named(parameter.arg, value)
        self.scope = scope
        found = self._body(deepcopy(function.body))  # modified in place
        self.scope = outer
        if found is None:
            raise EvenlyError(f"{function.name} returns nothing")
        return found

    # -- expressions

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.scope.get(node.id) or self.names.get(node.id) or node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Attributes of the batch and of the objective become the names used in the loss."""
        if _text(node.value) in ("batch", "self"):
            return ast.Constant(self.reduction) if node.attr == "reduction" else ast.Name(node.attr)
        return self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.expr:
        self.scope[node.target.id] = value = self.visit(node.value)
        return value

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        return self.visit(node.body if self._holds(node.test) else node.orelse)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        number = isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)
        return ast.Constant(-node.operand.value) if number else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        return ast.Constant(float(self.knobs[node.slice.value])) if _text(node.value) == "knobs" else node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        left, (right,) = node.left, node.comparators
        match node.ops[0]:
            case ast.Is() | ast.IsNot() as asked:
                absent = isinstance(left, ast.Constant) and left.value is None
                return ast.Constant(absent == isinstance(asked, ast.Is))
            case ast.In() | ast.NotIn() as asked:
                among = self.knobs if _text(right) == "knobs" else ast.literal_eval(right)
                return ast.Constant((left.value in among) == isinstance(asked, ast.In))
            case ast.Eq() if isinstance(left, ast.Constant) and isinstance(right, ast.Constant):
                return ast.Constant(left.value == right.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        func, given = self.visit(node.func), [self.visit(value) for value in node.args]
        match _text(func):
            case "logits":
                return func
            case "terms.get":
                (key,) = given
                return ast.Name(key.value) if key.value in self.keys else ast.Constant(None)
            case "knobs.get":
                (key,) = given
                return ast.Constant(self.knobs.get(key.value))
            case name if name == KEPT:
                return given[0]
            case name if name in self.functions:
                return self._inlined(self.functions[name], given)
        return ast.Call(
            func, given, [self.visit(k) for k in node.keywords if k.arg != "generator"]
        )  # torch's default random numbers


class _OnDevice(ast.NodeTransformer):
    """Moves the terms to the logits' device: `shift` -> `shift.to(logits)`."""

    def __init__(self, keys: AbstractSet[str]) -> None:
        self.keys = keys

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.keys:
            return node
        return ast.Call(ast.Attribute(node, "to"), [ast.Name("logits")], [])

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if node.attr == "device" and _text(node.value) in self.keys:
            return ast.Attribute(ast.Name("logits"), "device")
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return node if _text(node.func) == "len" else self.generic_visit(node)


def _text(node: ast.AST | None) -> str:
    return "nothing" if node is None else ast.unparse(node)
