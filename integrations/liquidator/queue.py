"""Trades that wait for their bar to close, in order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from liquidator_core import TRADE

ORDER = np.dtype([("venue", "i8"), ("rank", "i8")])


class Queue(NamedTuple):
    """Trades with what orders those of one time."""

    trades: np.ndarray  # (n,) TRADE
    order: np.ndarray | None  # (n,) ORDER; None: all of one venue, in order of arrival


class Kept(NamedTuple):
    """Closed trades, and the tape as it was before them."""

    queue: Queue
    tape: np.ndarray


def part_of_queue(queue: Queue, rows: slice) -> Queue:
    return Queue(queue.trades[rows], None if queue.order is None else queue.order[rows])


def taken_from_queue(queue: Queue, rows: np.ndarray) -> Queue:
    """The trades that a (n,) bool marks, a copy."""
    return Queue(queue.trades[rows], None if queue.order is None else queue.order[rows])


def copy_queue(queue: Queue) -> Queue:
    return Queue(queue.trades.copy(), None if queue.order is None else queue.order.copy())


def in_order(queues: list[Queue], names: np.ndarray) -> bool:
    """Whether they lie behind each other by (time, venue, id); ``names`` are the venues' places by name."""
    last: tuple[int, ...] = (0, 0, 0)
    for trades, order in queues:
        keys = [trades["time"]] if order is None else [trades["time"], names[order["venue"]], order["rank"]]
        first, end = (tuple(int(key[row]) for key in keys) for row in (0, -1))
        if (*first, 0, 0)[:3] < last:
            return False
        last = (*end, 0, 0)[:3]
        back, same = np.zeros(len(trades) - 1, np.bool_), True
        for key in keys:
            back |= same & (key[1:] < key[:-1])
            same = same & (key[1:] == key[:-1])
        if back.any():
            return False
    return True


def joined_queues(queues: list[Queue]) -> Queue:
    """Several parts in order as one."""
    if len(queues) == 1:
        return queues[0]
    if not queues:
        return Queue(np.zeros(0, TRADE), None)
    trades = np.concatenate([queue.trades for queue in queues])
    if all(queue.order is None for queue in queues):
        return Queue(trades, None)
    parts = [np.zeros(len(q.trades), ORDER) if q.order is None else q.order for q in queues]
    return Queue(trades, np.concatenate(parts))
