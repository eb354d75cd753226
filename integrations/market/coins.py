"""Markets' names: of which coin, in which currency, of which kind; and whose data one object takes.

Names are read as the venues themselves, ccxt (``BTC/USDT:USDT``), tardis (a venue's own, in any case) and cryptofeed
(``BTC-USDT-PERP``) write them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple

Kind = Literal["", "spot", "linear", "inverse", "derivative", "option"]
#: Currencies that count as one: a Liquidator takes a coin's markets in any of them.
DOLLARS = ("USD", "USDT", "USDC", "BUSD", "FDUSD")
_FIAT = (*("EUR", "GBP", "JPY", "KRW", "TRY", "BRL", "AUD", "CAD", "CHF", "IDR", "INR", "MXN", "RUB", "UAH", "ZAR"),)
_STABLE = (*DOLLARS, "TUSD", "USDP", "USDE", "USD1", "USDD", "DAI", "UST", "PYUSD", "RLUSD", "EURC", "GUSD")
_COINS = ("BTC", "ETH", "BNB", "XBT")
_ENDS = sorted((*DOLLARS, "TUSD", *_FIAT, *_COINS), key=len, reverse=True)  # of names without marks, longest first
_END_IN_B = ("BNB", "ARB", "SHIB", "1000SHIB", "KSHIB", "CKB", "ORB")  # BNBUSD is no market in BUSD
_IN_TUSD = ("BTC", "ETH", "BNB", "XRP", "ADA", "SOL", "DOGE")  # others are coins that end in T, like XBTUSD
_SAME = {"XBT": "BTC", "XXBT": "BTC", "XDG": "DOGE", "XXDG": "DOGE", "UST": "USDT", "ZUSD": "USD", "ZEUR": "EUR"}
_SUFFIXES: dict[str, Kind] = {
    **dict.fromkeys(("PERP", "PERPETUAL", "PERPS", "SWAP", "FUT", "FUTURES", "INTX", "CDE"), "derivative"),
    **dict.fromkeys(("CW", "NW", "CQ", "NQ", "BQ", "DMCBL", "P"), "derivative"),
    **dict.fromkeys(("UMCBL", "SUMCBL", "CMCBL", "SCMCBL"), "linear"),
    **dict.fromkeys(("SPOT", "SPBL"), "spot"),
}
_PREFIXES: dict[str, Kind] = {
    **dict.fromkeys(("PI", "FI"), "inverse"),
    **dict.fromkeys(("PF", "FF", "PV"), "linear"),
    **dict.fromkeys(("PERP", "SWAP", "FX"), "derivative"),
    "SPOT": "spot",
}
_KINDS: dict[str, Kind] = {**_SUFFIXES, "LINEAR": "linear", "INVERSE": "inverse", "": ""}  # "spot" is no coin
_MONTHS = "FGHJKMNQUVXZ"
_DATE = re.compile(rf"\d{{6}}|\d{{8}}|\d{{1,2}}[A-Z]{{3}}\d{{2}}|\d{{2}}[{_MONTHS}]\d{{1,2}}")
_CCXT = re.compile(r"([^/:]+)/([^/:]+)(?::([^/:-]+)((?:-[^/:]+)?))?")
_FUTURE = re.compile(rf"(XBT|[A-Z0-9]+?USD[TC]?)[{_MONTHS}]\d\d")


class Market(NamedTuple):
    """What the name of a market says; "" is unsaid."""

    coin: str  # upper case; XBT is BTC, but 1000PEPE, KPEPE and PEPE differ
    quote: str
    kind: Kind  # "derivative": linear or inverse, which of them is unsaid

    @property
    def currency(self) -> str:
        """The quote currency, with all dollars as one."""
        return "USD" if self.quote in DOLLARS else self.quote


@lru_cache(4096)
def market_of(name: str) -> Market:
    """What the name of a market says.

    >>> market_of("BTC/USDT:USDT")
    Market(coin='BTC', quote='USDT', kind='linear')
    >>> market_of("XBTUSD"), market_of("1000PEPE-USDT-SWAP").coin
    (Market(coin='BTC', quote='USD', kind=''), '1000PEPE')
    """
    text = name.strip()
    if (word := text.upper()) in _KINDS:
        return Market("", "", _KINDS[word])
    if ccxt := _CCXT.fullmatch(text.upper()):
        return _unified(*ccxt.groups())
    if ":" in text:
        left, right = text.split(":")[-2:]
        if left.upper().endswith("F0"):  # bitfinex: tBTCF0:USTF0
            coin, quote = (part.removeprefix("t").upper().removesuffix("F0") for part in (left, right))
            return Market(_plain(coin), _plain(quote), "linear")
        text = right or left  # TradingView: BINANCE:BTCUSDT.P
    kind: Kind = ""
    if re.fullmatch(r"t[A-Z0-9]{3,}", text):  # bitfinex: tBTCUSD, tBTCUST
        text = re.sub(r"UST$", "USDT", text[1:])
    elif re.fullmatch(r"[suc][A-Z0-9]{6,}", text):  # phemex: sBTCUSDT, cETHUSD
        text, kind = text[1:], "spot" if text[0] == "s" else "inverse"
    words = re.sub(r"\.[A-Z0-9]{1,2}$", lambda end: "-P" if end[0] == ".P" else "", text.upper())
    parts = [part for part in re.split(r"[-_/ ]+", words) if part]
    if len(parts) > 1 and parts[0] in _PREFIXES:
        kind = _PREFIXES[parts.pop(0)]
    while len(parts) > 1:
        if parts[-1] in DOLLARS and parts[-2] in ("C", "P"):  # options of bybit
            parts.pop()
        elif parts[-1] in ("C", "P") and parts[-2].replace("D", "").isdecimal() and len(parts) > 2:
            kind, parts = "option", parts[:-2]
        elif parts[-1] in _SUFFIXES and (parts[-1] != "P" or words.endswith("-P")):
            kind, parts = kind or _SUFFIXES[parts[-1]], parts[:-1]
        elif _DATE.fullmatch(parts[-1]):
            kind, parts = kind or "derivative", parts[:-1]
        else:
            break
    if len(parts) == 1:
        coin, quote, more = _split(parts[0])
        kind = kind or more
    elif not parts:
        return Market(text.upper(), "", kind)
    else:
        if parts[1] in _SUFFIXES and len(parts) > 2:  # toobit: BTC-SWAP-USDT
            kind = _SUFFIXES[parts.pop(1)]
        coin, quote = parts[:2]
        if coin in (*_FIAT, *_STABLE) and quote not in (*_FIAT, *_STABLE):  # upbit: KRW-BTC
            coin, quote = quote, coin
    quote = _plain(quote)
    if kind == "derivative" and quote in _STABLE and quote != "USD":
        kind = "linear"
    return Market(_plain(coin), quote, kind)


def _unified(base: str, quote: str, settle: str | None, more: str | None) -> Market:
    """ccxt's names: BTC/USDT, BTC/USDT:USDT, BTC/USD:BTC-261225, BTC/USD:BTC-261225-90000-C."""
    base, quote = _plain(base.strip()), _plain(quote.strip())
    if settle is None:
        return Market(base, quote, "spot")
    if more and re.search(r"-[CP]$", more):
        return Market(base, quote, "option")
    return Market(base, quote, "inverse" if _plain(settle) == base else "linear")


def _plain(name: str) -> str:
    return _SAME.get(name, name)


def _split(name: str) -> tuple[str, str, Kind]:
    """(coin, quote, kind) of a name without marks: BTCUSDT, XXBTZUSD, XBTUSDTM, BTCPERP, XBTZ26."""
    if kraken := re.fullmatch(r"X([A-Z]{3})Z([A-Z]{3})", name):
        return kraken[1], kraken[2], ""
    kind: Kind = ""
    if name.endswith("PERP") and len(name) > 4:
        name, kind = name.removesuffix("PERP"), "derivative"
    elif re.fullmatch(r"[A-Z0-9]+USD[TC]?M", name):  # kucoin
        name, kind = name[:-1], "derivative"
    elif future := _FUTURE.fullmatch(name):
        name, kind = future[1], "derivative"
    for quote in _ENDS if name not in _STABLE else ():
        base = name.removesuffix(quote)
        if base in (name, "") or (quote in _COINS and len(base) < 3) or (quote == "TUSD" and base not in _IN_TUSD):
            continue
        if quote != "BUSD" or f"{base}B" not in _END_IN_B:
            return base, quote, kind
    return name, "", kind


def is_market(text: str) -> bool:
    """Whether a text can be nothing but the name of a market."""
    said = market_of(text) if text else Market("", "", "")
    return said.coin != "" and (said.quote in (*_STABLE, *_FIAT, *_COINS) or said.kind != "")


def coin_of(name: str) -> str:
    """The coin of a market's name: BTC of BTCUSDT, BTC-USD, BTC/USDT:USDT, XBTUSD, PF_XBTUSD and BTC-PERP."""
    return market_of(name).coin


@dataclass(frozen=True)
class Identity:
    """Whose data one object takes: a coin's, in one currency; None or "" as long as no market has said it."""

    coin: str | None = None
    quote: str = ""

    def joined(self, name: str, field: str = "") -> Identity:
        """This identity and what a market's name adds to it. Raises ValueError for another coin's or currency's."""
        market = market_of(name)
        if not market.coin:
            return self
        own = self.coin is not None and name.upper() == self.coin.upper()  # a coin whose name looks like a market's
        where = f"{field}: " if field else ""
        if self.coin is not None and not own and market.coin != market_of(self.coin).coin:
            raise ValueError(f"{where}found {name!r}, allowed {self.coin!r}: one Liquidator a coin")
        if own or not market.currency:
            return self if self.coin is not None else replace(self, coin=market.coin)
        if self.quote and market.currency != self.quote:
            raise ValueError(f"{where}found {name!r}, allowed a market in {self.quote}: one Liquidator a currency")
        if self.coin is not None and self.quote:
            return self
        return Identity(self.coin or market.coin, market.currency)
