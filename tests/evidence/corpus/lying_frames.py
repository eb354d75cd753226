"""Functions of a frame that lie: about half of the ways are from code that people trade by."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from scipy.signal import argrelextrema, filtfilt, savgol_filter

from .register import lies

SEEN: dict[str, pd.Series] = {}
CALLS: list[int] = []
FIRST: dict[str, float] = {}


# Look-ahead -------------------------------------------------------------------------------------------------------


@lies("look-ahead", ahead=3)
def shifted_back(frame):
    return frame["close"].shift(-3)


@lies("look-ahead", "middle", ahead=10)
def centred_mean(frame):
    frame["plain"] = frame["close"].rolling(21).mean()
    frame["middle"] = frame["close"].rolling(21, center=True).mean()
    return frame


@lies("look-ahead", ahead=2)
def centred_low(frame):
    """Seldom changed by what comes: a single row shows nothing as a rule."""
    return frame["low"].rolling(5, center=True, min_periods=1).min()


@lies("look-ahead", ahead=19)
def warm_up_filled_backwards(frame):
    return frame["close"].rolling(20).mean().bfill()


@lies("look-ahead", ahead=23)
def gaps_filled_backwards(frame):
    return frame["close"].where(frame["date"].dt.hour == 0).bfill()


@lies("look-ahead", ahead=23)
def gaps_interpolated(frame):
    return frame["close"].where(frame["date"].dt.hour == 0).interpolate()


@lies("look-ahead", "daily", ahead=23)
def day_not_over(frame):
    days = frame.set_index("date")["close"].resample("1D").mean()
    frame["daily"] = frame["date"].dt.floor("1D").map(days)
    return frame


@lies("look-ahead", ahead=167)
def week_not_over(frame):
    weeks = (frame["date"] - pd.to_timedelta(frame["date"].dt.dayofweek, unit="D")).dt.floor("1D")
    return frame.groupby(weeks)["close"].transform("mean")


@lies("look-ahead", ahead=2)
def day_over_an_hour_early(frame):
    """The mean of a day at its 22:00 candle; pandas knows of the day once there is a candle of the next."""
    days = frame.set_index("date")["close"].resample("1D").mean().shift(1)
    return (frame["date"] + pd.Timedelta("2h")).dt.floor("1D").map(days)


@lies("look-ahead", ahead=5)
def pivots_not_confirmed(frame):
    value = np.zeros(len(frame), int)
    value[argrelextrema(frame["high"].to_numpy(), np.greater, order=5)[0]] = 1
    return pd.Series(value)


@lies("look-ahead", ahead=10)
def savitzky_golay(frame):
    """The first half of a window is fitted to the whole of the first window."""
    return pd.Series(savgol_filter(frame["close"], 11, 2))


@lies("look-ahead")
def filtered_both_ways(frame):
    return pd.Series(filtfilt([0.3], [1.0, -0.7], frame["close"]))


@lies("look-ahead")
def smoothed_from_the_end(frame):
    return frame["close"][::-1].ewm(span=10).mean()[::-1]


@lies("look-ahead", "pivot")
def zigzag(frame):
    close, pivot = frame["close"].to_numpy(), np.zeros(len(frame))
    last, rising = 0, True
    for row in range(1, len(close)):
        if (close[row] > close[last]) == rising:
            last = row
        elif abs(close[row] / close[last] - 1.0) > 0.02:
            pivot[last] = 1.0 if rising else -1.0
            last, rising = row, not rising
    pivot[last] = 1.0 if rising else -1.0
    return pd.DataFrame({"pivot": pivot})


@lies("look-ahead", ahead=1)
def words(frame):
    return pd.Series(np.where(frame["close"].shift(-1) > frame["close"], "up", "down"))


@lies("look-ahead", ahead=2)
def categories(frame):
    ahead = np.where(frame["close"].shift(-2) > frame["close"], "up", "down")
    return pd.Series(pd.Categorical(ahead, ["down", "up"]))


@lies("look-ahead", ahead=4)
def moments(frame):
    return frame["date"].where(frame["close"].shift(-4) > frame["close"])


@lies("look-ahead", "flag", ahead=1)
def switches(frame):
    return pd.DataFrame({"flag": frame["high"].shift(-1) > 1.03 * frame["close"]})


@lies("look-ahead", ahead=1)
def infinities(frame):
    return pd.Series(np.where(frame["close"].shift(-1) > frame["close"], np.inf, 0.0))


@lies("look-ahead", ahead=1)
def unknown_if_it_falls(frame):
    return frame["close"].where(~(frame["close"].shift(-1) < frame["close"]))


@lies("look-ahead", "c1", ahead=1)
def second_of_forty(frame):
    """Once in some two thousand rows, after the largest volumes."""
    columns = {f"c{i}": frame["close"].rolling(i + 2).mean() for i in range(40)}
    rare = frame["volume"] > 7.0 * frame["volume"].rolling(200).mean()
    columns["c1"] = columns["c1"].where(~rare, frame["close"].shift(-1))
    return frame.assign(**columns)


@lies("look-ahead", ahead=1)
def on_mondays(frame):
    first = (frame["date"].dt.dayofweek == 0) & (frame["date"].dt.hour == 0)
    return frame["close"].where(~first, frame["close"].shift(-1))


@lies("look-ahead", ahead=1)
def at_odd_rows(frame):
    """At a few rows that nothing tells from others."""
    some = (frame["date"].astype("int64") // 3_600_000_000) % 997 == 500
    value = frame["close"].rolling(14).mean()
    return value.where(~some, 0.5 * (value + frame["close"].shift(-1)))


@lies("look-ahead", ahead=1)
def rounded(frame):
    return (0.98 * frame["close"] + 0.02 * frame["close"].shift(-1)).round(-2)


@lies("look-ahead", ahead=6)
def best_of_the_next(frame):
    return frame["high"][::-1].rolling(7, min_periods=1).max()[::-1] / frame["close"]


@lies("look-ahead")
def only_long_frames(frame):
    return frame["close"].shift(-2 if len(frame) >= 400 else 0)


# Repaint ----------------------------------------------------------------------------------------------------------


@lies("repaint")
def standardised(frame):
    return (frame["close"] - frame["close"].mean()) / frame["close"].std()


@lies("repaint")
def over_its_maximum(frame):
    return frame["close"] / frame["close"].max()


@lies("repaint", "rank")
def ranked(frame):
    return frame.assign(rank=frame["volume"].rank(pct=True))


@lies("repaint")
def detrended(frame):
    x = np.arange(len(frame))
    return frame["close"] - np.polyval(np.polyfit(x, frame["close"], 1), x)


@lies("repaint")
def low_pass(frame):
    spectrum = np.fft.rfft(frame["close"])
    spectrum[20:] = 0.0
    return pd.Series(np.fft.irfft(spectrum, len(frame)))


@lies("repaint")
def above_the_mean(frame):
    return frame["close"] > frame["close"].mean()


@lies("repaint")
def labelled_by_quantile(frame):
    return pd.qcut(frame["volume"], 3, labels=["low", "mid", "high"])


@lies("repaint")
def window_of_a_tenth(frame):
    return frame["close"].rolling(len(frame) // 10).mean()


@lies("repaint")
def odd_lengths(frame):
    return frame["close"].shift(-1 if len(frame) % 2 else 0)


@lies("repaint")
def rolled_over(frame):
    return pd.Series(np.roll(frame["close"], 1))


@lies("repaint")
def sum_to_come(frame):
    return frame["volume"][::-1].cumsum()[::-1]


@lies("repaint")
def remembers_the_longest(frame):
    if len(frame) > len(SEEN.get("values", ())):
        SEEN["values"] = frame["close"] / frame["close"].mean()
    return SEEN["values"].iloc[: len(frame)]


@lies("repaint")
def remembers_by_attribute(frame):
    if not hasattr(remembers_by_attribute, "mean"):
        remembers_by_attribute.mean = frame["close"].mean()
    return frame["close"] / remembers_by_attribute.mean


@lies("repaint")
def remembers_in_attrs(frame):
    return frame["close"] / frame.attrs.setdefault("mean", frame["close"].mean())


# History ----------------------------------------------------------------------------------------------------------


@lies("history")
def volume_so_far(frame):
    return frame["volume"].cumsum()


@lies("history", "mean")
def mean_so_far(frame):
    return pd.DataFrame({"mean": frame["close"].expanding().mean()})


@lies("history")
def on_balance_volume(frame):
    return (np.sign(frame["close"].diff()).fillna(0.0) * frame["volume"]).cumsum()


@lies("history")
def vwap_of_all_rows(frame):
    return (frame["close"] * frame["volume"]).cumsum() / frame["volume"].cumsum()


@lies("history")
def since_the_first_row(frame):
    return frame["close"] / frame["close"].iloc[0]


@lies("history", "session")
def every_24th_row(frame):
    return frame.assign(session=frame["open"].where(np.arange(len(frame)) % 24 == 0).ffill())


# Unstable ---------------------------------------------------------------------------------------------------------


@lies("unstable")
def dice(frame):
    return frame["close"] * (1.0 + 1e-9 * np.random.default_rng().normal(size=len(frame)))


@lies("unstable")
def clock(frame):
    return frame["close"] + time.time()


@lies("unstable")
def counts_its_calls(frame):
    CALLS.append(len(frame))
    return frame["close"] + len(CALLS)


@lies("unstable", "close")
def smooths_the_given_close(frame):
    frame["close"] = frame["close"].rolling(3, min_periods=1).mean()
    return frame


@lies("unstable", "volume")
def clips_the_given_volume(frame):
    frame["volume"] = frame["volume"].clip(upper=1000.0)
    return frame["close"].rolling(5).mean()
