"""Liquidation at risk as columns of a freqtrade strategy."""

from __future__ import annotations

import logging
from typing import Any

from liquidator_core import Params

from ..market.candles import OnBad
from ..market.messages import naming
from ..tables.risk import risk_columns, risk_memory
from .columns import Frame, Metadata, feed_candles, joined_columns, market_of

_LOG = logging.getLogger("liquidator")


def add_risk(
    dataframe: Frame,
    observed: Any = None,
    horizon: str = "4h",
    reached: Frame | None = None,
    params: Params | None = None,
    feed: str = "binance",
    market: str | None = None,
    prefix: str = "lz_",
    on_bad: OnBad = "skip",
    metadata: Metadata = None,
) -> Frame:
    """The frame with the columns of ``risk_columns``: ``lz_scale_long``, ``lz_ledger_long_usd_1pct`` and so on.

    dataframe   candles as freqtrade hands them over, of an hour or less; best those of ``@informative("1h")``, as a
                row depends on ``risk_memory`` hours, which ``startup_candle_count(risk=True)`` loads of each timeframe
    observed    liquidated USD: ``time``, ``long_usd``, ``short_usd``; ``startup_candle_count(observed=True)`` loads
                what it teaches from. None: the prior
    horizon, reached, params, feed    as for ``risk_columns``
    market      "perpetual" or "spot"; None: what the pair of ``metadata`` is, a perpetual without one
    prefix, on_bad, metadata    as for ``add_zones``

    Returns a new frame. Raises as ``risk_columns``, naming the pair, and ValueError where a column of that name is
    there already. What did not go as asked with a feed is logged. Cost: that of ``risk_columns``.

    >>> def populate_indicators_1h(self, dataframe, metadata):  # doctest: +SKIP
    ...     return add_risk(dataframe, metadata=metadata)
    """
    name = market_of(dataframe, metadata)
    pair = str((metadata or {}).get("pair", ""))
    known = "spot" if "/" in pair and ":" not in pair else "perpetual"
    with naming(name):
        if market is not None and "/" in pair and market != known:
            raise ValueError(f"market: found {market!r}, but {pair} is a {known} market")
        candles = feed_candles(dataframe, name)
        columns = risk_columns(candles, observed, horizon, reached, params, feed, market or known, on_bad)
    if columns["scale_long"].isna().all():
        hours = risk_memory(params, observed)
        text = f"{name}: {len(dataframe)} candles are too few: a row depends on {hours} hours, so all are unknown"
        if on_bad == "raise":
            raise ValueError(f"{text}; set startup_candle_count = startup_candle_count(params, risk=True)")
        _LOG.warning(text)
    return joined_columns(dataframe, columns.add_prefix(prefix), metadata)
