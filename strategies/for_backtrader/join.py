"""Join: follow a broken zone's retest."""

from __future__ import annotations

from .base import ZoneStrategy

__all__ = ["ZoneJoin"]


class ZoneJoin(ZoneStrategy):
    """A strategy that enters a broken zone's mark when it is first touched from its far side; one position at a time.

    When ``join`` is +1 (broken upwards, touched from above: long) or -1 (short), flat, and no order waits: at the next
    open. The stop lies beyond the far edge of the mark's band; a bar that closed beyond it is not entered.

    Params, size and exit: see ``ZoneStrategy``.

    >>> result = backtest(bars, ZoneJoin)
    >>> len(result.trades), round(result.total_return, 3)
    (12, -0.058)
    """

    def look_for_entry(self) -> None:
        if not self.position and not self.is_waiting():
            self.enter(self.zones.join[0], self.zones.join_low[0], self.zones.join_high[0])
