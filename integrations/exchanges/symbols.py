"""Symbols as people write them, found among a venue's markets."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

Market = Mapping[str, Any]

MARKETS = ("perpetual", "inverse", "spot")
_BASES = {"XBT": "BTC", "XDG": "DOGE", "XETH": "ETH"}
_DOLLARS = ("USDT", "USDC", "USD")  # in the order in which they are taken for a dollar of a perpetual
_SWAP = re.compile(r"[-_/.]?(PERPETUAL|PERP|SWAP)$", re.IGNORECASE)
_SPLIT = re.compile(r"[-_/]")
_THOUSAND = re.compile(r"^(1000|k)(?=[A-Z]{2})")  # kPEPE and 1000PEPE are a thousand PEPE


def find_market(markets: Mapping[str, Market], symbol: str, market: str | None = None) -> tuple[Market, bool]:
    """(the market that a symbol means, whether it was this function that chose its type).

    markets   of ccxt, by unified symbol
    market    perpetual (linear), inverse or spot; None: what the symbol says, else the linear perpetual, else spot

    Raises ValueError for a symbol or a market type that the venue does not have, with the nearest that it has.
    """
    if market is not None and market not in MARKETS:
        raise ValueError(f"market: found {market!r}, allowed {', '.join(MARKETS)} or None")
    if not isinstance(symbol, str) or not symbol.strip():
        raise ValueError(f"symbol: found {symbol!r}, allowed the name of a market such as BTC-USDT")
    text = symbol.strip()
    said = _said(markets, text)
    if said is not None and market in (None, _type_of(said)):
        return said, False
    base, quote, is_swap = _parts(text, {str(one["base"]).upper() for one in markets.values()})
    known = [one for one in markets.values() if _type_of(one) in MARKETS]
    found = (
        [one for one in known if _is_named(one, base.upper(), quote)]
        or [one for one in known if _is_named(one, _THOUSAND.sub("", base).upper(), quote, thousands=True)]
        or [one for one in known if one["id"] == text]
    )
    if not found:
        raise ValueError(_unknown(text, base.upper(), markets))
    wanted = [market] if market else ["perpetual", "inverse"] if is_swap else ["perpetual", "spot", "inverse"]
    for one_type in wanted:
        of_type = [one for one in found if _type_of(one) == one_type and _quote_fits(one, quote, one_type)]
        if of_type:
            return min(of_type, key=lambda one: _rank(one, quote)), market is None
    there = sorted({str(one["symbol"]) for one in found})
    raise ValueError(f"symbol: {text!r} has no {market or wanted[0]} market there, found {', '.join(there[:6])}")


def kind_of(market: Market) -> str:
    """What a market of ccxt's is: spot, linear or inverse."""
    return "spot" if market["spot"] else "linear" if market["linear"] else "inverse"


def _said(markets: Mapping[str, Market], text: str) -> Market | None:
    """The one market that a symbol names by itself: by a unified symbol of a contract, or by the venue's own id."""
    if text in markets and ":" in text:
        return markets[text]
    named = [one for one in markets.values() if one["id"] == text]
    return named[0] if len(named) == 1 and _type_of(named[0]) != "spot" else None


def _type_of(market: Market) -> str:
    if market.get("spot"):
        return "spot"
    if market.get("swap") and market.get("linear"):
        return "perpetual"
    return "inverse" if market.get("swap") and market.get("inverse") else str(market.get("type"))


def _parts(text: str, bases: set[str]) -> tuple[str, str, bool]:
    """(base as it is written, quote in capitals or "", whether it says perpetual) of a symbol."""
    is_swap = _SWAP.search(text) is not None
    text = _SWAP.sub("", text).partition(":")[0]
    base, *rest = [part for part in _SPLIT.split(text) if part] or [text]
    quote = "/".join(rest).upper()
    if not quote and base.upper() not in bases and base.upper() not in _BASES:
        for ending in (*_DOLLARS, "EUR", "GBP", "BTC", "ETH"):
            if base.upper().endswith(ending) and len(base) > len(ending):
                base, quote = base[: -len(ending)], ending
                break
    return _BASES.get(base.upper(), base), _BASES.get(quote, quote), is_swap


def _is_named(market: Market, base: str, quote: str, thousands: bool = False) -> bool:
    """Whether a market is of a base, in capitals, and of a quote, or of one that stands for it."""
    mine = str(market.get("baseName") or market["base"])
    if thousands:
        mine = _THOUSAND.sub("", mine)
    right = not quote or market["quote"] == quote or {market["quote"], quote} <= set(_DOLLARS)
    return mine.upper() == base and right


def _quote_fits(market: Market, quote: str, one_type: str) -> bool:
    """A spot market must have the quote that was asked for; to a perpetual a dollar is a dollar."""
    return one_type != "spot" or not quote or market["quote"] == quote


def _rank(market: Market, quote: str) -> tuple[bool, bool, int, str]:
    mine = str(market["quote"])
    known = _DOLLARS.index(mine) if mine in _DOLLARS else len(_DOLLARS)
    return (market.get("active") is False, bool(quote) and mine != quote, known, str(market["symbol"]))


def _unknown(text: str, base: str, markets: Mapping[str, Market]) -> str:
    of_base: dict[str, list[str]] = {}
    for one in markets.values():
        if _type_of(one) in MARKETS:
            of_base.setdefault(str(one["base"]).upper(), []).append(str(one["symbol"]))
    near = of_base.get(base) or _first(of_base[name] for name in difflib.get_close_matches(base, of_base, 3, 0.5))
    hint = f"did you mean {', '.join(near[:4])}?" if near else f"one of {len(markets)}, such as {_some(markets)}"
    return f"symbol: found {text!r}, allowed a market of the venue: {hint}"


def _first(lists: Iterable[list[str]]) -> list[str]:
    return [names[0] for names in lists]


def _some(markets: Mapping[str, Market]) -> str:
    return ", ".join(list(markets)[:3])
