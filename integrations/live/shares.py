"""What each market brings to the bars that several venues share."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .channel import MINUTE_MS, MINUTES, Channel

_COLUMNS = {"venue": "object", "symbol": "object", "usd": "float64", "share": "float64"}


def shares_of(channels: Sequence[Channel], minutes: int) -> pd.DataFrame:
    """A row a market: venue, symbol, usd, share; ``Stream.shares`` says of what. Raises ValueError for ``minutes``."""
    if not 1 <= minutes <= MINUTES:
        raise ValueError(f"minutes: found {minutes!r}, allowed 1 to {MINUTES}")
    traded = {channel: channel.traded.copy() for channel in channels}
    rows = []
    for channel in channels:
        coin = [one for one in channels if one.sink is channel.sink]
        last = max((one.last.time // MINUTE_MS for one in coin if one.last is not None), default=0)
        usd = {one: sum(usd for minute, usd in traded[one].items() if last - minutes < minute <= last) for one in coin}
        whole = sum(usd.values())
        rows.append((channel.venue, channel.symbol, usd[channel], usd[channel] / whole if whole else float("nan")))
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)
