"""Candles whose columns have no names: which is which is found by arithmetic, of the orders that venues write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .candle_columns import is_outside
from .names import CCXT_COLUMNS, KLINE_COLUMNS, OKX_COLUMNS

ROWS_LOOKED_AT = 1000
_PRICES = ("open", "high", "low", "close")
_READ = ("time", *_PRICES, "volume")
_TOHLC = CCXT_COLUMNS[:5]
_BITFINEX = ("time", "open", "close", "high", "low", "volume")
#: The orders in which venues return candles; of one length, those before go first where two read the same.
ORDERS = (
    CCXT_COLUMNS,
    ("time", "low", "high", "open", "close", "volume"),  # Coinbase Exchange
    _BITFINEX,
    (*CCXT_COLUMNS, "count"),  # Kraken's files
    (*CCXT_COLUMNS, "quote_volume"),  # Bybit, Bitget's futures
    (*_TOHLC, "quote_volume", "volume"),  # Bybit's inverse markets
    (*_BITFINEX, "quote_volume"),  # KuCoin, WhiteBIT
    (*_TOHLC, "vwap", "volume", "count"),  # Kraken
    (*CCXT_COLUMNS, "usdt_volume", "quote_volume"),  # Bitget
    (*CCXT_COLUMNS, "quote_volume", "usdt_volume"),  # Bitget's stream
    (*CCXT_COLUMNS, "close_time", "quote_volume"),  # MEXC
    ("time", "quote_volume", "close", "high", "low", "open", "volume", "closed"),  # Gate
    OKX_COLUMNS,
    KLINE_COLUMNS,
)
_USUAL = (CCXT_COLUMNS, KLINE_COLUMNS)  # what rows of their length are where no order fits: their reader says why not


def names_of_rows(rows: Sequence[Sequence[Any]]) -> list[str]:
    """The names of the columns of candles in rows as long as the first, of which the first 1,000 are looked at.

    An order fits where, in more than half of the rows, open and close lie between low and high, a quote volume is the
    volume times a price between them, a mean price lies there too, counts are whole and a candle closes after it opens.
    What only its place tells to be counts is none where the column before it is a price, goes in step with it, or is
    whole in every row.

    Raises ValueError where none fits, and where those that fit best read different candles.

    >>> names_of_rows([[1672531200, 99.0, 102.0, 100.0, 101.0, 2.0]])
    ['time', 'low', 'high', 'open', 'close', 'volume']
    """
    width = len(rows[0])
    alike = [row for row in rows[:ROWS_LOOKED_AT] if len(row) == width]
    cells = np.array([[_number(cell) for cell in row] for row in alike])
    if width == 6 and _is_flag([row[5] for row in alike]):
        raise ValueError(
            "found rows of 6 values whose sixth is 0 or 1 throughout, as in OKX's candles of a mark price or an index "
            "(confirm), which have no volume: candles need a volume"
        )
    orders = [order for order in ORDERS if len(order) == width]
    columns = [dict(zip(order, cells.T, strict=True)) for order in orders]
    shares = [_share_right(one) for one in columns]
    best = max(shares, default=0.0)
    if best <= 0.5:
        usual = next((order for order in _USUAL if len(order) == width), None)
        if usual is None:
            raise ValueError(_unknown(rows[0]))
        return list(usual)
    fit = [at for at, share in enumerate(shares) if share == best]
    for at in fit[1:]:
        if any(not np.array_equal(columns[fit[0]][name], columns[at][name], equal_nan=True) for name in _read(orders)):
            found = " or ".join(f"[{', '.join(orders[one])}]" for one in (fit[0], at))
            raise ValueError(f"found rows of {width} values that may be {found}: give the columns names")
    return list(orders[fit[0]])


def _read(orders: Sequence[Sequence[str]]) -> list[str]:
    return [name for name in _READ if all(name in order for order in orders)]


def _unknown(row: Sequence[Any]) -> str:
    found = f"found rows of {len(row)} values ({', '.join(map(str, row))}) in no order that is known"
    cells = np.array([[_number(cell)] for cell in row])
    if len(row) == len(_TOHLC) and _share_right(dict(zip(_TOHLC, cells, strict=True))):
        return f"{found}: as [{', '.join(_TOHLC)}] they lack a volume, which candles need"
    return f"{found}: give the columns names"


def _share_right(columns: dict[str, np.ndarray]) -> float:
    """The share of rows, of those that have prices, that are candles."""
    low, high = columns["low"], columns["high"]
    known = np.logical_and.reduce([np.isfinite(columns[name]) for name in _PRICES])
    if not known.any():
        return 0.0
    noise = 1e-9 * np.abs(high)
    right = low > 0.0
    for name in ("open", "close"):
        right &= (columns[name] >= low - noise) & (columns[name] <= high + noise)
    volume = columns.get("volume")
    if "quote_volume" in columns and volume is not None:
        right &= ~is_outside(volume, columns["quote_volume"], columns)
    if "vwap" in columns:
        vwap = columns["vwap"]
        right &= ((vwap >= low * 0.99) & (vwap <= high * 1.01)) | (volume == 0.0)
    if "count" in columns:
        right &= columns["count"] == np.floor(columns["count"])
        if columns.keys().isdisjoint(("vwap", "quote_volume")) and _is_no_volume(columns):
            return 0.0
    if "close_time" in columns:
        right &= columns["close_time"] > next(iter(columns.values()))
    return float(right[known].mean())


def _is_no_volume(columns: dict[str, np.ndarray]) -> bool:
    """Whether what stands before counts is a price, contracts of the volume that they are, or whole as a spread is."""
    before = columns["volume"]
    is_price = (before >= columns["low"]) & (before <= columns["high"])
    steady = _in_step(before, columns["close"]) or _in_step(before, columns["count"])
    return bool(is_price.mean() > 0.9 or steady or (before == np.floor(before)).all())


def _in_step(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether a column is mostly another one times what hardly changes from row to row."""
    known = (one > 0.0) & (other > 0.0)
    steps = np.abs(np.diff(np.log(one[known] / other[known])))
    return bool(len(steps) and np.median(steps) < 1e-3)


def _is_flag(cells: Sequence[Any]) -> bool:
    """Whether texts are 0 or 1; 0 alone is the volume of exports that know none."""
    return "1" in cells and all(isinstance(cell, str) and cell in ("0", "1") for cell in cells)


def _number(cell: Any) -> float:
    try:
        return float(cell.replace(",", ".") if isinstance(cell, str) else cell)
    except (TypeError, ValueError):
        return np.nan
