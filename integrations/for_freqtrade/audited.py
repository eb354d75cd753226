"""A freqtrade strategy as a function of candles: the frame that freqtrade would trade by."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from liquidator_core.timeframes import TIMEFRAMES, step_ms, timeframe_ms, to_timeframe

from ..market.candles import bars_from_frame
from ..market.files import read_candles_or_trades
from .library import CandleType, DataProvider, IStrategy, RunMode, TradingMode

__all__ = ["strategy_columns"]

_COIN, _STAKE = "BTC", "USDT"
_CANDLE = ("open", "high", "low", "close", "volume")


def strategy_columns(
    strategy: type[IStrategy], candles: pd.DataFrame, pairs: Mapping[str, Any] | None = None
) -> Callable[[type[IStrategy], pd.DataFrame], pd.DataFrame]:
    """A function that gives a strategy's columns of a frame like ``candles``, and makes the strategy anew each time.

    candles   freqtrade's frame: ``date`` and open, high, low, close, volume; their spacing is the timeframe, whatever
              the strategy says, as with freqtrade's ``--timeframe``
    pairs     pair -> file or frame of candles of other pairs that the strategy reads

    The pair is BTC/USDT, and BTC/USDT:USDT for a strategy that goes short. What runs is what freqtrade runs in a
    backtest: ``bot_start``, informative methods, ``populate_indicators``, entries and exits. ``dp`` gives larger
    timeframes made of the frame's own candles, closed ones only, other pairs' likewise, and refuses what it has not.
    Raises ValueError for candles that are none, of no timeframe, or without ``date``.
    """
    if "date" not in candles.columns or candles["date"].dtype.kind != "M":
        raise ValueError("candles: a strategy needs a column date of datetimes, as freqtrade gives it")
    length = step_ms(bars_from_frame(candles)["time"])
    timeframe = next((name for name in TIMEFRAMES if timeframe_ms(name) == length), None)
    if timeframe is None:
        raise ValueError(f"candles: rows are {length / 60_000:g} minutes apart, allowed {', '.join(TIMEFRAMES)}")
    others = {pair: _bars_of(pair, source) for pair, source in (pairs or {}).items()}
    short = bool(getattr(strategy, "can_short", False))
    config: Any = {
        "stake_currency": _STAKE,
        "timeframe": timeframe,
        "runmode": RunMode.BACKTEST,
        "dry_run": True,
        "trading_mode": TradingMode.FUTURES if short else TradingMode.SPOT,
        "candle_type_def": CandleType.FUTURES if short else CandleType.SPOT,
        "exchange": {"name": "binance", "pair_whitelist": []},
    }
    pair = f"{_COIN}/{_STAKE}" + (f":{_STAKE}" if short else "")
    to_timeframe(bars_from_frame(candles)[:2], timeframe, length)  # compiled here, once, and not in each process

    def columns(made_of: type[IStrategy], frame: pd.DataFrame) -> pd.DataFrame:
        made: Any = object.__new__(made_of)
        made.timeframe = timeframe
        made.__init__({**config})
        made.dp = _Provider(config, pair, frame.copy(), length, others)
        made.ft_bot_start()
        metadata = {"pair": pair}
        return made.ft_advise_signals(made.advise_indicators(frame, metadata).copy(), metadata)

    return columns


class _Provider(DataProvider):
    """The data of one run: candles as they were known when its last row had closed."""

    def __init__(
        self, config: Any, pair: str, candles: pd.DataFrame, length: int, others: Mapping[str, np.ndarray]
    ) -> None:
        super().__init__(config, None)
        self._pair, self._candles, self._length, self._others = pair, candles, length, others

    def get_pair_dataframe(self, pair: str, timeframe: str | None = None, candle_type: str = "") -> pd.DataFrame:
        timeframe = timeframe or self._config["timeframe"]
        if candle_type not in ("", CandleType.SPOT, CandleType.FUTURES):
            raise ValueError(f"it asked for {candle_type} of {pair}: an audit has candles only")
        own = _plain(pair) == _plain(self._pair)
        if own and timeframe == self._config["timeframe"]:
            return self._candles.copy()
        if own and timeframe_ms(timeframe) < self._length:
            raise ValueError(f"it asked for {timeframe} of {pair}: candles of {self._length} ms can't be taken apart")
        if own:
            bars, length = bars_from_frame(self._candles), self._length
        else:
            bars = self._bars_of(pair)
            length = step_ms(bars["time"])
            if timeframe_ms(timeframe) < length:
                raise ValueError(f"it asked for {timeframe} of {pair}: the file's candles are {length} ms long")
        return _frame_of(to_timeframe(bars, timeframe, length), self._candles["date"].dtype)

    def historic_ohlcv(self, pair: str, timeframe: str, candle_type: str = "") -> pd.DataFrame:
        return self.get_pair_dataframe(pair, timeframe, candle_type)

    def ohlcv(self, pair: str, timeframe: str | None = None, copy: bool = True, candle_type: str = "") -> pd.DataFrame:
        return self.get_pair_dataframe(pair, timeframe, candle_type)

    def current_whitelist(self) -> list[str]:
        return [self._pair, *self._others]

    def market(self, pair: str) -> dict[str, Any]:
        base, _, quote = pair.partition(":")[0].partition("/")
        return {"symbol": pair, "base": base, "quote": quote, "active": True}

    def _bars_of(self, pair: str) -> np.ndarray:
        """Another pair's candles from the first row's time on, closed when the last row has."""
        found = {_plain(other): bars for other, bars in self._others.items()}.get(_plain(pair))
        if found is None:
            given = f"given are {', '.join(self._others)}" if self._others else "none is given"
            raise ValueError(f"it asked for candles of {pair}, of which {given}: name a file of them in pairs")
        time = bars_from_frame(self._candles.iloc[[0, -1]])["time"]
        known = (found["time"] >= time[0]) & (found["time"] + step_ms(found["time"]) <= time[1] + self._length)
        return np.asarray(found[known])


def _plain(pair: str) -> str:
    return pair.partition(":")[0].upper()


def _bars_of(pair: str, source: Any) -> np.ndarray:
    if not isinstance(source, str | os.PathLike):
        return bars_from_frame(source, market=pair)
    kind, table = read_candles_or_trades(source)
    if kind != "candles":
        raise ValueError(f"{os.fspath(source)}: holds trades, {pair} needs candles")
    return bars_from_frame(table, market=pair)


def _frame_of(bars: np.ndarray, dtype: Any) -> pd.DataFrame:
    frame = pd.DataFrame({name: bars[name] for name in _CANDLE})
    frame.insert(0, "date", pd.to_datetime(bars["time"], unit="ms", utc=True).astype(dtype))
    return frame
