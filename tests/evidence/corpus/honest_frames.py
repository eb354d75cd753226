"""Functions of a frame that are honest and look as if they were not."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import talib

from .register import honest

CACHE: dict[tuple[int, int], pd.Series] = {}
ROWS: dict[pd.Timestamp, float] = {}


@honest
def exponential(frame):
    return pd.DataFrame(
        {"adjusted": frame["close"].ewm(span=30).mean(), "plain": frame["close"].ewm(span=55, adjust=False).mean()}
    )


@honest
def wilder(frame):
    high, low, close = (frame[name].to_numpy() for name in ("high", "low", "close"))
    return frame.assign(rsi=talib.RSI(close, 14), atr=talib.ATR(high, low, close, 14), adx=talib.ADX(high, low, close))


@honest
def running_sums(frame):
    """TA-Lib adds the new row and takes away the old one, so rounding stays."""
    upper, middle, lower = talib.BBANDS(frame["volume"].to_numpy(), 20)
    return frame.assign(upper=upper, middle=middle, lower=lower, deviation=talib.STDDEV(frame["volume"].to_numpy(), 5))


@honest
def centred_and_late(frame):
    return frame["close"].rolling(21, center=True).mean().shift(10)


@honest
def back_and_forth(frame):
    return frame["close"].shift(-2).shift(2)


@honest
def reversed_twice(frame):
    return frame["close"][::-1][::-1].rolling(9).max()


@honest
def days_that_are_over(frame):
    days = frame.set_index("date")["close"].resample("1D").mean().shift(1)
    return frame.assign(daily=frame["date"].dt.floor("1D").map(days))


@honest
def pivots_confirmed(frame):
    high = frame["high"]
    return (high.shift(5) == high.rolling(11).max()).astype(int)


@honest
def keeps_a_cache(frame):
    key = (len(frame), int(frame["date"].astype("int64").iloc[-1]))
    if key not in CACHE:
        CACHE[key] = frame["close"].rolling(20).std()
    return CACHE[key]


@honest
def keeps_its_rows(frame):
    new = frame["close"].rolling(3).mean()
    for at, value in zip(frame["date"], new, strict=True):
        if at not in ROWS and value == value:
            ROWS[at] = value
    return frame["date"].map(ROWS).where(new.notna())


@honest
def reads_the_clock(frame):
    begun = time.perf_counter()
    frame["mean"] = frame["close"].rolling(7).mean()
    frame.attrs["seconds"] = time.perf_counter() - begun
    return frame


@honest
def candles_of_its_own(frame):
    """Heikin-Ashi candles, which have the names of the candles given."""
    close = frame[["open", "high", "low", "close"]].mean(axis=1)
    opened = np.empty(len(frame))
    opened[0] = frame["open"].iloc[0]
    for row in range(1, len(frame)):
        opened[row] = (opened[row - 1] + close.iloc[row - 1]) / 2.0
    return pd.DataFrame({"open": opened, "close": close})


@honest
def trailing_trend(frame):
    """A supertrend: which side it is on is forgotten at the next flip."""
    high, low, close = (frame[name].to_numpy() for name in ("high", "low", "close"))
    width = 3.0 * pd.Series(high - low).rolling(10).mean().to_numpy()
    side, stop = np.zeros(len(close)), np.nan
    for row in range(10, len(close)):
        was = side[row - 1] or 1.0
        new = close[row] - was * width[row]
        stop = new if stop != stop else max(stop, new) if was > 0 else min(stop, new)
        side[row] = was
        if (close[row] - stop) * was < 0.0:
            side[row], stop = -was, close[row] + was * width[row]
    return pd.Series(np.where(side > 0, "long", "short"))


@honest
def text_times_and_gaps(frame):
    return pd.DataFrame(
        {
            "word": np.where(frame["close"] > frame["open"], "up", None),
            "since": frame["date"].where(frame["close"] > frame["close"].shift(1)).ffill(),
            "rank": frame["volume"].rolling(50).rank(pct=True),
            "bin": pd.cut(frame["close"].pct_change(), [-1.0, -0.01, 0.01, 1.0], labels=["fall", "flat", "rise"]),
            "ratio": (frame["close"] - frame["open"]) / (frame["close"] - frame["close"]),
        }
    )


@honest
def nothing_on_short_frames(frame):
    if len(frame) < 90:
        raise ValueError("too short")
    return frame["close"].rolling(60).corr(frame["volume"])
