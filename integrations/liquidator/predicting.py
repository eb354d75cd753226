"""Hold and break of a Liquidator's zones, and the names that 0.1.2 had for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from liquidator_core import Params
from liquidator_core.timeframes import step_ms

from ..market.candles import Candles, bars_from_frame, completed
from ..model.columns import timeframe_of, with_predictions
from ..model.hold_model import HoldModel
from ..model.training import train, untrained_metrics
from .settings import Settings, above, one_of

if TYPE_CHECKING:
    import pandas as pd

    from ..tables.zone_schema import Context
    from .streaming import Guard

UNTRAINED = "not trained: call train_ml_predictor() or load_ml_model(path)"
MERGED = "zones merged by pct_merge are others than those that a model learns from"
COLD = "fewer bars than a zone depends on"
SYNTHETIC = (
    "use_synthetic=True is refused: invented outcomes teach what was invented, and say nothing of a market; give "
    "candles, train_ml_predictor(candles), or feed more of them"
)


class Predicting:
    """The part of a Liquidator that says whether zones hold; ``hold_model`` is what it says it from, None before."""

    if TYPE_CHECKING:
        _settings: Settings
        _guard: Guard
        _last: Any
        timeframe: str
        window_minutes: float | None

        def bars(self, timeframe: str | None = None) -> np.ndarray: ...
        def compute_zones(
            self, window_minutes: float | None, pct_merge: float | None, use_atr: bool, min_quality: str | None
        ) -> pd.DataFrame: ...

    def __init__(self, ml_enabled: bool) -> None:
        self.ml_enabled = ml_enabled
        self.hold_model: HoldModel | None = None
        self.recorded_outcomes: list[dict[str, Any]] = []
        self._attempts = 0

    @property
    def enable_ml(self) -> bool:
        """``ml_enabled`` by its older name."""
        return self.ml_enabled

    def enable_ml_predictions(self, predictor: HoldModel | None = None) -> None:
        """From now on ``compute_zones`` has ``hold_probability`` and its kin; ``predictor`` is the model to use.

        Raises ValueError for a model of other Params or another timeframe.
        """
        if predictor is not None:
            if not isinstance(predictor, HoldModel):
                raise TypeError(f"predictor must be a HoldModel or None, got {type(predictor).__name__}")
            self._use(predictor)
        self.ml_enabled = True
        self._last = None

    def train_ml_predictor(
        self,
        candles: Candles | None = None,
        use_synthetic: bool = False,
        n_synthetic: int | None = None,
        *,
        tell: Callable[[str, int, int], object] | None = None,
    ) -> dict[str, Any]:
        """Train on what this Liquidator has seen, or on candles of its timeframe; the metrics, see ``model.train_on``.

        use_synthetic, n_synthetic   of 0.1.2; True is refused: no training data are invented
        tell    called with (what, done, of how many) as it goes on

        Each call is an attempt, and widens the interval of all. Raises ValueError where touches are too few (it says
        how many are needed), all held or all broke, and for candles of another timeframe; ImportError without lightgbm.
        """
        if use_synthetic is True or candles is True:
            raise ValueError(SYNTHETIC)
        if candles is None or candles is False:
            bars = self.bars(self.timeframe)
        else:
            bars = bars_from_frame(completed(candles), self._settings.on_bad)
            found = timeframe_of(bars)
            if found != self.timeframe:
                step = "" if len(bars) < 2 else f" ({step_ms(bars['time']) // 1000} s between two)"
                raise ValueError(f"candles: found those of timeframe {found}{step}, allowed {self.timeframe}")
        model = train(bars, self._hold_params(), self.timeframe, self._attempts + 1, tell)
        with self._guard.lock:  # not before: a stream goes on meanwhile
            self.hold_model = model
            self._attempts += 1
            self.ml_enabled = True
            self._last = None
            return self.get_ml_metrics()

    def get_ml_metrics(self) -> dict[str, Any]:
        """What training returned; before it, the same names, unknown, and why it abstains."""
        return untrained_metrics(UNTRAINED) if self.hold_model is None else dict(self.hold_model.metrics)

    def save_ml_model(self, path: str | os.PathLike[str]) -> None:
        """Write the model, whole or not at all: JSON with LightGBM's text and a SHA-256. ValueError before training."""
        if self.hold_model is None:
            raise ValueError(UNTRAINED)
        self.hold_model.save(path)

    def load_ml_model(self, path: str | os.PathLike[str]) -> None:
        """Use the model of a file, and go on with its attempts.

        Raises ValueError for a file that is damaged, or of other features, Params, another timeframe or schema.
        """
        model = HoldModel.load(path)
        try:
            self._use(model)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        self.ml_enabled = True

    def _use(self, model: HoldModel) -> None:
        if why := model.why_not(self._hold_params(), self.timeframe):
            raise ValueError(why)
        self.hold_model = model
        self._attempts = max(self._attempts, model.attempts)
        self._last = None

    def _hold_params(self) -> Params:
        return self._settings.params_of(self.timeframe, self.window_minutes)

    def _predicted(self, zones: pd.DataFrame, context: Context, params: Params, merge: float | None) -> pd.DataFrame:
        """The zones with hold and break."""
        model = self.hold_model
        if model is None:
            reason = UNTRAINED
        elif merge is not None:
            reason = MERGED
        elif not context.warm:
            reason = COLD
        else:
            reason = model.why_not(params, self.timeframe, context.bars) or str(model.metrics["reason"])
        return with_predictions(zones, context, params, None if reason else model, reason)

    # The older package's names and scales ----------------------------------------------------------------------------

    def compute_zones_with_prediction(
        self,
        window_minutes: float | None = None,
        pct_merge: float | None = None,
        use_atr: bool = True,
        min_quality: str | None = None,
        current_price: float | None = None,
    ) -> pd.DataFrame:
        """``compute_zones`` at 0.1.2's scales: probabilities of 0 to 100, ``prediction_confidence``, ``ml_prediction``.

        ``prediction_confidence`` is twice the distance of ``hold_probability`` from 50, and 0 where it abstains;
        ``ml_prediction`` may be "ABSTAIN". ``current_price`` is checked and not used: all is as of the last close.
        Raises ValueError if predictions were not enabled.
        """
        above("current_price", current_price)
        if not self.ml_enabled:
            raise ValueError("predictions are not enabled: Liquidator(ml_enabled=True) or enable_ml_predictions()")
        zones = self.compute_zones(window_minutes, pct_merge, use_atr, min_quality)
        hold, said = 100.0 * zones["hold_probability"], zones["prediction"]
        return zones.assign(
            hold_probability=hold,
            break_probability=100.0 - hold,
            prediction_confidence=(2.0 * (hold - 50.0).abs()).where(said != "ABSTAIN", 0.0),
            ml_prediction=said,
        )

    def record_zone_outcome(self, zone_price: float, outcome: str, current_price: float, current_time: Any) -> None:
        """Note an outcome in ``recorded_outcomes``. Nothing is trained on it: outcomes are found in the bars."""
        above("zone_price", zone_price)
        above("current_price", current_price)
        one_of("outcome", outcome, ("HOLD", "BREAK"))
        self.recorded_outcomes.append(
            {"zone_price": zone_price, "outcome": outcome, "current_price": current_price, "current_time": current_time}
        )

    def update_zone_touches(self, current_price: float, tolerance: float = 0.005) -> None:
        """Checks its arguments; ``touches`` of a zone are counted as bars close, by the rule of ``docs/formula.md``."""
        above("current_price", current_price)
        above("tolerance", tolerance)
