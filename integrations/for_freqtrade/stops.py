"""Stops and entry prices at the edges of zones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .columns import EDGES, KINDS, SIGNAL_CANDLES, Edge, Frame
from .library import Trade, stoploss_from_absolute


def zone_stoploss(
    dataframe: Frame,
    trade: Trade,
    current_rate: float,
    stop_widths: float = 1.0,
    edge: Edge = "fade",
    prefix: str = "lz_",
) -> float | None:
    """The answer of ``custom_stoploss`` for a stop beyond a zone; None leaves the stop where it is.

    dataframe    the analyzed frame, ``self.dp.get_analyzed_dataframe(pair, self.timeframe)[0]``
    trade        freqtrade's Trade
    stop_widths  distance from the zone's far edge, in widths of the zone
    edge         "fade" or "join": the zone that the last such signal of the trade's side spoke of, on one of the 12
                 candles that closed before the trade was opened: the stop stays there; "nearest": the nearest support
                 (of a short: resistance) as of the last candle, so that the stop follows, as freqtrade never moves one
                 back

    A price that has passed the stop already gets the closest stop there is. The stoploss of the strategy stays the
    outer limit.

    >>> from types import SimpleNamespace
    >>> frame = pd.DataFrame({"lz_support_low": [95.0], "lz_support_high": [96.0]})
    >>> trade = SimpleNamespace(is_short=False, leverage=1.0)
    >>> round(zone_stoploss(frame, trade, current_rate=100.0, edge="nearest"), 3)
    0.06
    """
    _check_edge(edge)
    side = -1 if trade.is_short else 1
    if edge == "nearest":
        kind, row = KINDS[side < 0], len(dataframe) - 1
    else:
        kind, row = edge, _signal_row(dataframe, trade, side, prefix + edge)
    if row < 0:
        return None
    low, high = (float(dataframe[f"{prefix}{kind}_{end}"].iloc[row]) for end in ("low", "high"))
    stop = low - stop_widths * (high - low) if side > 0 else high + stop_widths * (high - low)
    if not 0.0 < stop < np.inf:
        return None
    distance: float = stoploss_from_absolute(stop, current_rate, is_short=trade.is_short, leverage=trade.leverage)
    return max(distance, 1e-6)  # freqtrade takes 0 for no answer


def _signal_row(dataframe: Frame, trade: Trade, side: int, column: str) -> int:
    """The last row with that signal among the candles before the trade was opened; -1 if there is none."""
    length = pd.Timedelta(minutes=trade.timeframe)
    known = int(dataframe["date"].searchsorted(pd.Timestamp(trade.open_date_utc) - length, side="right"))
    first = max(0, known - SIGNAL_CANDLES)
    rows = np.flatnonzero(dataframe[column].to_numpy()[first:known] == side)
    return first + int(rows[-1]) if len(rows) else -1


def _check_edge(edge: str) -> None:
    if edge not in EDGES:
        raise ValueError(f"edge must be 'fade', 'join' or 'nearest', got {edge!r}")


def entry_price(
    dataframe: Frame, side: str, proposed_rate: float, edge: Edge = "nearest", prefix: str = "lz_"
) -> float:
    """The answer of ``custom_entry_price``: the near edge of a zone to wait at, rather than to buy at once.

    side    "long" or "short", as freqtrade says it
    edge    which zone of the last candle: that of its "fade" or "join", or the "nearest" support (short: resistance)

    For a long the lower of the zone's high and ``proposed_rate``, for a short the higher of its low and that;
    ``proposed_rate`` where there is no such zone.

    >>> entry_price(pd.DataFrame({"lz_support_high": [96.0]}), "long", proposed_rate=100.0)
    96.0
    """
    if side not in ("long", "short"):
        raise ValueError(f"side must be 'long' or 'short', got {side!r}")
    _check_edge(edge)
    kind = KINDS[side == "short"] if edge == "nearest" else edge
    price = float(dataframe[f"{prefix}{kind}_{'high' if side == 'long' else 'low'}"].iloc[-1])
    if not 0.0 < price < np.inf:
        return proposed_rate
    return min(price, proposed_rate) if side == "long" else max(price, proposed_rate)
