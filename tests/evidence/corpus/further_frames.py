"""Neighbours of the corpus, of other patterns than it has: functions of a frame that lie, and honest ones."""

from __future__ import annotations

import hashlib

import numba
import numpy as np
import pandas as pd
import talib
from pandas.api.indexers import FixedForwardWindowIndexer
from scipy.signal import butter, lfilter, lfilter_zi

from .register import honest, lies

FITTED: dict[str, pd.Series] = {}


def _days(frame):
    return frame["date"].dt.floor("1D")


# That lie ---------------------------------------------------------------------------------------------------------


@numba.njit
def _window_means(x, half):
    out = np.empty_like(x)
    for row in range(len(x)):
        out[row] = x[max(0, row - half) : row + half + 1].mean()
    return out


@lies("look-ahead", ahead=4)
def compiled_window(frame):
    return pd.Series(_window_means(frame["close"].to_numpy(), 4))


@lies("look-ahead", "high_of_day", ahead=23)
def transformed_by_day(frame):
    return frame.assign(high_of_day=frame.groupby(_days(frame))["high"].transform("max"))


@lies("look-ahead", ahead=1)
def rolled_back(frame):
    return pd.Series(np.roll(frame["close"].to_numpy(), -1))


@lies("look-ahead", "close_1d", ahead=23)
def merged_and_filled_forward(frame):
    days = frame.set_index("date")["close"].resample("1D").last().rename("close_1d").reset_index()
    merged = frame.merge(days, on="date", how="left")
    return merged.assign(close_1d=merged["close_1d"].ffill())


@lies("look-ahead")
def library_on_reversed_rows(frame):
    return pd.Series(talib.SMA(frame["close"].to_numpy()[::-1].copy(), 10)[::-1])


@lies("repaint")
def rank_among_all(frame):
    return frame["close"].rank(pct=True) - frame["close"].expanding().rank(pct=True)


@lies("look-ahead")
def smoothed_from_both_ends(frame):
    back = frame["close"][::-1].ewm(span=8).mean()[::-1]
    return (frame["close"].ewm(span=8).mean() + back) / 2.0


@lies("repaint")
def between_quantiles(frame):
    low, high = frame["volume"].quantile([0.05, 0.95])
    return ((frame["volume"] - low) / (high - low)).clip(0.0, 1.0)


@lies("look-ahead")
def nearest_reading(frame):
    close = frame.set_index("date")["close"]
    return close[close.index.hour % 4 == 0].reindex(close.index, method="nearest").reset_index(drop=True)


@lies("look-ahead", "next_large")
def joined_forwards(frame):
    large = frame.loc[frame["volume"] > 2.0 * frame["volume"].rolling(50).mean(), ["date", "close"]]
    return pd.merge_asof(frame, large.rename(columns={"close": "next_large"}), on="date", direction="forward")


@lies("look-ahead", "mean_4h", ahead=3)
def labelled_left(frame):
    parts = frame.set_index("date")["close"].resample("4h", label="left").mean()
    return frame.assign(mean_4h=frame["date"].dt.floor("4h").map(parts))


@lies("look-ahead")
def smoother_of_states(frame):
    """A Kalman filter, and then the pass back over its states."""
    seen = frame["close"].to_numpy()
    level, spread, guess, doubt = (np.empty(len(seen)) for _ in range(4))
    at, width = seen[0], 1.0
    for row, value in enumerate(seen):
        guess[row], doubt[row] = at, width + 0.05
        gain = doubt[row] / (doubt[row] + 1.0)
        at, width = at + gain * (value - at), (1.0 - gain) * doubt[row]
        level[row], spread[row] = at, width
    for row in range(len(seen) - 2, -1, -1):
        level[row] += spread[row] / doubt[row + 1] * (level[row + 1] - guess[row + 1])
    return pd.Series(level)


@lies("look-ahead", "line")
def turns_joined_by_lines(frame):
    close, turns, rising, extreme = frame["close"].to_numpy(), [0], True, 0
    for row in range(1, len(close)):
        if (close[row] > close[extreme]) == rising:
            extreme = row
        elif abs(close[row] / close[extreme] - 1.0) > 0.03:
            turns.append(extreme)
            rising, extreme = not rising, row
    line = pd.Series(np.nan, index=frame.index)
    line.iloc[turns] = close[turns]
    return frame.assign(line=line.interpolate())


@lies("look-ahead", "resistance", ahead=3)
def pivot_held_before_it_is_one(frame):
    high = frame["high"]
    return frame.assign(resistance=high.where(high == high.rolling(7, center=True).max()).ffill())


@lies("repaint")
def length_of_the_frame_hashed(frame):
    window = 2 + hashlib.md5(str(len(frame)).encode()).digest()[0] % 7
    return frame["close"].rolling(window).mean()


@lies("repaint", "scaled")
def scaler_fitted_to_all(frame):
    table = frame[["close", "volume"]].to_numpy()
    return pd.DataFrame({"scaled": ((table - table.mean(axis=0)) / table.std(axis=0))[:, 0]})


@lies("repaint", "state")
def states_fitted_to_all(frame):
    spread = frame["close"].pct_change().rolling(20).std().fillna(0.0).to_numpy()
    centres = np.quantile(spread, [0.1, 0.9])
    for _ in range(20):
        nearer = np.abs(spread[:, None] - centres).argmin(axis=1)
        centres = np.array([spread[nearer == which].mean() for which in (0, 1)])
    return pd.DataFrame({"state": np.where(nearer == 1, "wild", "calm")})


@lies("look-ahead", "label", ahead=10)
def barrier_touched_first(frame):
    """The label that a model is taught, left among the features."""
    close = frame["close"].to_numpy()
    label = np.zeros(len(close))
    for row in range(len(close)):
        for later in close[row + 1 : row + 11]:
            if abs(later / close[row] - 1.0) > 0.02:
                label[row] = np.sign(later - close[row])
                break
    return pd.DataFrame({"label": label})


@lies("repaint", "control")
def price_of_most_volume(frame):
    weights, edges = np.histogram(frame["close"], 50, weights=frame["volume"])
    return frame.assign(control=frame["close"] - edges[weights.argmax()])


@lies("look-ahead", ahead=5)
def window_that_looks_forward(frame):
    return frame["close"].rolling(FixedForwardWindowIndexer(window_size=6)).max()


@lies("look-ahead", ahead=1)
def a_hundred_millionth(frame):
    return frame["close"].rolling(10).mean() + 1e-8 * frame["close"].shift(-1)


@lies("history", "fall")
def fall_from_the_highest(frame):
    return frame.assign(fall=frame["close"] / frame["close"].cummax() - 1.0)


@lies("history", "line")
def accumulation(frame):
    return frame.assign(line=talib.AD(*(frame[name].to_numpy() for name in ("high", "low", "close", "volume"))))


@lies("history")
def groups_of_seven_rows(frame):
    return frame.groupby(np.arange(len(frame)) // 7)["close"].transform("first")


@lies("unstable", "high")
def mends_the_last_high(frame):
    frame.loc[frame.index[-1], "high"] = frame["close"].iloc[-1]
    return frame.assign(body=frame["close"] - frame["open"])


# That do not ------------------------------------------------------------------------------------------------------


@honest
def joined_backwards(frame):
    days = frame.set_index("date")["close"].resample("1D", label="right", closed="left").mean()
    return pd.merge_asof(frame, days.rename("mean_1d").reset_index(), on="date")


@honest
def vwap_of_the_session(frame):
    day = _days(frame)
    paid = (frame["close"] * frame["volume"]).groupby(day).cumsum()
    return frame.assign(vwap=paid / frame["volume"].groupby(day).cumsum())


@honest
def extremes_of_the_day_so_far(frame):
    days = frame.groupby(_days(frame))
    return frame.assign(top=days["high"].cummax(), bottom=days["low"].cummin())


@honest
def extremes_of_yesterday(frame):
    day = _days(frame)
    before = frame.groupby(day).agg(top=("high", "max"), bottom=("low", "min")).shift(1)
    return frame.assign(top=day.map(before["top"]), bottom=day.map(before["bottom"]))


@honest
def cloud_drawn_ahead(frame):
    def middle(rows):
        return (frame["high"].rolling(rows).max() + frame["low"].rolling(rows).min()) / 2.0

    return frame.assign(fast=middle(9), slow=middle(26), span=((middle(9) + middle(26)) / 2.0).shift(26))


@honest
def keyed_by_its_values(frame):
    key = hashlib.md5(frame["close"].to_numpy().tobytes()).hexdigest()
    if key not in FITTED:
        FITTED[key] = frame["close"].rolling(9).std()
    return FITTED[key]


@honest
def categories_in_order(frame):
    word = np.where(frame["close"] > frame["open"], "up", "down")
    return pd.Series(pd.Categorical(word, ["down", "flat", "up"], ordered=True))


@honest
def filter_forwards(frame):
    numerator, denominator = butter(2, 0.1)
    begin = lfilter_zi(numerator, denominator) * frame["close"].iloc[0]
    return pd.Series(lfilter(numerator, denominator, frame["close"], zi=begin)[0])


@honest
def states_filtered_forwards(frame):
    level, width, at = np.empty(len(frame)), 1.0, frame["close"].iloc[0]
    for row, value in enumerate(frame["close"]):
        gain = (width + 0.05) / (width + 1.05)
        at, width = at + gain * (value - at), (1.0 - gain) * (width + 0.05)
        level[row] = at
    return pd.Series(level)


@honest
def side_of_the_last_breakout(frame):
    up = frame["close"] > frame["high"].rolling(20).max().shift(1)
    down = frame["close"] < frame["low"].rolling(20).min().shift(1)
    return pd.Series(np.where(up, 1.0, np.where(down, -1.0, np.nan))).ffill()


@honest
def rows_since_a_breakout(frame):
    number = (frame["close"] > frame["close"].rolling(20).max().shift(1)).cumsum()
    return frame.groupby(number).cumcount().where(number > 0)


@honest
def stops_and_turns(frame):
    return frame.assign(stop=talib.SAR(frame["high"], frame["low"]))


@honest
def steps_of_a_hundred(frame):
    close, level = frame["close"].to_numpy(), np.empty(len(frame))
    at = np.round(close[0], -2)
    for row, value in enumerate(close):
        at += 100.0 * np.trunc((value - at) / 100.0)
        level[row] = at
    return pd.Series(level)


@honest
def sorted_and_sorted_back(frame):
    there = frame.sort_values("date", ascending=False)
    return there.sort_values("date").reset_index(drop=True)["close"].rolling(3).mean()


@honest
def dice_thrown_in_vain(frame):
    return frame["close"].rolling(5).mean() + 0.0 * np.random.default_rng().normal(size=len(frame))
