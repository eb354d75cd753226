"""Units and order of times: numbers of s, ms, us or ns to int64 ms.

Numbers that mean a time carry no unit; it is told by magnitude, and no instant from 1973-03-03 to 5138-11-16 is
ambiguous:

====  ==================
unit  numbers
====  ==================
s     1e8 up to 1e11
ms    1e11 up to 1e14
us    1e14 up to 1e17
ns    1e17 up to 1e20
====  ==================
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NoReturn

import numpy as np

from .messages import fail_row, moment

_UNITS = ("s", "ms", "us", "ns")
_UNIT_EDGES = np.array([1e8, 1e11, 1e14, 1e17, 1e20])
TIME_ALLOWED = "a time from 1973-03-03 on in s [1e8, 1e11), ms [1e11, 1e14), us [1e14, 1e17) or ns [1e17, 1e20)"


def ms_from_numbers(times: np.ndarray) -> np.ndarray:
    """Times as int64 milliseconds; the unit is told by magnitude, see the module's text.

    times   (n,) integers or floats, all in one unit; int64 milliseconds are returned as they are

    Raises ValueError for a row that is no time, and where the unit changes. Cost: a few passes.
    """
    if len(times) == 0:
        return np.zeros(0, np.int64)
    units = np.searchsorted(_UNIT_EDGES, [times.min(), times.max()], side="right") - 1
    if units[0] != units[1] or not 0 <= units[0] < len(_UNITS):
        _explain_units(times)
    power = 3 * (int(units[0]) - 1)
    if times.dtype.kind in "iu":
        whole = times.astype(np.int64, copy=False)
        if power == 0:
            return whole
        return whole * 1000 if power < 0 else whole // 10**power
    milliseconds: np.ndarray = np.rint(times * 1000.0 if power < 0 else times / 10.0**power).astype(np.int64)
    return milliseconds


def _explain_units(times: np.ndarray) -> NoReturn:
    units = np.searchsorted(_UNIT_EDGES, times, side="right") - 1
    outside = np.flatnonzero((units < 0) | (units >= len(_UNITS)))
    if len(outside):
        fail_row(int(outside[0]), None, "time", times[outside[0]], TIME_ALLOWED, len(outside) - 1)
    row = int(np.flatnonzero(units != units[0])[0])
    before, now = _UNITS[units[0]], _UNITS[units[row]]
    fail_row(row, None, "time", times[row], f"{before}, as in row 0: this is a time in {now}")


def check_ms(time: np.ndarray) -> None:
    """Raise ValueError unless every time can be milliseconds: other units mean that they were not converted."""
    if len(time) == 0 or (time.min() >= _UNIT_EDGES[1] and time.max() < _UNIT_EDGES[2]):
        return
    row = int(np.flatnonzero((time < _UNIT_EDGES[1]) | (time >= _UNIT_EDGES[2]))[0])
    unit = int(np.searchsorted(_UNIT_EDGES, time[row], side="right")) - 1
    names = {0: "seconds", 2: "microseconds", 3: "nanoseconds"}
    hint = f"{names[unit]} where ms are meant" if unit in names else f"as ms this is {moment(time[row])}"
    fail_row(row, None, "time", time[row], f"ms since the epoch, from 1973-03-03 on [1e11, 1e14): {hint}")


def check_order(time: np.ndarray, repeats: bool) -> None:
    """Raise ValueError where times go back, or, unless ``repeats`` are allowed, come twice."""
    wrong = time[1:] < time[:-1] if repeats else time[1:] <= time[:-1]
    if not wrong.any():
        return
    row = int(wrong.argmax()) + 1
    verb = "repeats" if time[row] == time[row - 1] else "goes back to"
    allowed = "not before" if repeats else "later than"
    raise ValueError(
        f"row {row} ({moment(time[row])}), time: found a time that {verb} {moment(time[row])}, "
        f"allowed {allowed} row {row - 1} ({moment(time[row - 1])})"
    )


def ms_of(value: Any) -> int:
    """A time of whatever form as ms."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                raise ValueError(f"time: found {value!r}, allowed a number or ISO 8601 text") from None
    if isinstance(value, np.datetime64):
        value = int(value.astype("M8[ms]").astype(np.int64))
    if isinstance(value, datetime):
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
        value = round(value.timestamp() * 1000)
        check_ms(np.array([value]))
        return value
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"time: found {value!r}, allowed a number, a datetime or ISO 8601 text")
    try:
        return int(ms_from_numbers(np.array([value]))[0])
    except ValueError as error:
        raise ValueError(str(error).removeprefix("row 0, ")) from None
