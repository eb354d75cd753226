"""The laws, as checks on any subject that folds rows in into rows out: an engine, an indicator, a toy.

A subject is what ``Subject`` says: a state, a step that advances it by one row, a fold of many, and a way to save it.
Each check raises AssertionError that says which row and field disagree. ``check_laws`` runs them all:

- **fold**: a fold gives the bytes that step after step gives;
- **prefix**: what comes later changes no earlier row;
- **window**: a row is a function of the ``memory`` rows that end with it;
- **split**: stop anywhere, save, load, go on: the same bytes;
- **clock**: nothing reads a clock or draws a number;
- **purity**: rows in and params stay as they are, and two states know nothing of each other.

``check_scale`` and ``check_later_start`` need to be told more. For a function of a whole frame there is
``liquidator_integrations.audit``.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

CLOCK_MODULES = {"time", "datetime", "random", "secrets", "uuid", "timeit"}
CLOCK_NAMES = {
    "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time", "time_ns", "now", "utcnow", "today",
    "default_rng", "random", "urandom", "getrandom", "uuid4", "getpid",
}  # fmt: skip


class Subject(Protocol):
    """What is put before the laws. ``params`` is whatever its methods take; rows are structured arrays."""

    sources: Sequence[Any]  # paths of its modules, or its classes
    units: Mapping[str, str]  # of the fields of its rows

    def memory(self, params: Any) -> int | None:
        """Rows that a row depends on; None where rows out are not rows in, one to one."""

    def new_state(self, params: Any) -> Any:
        """A state before its first row."""

    def step(self, state: Any, params: Any, row: np.ndarray) -> np.ndarray:
        """The rows that a (1,) row in gives, usually one."""

    def fold(self, state: Any, params: Any, rows: np.ndarray) -> np.ndarray:
        """``step`` of each row, joined."""

    def save(self, state: Any, path: Path) -> None:
        """Write a state."""

    def load(self, path: Path, params: Any) -> Any:
        """The state that ``save`` wrote."""


def folded(subject: Subject, params: Any, rows: np.ndarray) -> np.ndarray:
    """What a new state makes of a copy of rows."""
    return subject.fold(subject.new_state(params), params, rows.copy())


def same(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether two arrays are equal to the byte."""
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


def difference(left: np.ndarray, right: np.ndarray) -> str:
    """The first row and the fields in which two arrays of rows differ."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return f"{left.shape} {left.dtype} against {right.shape} {right.dtype}"
    for row, (one, other) in enumerate(zip(left, right, strict=True)):
        if one.tobytes() != other.tobytes():
            return f"row {row}: " + ", ".join(
                f"{name} {one[name]!r} against {other[name]!r}"
                for name in left.dtype.names or ()
                if one[name].tobytes() != other[name].tobytes()
            )
    return "none"


def check_fold_is_step(subject: Subject, params: Any, rows: np.ndarray) -> None:
    """One fold gives the bytes that step by step gives."""
    state = subject.new_state(params)
    steps = [subject.step(state, params, rows[i : i + 1].copy()) for i in range(len(rows))]
    whole = folded(subject, params, rows)
    stepped = np.concatenate([whole[:0], *steps])
    if not same(whole, stepped):
        raise AssertionError(f"fold is not step after step: {difference(whole, stepped)}")


def check_prefix(subject: Subject, params: Any, rows: np.ndarray, cuts: Sequence[int] | None = None) -> None:
    """What comes later changes no earlier row."""
    whole = folded(subject, params, rows)
    for cut in some_cuts(rows, 7) if cuts is None else cuts:
        start = folded(subject, params, rows[:cut])
        if not same(start, whole[: len(start)]):
            raise AssertionError(f"a later row changed: {difference(start, whole[: len(start)])}")


def check_window(subject: Subject, params: Any, rows: np.ndarray, at: Sequence[int] | None = None) -> None:
    """A row is a function of the ``memory`` rows that end with it: a fold of these alone, or of more, ends with it."""
    memory = subject.memory(params)
    if memory is None:
        return
    whole = folded(subject, params, rows)
    for t in range(memory - 1, len(rows)) if at is None else at:
        alone = folded(subject, params, rows[t - memory + 1 : t + 1])[-1:]
        if not same(alone, whole[t : t + 1]):
            raise AssertionError(f"row {t} from its memory: {difference(alone, whole[t : t + 1])}")
    for start in range(0, len(rows) - memory + 1, max(1, (len(rows) - memory) // 7)):
        suffix = folded(subject, params, rows[start:])[memory - 1 :]
        expected = whole[start + memory - 1 :]
        if not same(suffix, expected):
            raise AssertionError(f"rows from {start} on: {difference(suffix, expected)}")


def check_later_start(subject: Subject, params: Any, rows: np.ndarray, unsettled: int = 0) -> None:
    """Where rows out are not rows in, one to one: a later start gives the same rows from there on.

    ``unsettled``   rows out, after each start, that may still depend on what came before it
    """
    whole = folded(subject, params, rows)
    for start in some_cuts(rows, 11):
        part = folded(subject, params, rows[start:])[unsettled:]
        expected = whole[len(whole) - len(part) :]
        if not same(part, expected):
            raise AssertionError(f"rows from {start} on: {difference(part, expected)}")


def check_split(
    subject: Subject, params: Any, rows: np.ndarray, folder: Path, cuts: Sequence[int] | None = None
) -> None:
    """Stop anywhere, save, let another state run meanwhile, load, go on: the same bytes."""
    whole = folded(subject, params, rows)
    for cut in some_cuts(rows, 5) if cuts is None else cuts:
        state = subject.new_state(params)
        before = subject.fold(state, params, rows[:cut].copy())
        subject.save(state, folder / "state")
        folded(subject, params, backwards(rows))
        after = subject.fold(subject.load(folder / "state", params), params, rows[cut:].copy())
        both = np.concatenate([before, after])
        if not same(both, whole):
            raise AssertionError(f"split at {cut}: {difference(both, whole)}")


def check_clock(subject: Subject, params: Any, rows: np.ndarray) -> None:
    """Nothing in the sources reads a clock or draws a number, and the same rows give the same rows again."""
    for source in subject.sources:
        text = source.read_text() if isinstance(source, Path) else inspect.getsource(source)
        found = clocks_in(text)
        if found:
            raise AssertionError(f"{source} reads a clock: {', '.join(found)}")
    once, again = folded(subject, params, rows), folded(subject, params, rows)
    if not same(once, again):
        raise AssertionError(f"the same rows gave other rows: {difference(once, again)}")


def clocks_in(text: str) -> list[str]:
    """What a module's source takes from the clock or from chance."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.split(".")[0] in CLOCK_MODULES]
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0 and (node.module or "").split(".")[0] in CLOCK_MODULES:
                found.append(str(node.module))
            found += [name.name for name in node.names if name.name in CLOCK_NAMES]
        elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in CLOCK_MODULES:
            found.append(ast.unparse(node))
        elif isinstance(node, ast.Attribute) and getattr(node.value, "attr", "") == "random":  # np.random
            found.append(f"random.{node.attr}")
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            words = [word.value for word in node.args if isinstance(word, ast.Constant)]
            if called in CLOCK_NAMES or (called == "datetime64" and words[:1] in (["now"], ["today"])):
                found.append(called)
    return found


def check_purity(subject: Subject, params: Any, rows: np.ndarray) -> None:
    """Rows in and params stay as they are, and two states advanced in turn do not know of each other."""
    given = rows.copy()
    before = as_bytes(params)
    subject.fold(subject.new_state(params), params, given)
    state = subject.new_state(params)
    for i in range(len(given)):
        subject.step(state, params, given[i : i + 1])
    if given.tobytes() != rows.tobytes():
        raise AssertionError(f"rows in were changed: {difference(given, rows)}")
    if as_bytes(params) != before:
        raise AssertionError("params were changed")

    other_rows = backwards(rows)
    one, other = subject.new_state(params), subject.new_state(params)
    ones, others = [], []
    for i in range(len(rows)):
        ones.append(subject.step(one, params, rows[i : i + 1].copy()))
        others.append(subject.step(other, params, other_rows[i : i + 1].copy()))
    for got, fed in ((ones, rows), (others, other_rows)):
        alone = folded(subject, params, fed)
        together = np.concatenate([alone[:0], *got])
        if not same(together, alone):
            raise AssertionError(f"two states influence each other: {difference(together, alone)}")


def check_scale(
    subject: Subject,
    params: Any,
    rows: np.ndarray,
    rows_units: Mapping[str, str],
    price: float = 1.0,
    volume: float = 1.0,
    ties: float = 0.0,
    binned: Sequence[str] = (),
    tolerance: float = 1e-9,
) -> None:
    """Prices times a factor scale prices and USD, volumes times a factor scale volumes and USD, and nothing else.

    ``ties``    share of rows at which a difference may begin: a comparison that is an exact tie may fall otherwise
                once prices are rounded anew; what follows lasts up to ``memory`` rows, at most a twentieth of all
    ``binned``  fields that depend on where the bins lie: they agree within a bin
    """
    plain = folded(subject, params, rows)
    other = folded(subject, params, scaled(rows, rows_units, price, volume))
    expected = scaled(plain, subject.units, price, volume)
    differs = np.zeros(len(plain), bool)
    for name in plain.dtype.names or ():
        differs |= ~agree(other[name], expected[name], np.expm1(np.log(2) / 1386) if name in binned else tolerance)
        if not ties and differs.any():
            raise AssertionError(f"{name} at row {int(np.argmax(differs))} with price x {price}, volume x {volume}")
    if differs.mean() > (0.05 if ties else 0.0):
        raise AssertionError(f"{int(differs.sum())} rows do not scale by {price}, {volume}")
    begins = 0
    last: float = -np.inf
    for row in np.flatnonzero(differs).tolist():
        begins += row > last + (subject.memory(params) or 0)
        last = row
    if begins > ties * len(rows):
        raise AssertionError(f"{begins} differences begin with price x {price}, volume x {volume}")


def scaled(rows: np.ndarray, units: Mapping[str, str], price: float, volume: float) -> np.ndarray:
    """Rows in another unit of price and of volume."""
    rows = rows.copy()
    for name, unit in units.items():
        factor = {"quote": price, "base": volume, "usd": price * volume}.get(unit.split(",")[0].split(" ")[0], 1.0)
        if factor != 1.0:
            rows[name] = rows[name] * factor
    return rows


def agree(left: np.ndarray, right: np.ndarray, tolerance: float) -> np.ndarray:
    """Equal, or both unknown, or floats within a relative tolerance."""
    if left.dtype.kind != "f":
        return np.asarray(left == right)
    both_unknown = np.isnan(left) & np.isnan(right)
    with np.errstate(invalid="ignore"):  # of two infinities, which are equal or not
        near = np.abs(left - right) <= tolerance * np.maximum(np.abs(left), np.abs(right))
    return np.asarray(both_unknown | (left == right) | near)


def check_laws(subject: Subject, params: Any, rows: np.ndarray, folder: Path) -> None:
    """Every law that needs no more than rows and a place to save a state."""
    check_fold_is_step(subject, params, rows)
    check_prefix(subject, params, rows)
    check_window(subject, params, rows)
    check_split(subject, params, rows, folder)
    check_clock(subject, params, rows)
    check_purity(subject, params, rows)


def some_cuts(rows: np.ndarray, count: int) -> list[int]:
    """Places to cut, ends included, spread evenly."""
    return sorted({int(cut) for cut in np.linspace(0, len(rows), count + 2)})


def backwards(rows: np.ndarray) -> np.ndarray:
    """Other rows of the same kind: the last first, at times that still rise."""
    other = rows[::-1].copy()
    other["time"] = rows["time"]
    return other


def as_bytes(params: Any) -> bytes:
    """What tells whether params were changed."""
    return params.tobytes() if isinstance(params, np.ndarray) else repr(params).encode()
