"""What the ready strategies share."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from liquidator_core import Params

from ..evidence.placebo import placebo_marks
from .columns import Edge, Frame, add_zones, feed_candles, startup_candle_count
from .library import DecimalParameter, IStrategy, Trade
from .plots import plot_annotations, plot_config
from .stops import zone_stoploss


class ZoneStrategy(IStrategy):
    """A freqtrade strategy without entries: stop, exits, leverage and plots of zones. Subclass it, or copy from it.

    Runs on spot and, with shorts and at most ``wanted_leverage``, on futures. A subclass adds the zones
    (``populate_indicators``), the entries, and what it wants to be otherwise.

    ``"placebo_seed": 0`` in the config (or ``FREQTRADE__PLACEBO_SEED=0`` before the command) runs it on placebo marks
    of that seed, ``flipped``, in backtests and hyperopt: what it earns then it owes to anything but where zones lie.

    >>> class Fades(ZoneStrategy):
    ...     def populate_entry_trend(self, dataframe, metadata):
    ...         dataframe.loc[dataframe["lz_fade"] > 0, "enter_long"] = 1
    ...         return dataframe
    >>> Fades.timeframe, Fades.startup_candle_count
    ('1h', 480)
    """

    INTERFACE_VERSION = 3
    timeframe = "1h"
    startup_candle_count = startup_candle_count()
    process_only_new_candles = True
    minimal_roi: ClassVar[dict[str, float]] = {}
    stoploss = -0.3
    use_custom_stoploss = True
    wanted_leverage = 2.0

    stop_edge: Edge = "fade"  # which zone the stop lies behind: see zone_stoploss
    stop_widths = DecimalParameter(0.2, 4, default=1, decimals=1, space="sell")

    plot_config = plot_config()
    protections: ClassVar[list[dict[str, Any]]] = [
        {"method": "CooldownPeriod", "stop_duration_candles": 2},
        {"method": "StoplossGuard", "lookback_period_candles": 48, "trade_limit": 4, "stop_duration_candles": 12},
    ]

    @property
    def can_short(self) -> bool:
        return bool(self.config.get("trading_mode") == "futures")

    def populate_indicators(self, dataframe: Frame, metadata: dict[str, Any]) -> Frame:
        return add_zones(dataframe, metadata=metadata, marks=self.zone_marks(dataframe))

    def zone_marks(self, dataframe: Frame, params: Params | None = None) -> Frame | None:
        """Marks to make zones from: placebo ones if ``placebo_seed`` asks for them; None: the candles' own events'."""
        seed = self.placebo_seed
        return None if seed is None else placebo_marks(feed_candles(dataframe, ""), params, seed, "skip", "flipped")

    @property
    def placebo_seed(self) -> int | None:
        """The config's ``placebo_seed``. Raises ValueError for what is no seed, and in a bot."""
        seed = self.config.get("placebo_seed")
        if seed is None:
            return None
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ValueError(f"placebo_seed must be a whole number not below 0, got {seed!r}")
        if getattr(self.config.get("runmode"), "value", "") in ("live", "dry_run"):
            raise ValueError("placebo_seed is for backtests and hyperopt, not for a bot: leave it out")
        return seed

    def populate_exit_trend(self, dataframe: Frame, metadata: dict[str, Any]) -> Frame:
        """Leave when the nearest zone ahead was touched."""
        dataframe.loc[dataframe["lz_exit_long"] > 0, ["exit_long", "exit_tag"]] = (1, "zone ahead")
        dataframe.loc[dataframe["lz_exit_short"] > 0, ["exit_short", "exit_tag"]] = (1, "zone ahead")
        return dataframe

    def custom_stoploss(self, pair: str, trade: Trade, *, current_rate: float, **kwargs: Any) -> float | None:
        dataframe, _ = self.dp.get_analyzed_dataframe(pair, self.timeframe)
        return zone_stoploss(dataframe, trade, current_rate, self.stop_widths.value, self.stop_edge)

    def leverage(self, *, max_leverage: float, **kwargs: Any) -> float:
        return min(self.wanted_leverage, max_leverage)

    def plot_annotations(
        self, pair: str, start_date: datetime, end_date: datetime, dataframe: Frame, **kwargs: Any
    ) -> list[dict[str, Any]]:
        return plot_annotations(dataframe, start_date, end_date)
