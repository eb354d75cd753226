"""Venues: the names they go by, what each one calls things, and what its sizes count."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from liquidator_core._suggest import suggestion

from .coins import Kind, market_of
from .messages import TableError
from .names import BASE_SIZE, BASE_SIZES, SIDES, TRADE_NAMES, needed_name, normal_name

Unit = Literal["base", "quote", "contracts", "unsaid"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Venue:
    """What sets a venue's trades apart from the usual.

    names        names that go before the usual ones, a field; sizes under these are base units
    columns      the places of a trade that comes as a list
    sides        what its words for a side mean
    signed       the side is the sign of the size
    linear       what the sizes of contracts count that are settled in the quote currency; of spot it is base units
    inverse      of contracts that are settled in the coin
    usd, bare    which of them are its contracts whose name ends in USD, and those whose name has no currency;
                 "derivative": either
    contracts    pattern of the names of a trade's fields and of its market where contracts of unsaid size are counted
    derivatives  pattern of the markets that are derivatives though their names look like spot
    by_market    without the market's name it cannot be told what sizes are
    """

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    sides: Mapping[str, int] | None = None
    signed: bool = False
    linear: Unit = "unsaid"
    inverse: Unit = "unsaid"
    usd: Literal["linear", "inverse", "derivative"] = "inverse"
    bare: Literal["linear", "inverse"] = "linear"
    contracts: str | None = None
    derivatives: str | None = None
    by_market: bool = False


USUAL = Venue()
_RESTING = {word: -sign for word, sign in SIDES.items()}  # the side of the order that rested
_COUNTS_CONTRACTS: dict[str, Any] = {"linear": "contracts", "inverse": "contracts"}
_COUNTS_COINS: dict[str, Any] = {"linear": "base", "usd": "linear"}
#: Venues whose trades differ from the usual, or whose contracts' sizes are known; others are of the usual kind.
VENUES: dict[str, Venue] = {
    "binance": Venue(names={"id": ("a", "t"), "market": ("s",)}, linear="base", inverse="contracts"),
    "bingx": Venue(linear="base", inverse="contracts"),
    "bitfinex": Venue(columns=("id", "time", "size", "price"), signed=True, **_COUNTS_COINS),
    "bitget": Venue(linear="base", derivatives=r"USD$"),
    "bitmex": Venue(contracts="", **_COUNTS_CONTRACTS),
    "bitstamp": Venue(sides={"0": 1, "1": -1, "buy": 1, "sell": -1}, **_COUNTS_COINS),
    "bybit": Venue(
        names={"id": ("i",), "market": ("s",)},
        linear="base",
        inverse="quote",
        derivatives=r"^[A-Z0-9]+USD([FGHJKMNQUVXZ]\d\d)?$",
    ),
    "coinbase": Venue(sides=_RESTING, contracts=r"-CDE$", **_COUNTS_COINS),
    "cryptocom": Venue(names={"id": ("d",)}, **_COUNTS_COINS),
    "deribit": Venue(linear="base", inverse="quote", bare="inverse", derivatives="", by_market=True),
    "gate": Venue(signed=True, contracts=r"\bcontract\b", **_COUNTS_CONTRACTS),
    "htx": Venue(
        names={"size": ("quantity",)}, contracts=r"\bcontract_code\b", derivatives=r"^\w+-\w+$", **_COUNTS_CONTRACTS
    ),
    "kraken": Venue(columns=("price", "size", "time", "side", "order", "misc", "id")),
    "krakenfutures": Venue(linear="base", inverse="quote", usd="derivative", by_market=True),
    "kucoin": Venue(**_COUNTS_CONTRACTS),
    "mexc": Venue(
        names={"time": ("t",), "side": ("isbuyermaker", "T")},
        sides={"1": 1, "2": -1, "buy": 1, "sell": -1},
        contracts=r"\bO\b",
        derivatives=r"_",
        **_COUNTS_CONTRACTS,
    ),
    "okx": Venue(**_COUNTS_CONTRACTS),
    "phemex": Venue(
        columns=("time", "side", "price", "size"), linear="base", inverse="contracts", derivatives=r"^[A-Z0-9]+USD$"
    ),
    "poloniex": Venue(names={"size": ("quantity",)}, **_COUNTS_CONTRACTS),
    **{
        name: Venue(**_COUNTS_COINS)
        for name in (
            *("aster", "backpack", "bitflyer", "bitunix", "dydx", "ftx", "gemini", "hyperliquid", "lighter", "paradex"),
            *("pacifica", "woo", "whitebit", "coinex", "edgex", "aevo"),
        )
    },
    **{name: Venue(**_COUNTS_CONTRACTS) for name in ("btse", "deepcoin", "digifinex", "xt")},
    **{name: Venue(derivatives=r"^[A-Z0-9]+$", **_COUNTS_CONTRACTS) for name in ("bitmart", "delta")},
    "blofin": Venue(derivatives="", **_COUNTS_CONTRACTS),
}
#: Whose long or short a liquidation's "buy" or "sell" closes: the closing order's side, but for these the position's.
POSITION_SIDED = ("bybit",)
DISPUTED = ("gate", "bitfinex")
#: Other names of venues, marks left out: of ccxt, tardis, cryptofeed and aggr, and older ones of their own.
ALIASES = {
    **dict.fromkeys(("okex", "myokx"), "okx"),
    **dict.fromkeys(("huobi", "huobipro", "hbdm"), "htx"),
    **dict.fromkeys(("cryptofacilities", "krakenderivatives"), "krakenfutures"),
    **dict.fromkeys(("woox", "woofipro"), "woo"),
    "gateio": "gate",
    "mxc": "mexc",
    "cryptodotcom": "cryptocom",
    "gdax": "coinbase",
}
_OTHERS = (
    *("alpaca", "apex", "ascendex", "bequant", "bigone", "bitbank", "bitbns", "bithumb", "bitmax", "bitnomial"),
    *("bitopro", "bitpanda", "bitrue", "bitso", "bitteam", "bittrade", "bittrex", "bitvavo", "blockchaincom", "btcbox"),
    *("btcmarkets", "btcturk", "bullish", "bydfi", "cex", "coincheck", "coinflex", "coinmate", "coinone", "coinsph"),
    *("coinspot", "derive", "drift", "exmo", "extended", "fmfwio", "foxbit", "grvt", "hashkey", "hibachi", "hitbtc"),
    *("hollaex", "independentreserve", "indodax", "kucoinspot", "latoken", "lbank", "liquid", "luno", "mango"),
    *("mercado", "modetrade", "ndax", "okcoin", "onetrading", "p2b", "paymium", "polymarket", "probit", "serum"),
    *("tokocrypto", "toobit", "uniswap", "upbit", "vertex", "wazirx", "weex", "yobit", "zaif", "zonda"),
)
_KNOWN = {**{name: name for name in (*VENUES, *_OTHERS)}, **ALIASES}
_LONGEST_FIRST = sorted(_KNOWN, key=len, reverse=True)
#: What a venue's name adds to it: the kind of its markets, or a branch of the same.
_ADDED: dict[str, Kind] = {
    **dict.fromkeys(("coinm", "delivery", "cm", "inverse", "coinmargined"), "inverse"),
    **dict.fromkeys(("usdm", "usdsm", "usdtm", "um", "linear", "usdtmargined"), "linear"),
    **dict.fromkeys(("futures", "future", "swaps", "swap", "perpetuals", "perpetual", "perps", "perp"), "derivative"),
    **dict.fromkeys(("derivatives", "contracts", "contract", "fut", "dm"), "derivative"),
    **dict.fromkeys(("spot", "margin"), "spot"),
    **dict.fromkeys(("options", "option", "european"), "option"),
    **dict.fromkeys(("international", "intx", "intl", "exchange", "advanced", "prime", "global", "pro", "jersey"), ""),
    **dict.fromkeys(("us", "eu", "tr", "jp", "uk", "id", "io", "com", "dex", "v2", "v3", "v4", "v5", "2", "3"), ""),
}
_WORD = "|".join(sorted(_ADDED, key=len, reverse=True))


class Named(NamedTuple):
    """A venue as somebody named it."""

    name: str  # its own, the same for every alias; in lower case where it is not known
    kind: Kind  # of its markets, where the name says it: "binance-delivery" is inverse
    branch: str  # what was named, marks left out: "coinbaseexchange"
    venue: Venue


@lru_cache(1000)
def venue_of(name: str | bytes) -> Named:
    """The venue that goes by a name; "" and names that resemble none are venues of the usual kind.

    Raises ValueError with a suggestion for one that is misspelt.

    >>> venue_of("okex-swap")[:2], venue_of("BINANCE_DELIVERY")[:2]
    (('okx', 'derivative'), ('binance', 'inverse'))
    """
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    text = text.strip().lower()
    plain = re.sub(r"[^a-z0-9]", "", text)
    for known in _LONGEST_FIRST:
        if plain.startswith(known) and re.fullmatch(f"({_WORD})*", plain[len(known) :]):
            kinds = [kind for word in re.findall(_WORD, plain[len(known) :]) if (kind := _ADDED[word])]
            kind = next((kind for kind in kinds if kind in ("linear", "inverse", "option")), kinds[0] if kinds else "")
            own = _KNOWN[known]
            return Named(own, kind, plain, VENUES.get(own, USUAL))
    stem = re.sub(f"({_WORD})+$", "", plain)
    hint = suggestion(stem, _KNOWN, 0.8) if len(stem) > 2 else ""
    if hint:
        raise TableError(f"venue: found {text!r}, which is none that is known{hint}")
    return Named(text, "", plain, USUAL)


def known_venue(name: Any) -> Named:
    """``venue_of`` a name that must be that of a known venue; otherwise ValueError, with a suggestion."""
    named = venue_of(checked_venue(name))
    if named.name not in _KNOWN.values():
        hint = suggestion(named.branch, _KNOWN) or f", allowed are {', '.join(sorted(VENUES))} and others"
        raise TableError(f"exchange: found {name!r}, which is none that is known{hint}")
    return named


def checked_venue(name: Any) -> str | bytes:
    """A venue's name, which must be text."""
    if not isinstance(name, (str, bytes)):
        raise TypeError(f"venue must be a name, got {name!r}")
    return name


def find_names(names: Sequence[str], wanted: Mapping[str, Sequence[str]], kind: Venue = USUAL) -> dict[str, str]:
    """The name of each wanted field that is there."""
    normal: dict[str, list[str]] = {}
    for name in names:
        normal.setdefault(normal_name(name), []).append(name)
    found = {}
    for target, accepted in wanted.items():
        own = [name for name in _own_names(kind, target) if name in normal]
        there = [name for one in own[:1] or accepted for name in normal.get(one, [])]
        if target in ("price", "size", "usd") and len(there) > 1:
            raise TableError(f"columns {' and '.join(map(repr, there))} both mean {target}: keep one")
        if there:
            found[target] = there[0]
    if "market" not in found and "market" in wanted and "s" in normal and found.get("side") != normal["s"][0]:
        found["market"] = normal["s"][0]
    return found


def _own_names(kind: Venue, target: str) -> tuple[str, ...]:
    """The names that go before the usual ones."""
    own = kind.names.get(target, ())
    return (*BASE_SIZES, *own) if target == "size" else own


@lru_cache(4096)
def counts_quote(named: Named, names: tuple[str, ...], size_name: str, market: str, signed: bool = False) -> bool:
    """Whether a venue's sizes are units of the quote currency, not of the base; fails where that cannot be told.

    signed   whether sizes carry the side as their sign, as only contracts do where both kinds are traded
    """
    kind = named.venue
    if normal_name(size_name) in _own_names(kind, "size"):
        return False
    said = market_of(market)
    if kind.by_market and not market:
        needed_name({}, names, TRADE_NAMES, "market")
    what = market or "these trades"
    unit = f"give sizes in base units, named {BASE_SIZE}"
    if "option" in (said.kind, named.kind):
        raise ValueError(f"{size_name}: {what} is an option, whose price is not the coin's")
    shape = f"{','.join(map(normal_name, names))} {market.upper()}"
    counted = kind.contracts is not None and re.search(kind.contracts, shape) is not None
    form = _form(named, market, signed and kind.linear == "contracts")
    count = "contracts" if counted else "base" if form in ("", "spot") else getattr(kind, form, "unsaid")
    if count == "contracts":
        raise ValueError(
            f"{size_name}: {named.name} counts {what} in contracts, and nothing says how large one is: {unit}"
        )
    if count == "unsaid":
        whose = f" at {named.name}" if named.name else ""
        raise ValueError(
            f"{size_name}: {what} looks like a derivative, and nothing says what one of its sizes counts{whose}: {unit}"
        )
    return bool(count == "quote")


def _form(named: Named, market: str, derivative: bool) -> Kind:
    """Whether a market is linear or inverse; "" or spot if it is no derivative."""
    venue, (_, quote, kind) = named.venue, market_of(market)
    if kind in ("linear", "inverse"):
        return kind
    looks = venue.derivatives is not None and re.search(venue.derivatives, market.upper()) is not None
    if kind != "derivative":
        if kind == "spot" or named.kind == "spot" or not (derivative or looks or named.kind):
            return "spot"
        if named.kind == "derivative" and not market:
            return venue.bare
    if quote == "USD":
        return venue.usd if named.kind != "linear" else "linear"
    if quote == "":
        return named.kind if named.kind in ("linear", "inverse") else venue.bare
    return "linear"
