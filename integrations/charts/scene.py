"""Candles and Params to a scene: everything that charts draw, as arrays and plain values, whatever draws it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from liquidator_core import BAR, Params, levels_of, zones_of
from liquidator_core.levels import LEVEL_REACH
from liquidator_core.record import Recorded, cells_at, record
from liquidator_core.timeframes import TIMEFRAMES, step_ms, timeframe_ms, to_timeframe

from ..market.candles import Candles, OnBad, bars_from_frame, warn_of_idle_switches
from ..market.messages import iso
from ..tables.checked import SIDE_NAMES
from ..tables.zones import levels_to_frame, zones_to_frame
from .pack import Contents, contents_of, packed, packed_candles, packed_rows, packed_times, rounded, runs_of

SCHEMA = 1
CELL_BINS = 4  # of the heatmap: cells of 0.2 %
CLASSES = 6
HIGH_LEVERAGE = 50.0  # from which on a leverage counts as high
MOST_ACCOUNT_POINTS = 4000
REASONS = (None, "broken", "expired", "merged")
SOURCES = ("estimated", "mixed", "observed")
_LARGER = ("15m", "1h", "4h", "1d", "1w")  # timeframes that zones are found in beside the candles' own


@dataclass(frozen=True, eq=False)
class Account:
    """An account over time, the start being 1."""

    name: str
    time: np.ndarray  # ms, opens of bars
    value: np.ndarray


@dataclass(frozen=True, eq=False)
class Scene:
    """What is drawn of a history: its candles, what the engine said at each, what it says now, and a backtest.

    name      of the market, for titles
    bars      (n,) BAR
    recorded  of ``liquidator_core.record``: signals, zones from birth to end, the ledger's cells at every bar
    higher    timeframe -> what was recorded of its bars
    trades    of the backtest (``evidence.result.ClosedTrade``), in order
    accounts  of backtests, the one that is meant first
    risk      a frame as from ``frames.liquidation_at_risk`` of the same market, or None
    """

    name: str
    bars: np.ndarray
    params: Params
    recorded: Recorded
    higher: dict[str, Recorded] = field(default_factory=dict)
    trades: Sequence[Any] = ()
    accounts: Sequence[Account] = ()
    risk: pd.DataFrame | None = None

    @property
    def signals(self) -> np.ndarray:
        """(n,) SIGNAL, a row a bar, as known at its close."""
        return self.recorded.signals

    @cached_property
    def zones(self) -> pd.DataFrame:
        """Every zone that stood at any bar, a row each, in the order in which they first stood.

        ==========================  ===================================================================================
        column
        ==========================  ===================================================================================
        birth, end                  ms: opens of the bar of its largest event, and of the bar at whose close it was
                                    gone; ``end`` is NaN while it stands
        low, high                   quote, its edges when it last stood, like all that follows
        side                        categorical "long" or "short": who was liquidated in its largest event
        usd, touches, quality       of it
        source                      categorical "estimated", "mixed" or "observed": of the flow of its events
        reason                      "broken", "expired" or "merged" (a larger one took it in); None while it stands
        ==========================  ===================================================================================

        What comes back after a merger is the same zone: the last end counts.
        """
        found = self.recorded.zones
        sources = np.where(found["observed"] == 0, 0, np.where(found["observed"] == found["marks"], 2, 1))
        columns = {
            "birth": found["birth"],
            "end": np.where(found["end"] < 0, np.nan, found["end"]),
            "low": found["low"],
            "high": found["high"],
            "side": pd.Categorical.from_codes(found["side"], SIDE_NAMES),
            "usd": found["usd"],
            "touches": found["touches"],
            "quality": found["quality"],
            "source": pd.Categorical.from_codes(sources, list(SOURCES)),
            "reason": pd.Series([REASONS[reason] for reason in found["reason"]], dtype=object),
        }
        return pd.DataFrame(columns)

    @cached_property
    def standing(self) -> pd.DataFrame:
        """The zones as of the last bar, upwards by price: see ``frames.zones_to_frame``."""
        return zones_to_frame(zones_of(self.recorded.state, self.params), float(self.recorded.state["close"][0]))

    @cached_property
    def levels(self) -> pd.DataFrame:
        """The levels ahead of the last bar, upwards by price: see ``frames.levels_to_frame``."""
        return levels_to_frame(levels_of(self.recorded.state, self.params), float(self.recorded.state["close"][0]))

    def heatmap(self, first: int | None = None, last: int | None = None) -> dict[str, Any]:
        """The ledger by price and time: USD that would be liquidated in a cell of price, as known at each bar's close.

        first, last   ms, both included; None: from the first bar, to the last

        Returns ``time`` (b,) in ms, ``price`` (c,) the cells' lower edges, ``usd`` (c, b) and ``breaks``, where the
        classes of the picture begin. Cells are of 0.2 %. USD are those of positions that the ledger implies: exact of
        the model, not scaled to what a venue has open. Raises ValueError if ``last`` is before ``first``.
        Cost: 8 bytes a cell and bar.
        """
        time = self.bars["time"]
        start = 0 if first is None else int(np.searchsorted(time, first))
        end = len(time) if last is None else int(np.searchsorted(time, last, side="right"))
        if first is not None and last is not None and last < first:
            raise ValueError(f"last: found {last!r}, allowed a time in ms from first, {first!r}, on")
        usd = cells_at(self.recorded, start, end)
        return {
            "time": time[start:end].copy(),
            "price": self.recorded.edges[:-1].copy(),
            "usd": usd,
            "breaks": self.breaks.tolist(),
        }

    @cached_property
    def _contents(self) -> Contents:
        return contents_of(self.recorded)

    @cached_property
    def breaks(self) -> np.ndarray:
        """(CLASSES,) USD at which the classes of the heatmap begin, evenly in logarithms: from what two in five
        cells hold at a bar to what one in two hundred does; two digits each. What is below is not drawn.
        """
        contents = self._contents
        some = np.flatnonzero(contents.usd > 0.0)[:: 1 + len(contents.usd) // 200_000]
        if len(some) == 0:
            return np.ones(CLASSES)
        counts, edges = np.histogram(np.log10(contents.usd[some]), 400, weights=(contents.end - contents.row)[some])
        shares = np.cumsum(counts) / counts.sum()
        low, high = (edges[1:][np.searchsorted(shares, share)] for share in (0.6, 0.995))
        found = 10.0 ** np.linspace(low, max(high, low + 0.3), CLASSES)
        digits = 10.0 ** np.floor(np.log10(found) - 1.0)
        return np.round(found / digits) * digits

    @property
    def reach(self) -> tuple[float, float]:
        """(low, high) prices beyond which levels were not found to be right: 5 % each way of the last close; NaN if
        unknown.
        """
        close = float(self.close[-1]) if len(self.bars) else np.nan
        return close * (1.0 - LEVEL_REACH), close * (1.0 + LEVEL_REACH)

    @property
    def close(self) -> np.ndarray:
        return self.bars["close"]

    def to_json(self) -> str:
        """The scene as JSON text: plain values, and arrays as ``pack`` writes them; docs/charts.md has the schema."""
        return json.dumps(self._plain(), allow_nan=False, separators=(",", ":"))

    def _plain(self) -> dict[str, Any]:
        last = cells_at(self.recorded, max(0, len(self.bars) - 1), len(self.bars))
        return {
            "schema": SCHEMA,
            "name": self.name,
            "bars": len(self.bars),
            "first": iso(self.bars["time"][0]) if len(self.bars) else None,
            "last": iso(self.bars["time"][-1]) if len(self.bars) else None,
            "params": self.params.to_dict(),
            "digest": self.params.digest,
            "memory": self.params.memory,
            "time": packed_times(self.bars["time"]),
            "candles": packed_candles(_filled(self.bars)),
            "skipped": packed(np.flatnonzero(~is_known(self.bars)).astype(np.int32)),
            "flow": {
                f"{side}_{what}": packed(rounded(values))
                for side in SIDE_NAMES
                for what, values in (
                    ("flow_usd", self.signals[f"{side}_flow_usd"]),
                    ("observed_usd", self.bars[f"liq_{side}_usd"]),
                )
                if not np.isnan(values).all()
            },
            "fades": packed(self.signals["fade"].astype(np.int8)),
            "zones": {name: _packed_zones(found) for name, found in {"": self.recorded, **self.higher}.items()},
            "heatmap": {
                "unit": "estimated USD, not scaled",
                "breaks": self.breaks.tolist(),
                "edges": packed(self.recorded.edges),
                "tiers": self._tiers(),
                "last": packed(last[:, 0] if last.shape[1] else np.zeros(len(last))),
            },
            "levels": _records(self.levels),
            "reach": [_number(value) for value in self.reach],
            "risk": _plain_risk(self.risk),
            "trades": [[_number(value) for value in trade] for trade in self.trades],
            "accounts": [_plain_account(account) for account in self.accounts],
        }

    def _tiers(self) -> dict[str, Any]:
        """Runs of the heatmap for all leverages and, if there are both, for the high and the low ones alone."""
        tiers = {"all": packed_rows(runs_of(self._contents, self.breaks))}
        leverages = np.sort(self.params.leverages)
        for name, kept in (("high", leverages >= HIGH_LEVERAGE), ("low", leverages < HIGH_LEVERAGE)):
            if not kept.any() or kept.all() or len(self.bars) == 0:
                continue
            settings = self.params.to_record()
            settings["weight"][0, : len(leverages)] *= kept
            tiers[name] = packed_rows(runs_of(contents_of(record(self.bars, settings, CELL_BINS)), self.breaks))
        return tiers


def make_scene(
    bars: Candles,
    params: Params | None = None,
    result: Any = None,
    placebos: Sequence[Any] = (),
    name: str = "Liquidation zones",
    on_bad: OnBad = "raise",
    risk: pd.DataFrame | None = None,
) -> Scene:
    """A Scene of candles, given as to ``frames.bars_from_frame``, under Params.

    result    of a backtest of these bars (``evidence.result.Result``): its trades and its account are drawn, beside
              buy and hold
    placebos  results to set beside it
    name      of the market or the file
    on_bad    "skip": a candle with a bad value is a gap in the picture, as it is for the engine
    risk      liquidation at risk as of the last bar, as from ``frames.liquidation_at_risk``: its curve is drawn

    Zones of larger timeframes that the candles fit into are found too. Raises as ``bars_from_frame``, but for no
    candles: their scene is empty. Cost: five to ten folds.

    >>> from liquidator_integrations import sample_bars
    >>> scene = make_scene(sample_bars()[-1000:])
    >>> scene.zones[["side", "touches", "reason"]].tail(2)
         side  touches reason
    68  short        3   None
    69   long        0   None
    """
    bars = bars_from_frame(bars, on_bad) if len(bars) else np.zeros(0, BAR)
    params = Params() if params is None else params
    if not isinstance(params, Params):
        raise TypeError(f"params must be Params or None, got {type(params).__name__}")
    warn_of_idle_switches(bars, params)
    accounts = []
    if result is not None:
        rows = np.searchsorted(bars["time"], result.equity_ms)
        if (rows == len(bars)).any() or (bars["time"][rows] != result.equity_ms).any():
            raise ValueError("result: found times of equity that no bar has, allowed a backtest of these bars")
        closes = bars["close"][rows]
        accounts = [
            Account("backtest", result.equity_ms, result.equity / result.cash),
            Account("buy and hold", result.equity_ms, closes / closes[:1]),
            *(Account("placebo marks", each.equity_ms, each.equity / each.cash) for each in placebos),
        ]
    return Scene(
        name,
        bars,
        params,
        record(bars, params, CELL_BINS),
        {timeframe: record(higher, params, CELL_BINS) for timeframe, higher in _higher_bars(bars).items()},
        () if result is None else result.trades,
        accounts,
        risk,
    )


def is_known(bars: np.ndarray) -> np.ndarray:
    """Whether each row has prices; those that were skipped have none."""
    known: np.ndarray = np.isfinite(bars["close"])
    return known


def price_span(bars: np.ndarray) -> tuple[float, float] | None:
    """The lowest and the highest price of bars; None if none is known."""
    known = bars[is_known(bars)]
    return (float(known["low"].min()), float(known["high"].max())) if len(known) else None


def _filled(bars: np.ndarray) -> np.ndarray:
    """Bars whose skipped rows lie flat at the close before (the first ones: after) them, as a picture needs numbers."""
    known, gone = np.flatnonzero(is_known(bars)), np.flatnonzero(~is_known(bars))
    if len(gone) == 0:
        return bars
    filled = bars.copy()
    close = bars["close"][known[np.maximum(np.searchsorted(known, gone) - 1, 0)]] if len(known) else 0.0
    for price in ("open", "high", "low", "close"):
        filled[price][gone] = close
    return filled


def _higher_bars(bars: np.ndarray) -> dict[str, np.ndarray]:
    """The bars of each larger timeframe that these fit into and fill some of."""
    if len(bars) < 2:
        return {}
    step = step_ms(bars["time"])
    if step not in map(timeframe_ms, TIMEFRAMES) or (bars["time"] % step).any():
        return {}
    larger = [name for name in _LARGER if timeframe_ms(name) > step and timeframe_ms(name) % step == 0]
    found = {name: to_timeframe(bars, name, step) for name in larger}
    return {name: made for name, made in found.items() if len(made) > 1}


def _packed_zones(recorded: Recorded) -> dict[str, Any]:
    zones = recorded.zones
    columns = {name: packed(zones[name].astype(np.float32)) for name in ("low", "high", "usd", "quality")}
    columns |= {name: packed(zones[name].astype(np.float64)) for name in ("birth", "end")}
    counts = ("side", "above", "reason", "marks", "observed", "touches", "holds")
    return columns | {name: packed(zones[name].astype(np.int32)) for name in counts}


def _plain_account(account: Account) -> dict[str, Any]:
    kept = np.unique(np.linspace(0, len(account.time) - 1, MOST_ACCOUNT_POINTS).astype(np.int64))
    kept = kept[kept >= 0]
    value = account.value[kept].astype(np.float32)
    return {"name": account.name, "time": packed(account.time[kept].astype(np.float64)), "value": packed(value)}


def _plain_risk(risk: pd.DataFrame | None) -> dict[str, Any] | None:
    """The curve of liquidation at risk and whose dollars they are; None where it is not known yet."""
    if risk is None or risk["expected_usd"].isna().all():
        return None
    names = ["move", "price", "side", "expected_usd", "low_usd", "high_usd"]
    about = {name: risk.attrs.get(name) for name in ("horizon", "feed", "market", "as_of")}
    return {"curve": _records(risk[names].sort_values("move")), **about, "source": risk.attrs["long"]["source"]}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {name: value if isinstance(value, str) else _number(value) for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def _number(value: Any) -> Any:
    """A plain JSON value; what is not finite is null."""
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not np.isfinite(plain) else plain
