"""Several coins on shared connections."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .running import Stream, Told


def stream(
    liquidators: Mapping[str, Any],
    exchange: Any = "hyperliquid",
    store: str | os.PathLike[str] | None = None,
    state: str | os.PathLike[str] | None = None,
    on_gap: Told | None = None,
    on_health: Told | None = None,
) -> Stream:
    """Stream several coins over shared connections, each into its Liquidator: ``Liquidator.start_stream`` for many.

    liquidators   symbol -> the Liquidator of its coin, in streaming mode
    state         a folder, with a file a coin

    The other arguments and errors are those of ``Liquidator.start_stream``.

    >>> stream({})
    Traceback (most recent call last):
    ValueError: liquidators: found none, allowed one or more
    """
    if not liquidators:
        raise ValueError("liquidators: found none, allowed one or more")
    folder = None if state is None else Path(state)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    wanted = {}
    for symbol, one in liquidators.items():
        path = None if folder is None else folder / f"{symbol.replace('/', '-').replace(':', '-')}.state"
        wanted[one._stream_sink(path)] = [symbol]
    made = Stream(wanted, exchange, store, on_gap, on_health)
    for one in liquidators.values():
        one._attach_stream(made)
    return made.start()
