"""Times of every form to int64 ms: numbers of s, ms, us or ns, the digits of a date, text.

Numbers that mean a time carry no unit; it is told by magnitude, and no instant from 1973-03-03 to 2500 is ambiguous:

====  ==================
unit  numbers
====  ==================
s     1e8 up to 1e11
ms    1e11 up to 1e14
us    1e14 up to 1e17
ns    1e17 up to 1e20
====  ==================

Unless they are, in every row, digits of a date of the years 1900 to 2100: ``yyyymmdd``, ``yyyymmddHHMM``,
``yyyymmddHHMMSS`` or ``yyyymmddHHMMSSmmm``. Of ``yyyymmddHH`` that cannot be told, as it is a time in s too.

One rule leads from finer times to ms, so that it does not matter by which way a time came: down to the ms. Floats,
which hold most times but nearly, are rounded to microseconds first.
"""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .messages import fail_row, moment

_UNITS = ("s", "ms", "us", "ns")
_UNIT_EDGES = np.array([1e8, 1e11, 1e14, 1e17, 1e20])
_END_MS = 16_725_225_600_000  # 2500: below any digits of a date and minute that are read as ms
_DIGITS = (8, 10, 12, 14, 17)  # of a date, a date and hour, ...
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
TIME_ALLOWED = (
    "a time from 1973-03-03 on in s [1e8, 1e11), ms [1e11, 1e14), us [1e14, 1e17) or ns [1e17, 1e20), before 2500, or "
    "digits of a date in every row (yyyymmdd, with HHMM, HHMMSS or HHMMSSmmm)"
)
TEXT_ALLOWED = "a datetime, a number or ISO 8601 text"


def ms_from_numbers(times: np.ndarray) -> np.ndarray:
    """Times as int64 milliseconds: unit, digits of dates and rounding as the module's text says.

    times   (n,) integers or floats, all in one unit or all digits of a date; int64 ms are returned as they are

    Raises ValueError for a row that is no time, where the unit changes, and for digits that can be read in two ways.
    Cost: a few passes.

    >>> ms_from_numbers(np.array([20200102])).astype("M8[ms]").astype("M8[s]")
    array(['2020-01-02T00:00:00'], dtype='datetime64[s]')
    """
    if len(times) == 0:
        return np.zeros(0, np.int64)
    least, most = times.min(), times.max()
    if len(digits := f"{least:.0f}") in _DIGITS and len(f"{most:.0f}") == len(digits):
        dates = _ms_from_digits(times, len(digits))
        if dates is not None:
            return dates
    units = np.searchsorted(_UNIT_EDGES, [least, most], side="right") - 1
    if units[0] != units[1] or not 0 <= units[0] < len(_UNITS):
        _explain_units(times)
    power = 3 * (int(units[0]) - 1)
    if most >= _END_MS * 10.0**power:
        late = np.flatnonzero(times >= _END_MS * 10.0**power)
        fail_row(int(late[0]), None, "time", times[late[0]], TIME_ALLOWED, len(late) - 1)
    if times.dtype.kind == "f":
        micros = times * 10.0 ** (3 - power) if power <= 3 else times / 10.0 ** (power - 3)
        milliseconds: np.ndarray = np.rint(micros).astype(np.int64) // 1000
        return milliseconds
    whole = times // 10**power if power > 0 else times
    milliseconds = whole.astype(np.int64, copy=False)
    return milliseconds * 1000 if power < 0 else milliseconds


def _ms_from_digits(times: np.ndarray, count: int) -> np.ndarray | None:
    """Times whose ``count`` digits are those of dates; None if they are not. Most of them alone are a mistake."""
    if not _are_dates(times[:1], count)[0] and count != 12:
        return None
    dates = _are_dates(times, count)
    if count == 10:
        if not dates.all():
            return None
        seconds, hours = (moment(int(ms)) for ms in (times[0] * 1000, _date_parts(times[:1], count)[0][0]))
        fail_row(0, None, "time", times[0], f"one reading: in s this is {seconds}, as yyyymmddHH it is {hours}")
    if dates.mean() < 0.5:
        return None
    if not dates.all():
        row = int(np.argmin(dates))
        allowed = f"digits of a date, as in {dates.sum()} of {len(dates)} rows"
        fail_row(row, None, "time", times[row], allowed, int((~dates).sum()) - 1)
    return _date_parts(times, count)[0]


def _are_dates(times: np.ndarray, count: int) -> np.ndarray:
    return _date_parts(times, count)[1]


def _date_parts(times: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(ms of numbers of ``count`` digits read as those of dates, whether they are dates)."""
    digits = (np.rint(times) if times.dtype.kind == "f" else times).astype(np.int64)
    right = digits == times
    digits *= 10 ** (17 - count)
    year, month, day, hour, minute, second = (
        digits // 10**place % 10**length for place, length in ((13, 4), (11, 2), (9, 2), (7, 2), (5, 2), (3, 2))
    )
    months = ((year - 1970) * 12 + month - 1).astype("M8[M]")
    days = months.astype("M8[D]") + (day - 1).astype("m8[D]")
    right &= (year >= 1900) & (year <= 2100) & (month >= 1) & (month <= 12) & (days.astype("M8[M]") == months)
    right &= (hour < 24) & (minute < 60) & (second < 60)
    ms = days.astype(np.int64) * 86_400_000 + ((hour * 60 + minute) * 60 + second) * 1000 + digits % 1000
    return ms, right


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
    if len(time) == 0 or (time.min() >= _UNIT_EDGES[1] and time.max() < _END_MS):
        return
    row = int(np.flatnonzero((time < _UNIT_EDGES[1]) | (time >= _END_MS))[0])
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
    sort = "" if verb == "repeats" else ": sort the rows by time"
    raise ValueError(
        f"row {row} ({moment(time[row])}), time: found a time that {verb} {moment(time[row])}, "
        f"allowed {allowed} row {row - 1} ({moment(time[row - 1])}){sort}"
    )


#: Dates as people write them -> ISO 8601; those of slashes apart, of which day and month may come first.
_WRITTEN = (
    (r"^(\d{4}-\d\d-\d\d)D", r"\1T"),  # BitMEX
    (r"^(\d{4})[./](\d\d)[./](\d\d)", r"\1-\2-\3"),
    (r"^(\d\d)\.(\d\d)\.(\d{4})", r"\3-\2-\1"),
    (r"^(\d{4}-\d\d-\d\d) (\d\d:.*\d) ?([+-]\d\d:?\d\d)$", r"\1 \2\3"),
    (r" ?(UTC|GMT)$", "Z"),
)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_SLASHED = r"^(\d\d)[/-](\d\d)[/-](\d{4})"
_ONE_DIGIT = r"\b(\d)([-/.: ]|$)"
#: Of twelve hours: as CryptoDataDownload wrote them once, and spreadsheets do.
_HOURS = ("%Y-%m-%d %I-%p", "%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %I:%M %p")


def ms_from_text(texts: pa.Array) -> np.ndarray:
    """Times as text to int64 ms: numbers, ISO 8601 (without a zone: UTC), or dates such as 31.12.2020.

    texts   (n,) of pyarrow text in one form, none missing; a day comes before its month where they are parted by points

    Raises ValueError naming row, what was found and what is allowed. Cost: a few passes; some microseconds a row for
    what pyarrow cannot read.
    """
    texts = pc.utf8_trim_whitespace(texts)
    if (numbers := _cast(texts, pa.int64(), pa.float64())) is not None:
        return ms_from_numbers(numbers.to_numpy(zero_copy_only=False))
    written = _iso(texts)
    if (stamps := _cast(written, pa.timestamp("ns", "UTC"), pa.timestamp("ns"))) is not None:
        return ms_from_timestamps(stamps)
    return _read_by_row(written, texts)


def _cast(texts: pa.Array, *kinds: pa.DataType) -> pa.Array | None:
    """Text as the first of these kinds that all of it can be, if there is one."""
    for kind in kinds:
        with contextlib.suppress(pa.ArrowException):
            texts[:1].cast(kind)  # a cast that fails takes as long as there are rows that it fails on
            return texts.cast(kind)
    return None


def _iso(texts: pa.Array) -> pa.Array:
    first = texts[0].as_py()
    if re.search(r"(^|[-/. ])\d([-/.:]|$)", first) or not re.match(r"\d{4}-", first):
        for _ in range(2):  # neighbours share the character between them
            texts = pc.replace_substring_regex(texts, _ONE_DIGIT, r"0\1\2")
    first = texts[0].as_py()
    if re.match(_SLASHED, first):
        texts = pc.replace_substring_regex(texts, _SLASHED, r"\3-\1-\2" if _is_month_first(texts) else r"\3-\2-\1")
    for pattern, iso in _WRITTEN:
        if re.search(pattern, first):
            texts = pc.replace_substring_regex(texts, pattern, iso)
    return texts


def _is_month_first(texts: pa.Array) -> bool:
    parts = pc.extract_regex(texts, r"^(?P<first>\d\d)[/-](?P<second>\d\d)[/-]\d{4}")
    first, second = (pc.max(pc.struct_field(parts, name)).as_py() for name in ("first", "second"))
    if (first > "12") == (second > "12"):
        fail_row(0, None, "time", texts[0].as_py(), "a date of which one can tell day and month, such as 2020-12-31")
    return bool(second > "12")


def _read_by_row(written: pa.Array, texts: pa.Array) -> np.ndarray:
    """What pyarrow cannot read, by Python; raises for the first text that is no time."""
    found: list[datetime] = []
    wrong = []
    for row, text in enumerate(written.to_pylist()):
        at = _datetime_of(text)
        if at is None:
            wrong.append(row)
        else:
            found.append(at)
    if wrong:
        wrong = [row for row in wrong if not _NUMBER.fullmatch(texts[row].as_py())] or wrong
        fail_row(wrong[0], None, "time", texts[wrong[0]].as_py(), TEXT_ALLOWED, len(wrong) - 1)
    if len({one.tzinfo is None for one in found}) > 1:
        raise ValueError("time: found text with and without a zone, allowed one form throughout")
    time = np.array([_ms_of_datetime(one) for one in found], np.int64)
    check_ms(time)
    return time


def _datetime_of(text: str) -> datetime | None:
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(text)
    for form in _HOURS:
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, form)
    return None


def ms_from_timestamps(stamps: pa.Array) -> np.ndarray:
    """pyarrow timestamps of any unit and zone, none missing, as int64 ms."""
    kind = pa.timestamp("ms", stamps.type.tz)
    time: np.ndarray = stamps.cast(kind, safe=False).cast(pa.int64()).to_numpy(zero_copy_only=False)
    check_ms(time)
    return time


def ms_of(value: Any) -> int:
    """A time of whatever form as ms."""
    if isinstance(value, str):
        if not value.isascii():
            raise ValueError(f"time: found {value!r:.80}, allowed {TEXT_ALLOWED}")
        if len(value) > 18 and value[4] == "-" and value[10] in "T ":
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                return _alone(ms_from_text, pa.array([value]))
        else:
            return _alone(ms_from_text, pa.array([value]))
    if isinstance(value, np.datetime64) and not np.isnat(value):
        return _alone(_checked, value.astype("M8[ms]").astype(np.int64).reshape(1))
    if isinstance(value, date) and value == value:  # NaT is a datetime, and not itself
        at = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
        return _alone(_checked, np.array([_ms_of_datetime(at)]))
    if (isinstance(value, Decimal) and value.is_finite()) or isinstance(value, np.floating):
        value = float(value)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer)):
        raise TypeError(f"time: found {value!r:.80}, allowed a number, a datetime or ISO 8601 text")
    if not -(2.0**63) <= value < 2.0**63:
        raise ValueError(f"time: found {value!r:.80}, allowed {TIME_ALLOWED}")
    return _alone(ms_from_numbers, np.array([value]))


def _ms_of_datetime(value: datetime) -> int:
    return ((value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH) // _MS


def _checked(time: np.ndarray) -> np.ndarray:
    check_ms(time)
    return time


def _alone(read: Any, values: Any) -> int:
    """The one time that a reader of many gives; its errors name no row."""
    try:
        return int(read(values)[0])
    except ValueError as error:
        raise ValueError(str(error).removeprefix("row 0, ")) from None
