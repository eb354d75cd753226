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

    liquidators   symbol -> the Liquidator of its coin, in streaming mode; several symbols may have the same
    state         a folder, with a file a Liquidator, named by its first symbol

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
    sinks: dict[int, Any] = {}
    wanted: dict[Any, list[str]] = {}
    for symbol, one in liquidators.items():
        if not hasattr(one, "start_stream"):
            raise TypeError(f"liquidators: found {type(one).__name__} for {symbol!r}, allowed a Liquidator")
        if id(one) not in sinks:
            path = None if folder is None else folder / f"{symbol.replace('/', '-').replace(':', '-')}.state"
            sinks[id(one)] = one._stream_sink(path)
        wanted.setdefault(sinks[id(one)], []).append(symbol)
    made = Stream(wanted, exchange, store, on_gap, on_health)
    for one in liquidators.values():
        one._attach_stream(made)
    return made.start()
