"""One market of one venue: which of its trades are new, what is missing between them, and how they arrive."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..exchanges.tables import is_in_dollars, worth_of
from ..market.funding import told_hours, usual_hours
from .health import Health
from .said import Liquidation, Row

_REMEMBERED = 20_000  # ids of a market whose ids do not chain
_FIRST_MS, _DAY_MS = 10**11, 86_400_000  # a trade is not older than 1973, and at most a day ahead
_IDS = 2**63
MINUTES = 1440  # of trades are remembered, by what they were worth
MINUTE_MS = 60_000
_AHEAD_MS = 600_000  # this far beyond the clock and a market's last trade is no time, unless the next one has it, too
_ANEW_MS = 60_000  # an id below the last this long after it: the venue numbers anew


def is_moment(time: int, receipt: int) -> bool:
    """Whether something may be of a time, ms, that is told at another."""
    return _FIRST_MS <= time <= receipt + _DAY_MS


def is_event(said: Row | Liquidation, receipt: int) -> bool:
    """Whether a trade or a liquidation has a price, an amount and a time that can be."""
    return 0.0 < said.price < math.inf and 0.0 < said.amount < math.inf and is_moment(said.time, receipt)


class Mark(NamedTuple):
    """Where a market's trades were left."""

    time: int
    id: Any  # None: not known


@dataclass(eq=False)
class Gap:
    """Trades that may be missing after ``left`` and before ``right``.

    opened   when trades were last known to be missing, ms
    right    None: no trade has come since
    filled   True, False or "store"; None as long as it is open
    page     what was fetched of it while it was open, the moments at its ends included
    rows     what of that counts
    """

    channel: Channel
    left: Mark
    opened: int
    right: Mark | None = None
    filled: bool | str | None = None
    page: list[Row] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    deadline: float = 0.0  # of the loop's time: until then trades after it wait
    overlapped: bool = False  # the venue has sent the trade before it again
    told: dict[str, Any] | None = None  # its row of ``gaps()``

    @property
    def is_open(self) -> bool:
        """Whether trades wait for it."""
        return self.filled is None

    @property
    def is_whole(self) -> bool:
        """Whether the stream itself shows that nothing is missing."""
        ends_before = self.left.id is None and self.right is not None and self.right.time < self.left.time
        return self.overlapped or self.missing == 0.0 or ends_before

    @property
    def missing(self) -> float:
        """How many, where ids tell; else NaN."""
        if self.channel.chained and self.right is not None and self.left.id is not None and self.right.id is not None:
            return float(self.right.id - self.left.id - 1) if self.right.id > self.left.id else math.nan
        return math.nan

    def row(self, until: int) -> dict[str, Any]:
        """As ``gaps()`` and ``on_gap`` tell it."""
        channel = self.channel
        end = until if self.right is None else max(self.left.time, self.right.time)
        named = {"venue": channel.venue, "symbol": channel.symbol, "kind": "trades"}
        return {**named, "since": self.left.time, "until": end, "missing": self.missing, "filled": self.filled}


class Channel:
    """A market's trades on their way.

    market    ccxt's
    chained   whether its ids follow each other, so that a gap shows in them
    numbered  whether its ids are numbers
    feed      what of its liquidations is told: full, sampled or none
    """

    def __init__(self, venue: str, market: Any, sink: Any, chained: bool, numbered: bool, feed: str, now: int) -> None:
        self.venue = venue
        self.symbol = str(market["symbol"])
        self.key = venue, self.symbol
        self.market = market
        self.sink = sink
        self.chained = chained
        self.numbered = numbered
        self.liquidation_feed = feed
        self.health = Health(now)
        self.state: str | None = None  # as it was last told
        self.last: Mark | None = None
        self.gaps: list[Gap] = []  # whose trades are not known yet, in order; replaced, as other threads read it
        self.stands = asyncio.Event()  # a connection delivers all of it
        self.stood = now  # since when, if one does
        self.began = now
        self.mark: float | None = None
        told = told_hours(market.get("info") or {}) or usual_hours(venue)
        self.funding_hours: float | None = told  # that a rate is for; None: not known yet, and rates are left out
        self.funding_due: int | None = None  # when it is paid next, ms
        self.counts = {"trades": 0, "liquidations": 0, "gaps": 0, "dropped": 0}
        self.raw_usd = {"long": 0.0, "short": 0.0}
        self.traded: dict[int, float] = {}  # USD by the minute
        self.queued = 0
        self._seen: OrderedDict[Any, None] = OrderedDict()
        self.ahead: Row | None = None  # the last trade, if that was left out as far ahead
        self._worth = worth_of(market, venue)
        self._in_dollars = is_in_dollars(market, venue)
        self._is_plain = self._worth is None and not self._in_dollars  # amounts are base coins

    @property
    def gap(self) -> Gap | None:
        """The latest whose trades are not known yet: the only one that may be without an end."""
        return self.gaps[-1] if self.gaps else None

    def settled(self, gap: Gap) -> None:
        """A gap has its trades, or is given up and has its end."""
        self.gaps = [one for one in self.gaps if one is not gap]

    def health_row(self, now: int) -> dict[str, Any]:
        """Its row of ``health()``."""
        last = None if self.last is None else self.last.time
        row = {"venue": self.venue, "symbol": self.symbol, "state": self.health.state(now), "last_trade": last}
        row |= {"last_message": self.health.last_message, **self.counts, "queue": self.queued}
        row |= {"liquidation_feed": self.liquidation_feed}
        return row | {f"raw_{side}_usd": usd for side, usd in self.raw_usd.items()}

    def is_ahead(self, time: int, receipt: int) -> bool:
        """Whether a time, told at another, lies far ahead of that and of the last trade."""
        return time > receipt + _AHEAD_MS and self.last is not None and time > self.last.time + _AHEAD_MS

    def _is_confirmed(self, row: Row) -> bool:
        """Whether the trade before, another one, was left out for a time like this one's."""
        before = self.ahead
        return before is not None and before.id != row.id and abs(row.time - before.time) <= _AHEAD_MS

    def converted(self, rows: Sequence[Row], receipt: int) -> list[Row]:
        """Rows in base coins, those that are no trades left out."""
        good = []
        for row in rows:
            if is_event(row, receipt) and (not self.numbered or abs(row.id) < _IDS):
                if self.is_ahead(row.time, receipt) and not self._is_confirmed(row):
                    continue
                if not self._is_plain:
                    row = row._replace(amount=self.coins(row.amount, row.price))
                if 0.0 < row.price * row.amount < math.inf:
                    good.append(row)
        return good

    def count(self, rows: Sequence[Row]) -> None:
        """Count trades of base coins that are new, and the USD traded in each minute."""
        self.counts["trades"] += len(rows)
        traded = self.traded
        for row in rows:
            minute = row.time // MINUTE_MS
            traded[minute] = traded.get(minute, 0.0) + row.price * row.amount
        while len(traded) > MINUTES:
            del traded[min(traded)]

    def coins(self, amount: float, price: float) -> float:
        """Base coins of an amount as the venue counts it."""
        worth = amount if self._worth is None else self._worth(amount)
        return float(worth / price if self._in_dollars else worth)

    def worth(self, amount: float, price: float) -> float:
        """USD of an amount as the venue counts it."""
        return price * self.coins(amount, price)

    def sift(self, rows: list[Row], now: int) -> tuple[list[Row], Gap | None]:
        """(the rows that are new, a gap that lies before the first of them, if there is one that was not known)."""
        new = self._not_seen(rows)
        known = self.gap
        if known is not None and known.right is None and known.left.id is not None:
            known.overlapped |= any(row.id == known.left.id for row in rows)
        if not new:
            return new, None
        first, gap = new[0], None
        if known is not None and known.right is None:
            known.right = Mark(first.time, first.id)
        elif self.chained and self.last is not None and self.last.id is not None and first.id != self.last.id + 1:
            gap = Gap(self, self.last, now, Mark(first.time, first.id))
            self.gaps = [*self.gaps, gap]
        self._remember(new)
        return new, gap

    def _not_seen(self, rows: list[Row]) -> list[Row]:
        if not self.chained:
            if len(rows) == 1:
                return [] if rows[0].id in self._seen else rows
            first = {row.id: place for place, row in reversed(list(enumerate(rows)))}
            return [row for place, row in enumerate(rows) if first[row.id] == place and row.id not in self._seen]
        last = self.last
        if last is None or last.id is None:
            return rows
        new = []
        for row in rows:
            if row.id > last.id or row.time > last.time + _ANEW_MS:
                new.append(row)
                last = Mark(row.time, row.id)
        return new

    def _remember(self, rows: Sequence[Row]) -> None:
        last = rows[-1]
        self.last = Mark(last.time, last.id)
        if self.chained:
            return
        for row in rows:
            self._seen[row.id] = None
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def resume(self, rows: Sequence[Row]) -> list[Row]:
        """Those of rows fetched before the stream begins, in order, that are new; the stream goes on from the last."""
        new = self._not_seen(list(rows))
        if new:
            self._remember(new)
        return new

    def missing(self, gap: Gap, rows: Sequence[Row]) -> list[Row]:
        """Those of rows that lie in a gap and that nobody had, in order."""
        left, right = gap.left, gap.right
        new = []
        for row in rows:
            if self.chained and left.id is not None:
                inside = row.id > left.id
            else:
                inside = row.time >= left.time and (right is None or row.time <= right.time)
            if self.chained and right is not None and right.id is not None:
                inside = inside and row.id < right.id
            if inside and row.id not in self._seen and (left.id is None or row.id != left.id):
                new.append(row)
        return new

    def fill(self, gap: Gap, rows: Sequence[Row]) -> list[Row]:
        """Take those of rows that are ``missing``; the market goes on from them if nothing came since."""
        new = self.missing(gap, rows)
        if new and gap.right is None:
            self._remember(new)
        elif not self.chained:
            self._seen.update(dict.fromkeys(row.id for row in new))
        return new

    def narrow(self, gap: Gap, rows: Sequence[Row]) -> list[Row]:
        """Take those of an unfilled gap's rows that reach to its end without a hole; the gap ends before them."""
        right = gap.right
        if self.chained or right is None or all(row.id != right.id for row in rows):
            return []
        new = self.fill(gap, rows)
        if new:
            gap.right = Mark(new[0].time, new[0].id)
        return new

    def lost(self, now: int) -> Gap | None:
        """The connection broke: a gap from the last trade on; None if one is open in which no trade came since."""
        known = self.gap
        if known is not None and known.right is None:
            known.opened, known.overlapped = now, False
            return None
        gap = Gap(self, self.last or Mark(self.began, None), now)
        self.gaps = [*self.gaps, gap]
        return gap
