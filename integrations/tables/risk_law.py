"""The law of liquidation at risk: ledger USD between the close and a price, to USD that are liquidated.

``ln((Y + 10,000 USD) / T) = a + b ln(S / T)``, a side: Y the USD liquidated in the hours of the horizon, S what the
ledger holds between the close and how far price goes in them, T the mean hourly turnover of the trailing week. Beyond
moves of 5 % the law understates, so what it gives there is raised by ``move / 5 %``. The 10,000 USD stand outside the
law of scale: they keep hours in which next to nothing was liquidated from counting for most.

``PRIOR`` holds a, b and the 80 % band for what was measured. The slope falls with the horizon because the ledger
refills meanwhile. What is not in the table is not known: one-hour coefficients of this feed alone, other feeds,
horizons past four hours.
"""

from __future__ import annotations

import difflib
from typing import NamedTuple

import numpy as np

__all__ = ["FEEDS", "HORIZONS", "MARKETS", "PRIOR", "Law", "expected_usd", "prior_of"]

FLOOR_USD = 10_000.0
LARGE_MOVE = 0.05

HORIZONS = {"1h": 1, "4h": 4}  # hours
FEEDS = ("binance", "three_venues")
MARKETS = ("perpetual", "spot")


class Law(NamedTuple):
    """Coefficients of one side, and the factors between which 80 % of what was observed lay around what they give."""

    a: float
    b: float
    low: float
    high: float


#: (feed, market of the candles, horizon) -> the laws of longs and of shorts. ``binance`` is that venue alone as vendors
#: report it, throttled: BTC, ETH, SOL and XRP over a year; ``three_venues`` Binance, Bybit and OKX together: BTC.
PRIOR: dict[tuple[str, str, str], tuple[Law, Law]] = {
    ("binance", "perpetual", "4h"): (Law(-6.10, 0.63, 0.41, 2.46), Law(-6.47, 0.54, 0.39, 2.61)),
    ("binance", "spot", "4h"): (Law(-4.26, 0.64, 0.37, 2.70), Law(-4.64, 0.55, 0.34, 2.90)),
    ("three_venues", "perpetual", "1h"): (Law(-5.78, 0.90, 0.26, 3.26), Law(-5.93, 0.83, 0.30, 3.23)),
    ("three_venues", "perpetual", "4h"): (Law(-5.13, 0.77, 0.43, 2.29), Law(-5.20, 0.68, 0.41, 2.51)),
    ("three_venues", "spot", "1h"): (Law(-3.61, 0.92, 0.28, 3.21), Law(-3.74, 0.84, 0.29, 3.17)),
    ("three_venues", "spot", "4h"): (Law(-2.96, 0.78, 0.45, 2.36), Law(-3.02, 0.68, 0.39, 2.48)),
}


def prior_of(feed: str, market: str, horizon: str) -> tuple[Law, Law]:
    """The laws of longs and of shorts of a cell of ``PRIOR``.

    Raises ValueError for a name that is none, with the nearest one that is, and for a cell that was not measured,
    naming those that were.

    >>> prior_of("binance", "perpetual", "4h")[0].b
    0.63
    """
    for name, value, allowed in (("feed", feed, FEEDS), ("market", market, MARKETS), ("horizon", horizon, HORIZONS)):
        if value not in allowed:
            near = difflib.get_close_matches(str(value), allowed, n=1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}{hint}")
    if (feed, market, horizon) not in PRIOR:
        known = "; ".join(", ".join(cell) for cell in PRIOR)
        raise ValueError(f"no law is known of feed {feed!r}, market {market!r}, horizon {horizon!r}; known are {known}")
    return PRIOR[feed, market, horizon]


def logs(turnover: np.ndarray, ledger_usd: np.ndarray, move: np.ndarray, b: np.ndarray | float) -> np.ndarray:
    """``b ln(S / T)`` and the term of large moves; -inf where S is 0, nan where T is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value: np.ndarray = b * np.log(ledger_usd / turnover) + np.log(np.maximum(1.0, np.abs(move) / LARGE_MOVE))
    return value


def expected_usd(
    turnover: np.ndarray, ledger_usd: np.ndarray, move: np.ndarray, a: np.ndarray | float, b: np.ndarray | float
) -> np.ndarray:
    """USD that are liquidated if price goes as far as ``move``: what the law gives, less its 10,000 USD, not below 0.

    turnover     T, USD an hour: the mean of the trailing week
    ledger_usd   S, USD of the side between the close and the price
    move         price / close - 1, of either sign
    a, b         of the side; for an end of the band a and the logarithm of its factor

    Arrays that broadcast. NaN where one of them is.

    >>> import numpy as np
    >>> expected_usd(np.array([1e9]), np.array([3e8]), np.array([-0.02]), -6.10, 0.63).round(-3)
    array([1040000.])
    """
    with np.errstate(invalid="ignore", over="ignore"):
        usd: np.ndarray = np.maximum(0.0, turnover * np.exp(a + logs(turnover, ledger_usd, move, b)) - FLOOR_USD)
    return usd
