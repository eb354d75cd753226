"""How long and how much: what a stream waits for, keeps and believes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

HOUR_MS = 3_600_000


def wall_ms() -> int:
    """The time of this machine, ms UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Limits:
    """Seconds, unless a name says otherwise.

    hold_s       for how long trades and liquidations wait while a gap is filled
    most_held    how many of them wait at most; what would be more ends the wait
    flush_s      between two writes of what was captured
    save_s       between two saves of the state
    silence_s    without any frame after which a connection counts as dead
    life_s       after which a connection is replaced by one that overlaps with it
    steady_s     for which a connection must have lived for the next one to be made without a wait
    first_wait   before the second attempt to connect, doubled up to ``longest_wait``
    longest_late  between two of the ``late_attempts`` at a gap that was given up, which take a day
    quiet_s      after a reconnect in which a market without a trade is believed to have had none
    funding_s    for which a venue may take to tell its intervals of funding
    catch_up_ms  how far back a restart asks for trades
    poll_s       between two questions for what a venue does not stream
    callback_s   for how long a callback of a gap is waited for before trades go on
    now          the time in ms
    """

    hold_s: float = 30.0
    most_held: int = 200_000
    flush_s: float = 1.0
    save_s: float = 60.0
    silence_s: float = 45.0
    ping_s: float = 15.0
    life_s: float = 23 * 3600.0
    overlap_s: float = 5.0
    steady_s: float = 10.0
    first_wait: float = 0.5
    longest_wait: float = 30.0
    quiet_s: float = 3.0
    longest_late: float = 3600.0
    late_attempts: int = 36
    funding_s: float = 5.0
    catch_up_ms: int = 24 * HOUR_MS
    poll_s: float = 60.0
    callback_s: float = 5.0
    now: Callable[[], int] = wall_ms


LIMITS = Limits()
