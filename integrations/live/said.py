"""What a frame of a venue says, as a venue's module reads it; markets go by the venue's own ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple


class Link(NamedTuple):
    """A connection to make.

    url         where; of the instance's own ``urls``
    subscribe   texts to send once it stands
    ping        text that keeps it open, and that is answered
    trades      whether trades come by it
    markets     the venue's name of each market it is of -> ccxt's
    others      whether liquidations and readings come by it
    """

    url: str
    subscribe: list[str]
    ping: str
    trades: bool
    markets: Mapping[str, str]
    others: bool = True


class Row(NamedTuple):
    """A public trade."""

    time: int  # ms UTC
    price: float
    amount: float  # as the venue counts, contracts or coins
    side: int  # of the taker, +1 it bought
    id: Any  # a number, or text


class Trades(NamedTuple):
    """Public trades of a market, in order."""

    market: str
    rows: list[Row]


class Liquidation(NamedTuple):
    """A forced close. ``price`` is that of bankruptcy where the venue's module says so."""

    market: str
    time: int
    price: float
    amount: float
    side: str  # who was liquidated: long or short


class Reading(NamedTuple):
    """A value of ``kind``: mark, funding, open_interest (coins) or contracts (open interest as amounts are counted).

    hours   of funding, that the rate is for, where it is told
    due     of funding, when it is paid next, ms, where it is told
    """

    market: str
    kind: str
    time: int | None  # None: the venue does not say, it is that of receipt
    value: float
    hours: float | None = None
    due: int | None = None


Said = Trades | Liquidation | Reading


class Refused(Exception):  # noqa: N818
    """The venue refuses what was subscribed to."""


def in_parts(these: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    """At most so many of these after the other."""
    for start in range(0, len(these), most):
        yield these[start : start + most]
