"""An observer that draws zones."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from liquidator_core import zones_of

from ..charts.palette import RESISTANCE, SUPPORT
from .engine import ZONE_PARAMS, Follower, params_of, refuse_unknown
from .indicators import cut_band
from .library import bt

__all__ = ["ZoneMap"]

DEPTH = 3
_UNTAGGED = {"_plotvalue": False, "_plotvaluetag": False}
_SIDES = {"below": SUPPORT, "above": RESISTANCE}
_BANDS = tuple(f"{side}_{place}" for side in _SIDES for place in range(1, DEPTH + 1))


def _drawn(band: str) -> dict[str, dict[str, Any]]:
    """The space between a band's edges filled, paler with each zone further away."""
    side, place = band.split("_")
    colour = _SIDES[side]
    fill = (f"{band}_high", (colour, 0.4 / int(place)))
    return {
        f"{band}_low": {"_name": f"_{band}", "color": colour, "alpha": 0.0, "_fill_lt": fill, **_UNTAGGED},
        f"{band}_high": {"_plotskip": True},
    }


class ZoneMap(bt.Observer):
    """A drawing of the three nearest zones below the close and the three above, as they were known at each bar.

    Lines: ``below_1_low``, ``below_1_high`` (the nearest one at or below the close), ... ``above_3_low``,
    ``above_3_high``; NaN where there are fewer zones, and until ``Params.memory`` bars were seen. The strategy needs
    no indicator of zones.

    Params: as for ``LiquidationIndicator``. Watches the first feed. Cost: a step and a list of zones a bar.

    >>> cerebro = bt.Cerebro(stdstats=False)
    >>> feed = cerebro.adddata(CandleFeed(dataname=bars))
    >>> cerebro.addobserver(ZoneMap)
    >>> zones = cerebro.run()[0].observers[0]
    >>> zones.below_1_low[0] < zones.above_1_high[0]
    True
    """

    lines: Any = tuple(f"{band}_{edge}" for band in _BANDS for edge in ("low", "high"))
    params = ZONE_PARAMS
    plotinfo: ClassVar[dict[str, Any]] = {
        "plot": True,
        "subplot": False,
        "plotlinevalues": False,
        "plotvaluetags": False,
    }
    plotlines: ClassVar[dict[str, Any]] = {name: drawn for band in _BANDS for name, drawn in _drawn(band).items()}

    def __init__(self, **unknown: Any) -> None:
        refuse_unknown(self, unknown)
        super().__init__()
        self._follower = Follower(self.data, params_of(self.p), "ZoneMap")
        for band in _BANDS:
            cut_band(*(getattr(self.lines, f"{band}_{edge}") for edge in ("low", "high")))

    def _plotlabel(self) -> list[Any]:
        return [f"{DEPTH} a side"]

    def _stage1(self) -> None:
        """backtrader's last call to an observer when a run ends (and its first)."""
        super()._stage1()
        if "_follower" in vars(self):
            self._follower.finish()

    def next(self) -> None:
        follower = self._follower
        follower.take()
        values = np.full((2, DEPTH, 2), np.nan)
        if follower.rows >= follower.params.memory:
            state = follower.engine.state
            zones = zones_of(state, follower.engine.params)
            above = int(np.searchsorted(zones["price"], state["close"][0], side="right"))
            for near, found in zip(values, (zones[:above][::-1], zones[above:]), strict=True):
                found = found[:DEPTH]
                near[: len(found), 0] = found["low"]
                near[: len(found), 1] = found["high"]
        for line, value in zip(self.lines, values.ravel().tolist(), strict=True):
            line[0] = value
