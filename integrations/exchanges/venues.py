"""Which module speaks a venue's own wire format, and what can be had where: the table behind ``capabilities``."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pandas as pd

from ..store.kinds import KINDS
from . import binance, bybit, coinbase, hyperliquid, kraken, okx, unified
from .client import library

#: ccxt's ids of the venues whose wire formats are proven; all others go by ccxt's unified methods.
MODULES: dict[str, ModuleType] = {
    "binance": binance,
    "binanceusdm": binance,
    "binancecoinm": binance,
    "bybit": bybit,
    "okx": okx,
    "coinbase": coinbase,
    "kraken": kraken,
    "hyperliquid": hyperliquid,
}
_OF_SWAPS = ("funding", "open_interest", "liquidations")


def module_of(venue: str) -> ModuleType:
    """The module that fetches from a venue."""
    return MODULES.get(venue, unified)


def has(instance: Any, market: Mapping[str, Any], kind: str) -> bool:
    """Whether a kind of a market can be had."""
    if kind in _OF_SWAPS and not market.get("contract"):
        return False
    module = module_of(instance.id)
    return kind in (unified.kinds(instance) if module is unified else module.KINDS)


def capabilities() -> pd.DataFrame:
    """What can be had from every venue: a frame of venue, kind, available, proof, reach, verified.

    proof      what proves that nothing is missing: ids, count, or none: loss cannot be detected
    reach      how far back it goes, where there is a limit that is known
    verified   whether our own reading of the venue's wire format is tested; the others go by ccxt's unified methods

    Asks no venue. Cost: for the venues of ccxt that are not verified their classes are made, a few seconds.

    >>> table = capabilities()
    >>> table[(table.venue == "bybit") & (table.kind == "trades")][["available", "proof"]].values.tolist()
    [[True, 'none']]
    """
    ccxt = library()
    rows = []
    for venue in sorted(ccxt.exchanges, key=lambda name: (name not in MODULES, name)):
        module = module_of(venue)
        there = unified.kinds(getattr(ccxt, venue)()) if module is unified else module.KINDS
        rows += [
            {
                "venue": venue,
                "kind": kind,
                "available": kind in there,
                "proof": _proof(module, kind) if kind in there else "none",
                "reach": module.REACH.get(kind, "") if kind in there else "",
                "verified": module is not unified,
            }
            for kind in KINDS
        ]
    return pd.DataFrame(rows)


def _proof(module: ModuleType, kind: str) -> str:
    if kind == "trades":
        return "ids" if module.CHAINED else "none"
    return "count" if kind == "candles" and module.FLAT else "none"
