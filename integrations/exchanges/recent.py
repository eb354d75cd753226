"""The last hours of a market, handed to what takes candles, rates and trades: behind ``Liquidator.from_exchange``."""

from __future__ import annotations

import math
import os
import sys
from typing import Any, Literal

import numpy as np

from ..market.times import ms_of
from .client import Client, run
from .feed import Feed, Progress
from .history import History, Job, now_ms
from .venues import module_of

HOUR_MS = 3_600_000


def fetch_recent(
    symbol: str,
    exchange: Any,
    *,
    hours: float,
    data: Literal["candles", "trades"],
    until: Any,
    market: str | None,
    store: str | os.PathLike[str] | None,
    progress: Progress | None,
    timeframe: str,
) -> History:
    """The hours before ``until``: candles with open interest and funding where there are any, or all trades.

    Arguments and errors as for ``fetch``. Before trades it prints on standard error how many requests they take.
    """
    if isinstance(hours, bool) or not isinstance(hours, (int, float)) or not 0 < hours < math.inf:
        raise ValueError(f"hours: found {hours!r}, allowed a number above 0")
    if data not in ("candles", "trades"):
        raise ValueError(f"data: found {data!r}, allowed 'candles' or 'trades'")
    end = now_ms() if until is None else ms_of(until)
    kinds = ("trades",) if data == "trades" else ("candles", "open_interest", "funding")
    client = Client(exchange, inline=True)
    since = end - round(hours * HOUR_MS)
    job = Job(client, symbol, kinds, since, end, timeframe, market, store, progress, kinds[1:])
    if data == "trades":
        job.before = _print_estimate
    return run(job.run, client.instance)


def give(history: History, to: Any) -> None:
    """Hand what was fetched to an object with ``update_candles``, ``ingest_funding_rates`` and ``ingest_trades``.

    Its ``coverage`` and ``gaps`` are set.
    """
    take = {"candles": to.update_candles, "trades": to.ingest_trades}
    for kind, table in history.tables.items():
        if len(table):
            take.get(kind, to.ingest_funding_rates)(table)
    to.coverage, to.gaps = history.coverage, history.gaps


async def _print_estimate(client: Client, market: Any, since: int, until: int) -> None:
    requests, seconds = await estimate(client, market, since, until)
    print(
        f"{(until - since) / HOUR_MS:g} h of {market['symbol']} trades: some {requests:,} requests to {client.venue}, "
        f"{_duration(seconds)} at the pace that it allows",
        file=sys.stderr,
    )


async def estimate(client: Client, market: Any, since: int, until: int) -> tuple[int, float]:
    """(requests, seconds) that the trades of a span will take, from the newest page of them. Cost: a request."""
    module = module_of(client.venue)
    feed = Feed(client, market, "trades", since, until, "1m", None, lambda *_: None)
    time = np.asarray((await module.newest(feed))["time"])
    requests = 1
    if len(time) > 1 and module.PAGES_BACK:
        rate = len(time) / max(1, int(time.max()) - int(time.min()))
        requests = max(1, math.ceil(rate * (until - since) / module.PAGE))
    return requests, requests * module.COST * float(client.instance.rateLimit) / 1000.0


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
