"""Candles as people have them, in; columns and tables of zones, levels and marks, out. The one place for pandas.

``bars_from_frame`` translates and checks, once; everything else here folds the core over its bars and writes down what
the core says. Nothing that is passed in is changed.

Candles (called ``candles`` below) are one of:

- a pandas frame with columns of any case and order: open, high, low, close, volume, and where known taker buy volume,
  open interest, funding rate and the other BAR fields (``files.CANDLE_NAMES`` lists every name). Its time is a column
  (time, timestamp, ts, date, datetime, open_time) or the index (a DatetimeIndex, or one with such a name): datetimes
  (without a zone: UTC), ISO text, or numbers in s, ms, us or ns (told by magnitude, see ``files``). What several of
  these say must agree. Frames of freqtrade, ccxt, backtrader, yfinance (one symbol) and Binance klines are such frames;
- rows without names, as ccxt (``[ms, open, high, low, close, volume]``) or venues return them (``bare_rows.ORDERS``):
  a list or a 2-D array;
- a mapping of columns, all of one length, a list of mappings, or a table of Arrow (pyarrow, polars, duckdb);
- a (n,) BAR array, whose times must be ms.

Numbers may be of any numeric, nullable, pyarrow-backed or categorical type, or text that is a number. Unknown is NaN.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from liquidator_core import BAR, Params
from liquidator_core.bars import mend_noise
from liquidator_core.observed import DAY_MS, LEAST_DAYS, SCALE_MS
from liquidator_core.timeframes import step_ms

from .candle_columns import base_volume, candle_names, check_names, is_volume, time_places
from .candle_forms import as_frame
from .flags import CLOSED_NAMES, left_out
from .messages import describe_row, fail_row, first_line, moment, naming
from .names import CANDLE_NAMES, CANDLE_TIMES, normal_name
from .sources import renumbered
from .times import TEXT_ALLOWED, check_ms, check_order, ms_from_numbers, ms_from_text

_LOG = logging.getLogger("liquidator")
Candles: TypeAlias = Any  # see the module's text
OnBad: TypeAlias = Literal["raise", "skip"]
Columns: TypeAlias = dict[str, np.ndarray]  # BAR fields, each (n,)
Rule: TypeAlias = tuple[str, Callable[[Columns], np.ndarray], str]  # field, which rows are right, what is allowed
Take: TypeAlias = Callable[[np.ndarray], np.ndarray]  # of (n,) times in ms, (n,) bool
Rows: TypeAlias = np.ndarray | Columns  # checked candles: (n,) BAR, or the fields that are known
_PRICES = ("open", "high", "low", "close")
_UNKNOWN = np.zeros(1, BAR)
for _field in BAR.names or ():
    _UNKNOWN[_field] = 0 if _field == "time" else np.nan


def _is_price(field: str) -> Rule:
    return field, lambda c: (c[field] > 0.0) & (c[field] < np.inf), "a finite number above 0"


def _is_amount(field: str) -> Rule:
    return field, lambda c: ~((c[field] < 0.0) | (c[field] == np.inf)), "a finite number not below 0, or NaN (unknown)"


def _is_inside(field: str) -> Rule:
    allowed = "from the low, {low:.12g}, to the high, {high:.12g}"
    return field, lambda c: (c[field] >= c["low"]) & (c[field] <= c["high"]), allowed


# (field, which rows are right, what is allowed): in the order in which a row is explained.
_RULES: tuple[Rule, ...] = (
    *map(_is_price, _PRICES),
    ("high", lambda c: c["high"] >= c["low"], "at least the low, {low:.12g}"),
    *map(_is_inside, ("open", "close")),
    _is_amount("volume"),
    _is_amount("taker_buy"),
    ("taker_buy", lambda c: ~(c["taker_buy"] * (1.0 - 1e-6) > c["volume"]), "from 0 to the volume, {volume:.12g}"),
    _is_amount("open_interest"),
    ("funding_rate", lambda c: ~np.isinf(c["funding_rate"]), "a finite number, or NaN (unknown)"),
    *map(_is_amount, (name for name in CANDLE_NAMES if name.startswith(("liq_", "large_")))),
)


def bars_from_frame(candles: Candles, on_bad: OnBad = "raise", market: str = "") -> np.ndarray:
    """Candles of any kind as a (n,) BAR array, checked once.

    candles   see the module's text; not changed
    on_bad    "raise", or "skip": a row with a bad value gets NaN prices, which the core skips (it takes its place in
              every window, and nothing else); how many and the first are logged as a warning of logger "liquidator"
    market    put before what is raised or logged, such as "BTC/USDT 5m"

    Allowed: finite prices above 0 with low <= open, close <= high (a price beyond them by less than 1e-9 of itself, the
    noise of adjusted prices, becomes the high or the low); volume, taker buy volume (at most the volume, give or take a
    millionth), open interest, forced and large flow not below 0; all but prices may be NaN (unknown), and all four
    prices together, for candles without trades, which are counted and logged; times that rise from row to row. Columns
    that are left out are NaN.

    Rows that say that they are open yet (``closed`` or ``confirm`` is false) are left out, and candles that all come
    newest first are turned round, which is logged. Days and times of day in two columns, date and time, are joined. The
    volume is the one in base units where names or, of several, prices tell it; a quote volume beside it that is not the
    volume times a price of the candle, in more than one row of a hundred, is an error: contracts were counted.

    Returns (n,) BAR; of a BAR array without a bad row the same memory. Raises ValueError or TypeError that names
    row, field, what was found and what is allowed; for no rows, missing or doubled columns, columns that are no numbers
    and times that are missing, go back or repeat also with ``on_bad="skip"``.
    Cost: one copy and some thirty passes, about 2 ms a 100,000 rows of floats.

    >>> bars_from_frame(candles).dtype.names[:6]
    ('time', 'open', 'high', 'low', 'close', 'volume')
    """
    return bars_of(checked_candles(candles, on_bad, market, as_they_came=True))


def completed(candles: Candles) -> Candles:
    """Candles of which high, low and close alone are known, completed: they open where the one before closed, inside
    their range; their volume is unknown. All others as they are.
    """
    if isinstance(candles, np.ndarray) and candles.dtype.names:
        return candles
    frame = as_frame(candles)
    normal = candle_names(frame.columns)
    if not {"high", "low", "close"} <= {*normal}:
        return frame
    if "open" not in normal:
        high, low, close = (frame.iloc[:, normal.index(name)] for name in ("high", "low", "close"))
        opened = np.roll(number_values(close, "close"), 1)
        opened[:1] = number_values(close, "close")[:1]
        frame = frame.assign(open=np.clip(opened, number_values(low, "low"), number_values(high, "high")))
    return frame if any(map(is_volume, normal)) else frame.assign(volume=np.nan)


def checked_candles(
    candles: Candles, on_bad: OnBad, market: str, as_they_came: bool = False, take: Take | None = None
) -> Rows:
    """What bars are made of, every row of it checked; arguments and errors as for ``bars_from_frame``.

    Candles ``as_they_came`` from a venue or a file may be newest first and hold such as are open yet. Others may not,
    since what is made of them has their rows. ``take`` says by the times of closed candles which rows are wanted: of
    the others nothing else is looked at.
    """
    if on_bad not in ("raise", "skip"):
        raise ValueError(f"on_bad must be 'raise' or 'skip', got {on_bad!r}")
    with naming(market):
        if isinstance(candles, np.ndarray) and candles.dtype.names:
            return _checked_bars(candles, on_bad, market)
        with _readable("candles"):
            frame = as_frame(candles)
        if len(frame) == 0:
            raise ValueError("no candles: the frame is empty (0 rows)")
        wanted = _closed(frame, as_they_came)
        if take is not None:
            wanted[wanted] = take(_times_of(frame if wanted.all() else frame[wanted]))
        frame = frame if wanted.all() else frame[wanted]
        rows = np.flatnonzero(wanted)
        with renumbered(rows):
            columns, names = _columns_of(frame)
        time = columns["time"]
        if as_they_came and len(time) > 1 and (time[1:] < time[:-1]).all():
            _LOG.warning("%scandles are newest first: turned round", f"{market}: " if market else "")
            columns, rows = {field: values[::-1] for field, values in columns.items()}, rows[::-1]
        with renumbered(rows):
            return columns | _check_rows(columns, names, on_bad, market)


def _closed(frame: pd.DataFrame, as_they_came: bool) -> np.ndarray:
    """(n,) bool: the rows that do not say that they are open yet. Raises ValueError for these, or where all are."""
    closed = np.ones(len(frame), np.bool_)
    for index, name in enumerate(candle_names(frame.columns)):
        # "confirm" and the like may be anything in a frame of indicators
        if name in CLOSED_NAMES if as_they_came else name in CLOSED_NAMES[:5]:
            with _readable(f"column {str(frame.columns[index])!r}"):
                said = pa.array(_plain(frame.iloc[:, index]).astype(str))
            closed &= ~left_out(said, str(frame.columns[index]), False)
    if not as_they_came and not closed.all():
        row = int(np.argmin(closed))
        raise ValueError(f"row {row}: found a candle that is open yet, allowed closed ones: leave it out")
    if not closed.any():
        raise ValueError(f"no candles: all {len(frame)} say that they are open yet")
    return closed


def bars_of(rows: Rows, first: int = 0, last: int | None = None) -> np.ndarray:
    """(n,) BAR of the rows from ``first`` to before ``last``; what is not known of them is NaN."""
    if isinstance(rows, np.ndarray):
        return rows[first:last]
    bars = np.repeat(_UNKNOWN, len(rows["time"][first:last]))
    for field, values in rows.items():
        bars[field] = values[first:last]
    return bars


def _checked_bars(bars: np.ndarray, on_bad: OnBad, market: str) -> np.ndarray:
    if bars.dtype != BAR or bars.ndim != 1:
        raise TypeError(f"candles as a structured array must be (n,) BAR, got {bars.dtype} of shape {bars.shape}")
    if len(bars) == 0:
        raise ValueError("no candles: the BAR array is empty (0 rows)")
    check_ms(bars["time"])
    bars = np.ascontiguousarray(bars).view(BAR)
    replaced = _check_rows({name: bars[name].copy() for name in BAR.names or ()}, {}, on_bad, market)
    if replaced:
        bars = bars.copy()
        for field, values in replaced.items():
            bars[field] = values
    return bars


def _check_rows(columns: Columns, names: Mapping[str, str], on_bad: OnBad, market: str) -> Columns:
    """Check every row; returns the columns that differ for it: without noise, without the prices of skipped rows."""
    check_order(columns["time"], repeats=False)
    rules = [rule for rule in _RULES if rule[0] in columns]
    good = _good_rows(columns, rules)
    if good.all():
        return {}
    high, low = mend_noise(*(columns[field] for field in _PRICES))
    columns = columns | {"high": high, "low": low}
    empty = np.logical_and.reduce([np.isnan(columns[field]) for field in _PRICES])
    where = f"{market}: " if market else ""
    if empty.any() and not empty.all():
        _LOG.warning("%s%d of %d candles hold nothing but a time: skipped", where, empty.sum(), len(empty))
    good = _good_rows(columns, rules) | (empty & ~empty.all())
    if good.all():
        return {"high": high, "low": low}
    rows = np.flatnonzero(~good)
    first = int(rows[0])
    row = {field: values[first : first + 1] for field, values in columns.items()}
    field, _, allowed = next(rule for rule in rules if not rule[1](row)[0])
    label = field if names.get(field, field) == field else f"{field} (column {names[field]!r})"
    allowed = allowed.format_map({name: values[0] for name, values in row.items()})
    text = describe_row(first, int(row["time"][0]), label, row[field][0], allowed, len(rows) - 1)
    if on_bad == "raise":
        raise ValueError(text)
    _LOG.warning("%s%d of %d candles skipped: %s", where, len(rows), len(good), text)
    return {field: np.where(good, columns[field], np.nan) for field in _PRICES}


def _good_rows(columns: Columns, rules: Sequence[Rule]) -> np.ndarray:
    good = np.ones(len(columns["time"]), np.bool_)
    for _, is_right, _ in rules:
        good &= is_right(columns)
    return good


_FEEDS = {
    "use_large_trades": ("large_sell_usd", "large_buy_usd"),
    "use_open_interest_drops": ("open_interest",),
    "use_funding": ("funding_rate",),
    "observed": ("liq_long_usd", "liq_short_usd"),
}


def warn_of_idle_switches(rows: Rows, params: Params, market: str = "") -> None:
    """A UserWarning, once a process, for each switch of Params that asks for fields which no bar has, or for more days
    than its bars hold.

    >>> warn_of_idle_switches(bars, Params())
    """
    known = rows if isinstance(rows, dict) else rows.dtype.names or ()
    where = f"{market}: " if market else ""
    for switch, fields in _FEEDS.items():
        asked = getattr(params, switch) in (True, "flow")
        if asked and all(field not in known or np.isnan(rows[field]).all() for field in fields):
            _warn_once(f"{where}Params.{switch} does nothing: the candles have no {' or '.join(fields)}")
    time = rows["time"]
    if params.observed == "flow" and len(time) > 1:
        step = step_ms(time)
        if params.observed_bars * step < (LEAST_DAYS + 1) * DAY_MS:
            _warn_once(
                f"{where}Params.observed_bars = {params.observed_bars} holds no {LEAST_DAYS} whole days, so that "
                f"observed flow is never used: 31 days have {SCALE_MS // step} bars of this length"
            )


@functools.cache
def _warn_once(text: str) -> None:
    """Python itself tells a text again whenever anybody has changed a filter since, as pandas often does."""
    warnings.warn(text, UserWarning, stacklevel=1)


def _columns_of(frame: pd.DataFrame) -> tuple[Columns, dict[str, str]]:
    """(the BAR fields that a frame holds, the name of each one's column)."""
    normal = candle_names(frame.columns)
    time = _times_of(frame)
    places = {
        field: index
        for field, names in CANDLE_NAMES.items()
        for index, name in enumerate(normal)
        if name in names and field != "volume"
    }

    @functools.cache
    def values(place: int) -> np.ndarray:
        return number_values(frame.iloc[:, place], str(frame.columns[place]))

    columns = {"time": time}
    columns |= {field: values(place) for field, place in places.items()}
    places["volume"], columns["volume"] = base_volume(list(map(str, frame.columns)), normal, values, columns)
    return columns, {field: str(frame.columns[index]) for field, index in places.items()}


def _has_time_index(frame: pd.DataFrame) -> bool:
    return isinstance(frame.index, pd.DatetimeIndex) or normal_name(frame.index.name) in CANDLE_TIMES


def _times_of(frame: pd.DataFrame) -> np.ndarray:
    """(n,) ms of a frame that has all columns of candles; raises for others."""
    normal = candle_names(frame.columns)
    times = time_places(normal, _has_time_index(frame))
    check_names(list(frame.columns), _has_time_index(frame))
    return _time_of(frame, normal, times)


def _time_of(frame: pd.DataFrame, normal: list[str], times: list[int]) -> np.ndarray:
    if {"date", "time"} <= {normal[index] for index in times}:
        day, clock = (frame.iloc[:, normal.index(name)] for name in ("date", "time"))
        with _readable("time"):
            joined = _joined(day, clock)
        if joined is not None:
            return column_ms(joined)
    sources = {f"column {str(frame.columns[index])!r}": frame.iloc[:, index] for index in times}
    if _has_time_index(frame):
        sources["the index"] = frame.index.to_series()
    (first, column), *others = sources.items()
    if [normal[index] for index in times] == ["ticks"]:
        check_ms(number_values(column, "ticks"))  # Deribit's: .NET's, since the year 1, look like ns
    time = column_ms(column)
    for name, other in others:
        again = column_ms(other)
        if not np.array_equal(time, again):
            row = int((time != again).argmax())
            raise ValueError(
                f"row {row}, time: found {moment(time[row])} in {first} and {moment(again[row])} in {name}, "
                "allowed one time: keep the one at which the candle opens"
            )
    return time


def _joined(day: pd.Series, clock: pd.Series) -> pd.Series | None:
    """The times of two columns, of days and of the time on them; None unless all of ``clock`` is that."""
    clock = _plain(clock)
    if pd.api.types.is_integer_dtype(clock.dtype) and clock.min() >= 0 and clock.max() < 240_000:
        clock = clock.astype(str).str.zfill(4 if clock.max() < 2400 else 6)  # HHMM or HHMMSS
    else:
        clock = clock.astype(str).str.strip()
    parts = clock.str.extract(r"^(\d\d?):?(\d\d):?(\d\d)?(\.\d+)?$")
    if parts[1].isna().any():
        return None
    if pd.api.types.is_datetime64_any_dtype(day.dtype):
        day = day.dt.strftime("%Y-%m-%d")
    day = _plain(day).astype(str).str.strip().str.replace(r"^(\d{4})(\d\d)(\d\d)$", r"\1-\2-\3", regex=True)
    return day + " " + parts[0].str.zfill(2) + ":" + parts[1] + ":" + parts[2].fillna("00") + parts[3].fillna("")


def _plain(column: pd.Series) -> pd.Series:
    """A column with its categories, if it has them, as values."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype(column.dtype.categories.dtype)
    return column


def _is_text(column: pd.Series) -> bool:
    return bool(pd.api.types.is_object_dtype(column.dtype) or pd.api.types.is_string_dtype(column.dtype))


@contextlib.contextmanager
def _readable(what: str) -> Iterator[None]:
    """Turn what libraries raise of values that they cannot hold into a TypeError."""
    try:
        yield
    except (UnicodeError, ArithmeticError, pa.ArrowException) as error:
        raise TypeError(f"{what} cannot be read: {first_line(error)}") from None


def column_ms(column: pd.Series) -> np.ndarray:
    """A column of datetimes, numbers (s, ms, us or ns) or text as (n,) int64 ms; missing ones raise.

    >>> column_ms(pd.Series(["2020-01-01T00:00:00Z"])).tolist()
    [1577836800000]
    """
    with _readable("time"):
        return _column_ms(column)


def _column_ms(column: pd.Series) -> np.ndarray:
    column = _plain(column)
    missing = column.isna().to_numpy()
    if missing.any():
        row = int(missing.argmax())
        fail_row(row, None, "time", column.iloc[row], "a time in every row", int(missing.sum()) - 1)
    if _is_text(column):
        kind = pd.api.types.infer_dtype(column)
        if kind == "string":
            return ms_from_text(pa.array(column.to_numpy(object), pa.string()))
        is_number = kind in ("integer", "floating", "mixed-integer-float", "decimal")
        column = column.astype(np.float64 if kind != "integer" else np.int64) if is_number else _datetimes(column)
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        instants = pd.to_datetime(column, utc=True).dt.tz_localize(None).to_numpy()
        time: np.ndarray = instants.astype("M8[ms]").astype(np.int64)
        check_ms(time)
        return time
    wrong = pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_complex_dtype(column.dtype)
    if wrong or not pd.api.types.is_numeric_dtype(column.dtype):
        raise TypeError(f"time must be datetimes, numbers or ISO text, got a column of {column.dtype}")
    numpy_type = getattr(column.dtype, "numpy_dtype", column.dtype)  # of the nullable types
    return ms_from_numbers(column.to_numpy(numpy_type if numpy_type.kind in "iu" else np.float64))


def _datetimes(column: pd.Series) -> pd.Series:
    """A column of objects that are dates or datetimes."""
    bad = column.map(lambda value: not isinstance(value, (date, np.datetime64))).to_numpy(np.bool_)
    parsed = pd.to_datetime(column.where(~bad), utc=True, errors="coerce")
    bad = bad | parsed.isna().to_numpy()
    if bad.any():
        row = int(bad.argmax())
        fail_row(row, None, "time", column.iloc[row], TEXT_ALLOWED, int(bad.sum()) - 1)
    return parsed


def number_values(column: pd.Series, name: str) -> np.ndarray:
    """A column of numbers, of whatever type, as float64 with NaN for what is missing."""
    with _readable(f"column {name!r}"):
        return _number_values(_plain(column), name)


def _number_values(column: pd.Series, name: str) -> np.ndarray:
    if _is_text(column):
        column = _spelt_numbers(column, name)
    kind = column.dtype
    wrong = pd.api.types.is_bool_dtype(kind) or pd.api.types.is_complex_dtype(kind)
    if wrong or not pd.api.types.is_numeric_dtype(kind):
        raise TypeError(f"column {name!r} must be numbers, got {kind}")
    values: np.ndarray = column.to_numpy(np.float64, na_value=np.nan)
    return values


def _spelt_numbers(column: pd.Series, name: str) -> pd.Series:
    """Text and objects as numbers. pandas tells which are none; Python reads them, as pandas may be off by an ulp."""
    numbers = pd.to_numeric(column, errors="coerce")
    bad = (numbers.isna() & column.notna()).to_numpy()
    if bad.any():
        row = int(bad.argmax())
        found = column.iloc[row]
        raise TypeError(describe_row(row, None, f"column {name!r}", found, "a number", int(bad.sum()) - 1))
    if pd.api.types.is_float_dtype(numbers.dtype):
        return pd.Series(column.to_numpy(object, na_value=np.nan).astype(np.float64))
    return numbers
