"""Exchanges as people write them, found among ccxt's ids: okex, gate-io, binance-delivery, KRAKEN_FUTURES."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from ..market.venues import ALIASES, Named, venue_of

_TYPES = {"linear": "perpetual", "inverse": "inverse", "spot": "spot"}
#: Branches that are exchanges of their own: Binance TR is not Binance.
_ELSEWHERE = re.compile(r"(us|eu|tr|jp|uk|id|jersey|intx|intl|international)$")


def find_exchange(name: str, known: Collection[str]) -> tuple[str, str | None]:
    """(ccxt's id of the exchange that a name means, the type of market that the name says, if it says one).

    known   ccxt's ids

    Raises ValueError for a name that means none of them, with the nearest.
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if plain in known:
        return plain, None
    named = _named(plain)
    if named is None or named.name not in known:
        raise ValueError(f"exchange: found {name!r}, allowed the name of an exchange: {_hint(plain, known)}")
    if named.kind == "option":
        raise ValueError(f"exchange: found {name!r}: options are not fetched")
    return named.name, _TYPES.get(named.kind)


def _named(plain: str) -> Named | None:
    """The venue that goes by a name; None for one that is misspelt, or that is a branch of its own."""
    try:
        named = venue_of(plain)
    except ValueError:
        return None
    return named if plain in ALIASES or not _ELSEWHERE.search(plain) else None


def _hint(plain: str, known: Collection[str]) -> str:
    names = [*known, *(alias for alias, name in ALIASES.items() if name in known)]
    near = difflib.get_close_matches(plain, names, 2)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else f"one of ccxt's {len(known)}"
