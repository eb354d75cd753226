"""Small subjects for the laws: three lawful ones, and others that break one law each, the way indicators usually do.

``MeanFlow`` gives the mean turnover of the last ``flow_bars`` rows and what this row's is in multiples of it.
``Clusters`` gives the number of clusters among the closes of the last ``zone_bars`` rows, and the middle of the lowest.
``FourHours`` gives the closed bars of four hours from midnight on, of which the first is left out unless it is whole.
"""

from __future__ import annotations

import json
import time

import numpy as np

MEAN = np.dtype([("mean", "f8"), ("multiple", "f8")])
CLUSTERS = np.dtype([("lowest", "f8"), ("count", "i8")])
HIGHER = np.dtype([("start", "i8"), ("close", "f8"), ("volume", "f8")])
HOUR = 3_600_000


class Toy:
    """A subject whose state is a dict of lists and numbers, and whose fold is a loop of steps."""

    dtype = MEAN
    units = {"mean": "usd", "multiple": "ratio"}  # noqa: RUF012
    window = "flow_bars"

    @property
    def sources(self):
        return [type(self)]

    def memory(self, params):
        return getattr(params, self.window)

    def new_state(self, params):
        return {"window": []}

    def fold(self, state, params, rows):
        return np.concatenate(
            [np.zeros(0, self.dtype), *(self.step(state, params, rows[i : i + 1]) for i in range(len(rows)))]
        )

    def step(self, state, params, row):
        length = getattr(params, self.window)
        state["window"] = [*state["window"], self.seen(row)][-length:]
        values = self.answer(state) if len(state["window"]) == length else (np.nan,) * len(self.dtype)
        return np.array([tuple(0 if self.dtype[i] == "i8" and v != v else v for i, v in enumerate(values))], self.dtype)

    def save(self, state, path):
        path.write_text(json.dumps(state))

    def load(self, path, params):
        return json.loads(path.read_text())


class MeanFlow(Toy):
    """Lawful: the window is summed anew at every row."""

    def seen(self, row):
        return float(row["close"][0] * row["volume"][0])

    def answer(self, state):
        mean = sum(state["window"]) / len(state["window"])
        return mean, state["window"][-1] / mean


class Clusters(Toy):
    """Lawful: closes are sorted and clustered anew at every row."""

    dtype = CLUSTERS
    units = {"lowest": "quote", "count": "count"}  # noqa: RUF012
    window = "zone_bars"

    def seen(self, row):
        return float(row["close"][0])

    def answer(self, state):
        clusters = []
        for close in sorted(state["window"]):
            if clusters and close <= 1.01 * clusters[-1][0]:
                clusters[-1].append(close)
            else:
                clusters.append([close])
        return (clusters[0][0] + clusters[0][-1]) / 2, len(clusters)


class RunningSum(MeanFlow):
    """Breaks the window law: what rounding left of old rows stays in the sum."""

    def new_state(self, params):
        return {"window": [], "sum": 0.0}

    def step(self, state, params, row):
        if len(state["window"]) == params.flow_bars:
            state["sum"] -= state["window"][0]
        state["sum"] += self.seen(row)
        return super().step(state, params, row)

    def answer(self, state):
        mean = state["sum"] / len(state["window"])
        return mean, state["window"][-1] / mean


class GreedyClusters(Clusters):
    """Breaks the window law: closes join clusters as they come, so that who came first decides."""

    def new_state(self, params):
        return {"window": [], "clusters": []}

    def step(self, state, params, row):
        close = self.seen(row)
        home = next((it for it in state["clusters"] if abs(close / it[0] - 1) <= 0.01), None)
        if home is None:
            state["clusters"].append([close])
        else:
            home.append(close)
        if len(state["window"]) == params.zone_bars:
            gone = next(it for it in state["clusters"] if state["window"][0] in it)
            gone.remove(state["window"][0])
            state["clusters"] = [it for it in state["clusters"] if it]
        return super().step(state, params, row)

    def answer(self, state):
        lowest = min(state["clusters"], key=min)
        return (min(lowest) + max(lowest)) / 2, len(state["clusters"])


class WallClock(MeanFlow):
    """Breaks the clock law: the answer grows with the hour of the day on which it is asked."""

    def answer(self, state):
        mean, multiple = super().answer(state)
        return mean, multiple + time.time() % 86_400 // 86_401  # never noticed by its values


class Dice(MeanFlow):
    """Breaks the clock law: each run answers otherwise, although no clock is named."""

    runs: list[int] = []  # noqa: RUF012

    def new_state(self, params):
        self.runs.append(0)
        return {"window": [], "noise": 1e-12 * len(self.runs)}

    def answer(self, state):
        mean, multiple = super().answer(state)
        return mean + mean * state["noise"], multiple


class Peek(MeanFlow):
    """Breaks the prefix law: ``shift(-1)``, the row after is part of the answer."""

    def fold(self, state, params, rows):
        return super().fold(state, params, np.concatenate([rows[1:], rows[-1:]]))


class SecondFormula(MeanFlow):
    """Breaks the fold law: a vectorised formula for batches, which adds up in another order."""

    def fold(self, state, params, rows):
        out = super().fold(state, params, rows)
        turnover = rows["close"] * rows["volume"]
        sums = np.cumsum(turnover)
        sums[params.flow_bars :] -= sums[: -params.flow_bars].copy()
        known = ~np.isnan(out["mean"])
        out["mean"][known] = sums[known] / params.flow_bars
        return out


class MutatesInput(MeanFlow):
    """Breaks the purity law: an unknown volume is filled in where it was found."""

    def seen(self, row):
        np.nan_to_num(row["volume"], copy=False)
        return super().seen(row)


class MutatesParams(MeanFlow):
    """Breaks the purity law: a cache on the params."""

    def step(self, state, params, row):
        out = super().step(state, params, row)
        object.__setattr__(params, "flow_bars", params.flow_bars + 1)
        return out


class GlobalState(MeanFlow):
    """Breaks the purity and the split law: what was seen is kept where every state finds it."""

    seen_lately: list[float] = []  # noqa: RUF012

    def new_state(self, params):
        GlobalState.seen_lately = []
        return {"window": []}

    def step(self, state, params, row):
        GlobalState.seen_lately = [*GlobalState.seen_lately, self.seen(row)][-params.flow_bars :]
        state["window"] = GlobalState.seen_lately[:-1]
        return super().step(state, params, row)


class Forgets(MeanFlow):
    """Breaks the split law: numbers are saved rounded."""

    def save(self, state, path):
        path.write_text(json.dumps({"window": [round(value, 6) for value in state["window"]]}))


class Absolute(MeanFlow):
    """Breaks the scale law: a threshold in USD."""

    def answer(self, state):
        mean, multiple = super().answer(state)
        return mean, multiple if mean > 10_000 else 0.0


class FourHours(Toy):
    """Lawful: a bar is given by the row that closes it, or the first one after it."""

    dtype = HIGHER
    units = {"start": "ms", "close": "quote", "volume": "base"}  # noqa: RUF012

    def memory(self, params):
        return None

    def new_state(self, params):
        return {"bar": None, "whole": False}

    def start_of(self, state, time):
        return time - time % (4 * HOUR)

    def step(self, state, params, row):
        time, start = int(row["time"][0]), self.start_of(state, int(row["time"][0]))
        closed = []
        if state["bar"] is None or start > state["bar"][0]:
            closed = self.closed(state)
            state["whole"] = state["bar"] is not None or start == time
            state["bar"] = [start, 0.0, 0.0]
        state["bar"][1] = float(row["close"][0])
        state["bar"][2] += float(row["volume"][0])
        if time + HOUR == start + 4 * HOUR:
            closed += self.closed(state)
            state["whole"] = False
        return np.array(closed, self.dtype)

    def closed(self, state):
        return [tuple(state["bar"])] if state["whole"] else []


class Unfinished(FourHours):
    """Breaks the prefix law: the last bar is given as it stands, like ``resample().last()`` does."""

    def fold(self, state, params, rows):
        out = super().fold(state, params, rows)
        return np.concatenate([out, np.array(self.closed(state), self.dtype)])


class FromTheFirstRow(FourHours):
    """Breaks the law of a later start: four hours are counted from the first row on, not from midnight."""

    def new_state(self, params):
        return {**super().new_state(params), "first": None}

    def start_of(self, state, time):
        if state["first"] is None:
            state["first"] = time
        return time - (time - state["first"]) % (4 * HOUR)


class HalfABar(FourHours):
    """Breaks the law of a later start: the first bar is given although it began before the first row."""

    def step(self, state, params, row):
        if state["bar"] is None:
            state["bar"] = [self.start_of(state, int(row["time"][0])), 0.0, 0.0]
            state["whole"] = True
        return super().step(state, params, row)
