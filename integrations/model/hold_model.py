"""The model: trees that move the odds of the barrier distances, a calibration, what it is worth, and its file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from liquidator_core import Params
from liquidator_core._atomic import replacing
from liquidator_core.timeframes import TIMEFRAMES

from .features import NAMES
from .scores import from_log_odds, log_odds

KIND = "liquidator-core hold model"
SCHEMA = 1
TAPE_MS = Params().tape_ms
#: Features that a feed beside the candles tells, and its field of BAR.
FEEDS = {"taker": "taker_buy", "open_interest": "open_interest", "funding": "funding_rate"}
ABSTAIN, BREAK, HOLD = PREDICTIONS = ("ABSTAIN", "BREAK", "HOLD")


class HoldModel:
    """The probability that a zone holds: log odds = a + b * log odds of the geometric rate + c * the trees' score.

    trees        LightGBM's text; ``lightgbm`` is imported as a model is made
    calibration  "touch" (of a touch bar's close) and "before" (of the next touch): (a, b, c) each
    params       of the engine, ``tape_ms`` at its default, as the timeframe says it
    metrics      what training returned; ``metrics["abstains"]`` decides whether the model is used
    span         first and last touch that it learned from, ISO text
    feeds        fields of BAR beyond candles that it learned from: where all of them are unknown it is not to be used

    >>> HoldModel.load("model.json")  # doctest: +SKIP
    <HoldModel 1h, 1234 touches, abstains>
    """

    def __init__(
        self,
        trees: str,
        calibration: Mapping[str, tuple[float, float, float]],
        params: Params,
        timeframe: str,
        metrics: Mapping[str, Any],
        span: tuple[str, str],
        feeds: Sequence[str] = (),
    ) -> None:
        self.trees = trees
        self.calibration = {name: tuple(map(float, values)) for name, values in calibration.items()}
        self.params = without_tape(params)
        self.timeframe = timeframe
        self.metrics = dict(metrics)
        self.span = tuple(span)
        self.feeds = tuple(feeds)
        self._booster = booster_of(trees)

    def __repr__(self) -> str:
        return f"<HoldModel {self.timeframe}, {self.metrics['touches']} touches{', abstains' * self.abstains}>"

    @property
    def abstains(self) -> bool:
        """Whether it says ABSTAIN of every zone: the skill of the last slice is not surely above zero."""
        return bool(self.metrics["abstains"])

    @property
    def attempts(self) -> int:
        """Trainings on the same data up to this one, which the interval of its skill pays for."""
        return int(self.metrics["attempts"])

    def probability(self, features: np.ndarray, geometric: np.ndarray, touched: np.ndarray) -> np.ndarray:
        """(n,) the probability that each zone holds, whether it abstains or not; NaN where a feature is.

        features   (n, len(FEATURES))
        geometric  (n,) 0 to 1
        touched    (n,) bool, whether that is the rate of a touch bar's close
        """
        known = ~np.isnan(features).any(axis=1) & ~np.isnan(geometric)
        found = np.full(len(features), np.nan)
        if known.any():
            score = np.asarray(self._booster.predict(features[known], raw_score=True))
            touch, before = (np.array(self.calibration[name])[:, None] for name in ("touch", "before"))
            a, b, c = np.where(touched[known], touch, before)
            found[known] = from_log_odds(a + b * log_odds(geometric[known]) + c * score)
        return found

    def why_not(self, params: Params, timeframe: str | None = None, bars: np.ndarray | None = None) -> str:
        """Why it says nothing of zones of other Params or another timeframe, or of bars without its feeds; "": it does.

        Anything that is None is not looked at.
        """
        if without_tape(params).digest != self.params.digest:
            return f"the model is of other Params, {self.params.digest}, than {without_tape(params).digest}"
        if timeframe not in (None, self.timeframe):
            return f"the model is of candles of {self.timeframe}, these are of {timeframe}"
        if bars is None or len(bars) == 0:
            return ""
        missing = [name for name in self.feeds if not np.isfinite(bars[name]).any()]
        return f"the model learned from {missing[0]}, of which these candles know nothing" if missing else ""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON, whole or not at all."""
        about = {
            "kind": KIND,
            "schema": SCHEMA,
            "features": list(NAMES),
            "params": self.params.to_dict(),
            "params_digest": self.params.digest,
            "timeframe": self.timeframe,
            "span": list(self.span),
            "feeds": list(self.feeds),
            "calibration": {name: list(values) for name, values in self.calibration.items()},
            "metrics": self.metrics,
            "trees": self.trees,
        }
        with replacing(path) as file:
            file.write((json.dumps({"sha256": _digest(about), **about}, indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HoldModel:
        """Read what ``save`` wrote. Nothing in the file is run.

        Raises ValueError for a file that is damaged, of another kind or schema, or of other features than this
        version's; OSError where there is none; ImportError without lightgbm.
        """
        try:
            about = json.loads(Path(path).read_bytes())
            sealed = about.pop("sha256")
            kind, schema, features = about["kind"], about["schema"], about["features"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ValueError(f"{path}: not a file that save_ml_model wrote, or damaged") from None
        if kind != KIND:
            raise ValueError(f"{path}: of kind {kind!r:.40}, allowed {KIND!r}")
        if schema != SCHEMA:
            raise ValueError(f"{path}: of schema {schema!r:.40}, this version reads schema {SCHEMA}: train anew")
        if features != list(NAMES):
            raise ValueError(f"{path}: of other features than this version's: train anew")
        if sealed != _digest(about):
            raise ValueError(f"{path}: damaged: its SHA-256 is not that of what it holds")
        try:
            params = Params.from_dict(about["params"])
            if about["params_digest"] != params.digest or about["timeframe"] not in TIMEFRAMES:
                raise ValueError("params or timeframe")
            calibration = {name: tuple(about["calibration"][name]) for name in ("touch", "before")}
            if not all(len(some) == 3 and np.isfinite(some).all() for some in calibration.values()):
                raise ValueError("calibration")
            metrics = about["metrics"]
            if metrics["abstains"] is not (not metrics["skill_low"] > 0.0):
                raise ValueError("metrics")
            feeds = about["feeds"]
            if not set(feeds) <= set(FEEDS.values()):
                raise ValueError("feeds")
            return cls(about["trees"], calibration, params, about["timeframe"], metrics, tuple(about["span"]), feeds)
        except ImportError:
            raise
        except Exception as error:
            raise ValueError(f"{path}: damaged: {error}") from None


def without_tape(params: Params) -> Params:
    """These Params with the default of what says how long bars are, which the timeframe does."""
    return dataclasses.replace(params, tape_ms=TAPE_MS)


def lightgbm_or_explain() -> Any:
    """The module ``lightgbm``; ImportError that says how to install it."""
    try:
        import lightgbm
    except ImportError:
        raise ImportError('hold and break need lightgbm: pip install "liquidator-core[ml]"', name="lightgbm") from None
    return lightgbm


def booster_of(trees: str) -> Any:
    """LightGBM's model of a text; ValueError for one of other features."""
    booster = lightgbm_or_explain().Booster(model_str=trees)
    if booster.feature_name() != list(NAMES):
        raise ValueError("trees of other features")
    return booster


def _digest(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
