"""Observed liquidations, funding rates and open interest to checked arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any

import numpy as np

from liquidator_core.layout import LONG, SHORT

from .columns import NO_ID, Events, columns_of, id_column, number_column, time_column
from .messages import fail_row
from .names import LIQUIDATION_FIELDS, RATE_NAMES, SIDES, needed_name, normal_name
from .trades import check_coin, check_market
from .venues import DISPUTED, POSITION_SIDED, USUAL, counts_quote, find_names, is_column, unwrapped

LIQUIDATION = np.dtype(
    [("time", "i8"), ("price", "f8"), ("usd", "f8"), ("side", "i8"), ("venue", "i8"), ("id", "i8")], align=True
)


def read_liquidations(data: Events, coin: str, code_of: Callable[[str], int], venue: str = "") -> np.ndarray:
    """Translate observed liquidations into (n,) LIQUIDATION, as they came, checked.

    data      as for ``read_trades``: time, price, side, and its USD or its size, as there; venue, id
    code_of   gives the number that stands for a venue's name

    ``side``: ``long`` or ``short`` is who was liquidated. ``buy``, ``sell``, ``A`` and ``B`` are the closing order's,
    but for bybit, which gives the position's; gate's and bitfinex's are disputed and refused: say long or short. Errors
    as for ``read_trades``.
    """
    names, column = columns_of(unwrapped(data, USUAL, venue))
    if not names:
        return np.zeros(0, LIQUIDATION)
    found = find_names(names, LIQUIDATION_FIELDS)
    if "coin" in found:
        check_coin(column(found["coin"]), coin)
    if "market" in found and "venue" not in found:
        check_market(column(found["market"]), found["market"])
    time = time_column(column(needed_name(found, names, LIQUIDATION_FIELDS, "time")))
    out = np.zeros(len(time), LIQUIDATION)
    out["time"] = time
    out["price"] = number_column(column(needed_name(found, names, LIQUIDATION_FIELDS, "price")), "price")
    said = column(found["venue"]).to_pylist() if "venue" in found else [None] * len(out)
    venues = [str(name or venue).lower() for name in said]
    if "usd" in found:
        out["usd"] = number_column(column(found["usd"]), "usd")
    else:
        size_name = needed_name(found, names, LIQUIDATION_FIELDS, "size")
        markets = column(found["market"]).to_pylist() if "market" in found else [""] * len(out)
        quote = [counts_quote(*one) for one in zip(venues, repeat(tuple(names)), repeat(size_name), map(str, markets))]
        out["usd"] = number_column(column(size_name), "size") * np.where(quote, 1.0, out["price"])
    for name in ("price", "usd"):
        _check_positive(name, out[name], time)
    words = column(needed_name(found, names, LIQUIDATION_FIELDS, "side")).to_pylist()
    out["side"] = [_who(word, venues[row], row) for row, word in enumerate(words)]
    out["venue"] = [code_of(name) for name in venues]
    out["id"] = id_column(column(found["id"]))[0] if "id" in found else NO_ID
    return out


def _who(word: Any, venue: str, row: int) -> int:
    """LONG or SHORT: who was liquidated."""
    text = str(word).strip().lower()
    if text in ("long", "short"):
        return LONG if text == "long" else SHORT
    sign = SIDES.get(text, 0) if not isinstance(word, bool) else 0
    if sign == 0:
        fail_row(row, None, "side", word, "long or short (who was liquidated), or buy or sell (the closing order)")
    if venue in DISPUTED:
        fail_row(row, None, "side", word, f"long or short: what {venue} means by its sides is disputed")
    return LONG if (sign > 0) == (venue in POSITION_SIDED) else SHORT


def _check_positive(name: str, values: np.ndarray, time: np.ndarray) -> None:
    bad = ~((values > 0.0) & (values < np.inf))
    if bad.any():
        row = int(bad.argmax())
        fail_row(row, int(time[row]), name, values[row], "a finite number above 0", int(bad.sum()) - 1)


def read_rates(data: Events, coin: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Funding rates and open interest as time series: field -> (times in ms, values), in order of time.

    data   rows, columns or a frame with a time and ``funding_rate``, ``open_interest`` (base units) or both; NaN is
           unknown. Also ``{coin: {"funding_rate": ..., "open_interest": ..., "timestamp": ...}}``, of which this coin's
           is taken. Of several readings of one time the last given counts.

    Errors as for ``read_trades``: a reading without a time is one, since its time decides which bars it belongs to.
    """
    if isinstance(data, Mapping) and data and all(isinstance(value, Mapping) for value in data.values()):
        mine = [value for name, value in data.items() if str(name).upper() == coin.upper()]
        if not mine:
            raise ValueError(f"no reading of {coin!r}: found {', '.join(map(repr, data))}")
        data = mine
    elif isinstance(data, Mapping) and not any(is_column(value) for value in data.values()):
        data = [data]
    names, column = columns_of(data)
    if not names:
        return {}
    found = find_names(names, RATE_NAMES)
    if not found.keys() & {"funding_rate", "open_interest"}:
        raise ValueError(
            f"neither funding_rate nor open_interest: found {', '.join(map(repr, names))}; accepted names (any case): "
            f"{', '.join((*RATE_NAMES['funding_rate'], *RATE_NAMES['open_interest']))}"
        )
    if "coin" in found and normal_name(found["coin"]) == "coin":
        check_coin(column(found["coin"]), coin)
    elif "coin" in found:
        check_market(column(found["coin"]), found["coin"])
    time = time_column(column(needed_name(found, names, RATE_NAMES, "time")))
    order = np.argsort(time, kind="stable")
    series = {}
    for name in ("funding_rate", "open_interest"):
        if name not in found:
            continue
        values = number_column(column(found[name]), name)
        bad = np.isinf(values) | ((values < 0.0) if name == "open_interest" else False)
        if bad.any():
            row = int(bad.argmax())
            allowed = "a finite number" if name == "funding_rate" else "a finite number not below 0"
            fail_row(row, int(time[row]), name, values[row], f"{allowed}, or NaN (unknown)", int(bad.sum()) - 1)
        known = order[~np.isnan(values[order])]
        series[name] = time[known], values[known]
    return series
