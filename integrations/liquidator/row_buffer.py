"""Growing rows in order of time, and the ids of what was seen."""

from __future__ import annotations

import numpy as np

from ..market.columns import NO_ID
from ..market.trades import ROUNDING_MS, firsts

SEEN = np.dtype([("time", "i8"), ("id", "i8")])
_KEPT_IDS = 1000  # pushed ids that are looked up one by one before they join the rest


class RowBuffer:
    """Rows of a structured array in order of ``time``; added behind or in between, cut off behind, dropped in front.

    ``first`` is the position of the first row that is still there, ``epoch`` changes whenever rows are cut off or put
    in between: what was worked out from them no longer holds.
    """

    def __init__(self, rows: np.ndarray, first: int = 0) -> None:
        self._room = rows
        self._length = len(rows)
        self._lasting = 0  # rows in front that are not to be written over
        self.first = first
        self.epoch = 0

    @property
    def rows(self) -> np.ndarray:
        """(n,) rows, the very memory: not to be changed."""
        return self._room[: self._length]

    def lasting(self) -> np.ndarray:
        """(n,) rows as they are now, whatever becomes of them here; not to be changed. Cost: none as yet."""
        self._lasting = max(self._lasting, self._length)
        return self.rows

    @property
    def time(self) -> np.ndarray:
        """(n,) int64 ms."""
        return self.rows["time"]

    @property
    def end(self) -> int:
        """Position behind the last row."""
        return self.first + self._length

    def append(self, rows: np.ndarray) -> None:
        """Add rows that are not earlier than any other. Cost: theirs, on average."""
        length = self._length + len(rows)
        if length > len(self._room) or self._length < self._lasting:
            room = np.zeros(max(length, 2 * self._length, 64), self._room.dtype)
            room[: self._length] = self.rows
            self._room, self._lasting = room, 0
        self._room[self._length : length] = rows
        self._length = length

    def put(self, rows: np.ndarray, unique: bool = True) -> None:
        """Add rows in order of time; ``unique``: of one time the last given stays. Cost: theirs and of later ones."""
        if len(rows) == 0:
            return
        keep = int(np.searchsorted(self.time, rows["time"][0], side="left" if unique else "right"))
        if keep < self._length:
            rows = np.concatenate([self.rows[keep:], rows])
            rows = rows[np.argsort(rows["time"], kind="stable")]
            self._length = keep
            self.epoch += 1
        self.append(rows[np.r_[np.diff(rows["time"]) > 0, True]] if unique else rows)

    def remove_from(self, time: int) -> None:
        """Take away the rows from a time on."""
        keep = int(np.searchsorted(self.time, time))
        if keep < self._length:
            self._length = keep
            self.epoch += 1

    def keep_last(self, keep: int) -> None:
        """Forget all but the last ``keep`` rows, once there are twice as many."""
        if self._length > 2 * keep:
            self.forget(self._length - keep)

    def forget(self, count: int) -> None:
        """Forget the first ``count`` rows."""
        if count:
            self.first += count
            self._room, self._lasting = self.rows[count:].copy(), 0
            self._length -= count

    def keep_until(self, time: int, most: int) -> None:
        """Take away what is later than a time, but for ``most`` rows."""
        keep = int(np.searchsorted(self.time, time, side="right")) + most
        if keep < self._length:
            self._length = keep
            self.epoch += 1

    def forget_before(self, time: int) -> None:
        """Forget the rows before a time, once they are half of all."""
        early = int(np.searchsorted(self.time, time))
        if 2 * early >= self._length:
            self.keep_last(self._length - early)


class Seen:
    """Ids of one venue's events, so that what is delivered twice counts once.

    An event has one time, give or take ``ROUNDING_MS``: the same id at another time is another event.
    """

    def __init__(self, events: np.ndarray | None = None) -> None:
        self.events = RowBuffer(np.zeros(0, SEEN) if events is None else events)
        self._recent: dict[int, int] = {}

    def is_new(self, time: int, ident: int) -> bool:
        """Whether an event was not seen before; it is from now on."""
        if ident in self._recent:
            if abs(time - self._recent[ident]) <= ROUNDING_MS:
                return False
            self.settle()
        known = self.events.time
        if len(known) and time <= known[-1] + ROUNDING_MS and (self._near(time, time)["id"] == ident).any():
            return False
        self._recent[ident] = time
        if len(self._recent) > _KEPT_IDS:
            self.settle()
        return True

    def new(self, times: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Which of many events are neither seen before nor repeated among themselves, (n,) bool; all are seen now."""
        self.settle()
        near = self._near(int(times.min()), int(times.max()))
        twice = np.isin(ids, near["id"])
        if not (np.diff(ids) > 0).all():
            order = np.argsort(ids, kind="stable")
            same = np.diff(ids[order]) == 0
            twice[order[1:][same]] = twice[order[:-1][same]] = True
        twice &= ids != NO_ID
        fresh = ids != NO_ID
        if twice.any():
            old = near[np.isin(near["id"], ids[twice])]
            fresh[twice] = firsts(np.r_[old["time"], times[twice]], np.r_[old["id"], ids[twice]])[len(old) :]
        self._add(times[fresh], ids[fresh])
        new: np.ndarray = fresh | (ids == NO_ID)
        return new

    def settle(self) -> None:
        """Let what came one by one join the rest."""
        recent, self._recent = self._recent, {}
        self._add(np.array(list(recent.values()), np.int64), np.array(list(recent), np.int64))

    def _near(self, first: int, last: int) -> np.ndarray:
        """The events seen from one time to another, give or take the rounding."""
        low = int(np.searchsorted(self.events.time, first - ROUNDING_MS))
        return self.events.rows[low : np.searchsorted(self.events.time, last + ROUNDING_MS, side="right")]

    def _add(self, times: np.ndarray, ids: np.ndarray) -> None:
        events = np.zeros(len(times), SEEN)
        events["time"], events["id"] = times, ids
        self.events.put(events[np.argsort(times, kind="stable")], unique=False)
