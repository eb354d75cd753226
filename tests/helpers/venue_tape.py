"""A tape of public trades for the loopback server: clusters of one millisecond, a hole of two hours, ids that chain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

HOUR = 3_600_000
MINUTE = 60_000
START = 1_748_865_600_000  # 2025-06-02T12:00 UTC: a day from here touches two UTC days


@dataclass(frozen=True)
class Tape:
    """Trades in order of time. ``sell``: the taker sold."""

    time: np.ndarray
    id: np.ndarray
    price: np.ndarray
    size: np.ndarray
    sell: np.ndarray

    def __len__(self) -> int:
        return len(self.time)

    def between(self, since: int, until: int) -> range:
        """Rows of since <= time < until."""
        return range(*np.searchsorted(self.time, [since, until]).tolist())

    def only(self, rows: np.ndarray) -> Tape:
        return Tape(self.time[rows], self.id[rows], self.price[rows], self.size[rows], self.sell[rows])

    def renumbered(self, ids: np.ndarray) -> Tape:
        return replace(self, id=ids)

    def candles(self, since: int, until: int, step: int, flat: bool) -> list[tuple[int, list[float]]]:
        """(time, [open, high, low, close, volume, taker buys, trades]); ``flat``: of every step from the first."""
        out = []
        last = float("nan")
        before = int(np.searchsorted(self.time, since))
        if before:
            last = float(self.price[before - 1])
        for time in range(-(-since // step) * step, until, step):
            rows = self.between(time, time + step)
            if len(rows):
                price, size = self.price[rows.start : rows.stop], self.size[rows.start : rows.stop]
                buy = float(size[~self.sell[rows.start : rows.stop]].sum())
                last = float(price[-1])
                first = float(price[0])
                out.append(
                    (time, [first, float(price.max()), float(price.min()), last, float(size.sum()), buy, len(rows)])
                )
            elif flat and last == last:
                out.append((time, [last, last, last, last, 0.0, 0.0, 0]))
        return out


@cache
def make(trades: int = 20_000, hours: int = 24, seed: int = 7, start: int = START, hole: bool = True) -> Tape:
    """A tape: four in five trades alone, the others in clusters of one millisecond; nothing from hour 10 to 12."""
    rng = np.random.default_rng(seed)
    times: list[int] = []
    while len(times) < trades:
        time = start + int(rng.integers(0, hours * HOUR))
        if hole and start + 10 * HOUR <= time < start + 12 * HOUR:
            continue
        times += [time] * (1 if rng.random() < 0.8 else int(rng.integers(2, 40)))
    time = np.sort(np.array(times[:trades], np.int64))
    price = np.round(60_000.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-4, trades))), 1)
    size = np.round(rng.exponential(0.05, trades) + 0.001, 3)
    return Tape(time, np.arange(trades, dtype=np.int64) + 1_000_001, price, size, rng.random(trades) < 0.5)


def in_one_second(tape: Tape, at: int, trades: int) -> Tape:
    """The tape with that many trades more within one second, numbered like the others."""
    time = np.sort(np.concatenate([tape.time, at // 1000 * 1000 + np.arange(trades) * 999 // trades]))
    rows = np.arange(len(time)) % len(tape)
    return Tape(time, np.arange(len(time)) + tape.id[0], tape.price[rows], tape.size[rows], tape.sell[rows])
