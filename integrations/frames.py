"""Candles as people have them, in; columns and tables of zones, levels and marks, out. The one place for pandas.

``bars_from_frame`` translates and checks, once; everything else here folds the core over its bars and writes down what
the core says. Nothing that is passed in is changed.

Candles (called ``candles`` below) are one of:

- a pandas frame with columns of any case and order: open, high, low, close, volume, and where known taker buy volume,
  open interest, funding rate and the other BAR fields (``files.CANDLE_NAMES`` lists every name). Its time is a column
  (time, timestamp, ts, date, datetime, open_time) or the index (a DatetimeIndex, or one with such a name): datetimes
  (without a zone: UTC), ISO text, or numbers in s, ms, us or ns (told by magnitude, see ``files``). What several of
  these say must agree. Frames of freqtrade, ccxt, backtrader, yfinance (one symbol) and Binance klines are such frames;
- ccxt's rows ``[ms, open, high, low, close, volume]`` or Binance's klines of twelve, as a list or a 2-D array;
- a mapping of columns, a list of mappings, or a table with ``to_pandas`` (pyarrow, polars);
- a (n,) BAR array, whose times must be ms.

Numbers may be of any numeric, nullable, pyarrow-backed or categorical type, or text that is a number. Unknown is NaN.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from liquidator_core import BAR, SIGNAL, Params, fold, new_signals, new_state
from liquidator_core.layout import LEVEL, LONG, MARK, SHORT, ZONE
from liquidator_core.levels import levels_of
from liquidator_core.marks import fade_outcomes
from liquidator_core.step import average_true_ranges
from liquidator_core.timeframes import TIMEFRAMES, bar_spans, overlap, share, timeframe_ms, to_timeframe
from liquidator_core.zones import QUALITY_LABELS, marks_of, quality_band, zones_of

from .files import (
    CANDLE_NAMES,
    CANDLE_TIMES,
    CCXT_COLUMNS,
    KLINE_COLUMNS,
    check_ms,
    check_order,
    describe_row,
    fail_row,
    moment,
    ms_from_numbers,
    normal_name,
)
from .zone_table import COLUMNS

Candles: TypeAlias = Any  # see the module's text
OnBad: TypeAlias = Literal["raise", "skip"]
Columns: TypeAlias = dict[str, np.ndarray]  # BAR fields, each (n,)
Rows: TypeAlias = np.ndarray | Columns  # checked candles: (n,) BAR, or the fields that are known

_LOG = logging.getLogger("liquidator")

_PRICES = ("open", "high", "low", "close")
_REQUIRED = (*_PRICES, "volume")
_UNKNOWN = np.zeros(1, BAR)
for _field in BAR.names or ():
    _UNKNOWN[_field] = 0 if _field == "time" else np.nan

_PART = 20_000  # bars that are worth a thread; more than any memory
_BLOCK = 2048  # bars folded at a time: they stay in the cache, and threads seldom wait for each other to hand over
_SIDES = ["long", "short"]  # indexed by LONG and SHORT
_KINDS = ["support", "resistance"]


# What is allowed --------------------------------------------------------------------------------------------------


def _is_price(field: str) -> tuple[str, Callable[[Columns], np.ndarray], str]:
    return field, lambda c: (c[field] > 0.0) & (c[field] < np.inf), "a finite number above 0"


def _is_amount(field: str) -> tuple[str, Callable[[Columns], np.ndarray], str]:
    return field, lambda c: ~((c[field] < 0.0) | (c[field] == np.inf)), "a finite number not below 0, or NaN (unknown)"


def _is_inside(field: str) -> tuple[str, Callable[[Columns], np.ndarray], str]:
    allowed = "from the low, {low:.12g}, to the high, {high:.12g}"
    return field, lambda c: (c[field] >= c["low"]) & (c[field] <= c["high"]), allowed


# (field, which rows are right, what is allowed): in the order in which a row is explained.
_RULES: tuple[tuple[str, Callable[[Columns], np.ndarray], str], ...] = (
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
    """Translate candles into a (n,) BAR array, checked once.

    candles   see the module's text; not changed
    on_bad    "raise", or "skip": a row with a bad value gets NaN prices, which the core skips (it takes its place in
              every window, and nothing else); how many and the first are logged as a warning of logger "liquidator"
    market    put before what is raised or logged, such as "BTC/USDT 5m"

    Allowed: finite prices above 0 with low <= open, close <= high; volume, taker buy volume (at most the volume, give
    or take a millionth), open interest, forced and large flow not below 0; all but prices may be NaN (unknown); times
    that rise from row to row. Columns that are left out are NaN.

    Returns (n,) BAR; of a BAR array without a bad row the same memory. Raises ValueError or TypeError that names
    row, field, what was found and what is allowed; for no rows, missing or doubled columns, columns that are no numbers
    and times that are missing, go back or repeat also with ``on_bad="skip"``.
    Cost: one copy and some thirty passes, about 2 ms a 100,000 rows of floats.
    """
    return _bars_of(_checked(candles, on_bad, market))


@contextlib.contextmanager
def naming(market: str) -> Iterator[None]:
    """Put the name of a market, if there is one, before the ValueError or TypeError that is raised inside."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if not market:
            raise
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"{market}: {error}") from None


def _checked(candles: Candles, on_bad: OnBad, market: str) -> Rows:
    """What bars are made of, every row of it checked; arguments and errors as for ``bars_from_frame``."""
    if on_bad not in ("raise", "skip"):
        raise ValueError(f"on_bad must be 'raise' or 'skip', got {on_bad!r}")
    with naming(market):
        if isinstance(candles, np.ndarray) and candles.dtype.names:
            return _checked_bars(candles, on_bad, market)
        frame = _as_frame(candles)
        if len(frame) == 0:
            raise ValueError("no candles: the frame is empty (0 rows)")
        columns, names = _columns_of(frame)
        return columns | _check_rows(columns, names, on_bad, market)


def _bars_of(rows: Rows, first: int = 0, last: int | None = None) -> np.ndarray:
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
    """Check every row; returns the columns that ``skip`` replaces (none if there is no bad row)."""
    check_order(columns["time"], repeats=False)
    rules = [rule for rule in _RULES if rule[0] in columns]
    good = np.ones(len(columns["time"]), np.bool_)
    for _, is_right, _ in rules:
        good &= is_right(columns)
    if good.all():
        return {}
    rows = np.flatnonzero(~good)
    first = int(rows[0])
    row = {field: values[first : first + 1] for field, values in columns.items()}
    field, _, allowed = next(rule for rule in rules if not rule[1](row)[0])
    label = field if names.get(field, field) == field else f"{field} (column {names[field]!r})"
    allowed = allowed.format_map({name: values[0] for name, values in row.items()})
    text = describe_row(first, int(row["time"][0]), label, row[field][0], allowed, len(rows) - 1)
    if on_bad == "raise":
        raise ValueError(text)
    where = f"{market}: " if market else ""
    _LOG.warning("%s%d of %d candles skipped: %s", where, len(rows), len(good), text)
    return {field: np.where(good, columns[field], np.nan) for field in _PRICES}


_FEEDS = {
    "use_large_trades": ("large_sell_usd", "large_buy_usd"),
    "use_open_interest_drops": ("open_interest",),
    "use_funding": ("funding_rate",),
}


def warn_of_idle_switches(rows: Rows, params: Params, market: str = "") -> None:
    """Warn (UserWarning, once a process) of Params that ask for fields which no bar has."""
    known = rows if isinstance(rows, dict) else rows.dtype.names or ()
    for switch, fields in _FEEDS.items():
        if getattr(params, switch) and all(field not in known or np.isnan(rows[field]).all() for field in fields):
            where = f"{market}: " if market else ""
            _warn_once(f"{where}Params.{switch} does nothing: the candles have no {' or '.join(fields)}")


@functools.cache
def _warn_once(text: str) -> None:
    """Python itself tells a text again whenever anybody has changed a filter since, as pandas often does."""
    warnings.warn(text, UserWarning, stacklevel=1)


# Translation ------------------------------------------------------------------------------------------------------


def _as_frame(candles: Candles) -> pd.DataFrame:
    """Any accepted form but BAR as a frame with one level of column names."""
    if hasattr(candles, "to_pandas"):
        candles = candles.to_pandas()
    elif isinstance(candles, Mapping):
        candles = pd.DataFrame(candles)
    elif isinstance(candles, (list, tuple)):
        candles = _frame_of_rows(candles)
    elif isinstance(candles, np.ndarray) and candles.ndim == 2:
        candles = pd.DataFrame(candles)
    if not isinstance(candles, pd.DataFrame):
        raise TypeError(
            "candles must be a pandas frame, rows [ms, open, high, low, close, volume], columns or a BAR array, "
            f"got {type(candles).__name__}"
        )
    for names in (CCXT_COLUMNS, KLINE_COLUMNS):
        if list(candles.columns) == list(range(len(names))):
            return candles.set_axis(list(names), axis=1)
    return candles if candles.columns.nlevels == 1 else _one_symbol(candles)


def _frame_of_rows(rows: Sequence[Any]) -> pd.DataFrame:
    allowed = (len(CCXT_COLUMNS), len(KLINE_COLUMNS))
    for row, values in enumerate(rows):
        if isinstance(values, Mapping):
            continue
        if isinstance(values, str) or not hasattr(values, "__len__"):
            raise TypeError(f"row {row}: found {values!r}, allowed [ms, open, high, low, close, volume]")
        if len(values) not in allowed or len(values) != len(rows[0]):
            raise ValueError(
                f"row {row}: found {len(values)} values, allowed {allowed[0]} (ccxt) or {allowed[1]} (Binance klines), "
                "in every row the same"
            )
    return pd.DataFrame(list(rows))


def _one_symbol(frame: pd.DataFrame) -> pd.DataFrame:
    """yfinance's frame of one symbol, its columns (price, symbol) or (symbol, price), with the prices' names alone."""
    levels = [frame.columns.get_level_values(level) for level in range(frame.columns.nlevels)]
    fields = next((names for names in levels if {*_PRICES} <= set(map(normal_name, names))), None)
    if fields is None or any(names is not fields and names.nunique() > 1 for names in levels):
        some = ", ".join(map(str, frame.columns[:6]))
        raise ValueError(f"columns must have one level, or be those of one symbol; found {some}: pick one symbol")
    return frame.set_axis(fields, axis=1)


def _columns_of(frame: pd.DataFrame) -> tuple[Columns, dict[str, str]]:
    """(the BAR fields that a frame holds, the name of each one's column)."""
    normal = [normal_name(name) for name in frame.columns]
    times = [index for index, name in enumerate(normal) if name in CANDLE_TIMES]
    _check_names(frame, normal, times)
    places = {
        field: index for field, names in CANDLE_NAMES.items() for index, name in enumerate(normal) if name in names
    }
    columns = {"time": _time_of(frame, times)}
    names = {field: str(frame.columns[index]) for field, index in places.items()}
    for field, index in places.items():
        columns[field] = number_column(frame.iloc[:, index], names[field])
    return columns, names


def _has_time_index(frame: pd.DataFrame) -> bool:
    return isinstance(frame.index, pd.DatetimeIndex) or normal_name(frame.index.name) in CANDLE_TIMES


def _check_names(frame: pd.DataFrame, normal: list[str], times: list[int]) -> None:
    found = ", ".join(map(repr, frame.columns)) or "none"
    missing = [field for field in _REQUIRED if not {*CANDLE_NAMES[field]} & {*normal}]
    accepted = [f"{field} ({', '.join(CANDLE_NAMES[field])})" for field in missing]
    if not times and not _has_time_index(frame):
        missing.insert(0, "time")
        accepted.insert(0, f"time (a DatetimeIndex, or {', '.join(CANDLE_TIMES)})")
    if missing:
        raise ValueError(
            f"missing column for {', '.join(missing)}: found columns {found}; "
            f"accepted names (any case): {'; '.join(accepted)}"
        )
    for field, names in {**CANDLE_NAMES, **{name: (name,) for name in CANDLE_TIMES}}.items():
        same = [repr(frame.columns[index]) for index, name in enumerate(normal) if name in names]
        if len(same) > 1:
            raise ValueError(f"columns {' and '.join(same)} both mean {field}: keep one; found columns {found}")


def _time_of(frame: pd.DataFrame, times: list[int]) -> np.ndarray:
    sources = {f"column {str(frame.columns[index])!r}": frame.iloc[:, index] for index in times}
    if _has_time_index(frame):
        sources["the index"] = frame.index.to_series()
    (first, column), *others = sources.items()
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


def _plain(column: pd.Series) -> pd.Series:
    """A column with its categories, if it has them, as values."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype(column.dtype.categories.dtype)
    return column


def _is_text(column: pd.Series) -> bool:
    return bool(pd.api.types.is_object_dtype(column.dtype) or pd.api.types.is_string_dtype(column.dtype))


def column_ms(column: pd.Series) -> np.ndarray:
    """A column of datetimes, numbers (s, ms, us or ns) or text as (n,) int64 ms; missing ones raise."""
    column = _plain(column)
    missing = column.isna().to_numpy()
    if missing.any():
        row = int(missing.argmax())
        fail_row(row, None, "time", column.iloc[row], "a time in every row", int(missing.sum()) - 1)
    if _is_text(column):
        numbers = pd.to_numeric(column, errors="coerce")
        column = numbers if numbers.notna().all() else _parsed(column)
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        instants = pd.to_datetime(column, utc=True).dt.tz_localize(None).to_numpy()
        time: np.ndarray = instants.astype("M8[ms]").astype(np.int64)
        check_ms(time)
        return time
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        raise TypeError(f"time must be datetimes, numbers or ISO text, got a column of {column.dtype}")
    whole = pd.api.types.is_integer_dtype(column.dtype)
    return ms_from_numbers(column.to_numpy(np.int64 if whole else np.float64))


def _parsed(column: pd.Series) -> pd.Series:
    parsed = pd.to_datetime(column, utc=True, format="ISO8601", errors="coerce")
    bad = parsed.isna().to_numpy()
    if bad.any():
        row = int(bad.argmax())
        fail_row(row, None, "time", column.iloc[row], "a datetime, a number or ISO 8601 text", int(bad.sum()) - 1)
    return parsed


def number_column(column: pd.Series, name: str) -> np.ndarray:
    """A column of numbers, of whatever type, as float64 with NaN for what is missing."""
    column = _plain(column)
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


# Results ----------------------------------------------------------------------------------------------------------


def signal_columns(
    candles: Candles,
    params: Params | None = None,
    marks: pd.DataFrame | None = None,
    on_bad: OnBad = "raise",
    market: str = "",
) -> pd.DataFrame:
    """The SIGNAL of every candle: a frame with the fields of ``liquidator_core.SIGNAL``, in order.

    candles   as for ``bars_from_frame``
    params    defaults if None
    marks     zones are made from these (see ``bars_with_marks``) instead of from the candles' events
    on_bad, market    as for ``bars_from_frame``

    Returns a new frame, float64 and int64, of the candles' length and index (a RangeIndex if they have none). The first
    ``params.memory - 1`` rows are NaN and 0; a row depends on the ``memory`` candles up to it. Raises as
    ``bars_from_frame``. Warns (UserWarning, once a process) of Params such as ``use_funding`` that ask for a feed which
    the candles do not have. Cost: that of ``fold``, about 1 us a candle, divided by the processors for long series.
    """
    rows, params = _rows(candles, params, marks, on_bad, market)
    index = candles.index if isinstance(candles, pd.DataFrame) else pd.RangeIndex(len(rows["time"]))
    tables = _signal_tables(rows, params)
    return pd.concat([pd.DataFrame(table.T, index, names, copy=False) for names, table in tables], axis=1)


def outcome_column(
    candles: Candles, params: Params | None = None, on_bad: OnBad = "raise", market: str = ""
) -> np.ndarray:
    """(n,) float64, what became of each candle's fade: 1.0 its zone held, 0.0 it broke, NaN neither or no fade.

    The zone is put to trial as a mark is, see ``liquidator_core.marks``, from the candle of the fade on: a value looks
    ahead by up to ``outcome_bars`` good candles. Arguments and errors as for ``signal_columns``, cost as for ``fold``.
    """
    bars, params = _bars(candles, params, None, on_bad, market)
    record = params.to_record()
    signals = new_signals(len(bars))
    fold(new_state(record), record, bars, signals)
    _, good = average_true_ranges(bars, params)
    return fade_outcomes(bars, good, signals, params)


def _signal_tables(rows: Rows, params: Params) -> list[tuple[list[str], np.ndarray]]:
    """(fields, (fields, n) values) of the SIGNAL of every row: a table for each run of fields of one type, in order.

    Long series are folded in parts side by side, as a row depends on ``memory`` rows alone; and in blocks, which stay
    in the processor's cache until they are written to the tables.
    """
    record = params.to_record()
    count = len(rows["time"])
    words = np.empty((SIGNAL.itemsize // 8, count))
    parts = max(1, min(os.cpu_count() or 1, count // _PART))
    edges = [count * part // parts for part in range(parts + 1)]

    def fold_part(first: int, last: int) -> None:
        state = new_state(record)
        before = _bars_of(rows, max(0, first - params.memory + 1), first)
        fold(state, record, before, new_signals(len(before)))
        bars = _bars_of(rows, first, last)
        block = new_signals(min(_BLOCK, last - first))
        for start in range(first, last, _BLOCK):
            end = min(start + _BLOCK, last)
            part = block[: end - start]
            fold(state, record, bars[start - first : end - first], part)
            words[:, start:end] = part.view("f8").reshape(len(part), -1).T

    if parts == 1:
        fold_part(0, count)
    else:
        with ThreadPoolExecutor(parts) as pool:
            list(pool.map(fold_part, edges[:-1], edges[1:]))
    tables, first = [], 0
    for kind, some in itertools.groupby(SIGNAL.names or (), lambda name: SIGNAL[name]):
        names = list(some)
        tables.append((names, words[first : first + len(names)].view(kind)))
        first += len(names)
    return tables


def zones_frame(
    candles: Candles, params: Params | None = None, marks: pd.DataFrame | None = None, on_bad: OnBad = "raise"
) -> pd.DataFrame:
    """The zones as of the last candle, upwards by price: see ``zones_to_frame`` for the columns.

    ``attrs`` hold ``bars_seen``, the number of candles, and ``warm``, whether these were at least ``params.memory``.
    Arguments and errors as for ``signal_columns``. Cost: that of reading the candles; the last ``memory`` are folded.
    """
    bars, params = _bars(candles, params, marks, on_bad)
    state, record = _state_after(bars, params)
    return _with_attrs(zones_to_frame(zones_of(state, record), float(state["close"][0])), bars, params)


def levels_frame(candles: Candles, params: Params | None = None, on_bad: OnBad = "raise") -> pd.DataFrame:
    """The levels as of the last candle, upwards by price: see ``levels_to_frame`` for the columns.

    ``attrs``, arguments, errors and cost as for ``zones_frame``.
    """
    bars, params = _bars(candles, params, None, on_bad)
    state, record = _state_after(bars, params)
    return _with_attrs(levels_to_frame(levels_of(state, record), float(state["close"][0])), bars, params)


def zones_to_frame(zones: np.ndarray, close: float) -> pd.DataFrame:
    """A (n,) ZONE array as a frame: its fields in order, then ``quality_label`` and ``kind``.

    close   the last close; NaN leaves ``kind`` missing

    ``birth`` and ``last_time`` are datetime64[ms, UTC], ``side`` is categorical "long" or "short" (who was liquidated),
    ``quality_label`` ordered categorical weak < medium < strong, ``kind`` categorical "support" (price at or below the
    close) or "resistance". The types are the same for no zones.
    """
    columns = {name: zones[name] for name in ZONE.names or ()}
    columns |= {name: _datetimes(zones[name]) for name in ("birth", "last_time")}
    columns["side"] = _category(zones["side"], _SIDES)
    columns["quality_label"] = _category(quality_band(zones["quality"]), list(QUALITY_LABELS), True)
    columns["kind"] = _kind(zones["price"], close)
    return pd.DataFrame(columns)


def levels_to_frame(levels: np.ndarray, close: float) -> pd.DataFrame:
    """A (n,) LEVEL array as a frame: its fields in order, then ``kind``; categorical as in ``zones_to_frame``."""
    columns = {name: levels[name] for name in LEVEL.names or ()}
    columns["side"] = _category(levels["side"], _SIDES)
    columns["kind"] = _kind(levels["price"], close)
    return pd.DataFrame(columns)


def marks_frame(candles: Candles, params: Params | None = None, on_bad: OnBad = "raise") -> pd.DataFrame:
    """Every mark ever born in these candles, in order of birth, each with its counts when last seen.

    ========================================  =====================================================================
    column
    ========================================  =====================================================================
    time                                      datetime64[ms, UTC], open of the candle whose event left the mark
    row                                       position of that candle
    side                                      categorical: "long" or "short", who was liquidated
    price, low, high, usd, atr                of the mark and its band, as born
    age                                       rows since birth when last seen: ``zone_bars - 1`` if it ran its course
    touches, holds, ambiguous, unresolved     counts when last seen
    broken                                    +1 broken upwards, -1 downwards, 0 whole, when last seen
    ========================================  =====================================================================

    Marks of a row below ``ledger_bars + flow_bars`` were made while the ledger was still filling. Arguments and errors
    as for ``signal_columns``. Cost: that of ``fold`` and some 60 us a mark.
    """
    bars, params = _bars(candles, params, None, on_bad)
    return _marks_to_frame(_every_mark(bars, params), len(bars), params)


def _rows(
    candles: Candles, params: Params | None, marks: pd.DataFrame | None, on_bad: OnBad, market: str = ""
) -> tuple[Rows, Params]:
    params = Params() if params is None else params
    if not isinstance(params, Params):
        raise TypeError(f"params must be Params or None, got {type(params).__name__}")
    rows = _checked(candles, on_bad, market)
    if marks is not None:
        return bars_with_marks(_bars_of(rows), marks), marks_params(params)
    warn_of_idle_switches(rows, params, market)
    return rows, params


def _bars(
    candles: Candles, params: Params | None, marks: pd.DataFrame | None, on_bad: OnBad, market: str = ""
) -> tuple[np.ndarray, Params]:
    rows, params = _rows(candles, params, marks, on_bad, market)
    return _bars_of(rows), params


def _state_after(bars: np.ndarray, params: Params) -> tuple[np.ndarray, np.ndarray]:
    """(state after the last bar, record): the rows that it depends on are the last ``memory``."""
    bars = bars[-params.memory :]
    record = params.to_record()
    state = new_state(record)
    fold(state, record, bars, new_signals(len(bars)))
    return state, record


def _with_attrs(frame: pd.DataFrame, bars: np.ndarray, params: Params) -> pd.DataFrame:
    frame.attrs = {"bars_seen": len(bars), "warm": len(bars) >= params.memory}
    return frame


def _every_mark(bars: np.ndarray, params: Params) -> np.ndarray:
    """(n,) MARK by (row, side). Stops on the last row of the oldest live mark: then its counts are final."""
    record = params.to_record()
    state = new_state(record)
    found = [np.zeros(0, MARK)]
    row = 0
    live = found[0]
    while row < len(bars):
        oldest = int(live["birth_row"][0]) if len(live) else row
        stop = min(len(bars), oldest + params.zone_bars)
        fold(state, record, bars[row:stop], new_signals(stop - row))
        row = stop
        live = marks_of(state, record)
        ending = live["birth_row"] <= (row if row == len(bars) else row - params.zone_bars)
        found.append(live[ending])
        live = live[~ending]
    return np.concatenate(found)


def _marks_to_frame(marks: np.ndarray, rows: int, params: Params) -> pd.DataFrame:
    columns: dict[str, Any] = {
        "time": _datetimes(marks["birth"]),
        "row": marks["birth_row"],
        "side": _category(marks["side"], _SIDES),
        "price": marks["price"],
        "low": marks["price"] - marks["half_width"],
        "high": marks["price"] + marks["half_width"],
        "age": np.minimum(rows - marks["birth_row"], params.zone_bars) - 1,
    }
    order = ("time", "row", "side", "price", "low", "high", "usd", "atr", "age")
    counts = ("touches", "holds", "ambiguous", "unresolved", "broken")
    return pd.DataFrame({name: columns[name] if name in columns else marks[name] for name in (*order, *counts)})


def _datetimes(time_ms: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(time_ms.astype("M8[ms]")).tz_localize("UTC")


def _category(codes: np.ndarray, categories: list[str], ordered: bool = False) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, categories, ordered=ordered)


def _kind(prices: np.ndarray, close: float) -> pd.Categorical:
    return _category(np.where(np.isnan(close), -1, prices > close), _KINDS)


# The Liquidator's frames --------------------------------------------------------------------------------------------


def zone_rows_to_frame(rows: Sequence[Mapping[str, Any]], more: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Rows of ``zone_table.COLUMNS`` as a frame of these columns and types, whatever the number of rows.

    more   further columns, name -> (kind, what it is), as in ``COLUMNS``
    """
    columns: dict[str, Any] = {}
    for name, (kind, _) in {**COLUMNS, **(more or {})}.items():
        values = [row[name] for row in rows]
        if isinstance(kind, tuple):
            codes = np.array([kind.index(value) for value in values], np.int64)
            columns[name] = _category(codes, list(kind), name == "quality_label")
        elif kind == "time":
            columns[name] = _datetimes(np.array(values, "M8[ms]").astype(np.int64))
        elif kind == "object":
            columns[name] = pd.Series(values, dtype=object)
        else:
            columns[name] = np.array(values, {"float": np.float64, "int": np.int64, "bool": np.bool_}[kind])
    return pd.DataFrame(columns)


def zone_dicts(zones: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame of zones as plain mappings."""
    return zones.to_dict("records")


def check_zones(zones: Any) -> pd.DataFrame:
    """Raise unless ``zones`` is a frame of zones, as from ``Liquidator.compute_zones``."""
    if not isinstance(zones, pd.DataFrame):
        raise TypeError(f"zones must be a frame as from compute_zones(), got {type(zones).__name__}")
    missing = [name for name in ("price_mean", "total_usd") if name not in zones.columns]
    if missing:
        raise ValueError(f"zones lack {', '.join(missing)}: found columns {', '.join(map(repr, zones.columns))}")
    return zones


def grid_frame(usd: np.ndarray, price: np.ndarray, time_ms: np.ndarray) -> pd.DataFrame:
    """(p, t) USD as a frame, its index the prices and its columns the times (UTC)."""
    return pd.DataFrame(usd, index=pd.Index(price, name="price"), columns=_datetimes(time_ms))


def alignment_columns(
    candles: Candles, timeframes: Sequence[str], params: Params | None = None, on_bad: OnBad = "raise"
) -> pd.DataFrame:
    """How far higher timeframes agree with the nearest zones of every candle, as a strategy could know it.

    candles     as for ``bars_from_frame``, of one timeframe that fits into all the others
    timeframes  higher ones, at least one
    params      of every timeframe; defaults if None

    Returns float64 columns ``support_alignment`` and ``resistance_alignment`` of the candles' length and index, 0 to
    100: the share of the timeframes with a live zone that overlaps that of the row's signal, as of their last bar that
    had closed when the candle did. NaN where there is no such zone, and until every timeframe has had ``params.memory``
    bars.
    A row depends on the last ``memory + 2`` bars of the longest timeframe. Raises as ``bars_from_frame`` and
    ``liquidator_core.timeframes.to_timeframe``. Cost: that of ``fold`` and some 30 us a bar of each timeframe.
    """
    bars, params = _bars(candles, params, None, on_bad)
    if isinstance(timeframes, str) or len(timeframes) == 0:
        raise ValueError(f"timeframes must be at least one of {', '.join(TIMEFRAMES)} in a list, got {timeframes!r}")
    step = int(np.diff(bars["time"]).min()) if len(bars) > 1 else 0
    record = params.to_record()
    signals = new_signals(len(bars))
    fold(new_state(record), record, bars, signals)
    overlaps: dict[str, list[np.ndarray]] = {kind: [] for kind in _KINDS}
    for timeframe in timeframes:
        if timeframe_ms(timeframe) <= step:
            raise ValueError(f"timeframes must be longer than the candles' {step} ms, got {timeframe}")
        for kind, found in _overlaps(bars, step, timeframe, params, signals).items():
            overlaps[kind].append(found)
    index = candles.index if isinstance(candles, pd.DataFrame) else None
    return pd.DataFrame({f"{kind}_alignment": share(found) for kind, found in overlaps.items()}, index=index)


def _overlaps(bars: np.ndarray, step: int, timeframe: str, params: Params, signals: np.ndarray) -> Columns:
    """Whether each row's nearest support and resistance overlap a zone of a timeframe; NaN where that is not warm."""
    higher = to_timeframe(bars, timeframe)
    _, end = bar_spans(higher["time"], timeframe)
    edges = np.r_[np.searchsorted(bars["time"] + step, end), len(bars)]  # rows from which each bar is the last closed
    record = params.to_record()
    state = new_state(record)
    out = new_signals(1)
    found = {kind: np.full(len(bars), np.nan) for kind in _KINDS}
    for place in range(len(higher)):
        fold(state, record, higher[place : place + 1], out)
        if place + 1 < params.memory:
            continue
        rows = slice(int(edges[place]), int(edges[place + 1]))
        zones = zones_of(state, record)
        for kind in _KINDS:
            found[kind][rows] = overlap(signals[f"{kind}_low"][rows], signals[f"{kind}_high"][rows], zones)
    return found


# Indicators -------------------------------------------------------------------------------------------------------


def compute_atr(candles: pd.DataFrame, per: int = 14) -> pd.Series:
    """Wilder's average true range of columns high, low and close, equal to TA-Lib's ATR.

    The first value stands on row ``per``: the mean of the true ranges of rows 1 to ``per``; from then on
    ``(previous * (per - 1) + true range) / per`` (Wilder 1978). A row with a NaN has none and leaves the average as it
    was, as if it were not there. Returns float64 with the candles' index; NaN before. Raises ValueError for missing
    columns and a ``per`` that is no whole number from 2 on.
    """
    if isinstance(per, bool) or not isinstance(per, (int, np.integer)) or per < 2:
        raise ValueError(f"per must be a whole number of bars, 2 or more, got {per!r}")
    high, low, close = (_price_column(candles, name) for name in ("high", "low", "close"))
    out = np.full(len(candles), np.nan)
    good = np.flatnonzero(~(np.isnan(high) | np.isnan(low) | np.isnan(close)))
    high, low, close = high[good], low[good], close[good]
    if len(good) > per:
        ranges = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
        value = float(ranges[:per].mean())
        out[good[per]] = value
        for row, true_range in zip(good[per + 1 :], ranges[per:].tolist(), strict=True):
            value = (value * (per - 1) + true_range) / per
            out[row] = value
    return pd.Series(out, index=candles.index, name="atr")


def compute_vwap(
    candles: pd.DataFrame, period: int | None = None, price_col: str = "close", vol_col: str = "volume"
) -> pd.Series:
    """Volume-weighted average price: ``sum(price * volume) / sum(volume)``, of all rows so far or the last ``period``.

    A row whose price or volume is NaN counts for nothing. Returns float64 with the candles' index; NaN where there was
    no volume. Raises ValueError for missing columns and a ``period`` that is no whole number from 1 on.
    """
    if period is not None and (isinstance(period, bool) or not isinstance(period, (int, np.integer)) or period < 1):
        raise ValueError(f"period must be None or a whole number of bars, 1 or more, got {period!r}")
    price, volume = _price_column(candles, price_col), _price_column(candles, vol_col)
    known = ~(np.isnan(price) | np.isnan(volume))
    weight = pd.Series(np.where(known, volume, 0.0))
    value = pd.Series(np.where(known, price * volume, 0.0))
    if period is None:
        weight, value = weight.cumsum(), value.cumsum()
    else:
        weight, value = (some.rolling(period, min_periods=1).sum() for some in (weight, value))
    return pd.Series((value / weight.where(weight > 0.0)).to_numpy(), index=candles.index, name="vwap")


def _price_column(candles: pd.DataFrame, name: str) -> np.ndarray:
    if not isinstance(candles, pd.DataFrame):
        raise TypeError(f"candles must be a pandas frame, got {type(candles).__name__}")
    if name not in candles.columns:
        raise ValueError(f"missing column {name!r}: found {', '.join(map(repr, candles.columns)) or 'none'}")
    return number_column(candles[name], name)


# The yardstick ----------------------------------------------------------------------------------------------------


def placebo_marks(
    candles: Candles, params: Params | None = None, seed: int = 0, on_bad: OnBad = "raise"
) -> pd.DataFrame:
    """Fake marks, one for each real one, that share everything with it but the event: the yardstick of every claim.

    The fake of a mark of row t is born on row u, 1 ... ``flow_bars`` rows later, drawn by
    ``numpy.random.default_rng(seed)``, or on the next one, if that row already has a fake of the side. It has the
    mark's side and USD and lies as far from the close in ATR: ``price = close_u + (price_t - close_t) / ATR_t *
    ATR_u``. Folded (``signal_columns(candles, params, marks=...)``) it gets the same width in ATR. It depends on rows
    up to u alone.

    Returns columns time, row, side, price, usd, by (row, side). ``attrs["real"]`` counts the marks,
    ``attrs["dropped"]`` those without a fake, by reason. Arguments and errors as for ``signal_columns``. Cost: that
    of ``marks_frame``.
    """
    bars, params = _bars(candles, params, None, on_bad)
    marks = _every_mark(bars, params)
    delays = np.random.default_rng(seed).integers(1, params.flow_bars, endpoint=True, size=len(marks))
    atr, good = average_true_ranges(bars, params)
    usable = good & (atr > 0.0)
    dropped = {"beyond the last row": 0, "no ATR or a skipped row": 0, "price not above 0": 0}
    taken: set[tuple[int, int]] = set()
    fakes: list[tuple[int, int, float, float]] = []
    for mark, delay in zip(marks, delays.tolist(), strict=True):
        born, side = int(mark["birth_row"]), int(mark["side"])
        row = born + delay
        while row < len(bars) and (row, side) in taken:  # ends: no earlier mark reaches row born + flow_bars
            row += 1
        if row >= len(bars):
            dropped["beyond the last row"] += 1
            continue
        if not usable[row]:
            dropped["no ATR or a skipped row"] += 1
            continue
        distance_atr = (mark["price"] - bars["close"][born]) / mark["atr"]
        price = float(bars["close"][row] + distance_atr * atr[row])
        if not price > 0.0:
            dropped["price not above 0"] += 1
            continue
        taken.add((row, side))
        fakes.append((row, side, price, float(mark["usd"])))
    frame = _fakes_to_frame(sorted(fakes), bars)
    frame.attrs = {"real": len(marks), "dropped": dropped}
    return frame


def _fakes_to_frame(fakes: list[tuple[int, int, float, float]], bars: np.ndarray) -> pd.DataFrame:
    rows = np.array([fake[0] for fake in fakes], np.int64)
    return pd.DataFrame(
        {
            "time": _datetimes(bars["time"][rows]),
            "row": rows,
            "side": _category(np.array([fake[1] for fake in fakes], np.int64), _SIDES),
            "price": np.array([fake[2] for fake in fakes], np.float64),
            "usd": np.array([fake[3] for fake in fakes], np.float64),
        }
    )


def bars_with_marks(bars: np.ndarray, marks: pd.DataFrame) -> np.ndarray:
    """Bars whose forced flow is these marks and nothing else; with ``marks_params`` the core makes its zones from them.

    bars    (n,) BAR, as from ``bars_from_frame``; not changed
    marks   columns time (of a bar), side ("long" or "short"), price (quote, above 0) and usd (above 0), at most one a
            bar and side, as from ``placebo_marks`` or ``marks_frame``; those before the first or after the last bar
            are of no account. The core leaves a mark only from row ``flow_bars`` on and where ATR is known.

    Returns a (n,) BAR copy. Raises ValueError for a mark that fits no bar. Cost: one copy.
    """
    time, side, price, usd = _marks_of_frame(marks)
    inside = (time >= bars["time"][0]) & (time <= bars["time"][-1])
    rows = np.searchsorted(bars["time"], time[inside])
    astray = np.flatnonzero(bars["time"][rows] != time[inside])
    if len(astray):
        raise ValueError(f"marks: found one at {moment(time[inside][astray[0]])}, allowed the time of a bar")
    unusable = ~average_true_ranges(bars, Params())[1][rows]
    if unusable.any():
        raise ValueError(f"marks: found one at {moment(time[inside][unusable.argmax()])}, a row that is skipped")
    out = bars.copy()
    for which, name in enumerate(_SIDES):
        of_side = side[inside] == which
        if len(np.unique(rows[of_side])) != of_side.sum():
            raise ValueError(f"marks: found two of side {name} on one bar, allowed one")
        out[f"liq_{name}_usd"] = 0.0
        out[f"liq_{name}_price"] = np.nan
        out[f"liq_{name}_usd"][rows[of_side]] = usd[inside][of_side]
        out[f"liq_{name}_price"][rows[of_side]] = price[inside][of_side]
    return out


def marks_params(params: Params) -> Params:
    """These Params for ``bars_with_marks``: every forced flow is an event."""
    return dataclasses.replace(params, event_mult=0.0, event_share=0.0)


def _marks_of_frame(marks: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(time in ms, LONG or SHORT, price, usd), each (n,)."""
    if not isinstance(marks, pd.DataFrame):
        raise TypeError(f"marks must be a frame as from placebo_marks or marks_frame, got {type(marks).__name__}")
    missing = [name for name in ("time", "side", "price", "usd") if name not in marks.columns]
    if missing:
        raise ValueError(f"marks lack {', '.join(missing)}: found columns {', '.join(map(repr, marks.columns))}")
    side = marks["side"].astype(object).map({"long": LONG, "short": SHORT}).to_numpy(np.float64, na_value=np.nan)
    price, usd = number_column(marks["price"], "price"), number_column(marks["usd"], "usd")
    _check_marks("side", marks["side"], np.isfinite(side), "'long' or 'short'")
    for name, values in (("price", price), ("usd", usd)):
        _check_marks(name, values, (values > 0.0) & (values < np.inf), "a finite number above 0")
    return column_ms(marks["time"]), side.astype(np.int64), price, usd


def _check_marks(field: str, values: Any, right: np.ndarray, allowed: str) -> None:
    if not right.all():
        row = int((~right).argmax())
        raise ValueError("marks: " + describe_row(row, None, field, list(values)[row], allowed))
