"""Trades whose time lies far ahead of all others, until others say that it is so.

A trade more than a day after every trade before it waits until two more lie within an hour of it; then they count
together. One with a wrong time therefore closes no bar. In batch the trades before are those of earlier times, in
streaming those that came earlier.
"""

from __future__ import annotations

import numpy as np

from ..market.columns import NO_ID
from ..market.trades import One

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
_MOST_WAITING = 100  # in streaming

#: A trade that waits in streaming; ``venue`` is its number.
WAITING = np.dtype(
    [
        *(("time", "i8"), ("price", "f8"), ("size", "f8"), ("side", "i8")),
        *(("id", "i8"), ("ordered", "i8"), ("venue", "i8")),
    ],
    align=True,
)


def believed(time: np.ndarray, who: np.ndarray, last: int | None) -> np.ndarray:
    """Which trades count in batch, (n,) bool.

    time   (n,) int64 ms in order
    who    (n,) int64, what tells trades from each other that are not to be each other's witness; 0: tells nothing
    last   time of the last trade before them; None: there is none, and the first of them counts
    """
    before = np.r_[time[0] if last is None else last, time[:-1]]
    leaps = np.flatnonzero(time - before > DAY_MS)
    counts = np.ones(len(time), np.bool_)
    if len(leaps) == 0:
        return counts
    trios = _trios(time, who)
    for leap in leaps:
        at = int(leap)
        if not counts[at]:
            continue  # lies before a trio that was found already
        place = int(np.searchsorted(trios, at))
        first = int(trios[place]) if place < len(trios) else len(time)
        counts[at:first] = False
    return counts


def _trios(time: np.ndarray, who: np.ndarray) -> np.ndarray:
    """Where three trades begin of which the middle one lies within an hour of both others."""
    near = np.diff(time) <= HOUR_MS
    twice = (who[1:] == who[:-1]) & (who[1:] != 0)
    around = (who[2:] == who[:-2]) & (who[2:] != 0)
    return np.flatnonzero((near & ~twice)[:-1] & (near & ~twice)[1:] & ~around)


class Waiting:
    """Streaming: the trades that wait, in order of arrival."""

    def __init__(self) -> None:
        self.trades: list[tuple[One, int]] = []  # with the number of their venue

    def offer(self, one: One, venue: int) -> tuple[list[tuple[One, int]], bool]:
        """Have a trade wait: (those that count by it, in order of time; whether it came before)."""
        near = [place for place, (other, _) in enumerate(self.trades) if abs(other.time - one.time) <= 2 * HOUR_MS]
        if one.id != NO_ID:
            for place in near:
                other, whose = self.trades[place]
                if whose == venue and other.id == one.id:
                    return [], True
        self.trades.append((one, venue))
        near.append(len(self.trades) - 1)
        near.sort(key=lambda place: self.trades[place][0].time)
        times = np.array([self.trades[place][0].time for place in near])
        trios = _trios(times, np.zeros(len(times), np.int64))
        if len(trios) == 0:
            return [], False
        sure = {near[first + i] for first in trios for i in range(3)}
        counting = [self.trades[place] for place in near if place in sure]
        self.trades = [trade for place, trade in enumerate(self.trades) if place not in sure]
        return counting, False

    def forget(self, closed: int) -> int:
        """Give up those whose bar is closed, and the oldest of too many; how many that were."""
        left = [trade for trade in self.trades if trade[0].time >= closed][-_MOST_WAITING:]
        gone = len(self.trades) - len(left)
        self.trades = left
        return gone

    def rows(self) -> np.ndarray:
        """(n,) WAITING, for a file."""
        rows = np.zeros(len(self.trades), WAITING)
        for row, (one, venue) in zip(rows, self.trades, strict=True):
            row["time"], row["price"], row["size"], row["side"] = one.time, one.price, one.size, one.side
            row["id"], row["ordered"], row["venue"] = one.id, one.ordered, venue
        return rows

    def restore(self, rows: np.ndarray) -> None:
        """Take over what ``rows`` gave."""
        self.trades = [
            (One(time, price, size, side, ident, bool(ordered)), venue)
            for time, price, size, side, ident, ordered, venue in rows.tolist()
        ]
