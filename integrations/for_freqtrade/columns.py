"""Zones in a freqtrade strategy: columns, plots, stops, entries, hyperopt parameters and FreqAI features.

>>> class Strategy(IStrategy):  # doctest: +SKIP
...     startup_candle_count = startup_candle_count()
...
...     def populate_indicators(self, dataframe, metadata):
...         return add_zones(dataframe, metadata=metadata)

Every function takes the frame as freqtrade hands it over (``date`` a column, candles closed) and never changes it. A
column's value on a row depends on the last ``params.memory`` rows alone, so that backtest, hyperopt, dry run and live
agree; ``startup_candle_count`` makes freqtrade load these rows.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from liquidator_core import BAR, SIGNAL, Params
from liquidator_core.alignment import alignment
from liquidator_core.timeframes import TIMEFRAMES, timeframe_meant, timeframe_ms

from ..market.candles import OnBad, column_ms
from ..tables.risk import risk_memory
from ..tables.signals import signal_columns

_LOG = logging.getLogger("liquidator")
Frame: TypeAlias = "pd.DataFrame"
Metadata: TypeAlias = Mapping[str, Any] | None
Edge: TypeAlias = Literal["fade", "join", "nearest"]
FARTHEST_ATR = 10.0
SIGNAL_CANDLES = 12  # before an entry; a bot on Binance futures has 19 rows that are known
_ABOVE = ("resistance", "resistance_low", "resistance_high", "level_above")
PLACES = ("support", "resistance", "level_below", "level_above")
KINDS = ("support", "resistance")
EDGES = ("fade", "join", "nearest")
_CALLS_UP = 10  # from a strategy's method to here, with what may lie between
_COLUMNS = ("date", *(BAR.names or ())[1:])


def startup_candle_count(
    params: Params | None = None, extra: int = 0, risk: bool = False, observed: bool = False
) -> int:
    """Candles that freqtrade must load before the first one to trade on: ``params.memory + extra``.

    extra     look-back of indicators that are computed from zone columns; those computed from candles need none unless
              they look back further than ``params.memory``
    risk      with what ``add_risk`` needs of hourly candles, ``risk_memory``, of every timeframe of the strategy
    observed  likewise, where ``add_risk`` is given a feed

    One call to Binance futures gives 499 candles, to its spot market 1000: below 499 a bot starts with one call a pair.

    >>> startup_candle_count(), startup_candle_count(Params(zone_bars=96), extra=20)
    (480, 404)
    """
    params = Params() if params is None else params
    return (risk_memory(params, observed) if risk or observed else params.memory) + extra


def add_zones(
    dataframe: Frame,
    params: Params | None = None,
    prefix: str = "lz_",
    on_bad: OnBad = "skip",
    metadata: Metadata = None,
    marks: Frame | None = None,
) -> Frame:
    """The frame with every field of SIGNAL as a column: ``lz_support``, ``lz_fade``, ``lz_atr`` and so on.

    Columns in USD (``lz_support_usd``, ``lz_level_below_usd``, ``lz_long_flow_usd`` and so on) are of the ledger:
    turnover taken to be leveraged, relative; ``add_risk`` gives dollars. Levels are good for 4 to 8 hours and some 5 %.

    dataframe  candles as freqtrade hands them over; open interest, funding rate and taker buy volume are used where the
               feeds added them, observed liquidations with ``Params(observed="flow")`` (31 days more of candles:
               ``observed_bars``), other columns are not looked at
    params     defaults if None; ``startup_candle_count(params)`` belongs to them
    on_bad     "skip": a candle with a bad value is a skipped row, NaN and 0, and logged, and a frame of fewer candles
               than ``params.memory``, on which every row is unknown, is logged; "raise": both raise ValueError
    metadata   freqtrade's; its pair and the candles' timeframe are named by errors and log lines
    marks      zones are made from these instead of from the candles' events, as ``frames.signal_columns`` makes them:
               what a placebo run is given

    A strategy that calls this and whose ``startup_candle_count`` is below ``params.memory`` is logged, once.

    Returns a new frame: the columns given, then float64 (NaN = unknown or none) and int64 ones, joined at once. Raises
    ValueError for missing columns, a volume without a single value, dates that go back or repeat, and where a column of
    that name is there already. Cost: that of ``signal_columns``.

    >>> frame = add_zones(candles, metadata={"pair": "BTC/USDT"})
    >>> frame[["lz_support", "lz_fade"]].tail(1).round(1).values.tolist()
    [[7268.2, 0.0]]
    """
    params = Params() if params is None else params
    columns = zone_signals(dataframe, params, on_bad, metadata, marks).add_prefix(prefix)
    return joined_columns(dataframe, columns, metadata)


def add_informative_zones(
    dataframe: Frame,
    params: Params | None = None,
    prefix: str = "lz_",
    on_bad: OnBad = "skip",
    metadata: Metadata = None,
    marks: Frame | None = None,
) -> Frame:
    """``add_zones`` for a method under ``@informative``: after warm-up no value is NaN.

    freqtrade fills a NaN of a larger timeframe with what stood there before, so that a zone that is gone would stay for
    ever. Here a price above the close that does not exist is infinite, and everything else that does not exist is 0,
    the ATR of a skipped candle too.

    >>> frame = add_informative_zones(candles)
    >>> bool(frame["lz_resistance"].iloc[479:].isna().any())
    False
    """
    params = Params() if params is None else params
    frame = add_zones(dataframe, params, prefix, on_bad, metadata, marks)
    names = [prefix + name for name in SIGNAL.names or ()]
    absent = {prefix + name: np.inf if name in _ABOVE else 0.0 for name in SIGNAL.names or ()}
    warm = np.arange(len(frame)) >= params.memory - 1
    frame[names] = frame[names].mask(frame[names].isna() & warm[:, None], pd.Series(absent), axis=1)
    return frame


def add_alignment(dataframe: Frame, timeframes: list[str], prefix: str = "lz_") -> Frame:
    """The frame with ``lz_support_agreement`` and ``lz_resistance_agreement``, 0 to 100.

    The share of ``timeframes`` whose nearest support or resistance overlaps this timeframe's nearest support (or
    resistance). A frame knows no other zones, so that this is at most the alignment of ``frames.alignment_columns``,
    which knows them all. ``dataframe`` holds the columns of ``add_zones``
    and, for each timeframe, those of ``add_informative_zones`` as ``@informative`` names them (``lz_support_low_4h``).
    NaN without a zone of its own, and where one of the timeframes is not warm. Raises ValueError for a column that is
    not there, and says what makes it, and for a timeframe that freqtrade spells otherwise.

    >>> edges = {f"lz_{kind}_{edge}": [1.0] for kind in ("support", "resistance") for edge in ("low", "high")}
    >>> larger = {f"{name}_4h": price for name, price in edges.items()}
    >>> add_alignment(pd.DataFrame(edges | larger), ["4h"])["lz_support_agreement"].tolist()
    [100.0]
    """
    check_frame(dataframe, "add_alignment: candles")
    _need([f"{prefix}{kind}_{edge}" for kind in KINDS for edge in ("low", "high")], dataframe, "add_zones")
    if not isinstance(timeframes, (list, tuple)):
        raise TypeError(f'add_alignment: timeframes must be a list such as ["4h"], got {timeframes!r}')
    others = []
    for timeframe in timeframes:
        meant = timeframe_meant(timeframe) or timeframe
        if meant != timeframe:
            raise ValueError(f"add_alignment: found timeframe {timeframe!r}, freqtrade writes {meant!r}")
        columns = {edge: [f"{prefix}{kind}_{edge}_{timeframe}" for kind in KINDS] for edge in ("low", "high")}
        made_by = f"add_informative_zones in a method under @informative({timeframe!r})"
        _need([*columns["low"], *columns["high"]], dataframe, made_by)
        others.append({edge: dataframe[names].to_numpy() for edge, names in columns.items()})
    agreeing = {}
    for kind in KINDS:
        low, high = (dataframe[f"{prefix}{kind}_{edge}"].to_numpy() for edge in ("low", "high"))
        agreeing[f"{prefix}{kind}_agreement"] = alignment(low, high, others)
    return joined_columns(dataframe, pd.DataFrame(agreeing, index=dataframe.index), None)


def _need(names: list[str], dataframe: Frame, made_by: str) -> None:
    missing = [name for name in names if name not in dataframe.columns]
    if missing:
        raise ValueError(f"add_alignment: missing column {missing[0]!r}: {made_by} makes it")


def market_of(dataframe: Frame, metadata: Metadata) -> str:
    """``BTC/USDT 5m``: the pair of freqtrade's metadata, and the shortest step between the first thousand candles.

    >>> market_of(candles, {"pair": "BTC/USDT"})
    'BTC/USDT 1h'
    """
    if not isinstance(metadata, (Mapping, type(None))):
        raise TypeError(f"metadata must be that of freqtrade, such as {{'pair': 'BTC/USDT'}}, got {metadata!r}")
    pair = str((metadata or {}).get("pair", "candles"))
    if "date" not in getattr(dataframe, "columns", ()) or len(dataframe) < 2:
        return pair
    try:
        steps = np.abs(np.diff(column_ms(dataframe["date"].iloc[:1000])))
    except (ValueError, TypeError):  # which is told where the dates are needed
        return pair
    step = min(steps[steps > 0].tolist(), default=0)
    return " ".join([pair, *(name for name in TIMEFRAMES if timeframe_ms(name) == step)])


def zone_signals(
    dataframe: Frame, params: Params, on_bad: OnBad, metadata: Metadata, marks: Frame | None = None
) -> Frame:
    """The SIGNAL of every candle."""
    market = market_of(dataframe, metadata)
    columns = signal_columns(feed_candles(dataframe, market), params, marks, on_bad, market)
    check_length(dataframe, params, on_bad, market)
    _check_startup(params.memory)
    return columns


def feed_candles(dataframe: Frame, market: str) -> Frame:
    """What of a strategy's frame are candles and feeds, by BAR's own names: others may mean anything."""
    check_frame(dataframe, f"{market}: candles")
    candles = dataframe[[name for name in _COLUMNS if name in dataframe.columns]]
    if len(candles) and "volume" in candles and "liq_long_usd" not in candles and candles["volume"].isna().all():
        raise ValueError(f"{market}: volume: found no value in all {len(candles)} rows, without it there are no zones")
    return candles


def check_frame(frame: Any, what: str) -> None:
    """Raise TypeError for anything but a frame."""
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"{what} must be a DataFrame, as freqtrade hands them over, got {type(frame).__name__}")


def check_length(dataframe: Frame, params: Params, on_bad: OnBad, market: str) -> None:
    """Raise for a frame that is too short, or log it."""
    if len(dataframe) < params.memory:
        text = f"{market}: {len(dataframe)} candles are too few: a row depends on {params.memory}, so all are unknown"
        if on_bad == "raise":
            raise ValueError(f"{text}; set startup_candle_count = startup_candle_count(params) and load more candles")
        _LOG.warning(text)


def _check_startup(memory: int) -> None:
    """Log it if the strategy whose method this was called in has freqtrade load fewer candles than a row depends on."""
    frame = sys._getframe(1)
    for _ in range(_CALLS_UP):
        strategy: Any = frame.f_locals.get("self")
        if hasattr(strategy, "startup_candle_count") and hasattr(strategy, "populate_indicators"):
            if strategy.startup_candle_count < memory:
                _log_startup(type(strategy).__name__, strategy.startup_candle_count, memory)
            return
        if frame.f_back is None:
            return
        frame = frame.f_back


@functools.cache
def _log_startup(name: str, count: int, memory: int) -> None:
    _LOG.warning(
        "%s.startup_candle_count is %d, and a row depends on %d candles: the first ones of a backtest or a bot are "
        "unknown; set startup_candle_count = startup_candle_count(params)",
        name,
        count,
        memory,
    )


def joined_columns(dataframe: Frame, columns: Frame, metadata: Metadata) -> Frame:
    twice = [name for name in columns if name in dataframe.columns]
    if twice:
        market = market_of(dataframe, metadata)
        raise ValueError(f"{market}: column {twice[0]!r} is there already: choose another prefix")
    return pd.concat([dataframe, columns], axis=1)
