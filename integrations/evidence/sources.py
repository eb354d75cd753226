"""Which line of an indicator's source may be to blame: a hint beside a proof, never one in its place."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .verdict import Kind

_WHOLE = {
    "mean", "std", "var", "sem", "max", "min", "median", "quantile", "sum", "rank", "idxmax", "idxmin", "argmax",
    "argmin", "describe", "skew", "kurt", "nanmean", "nanstd", "nanmax", "nanmin", "percentile", "nanpercentile",
    "average", "ptp", "mode", "corr", "cov",
}  # fmt: skip
_PARTIAL = {"rolling", "expanding", "ewm", "groupby", "resample"}
_KNOW_ALL = {
    "bfill", "backfill", "interpolate", "find_peaks", "argrelextrema", "argrelmax", "argrelmin", "savgol_filter",
    "filtfilt", "sosfiltfilt", "hilbert", "detrend", "polyfit", "lstsq", "qcut", "cut", "fit", "fit_transform",
    "seasonal_decompose", "gaussian_filter1d", "uniform_filter1d", "convolve", "roll", "rfft", "fft", "irfft", "ifft",
    "transform", "zscore", "minmax_scale", "scale", "flip", "sort_values", "sort", "factorize",
}  # fmt: skip
_REMEMBERS = {"cumsum", "cumprod", "cummax", "cummin", "cumcount", "expanding", "accumulate", "arange", "nancumsum"}
_DICE = {
    "random", "default_rng", "rand", "randn", "randint", "normal", "uniform", "choice", "shuffle", "sample", "urandom",
    "time", "time_ns", "now", "utcnow", "today", "monotonic", "perf_counter", "uuid4",
}  # fmt: skip


class _Statement(NamedTuple):
    line: int
    writes: frozenset[str]
    reads: frozenset[str]
    suspicions: frozenset[str]  # "future", "past", "dice"


class Sources:
    """Lines of the functions of an indicator's own file, by what they write and read.

    target   a function or class; anything without a source gives no hints
    """

    def __init__(self, target: Any) -> None:
        self._statements: list[_Statement] = []
        self._file = ""
        target = inspect.unwrap(target.func if isinstance(target, functools.partial) else target)
        try:
            self._file = inspect.getsourcefile(target) or ""
            _, first = inspect.getsourcelines(target)
            tree = ast.parse(Path(self._file).read_text(encoding="utf-8"))
        except (OSError, TypeError, SyntaxError, ValueError):
            return
        self._main = ""
        for node in _reachable(tree, first):
            self._main = self._main or node.name
            self._statements += [
                statement for inner in _statements_of(node) for statement in _described(inner, node.name)
            ]

    def line(self, column: str, kind: Kind) -> str:
        """``FILE:LINE: text`` of the likeliest line for a column; empty where none stands out."""
        wanted = {"history": "past", "unstable": "dice"}.get(kind, "future")
        for statement in self._slice(column):
            if wanted in statement.suspicions or (kind == "unstable" and f"[{column}]" in statement.writes):
                return self._text(statement.line)
        others = {one.line for one in self._statements if wanted in one.suspicions}
        return self._text(others.pop()) if len(others) == 1 else ""

    def _text(self, line: int) -> str:
        return f"{self._file}:{line}: {linecache.getline(self._file, line).strip()}"

    def _slice(self, column: str) -> Iterator[_Statement]:
        """What a column is made of: the statements that write it, then those that write what they read, and so on."""
        if not self._statements:
            return
        start = f"[{column}]"
        if not any(start in one.writes for one in self._statements):
            start = f"return {self._main}"
        seen, queue, shown = {start}, [start], set()
        while queue:
            token = queue.pop(0)
            for place, statement in enumerate(self._statements):
                if token in statement.writes and place not in shown:
                    shown.add(place)
                    yield statement
                    for read in sorted(statement.reads - seen):
                        seen.add(read)
                        queue.append(read)


_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _reachable(tree: ast.Module, line: int) -> list[Any]:
    """The functions of the definition that begins at a line, and those of its file that these call by name."""
    definitions = [node for node in ast.walk(tree) if isinstance(node, _Definition | ast.Lambda)]
    starts = {
        min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))]): node for node in definitions
    }
    main = starts.get(line)
    if main is None:
        return []
    if isinstance(main, ast.Lambda):
        return [_named(main)]
    known = {node.name: node for node in definitions if not isinstance(node, ast.Lambda)}
    found: list[Any] = []
    queue: list[Any] = [main]
    while queue:
        node = queue.pop(0)
        if node in found:
            continue
        if isinstance(node, ast.ClassDef):
            queue = [one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)] + queue
            continue
        found.append(node)
        called = {_last(inner.func) for inner in ast.walk(node) if isinstance(inner, ast.Call)}
        queue += [known[name] for name in sorted(called & known.keys())]
    return found


def _decorated(node: Any) -> list[int]:
    return [one.lineno for one in getattr(node, "decorator_list", [])]


def _named(node: ast.Lambda) -> ast.FunctionDef:
    answer = ast.copy_location(ast.Return(node.body), node.body)
    return ast.FunctionDef(name="<lambda>", args=node.args, body=[answer], decorator_list=[])


def _statements_of(node: ast.AST) -> Iterator[ast.stmt]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Return | ast.Expr):
            yield inner


def _described(statement: Any, function: str) -> Iterator[_Statement]:
    """A statement; and before it, the columns that it names one by one, in a dict or as keywords."""
    for node in ast.walk(statement):
        pairs: list[tuple[str, ast.expr]] = []
        if isinstance(node, ast.Call):
            pairs = [(str(one.arg), one.value) for one in node.keywords if one.arg and _last(node.func) == "assign"]
        elif isinstance(node, ast.Dict):
            pairs = [(str(key.value), value) for key, value in zip(node.keys, node.values, strict=True)
                     if isinstance(key, ast.Constant)]  # fmt: skip
        for name, value in pairs:
            yield _Statement(value.lineno, frozenset({f"[{name}]"}), _read(value, function), _suspicions(value))
    writes: set[str] = set()
    reads = set(_read(statement, function))
    if isinstance(statement, ast.Return):
        writes.add(f"return {function}")
    elif not isinstance(statement, ast.Expr):
        for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
            writes |= _written(target, function)
    suspicions = _suspicions(statement)
    line = min((line for line, _ in _marks(statement)), default=statement.lineno)
    yield _Statement(line, frozenset(writes), frozenset(reads), suspicions)


def _written(target: ast.AST, function: str) -> set[str]:
    if isinstance(target, ast.Tuple | ast.List):
        return {token for one in target.elts for token in _written(one, function)}
    if isinstance(target, ast.Name):
        return {f"{function}.{target.id}"}
    if isinstance(target, ast.Attribute):
        return {f"[{target.attr}]"}
    if isinstance(target, ast.Subscript):
        columns = {f"[{node.value}]" for node in ast.walk(target.slice)
                   if isinstance(node, ast.Constant) and isinstance(node.value, str)}  # fmt: skip
        return columns or _written(target.value, function)
    return set()


def _read(node: ast.AST, function: str) -> frozenset[str]:
    tokens = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
            tokens.add(f"{function}.{inner.id}")
        elif isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Load):
            tokens.add(f"[{inner.attr}]")
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            tokens.add(f"[{inner.value}]")
        if isinstance(inner, ast.Call):
            tokens.add(f"return {_last(inner.func)}")
    return frozenset(tokens)


def _suspicions(node: ast.AST) -> frozenset[str]:
    return frozenset(kind for _, kind in _marks(node))


def _marks(node: ast.AST) -> list[tuple[int, str]]:
    """(line, "future", "past" or "dice") of what stands out in an expression."""
    found = []
    for inner in ast.walk(node):
        line = getattr(inner, "end_lineno", 0) if isinstance(inner, ast.Attribute) else getattr(inner, "lineno", 0)
        if isinstance(inner, ast.Call):
            name = _last(inner.func)
            at = getattr(inner.func, "end_lineno", inner.lineno)
            if _knows_later(inner, name, node):
                found.append((at, "future"))
            if name in _REMEMBERS:
                found.append((at, "past"))
            if name in _DICE:
                found.append((at, "dice"))
        elif isinstance(inner, ast.Subscript) and _is_later(inner):
            found.append((line, "future"))
    return found


def _knows_later(call: ast.Call, name: str, around: ast.AST) -> bool:
    words = {one.arg: one.value for one in call.keywords}
    first = call.args[0] if call.args else words.get("periods")
    if name in ("shift", "pct_change", "diff"):
        return isinstance(first, ast.UnaryOp) and isinstance(first.op, ast.USub)
    centred = words.get("center")
    if isinstance(centred, ast.Constant) and centred.value is True:
        return True
    if any(isinstance(one, ast.Constant) and one.value in ("bfill", "backfill", "forward", "nearest") for one in
           words.values()):  # fmt: skip
        return True
    if name == "resample":
        return not any(_last(other.func) == "shift" for other in ast.walk(around) if isinstance(other, ast.Call))
    if name in _WHOLE:
        return "axis" not in words and not (_chain(call) & _PARTIAL)
    return name in _KNOW_ALL


def _is_later(node: ast.Subscript) -> bool:
    """[::-1], iloc[-1], x[i + 1]; in backtrader self.data.close[1], and writing to self.lines.x[-1]."""
    where = node.slice
    if isinstance(node.ctx, ast.Store) and _of_backtrader(node):
        return isinstance(where, ast.UnaryOp)
    if isinstance(where, ast.Slice):
        backwards = where.step is not None and ast.unparse(where.step) == "-1"
        return backwards or (isinstance(where.upper, ast.BinOp) and isinstance(where.upper.op, ast.Add))
    if isinstance(where, ast.BinOp):
        return isinstance(where.op, ast.Add)
    if isinstance(where, ast.UnaryOp):
        return _last(node.value) in ("iloc", "values", "iat") and ast.unparse(where) == "-1"
    return _of_backtrader(node) and isinstance(where, ast.Constant) and isinstance(where.value, int) and where.value > 0


def _of_backtrader(node: ast.Subscript) -> bool:
    return ast.unparse(node.value).startswith(("self.data", "self.lines", "self.l."))


def _last(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _chain(call: ast.Call) -> set[str]:
    """The names of the calls that a call is made on: rolling and mean in x.rolling(3).mean()."""
    names = set()
    node: ast.AST = call
    while True:
        if isinstance(node, ast.Call):
            names.add(_last(node.func))
            node = node.func
        elif isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        else:
            return names
