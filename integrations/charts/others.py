"""Heatmaps in the shape that Coinglass's users know, and theirs as ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

_VERSIONS = (("y_axis", "liquidation_leverage_data", "price_candlesticks"), ("y", "liq", "prices"))  # 4 and 3


class _HasGrid(Protocol):
    """A ``Liquidator``, or what has as much of one."""

    timeframe: str

    def levels_grid(self, bars: int = ...) -> Any: ...

    def bars(self, timeframe: str | None = ...) -> np.ndarray: ...


def coinglass(liquidator: _HasGrid) -> dict[str, Any]:
    """The heatmap of a Liquidator's last 240 bars as version 4 of Coinglass's API gives one; plain JSON values.

    ========================== ================================================================================
    y_axis                     prices of the cells, upwards
    liquidation_leverage_data  [place of the bar, place of the price, USD] of every cell that holds something
    price_candlesticks         [opening in seconds, open, high, low, close, volume in USD], prices as text
    ========================== ================================================================================

    Cost: that of ``Liquidator.levels_grid``.

    >>> from liquidator_integrations import Liquidator, sample_bars
    >>> made = Liquidator(bar="1h")
    >>> made.update_candles(sample_bars()[-1000:])
    >>> sorted(coinglass(made))
    ['liquidation_leverage_data', 'price_candlesticks', 'y_axis']
    """
    grid = liquidator.levels_grid()
    usd = grid.to_numpy()
    bars = liquidator.bars(liquidator.timeframe)
    bars = bars[len(bars) - usd.shape[1] :]
    places = np.argwhere(usd.T > 0.0)
    return {
        "y_axis": grid.index.tolist(),
        "liquidation_leverage_data": [[x, y, float(usd[y, x])] for x, y in places.tolist()],
        "price_candlesticks": [_candle_of(bar) for bar in bars],
    }


def _candle_of(bar: np.void) -> list[Any]:
    prices = (bar[name] for name in ("open", "high", "low", "close"))
    return [int(bar["time"]) // 1000, *(repr(float(value)) for value in (*prices, bar["volume"] * bar["close"]))]


def read_coinglass(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A heatmap of Coinglass, version 4 or 3, in the shape of ``Scene.heatmap``: time, price and usd.

    answer   what the API sent, with or without the envelope ``data``

    ``time`` (b,) in ms, ``price`` (c,), ``usd`` (c, b), 0 where nothing is. Raises ValueError naming what is missing or
    which cell lies outside.

    >>> sent = {"y": [99.0, 101.0], "liq": [[0, 1, 5e6]], "prices": [[1700000000, "100", "100", "100", "100", "1"]]}
    >>> read_coinglass({"data": sent})["usd"].tolist()
    [[0.0], [5000000.0]]
    """
    found = answer.get("data", answer)
    if not isinstance(found, Mapping):
        raise ValueError(f"data: found {type(found).__name__}, allowed an object")
    names = next((names for names in _VERSIONS if names[0] in found), None)
    missing = [name for name in names or _VERSIONS[0] if name not in found]
    if names is None or missing:
        raise ValueError(f"missing {', '.join(missing)}: found {', '.join(map(repr, found)) or 'nothing'}")
    prices, cells, candles = (found[name] for name in names)
    usd = np.zeros((len(prices), len(candles)))
    for row, (x, y, value) in enumerate(cells):
        if not (0 <= int(x) < len(candles) and 0 <= int(y) < len(prices)):
            raise ValueError(f"{names[1]}, row {row}: found [{x}, {y}], allowed below [{len(candles)}, {len(prices)}]")
        usd[int(y), int(x)] += float(value)
    time = np.array([int(candle[0]) for candle in candles], np.int64)
    return {
        "time": np.where(time < 10**11, time * 1000, time),  # version 3 sent seconds or ms
        "price": np.array(prices, np.float64),
        "usd": usd,
    }
