"""What an indicator returned, as arrays that two runs can be compared by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

SERIES_NAME = "value"
SAME = 1e-11
UNKNOWN = np.iinfo(np.int64).min  # pandas' own NaT
_NUMBER = UNKNOWN + 1


@dataclass(frozen=True, eq=False)
class Values:
    """The columns of one run: row i of ``numbers`` and ``codes`` belongs to ``names[i]``.

    ``numbers``   (columns, rows) float64; NaN is unknown, or no number
    ``codes``     column -> (rows,) int64, for those that hold something else than numbers: one code for each value
    ``changed``   given columns whose values the run changed -> the first row
    """

    names: list[str]
    numbers: np.ndarray
    codes: Mapping[str, np.ndarray]
    changed: Mapping[str, int]

    @property
    def rows(self) -> int:
        """Rows of each column."""
        return int(self.numbers.shape[1])

    def codes_of(self, place: int) -> np.ndarray:
        """(rows,) codes of the column at a place: of a number one and the same, ``UNKNOWN`` where nothing is known."""
        if self.names[place] in self.codes:
            return self.codes[self.names[place]]
        return np.where(np.isnan(self.numbers[place]), UNKNOWN, _NUMBER)

    def known(self, place: int) -> np.ndarray:
        """(rows,) bool, whether the column at a place says something."""
        return np.asarray(self.codes_of(place) != UNKNOWN)

    def to_head(self) -> dict[str, Any]:
        """What ``from_bytes`` takes, beside the bytes of ``numbers`` and of each column of ``codes``."""
        return {"names": self.names, "rows": self.rows, "coded": list(self.codes), "changed": dict(self.changed)}

    @staticmethod
    def from_bytes(head: Mapping[str, Any], body: memoryview) -> Values:
        """The Values of ``to_head`` and the bytes beside it, which are not copied."""
        names, rows = head["names"], head["rows"]
        words = np.frombuffer(body, np.int64).reshape(len(names) + len(head["coded"]), rows)
        return Values(
            names=names,
            numbers=words[: len(names)].view(np.float64),
            codes=dict(zip(head["coded"], words[len(names) :], strict=True)),
            changed=head["changed"],
        )


def values_of(result: pd.DataFrame | pd.Series, given: pd.DataFrame, pristine: pd.DataFrame) -> Values:
    """Values of what a run on ``given``, a copy of ``pristine``, has returned.

    Columns of ``pristine`` that came back as they were are left out; where they all came back, or were changed in
    ``given`` itself, those that were changed are told.
    """
    before, now = _columns(pristine), _columns(given)
    columns = now if result is given else _columns(result)
    changed = {}
    for name, column in now.items():
        if name in before and (row := _first_change(column, before[name])) is not None:
            changed[name] = row
    own = [name for name in columns if name not in before]
    for name in [name for name in before if name in columns]:
        row = changed.get(name) if result is given else _first_change(columns[name], before[name])
        if row is not None:
            own.append(name)
            if before.keys() <= columns.keys():
                changed.setdefault(name, row)
    numbers, codes = np.full((len(own), len(result)), np.nan), {}
    for place, name in enumerate(own):
        numbers[place], coded = _encoded(columns[name])
        if coded is not None:
            codes[name] = coded
    return Values(own, numbers, codes, changed)


def _columns(result: pd.DataFrame | pd.Series) -> dict[str, pd.Series]:
    if isinstance(result, pd.Series):
        return {SERIES_NAME: result}
    return {str(name): column for name, column in result.items()}


def differs(left: Values, right: Values, tolerance: float, scale: np.ndarray) -> np.ndarray:
    """(columns of ``right``, rows) bool: where two runs say something else about the same rows.

    Both must have as many rows. The same are two unknowns, equal values, and numbers within ``tolerance`` of the
    largest of the two and ``scale``, one for each column of ``right``. A column that ``left`` lacks is unknown there.
    """
    places = {name: place for place, name in enumerate(left.names)}
    if left.names == right.names:
        numbers = left.numbers
    else:
        numbers = np.full_like(right.numbers, np.nan)
        for place, name in enumerate(right.names):
            if name in places:
                numbers[place] = left.numbers[places[name]]
    out = relative_error(numbers, right.numbers, scale) > tolerance
    for place, name in enumerate(right.names):
        if name in right.codes or name in left.codes:
            ours = left.codes_of(places[name]) if name in places else np.full(right.rows, UNKNOWN)
            theirs = right.codes_of(place)
            out[place] = np.where((ours == _NUMBER) & (theirs == _NUMBER), out[place], ours != theirs)
    return out


def relative_error(left: np.ndarray, right: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """|left - right| over the largest of both and ``scale``: 0 where they are equal or both NaN, inf where one is."""
    if np.array_equal(_bits(left), _bits(right)):  # as a rule, and soon told
        return np.zeros(left.shape)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        largest = np.maximum(np.maximum(np.abs(left), np.abs(right)), scale[:, None])
        error = np.abs(left - right) / largest
    return np.where((left == right) | (np.isnan(left) & np.isnan(right)), 0.0, np.where(np.isnan(error), np.inf, error))


def _bits(numbers: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(numbers).view(np.int64)


def scale_of(values: Values) -> np.ndarray:
    """The median magnitude of each column's known, finite numbers; 0 where there are none."""
    finite = np.isfinite(values.numbers)
    return np.array(
        [np.median(np.abs(row[good])) if good.any() else 0.0 for row, good in zip(values.numbers, finite, strict=True)]
    )


def part(values: Values, first: int, end: int) -> Values:
    """These rows of a run."""
    codes = {name: codes[first:end] for name, codes in values.codes.items()}
    return Values(values.names, values.numbers[:, first:end], codes, {})


def _first_change(column: pd.Series, was: pd.Series) -> int | None:
    if column.dtype == was.dtype:
        bits, before = _bits_of(column), _bits_of(was)
        if bits is not None and before is not None and np.array_equal(bits, before):
            return None
    if len(column) != len(was):
        return 0
    pair = []
    for some in (column, was):
        numbers, codes = _encoded(some)
        pair.append(Values([SERIES_NAME], numbers[None], {} if codes is None else {SERIES_NAME: codes}, {}))
    wrong = differs(pair[0], pair[1], SAME, scale_of(pair[1]))[0]
    return int(wrong.argmax()) if wrong.any() else None


def _bits_of(column: pd.Series) -> np.ndarray | None:
    """The bits of a column of numbers or times, as whole numbers, if it is a plain one."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiubmM":
        plain = np.ascontiguousarray(column.to_numpy())
        return plain.view(f"i{plain.itemsize}") if plain.itemsize <= 8 else None
    return np.asarray(column.array.asi8) if isinstance(column.dtype, pd.DatetimeTZDtype) else None


def _encoded(column: pd.Series) -> tuple[np.ndarray, np.ndarray | None]:
    kind = column.dtype.kind
    if isinstance(column.dtype, np.dtype) and kind in "fiub":
        return column.to_numpy(np.float64), None
    if kind in "mM":
        return np.full(len(column), np.nan), _moments(column)
    if kind in "fiub" and not isinstance(column.dtype, pd.CategoricalDtype):
        return column.to_numpy(np.float64, na_value=np.nan), None
    return _objects(column.astype(object))


def _moments(column: pd.Series) -> np.ndarray:
    """int64 nanoseconds, or microseconds where these would not fit."""
    plain = pd.Series(column.array)
    if kind_of_time := getattr(column.dtype, "pyarrow_dtype", None):
        plain = plain.astype(f"{'timedelta' if str(kind_of_time).startswith('duration') else 'datetime'}64[ns]")
    try:
        return np.asarray(plain.array.as_unit("ns").asi8)
    except (ValueError, OverflowError):
        return np.asarray(plain.array.as_unit("us").asi8)


def _objects(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.full(len(column), np.nan)
    codes = np.full(len(column), UNKNOWN)
    seen: dict[Any, int] = {}
    for row, value in enumerate(column):
        if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
            continue
        if isinstance(value, (int, float, np.integer, np.floating, np.bool_)):
            numbers[row], codes[row] = float(value), UNKNOWN if value != value else _NUMBER
        elif isinstance(value, str):
            if value not in seen:
                seen[value] = _digest(value.encode("utf-8", "surrogatepass"))
            codes[row] = seen[value]
        else:
            codes[row] = _digest(_text(value).encode("utf-8", "surrogatepass"))
    return numbers, codes


def _text(value: Any) -> str:
    """What tells a value from others of its type, without where it lies in memory."""
    kind = type(value).__name__
    if isinstance(value, np.ndarray):
        return f"{kind} {value.tolist()!r}"
    return kind if _writes_its_address(value) else f"{kind} {value!r}"


def _writes_its_address(value: Any) -> bool:
    writer: Any = type(value).__repr__
    return bool(writer is object.__repr__)


def _digest(text: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "little")
