"""How a venue's answers become the columns of the tables that a fetch gives: ``store.kinds``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from liquidator_core.layout import LONG, SHORT

from ..market.names import SIDES
from ..market.venues import VENUES

_TAKER = {1: "buy", -1: "sell"}
_WHO = {LONG: "long", SHORT: "short"}
#: Where ccxt's amounts are not contracts of the size that it tells, but coins, and dollars of inverse markets.
_UNITS = ("apex", "bitrue", "coinbaseinternational", "deribit", "lighter", "weex", "xt")
_ALL_COINS = ("bitget",)  # of inverse markets, too
_BOTH_SIDES = ("htx",)  # whose contracts are counted twice, for who bought and who sold
_BOTH_SIDES_OPEN = ("bybiteu", "bybitid", "htx")  # and whose open interest is


def numbers(values: Sequence[Any]) -> np.ndarray:
    """Numbers that an answer holds as text or as they are: (n,) float64, each the nearest to its decimal digits."""
    return np.fromiter(map(float, values), np.float64, len(values))


def whole(values: Sequence[Any]) -> np.ndarray:
    """Whole numbers that an answer holds as text or as they are: (n,) int64."""
    return np.fromiter(map(int, values), np.int64, len(values))


def iso_ms(values: Sequence[str]) -> np.ndarray:
    """ISO 8601 times with a zone, to the millisecond below."""
    ns: np.ndarray = pa.array(values, pa.string()).cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_numpy()
    return ns // 1_000_000


def takers(words: Sequence[Any], venue: str = "") -> list[str]:
    """The side of the taker, ``buy`` or ``sell``, from a venue's words for it. Raises KeyError for another word."""
    kind = VENUES.get(venue)
    meaning = kind.sides if kind is not None and kind.sides is not None else SIDES
    known = {word: _TAKER[meaning[str(word).lower()]] for word in set(words)}
    return [known[word] for word in words]


def makers(bought: Sequence[bool]) -> list[str]:
    """The side of the taker, from whether the maker bought."""
    return [_TAKER[-1] if one else _TAKER[1] for one in bought]


def closed(side: int) -> str:
    """Who was liquidated, ``long`` or ``short``."""
    return _WHO[side]


def sized(market: Mapping[str, Any], amount: np.ndarray, price: np.ndarray, venue: str = "") -> dict[str, np.ndarray]:
    """Sizes in base coins from what a venue counts: contracts of a market's size, or coins.

    Those of an inverse market are dollars: ``usd`` is told, too, and ``size`` is that at the trade's price.

    venue   whose amounts may be others than its markets tell; "": as these tell
    """
    worth = worth_of(market, venue)
    value = amount if worth is None else worth(amount)
    return {"size": value / price, "usd": value} if is_in_dollars(market, venue) else {"size": value}


def open_amount(answer: Mapping[str, Any], venue: str) -> float:
    """Open interest of one side, from ccxt's ``openInterestAmount``."""
    return float(answer["openInterestAmount"]) / (2.0 if venue in _BOTH_SIDES_OPEN else 1.0)


def is_in_dollars(market: Mapping[str, Any], venue: str = "") -> bool:
    """Whether the amounts of a market are dollars."""
    return bool(market.get("contract") and market.get("inverse")) and venue not in _ALL_COINS


def worth_of(market: Mapping[str, Any], venue: str = "") -> Callable[[Any], Any] | None:
    """What makes of a market's amounts, a number or (n,), base coins or dollars; None: they are that.

    Raises ValueError for a market whose amounts ccxt reads wrong, or whose contracts are of unsaid size.
    """
    if venue == "phemex" and market.get("inverse"):
        raise ValueError(f"{venue}: what ccxt makes of the amounts of {market['symbol']} cannot be used")
    in_contracts = market.get("contract") and venue not in _UNITS
    if in_contracts and not market.get("contractSize"):
        raise ValueError(f"symbol: nothing says how large the contracts of {market['symbol']} are")
    unit = float(market["contractSize"]) if in_contracts else 1.0
    if market.get("contract") and venue in _BOTH_SIDES:
        unit /= 2.0
    parts = round(1.0 / unit)
    if unit == 1.0:
        return None
    if parts > 1 and 1.0 / parts == unit:
        return lambda amount: amount / parts  # 5 x 0.01 is not 0.05, 5 / 100 is
    return lambda amount: amount * unit


def rows_of(answer: Any, *path: str) -> list[Any]:
    """The list that an answer holds under these names. Raises TypeError or KeyError for another answer."""
    for name in path:
        answer = answer[name]
    if not isinstance(answer, list):
        raise TypeError(f"found {type(answer).__name__}, allowed a list")
    return answer


def column(rows: Sequence[Any], name: Any, read: Callable[[list[Any]], Any] = numbers) -> Any:
    """One field of every row."""
    return read([row[name] for row in rows])
