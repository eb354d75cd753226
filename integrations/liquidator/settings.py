"""Arguments of the Liquidator, checked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from liquidator_core import Params
from liquidator_core._suggest import suggestion
from liquidator_core.layout import OBSERVED, SIZES
from liquidator_core.observed import SCALE_MS
from liquidator_core.timeframes import BAR_LENGTHS, TIMEFRAMES, check_timeframe, timeframe_ms
from liquidator_core.zones import QUALITY_EDGES, QUALITY_LABELS

from ..market.candles import OnBad

#: What ``save`` keeps of the arguments; the rest went into ``params``.
SETTINGS = (
    *("coin", "pct_merge", "window_minutes", "mode", "cutoff_hours", "bar", "timeframe", "timeframes"),
    *("lateness_ms", "on_bad", "ml_enabled"),
)
_QUALITIES = dict(zip(QUALITY_LABELS, (-math.inf, *QUALITY_EDGES), strict=True))


class Settings:
    """The arguments of a Liquidator, checked on the way in; ValueError or TypeError for what is not allowed.

    ``params`` holds what ``zone_vol_mult``, ``liq_size_threshold`` and ``bar`` set on top of those given.
    """

    def __init__(
        self,
        coin: str | None,
        pct_merge: float | None,
        zone_vol_mult: float | None,
        window_minutes: float | None,
        liq_size_threshold: float | None,
        mode: str,
        cutoff_hours: float | None,
        bar: str,
        timeframe: str | None,
        timeframes: Sequence[str] | None,
        params: Params | None,
        lateness_ms: int,
        on_bad: OnBad,
        observed: str | None,
    ) -> None:
        one_of("mode", mode, ("batch", "streaming"))
        one_of("on_bad", on_bad, ("raise", "skip"))
        check_timeframe(bar, BAR_LENGTHS, "bar")
        if isinstance(lateness_ms, bool) or not isinstance(lateness_ms, int) or not 0 <= lateness_ms <= 3_600_000:
            raise ValueError(f"lateness_ms must be a whole number from 0 to 3,600,000, got {lateness_ms!r}")
        if not isinstance(params, Params | None):
            raise TypeError(f"params must be Params or None, got {type(params).__name__}")
        if coin is not None and (not isinstance(coin, str) or not coin):
            raise ValueError(f"coin must be a name, got {coin!r}")
        self.coin = coin
        self.on_bad = on_bad
        self.streaming = mode == "streaming"
        self.step = timeframe_ms(bar)
        self.bar = bar
        self.pct_merge = above("pct_merge", pct_merge)
        self.window_minutes = above("window_minutes", window_minutes)
        self.cutoff_hours = above("cutoff_hours", cutoff_hours)
        self.keep_ms = None if self.cutoff_hours is None else max(1, int(self.cutoff_hours * 3_600_000))
        self.lateness_ms = lateness_ms
        self.timeframe = self.timeframe_of(timeframe or bar)
        self.timeframes = self.timeframes_of(timeframes)
        changes: dict[str, Any] = {"tape_ms": self.step}
        if zone_vol_mult is not None:
            changes["zone_atr"] = zone_vol_mult
        if liq_size_threshold is not None:
            changes |= {"use_large_trades": True, "large_usd": liq_size_threshold}
        if observed is not None:
            changes["observed"] = one_of("observed", observed, OBSERVED)
        self.params = _with_days_of(bar, dataclasses.replace(params or Params(), **changes))
        self.params_of(self.timeframe, window_minutes)

    def timeframe_of(self, name: str) -> str:
        """A timeframe that bars of ``bar`` fit into."""
        length = timeframe_ms(name)
        if length % self.step or (name == "1M" and 86_400_000 % self.step):
            raise ValueError(f"timeframe {name} cannot be made of bars of {self.bar}")
        return name

    def timeframes_of(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """Such timeframes, each once; None: all."""
        if names is None:
            return tuple(name for name in TIMEFRAMES if timeframe_ms(name) % self.step == 0)
        if isinstance(names, str) or len(names) == 0:
            raise ValueError(f"timeframes must be at least one of {', '.join(TIMEFRAMES)} in a list, got {names!r}")
        return tuple(dict.fromkeys(self.timeframe_of(name) for name in names))

    def params_of(self, timeframe: str, window_minutes: float | None) -> Params:
        """The Params of a timeframe's engine."""
        window = above("window_minutes", window_minutes)
        params = _with_days_of(timeframe, self.params)
        if window is None:
            return params
        bars = window * 60_000 / timeframe_ms(timeframe)
        if bars > SIZES[-1]:
            raise ValueError(
                f"window_minutes must make at most {SIZES[-1]} bars of {timeframe}, got {window_minutes!r}: "
                "for more choose a longer timeframe"
            )
        return dataclasses.replace(params, zone_bars=math.ceil(bars))


def _with_days_of(timeframe: str, params: Params) -> Params:
    """These Params with as many bars of a timeframe as the scale of observed flow is learned in, where it is."""
    if params.observed != "flow":
        return params
    return dataclasses.replace(params, observed_bars=math.ceil(SCALE_MS / timeframe_ms(timeframe)))


def least_quality(name: str | None) -> float:
    """The quality score from which on a zone is of a band, or of a better one."""
    if name is None:
        return -math.inf
    return _QUALITIES[one_of("min_quality", name.lower() if isinstance(name, str) else name, tuple(_QUALITIES))]


def one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}{suggestion(value, allowed)}")
    return value


def above(name: str, value: float | None) -> float | None:
    """The value, which must be None or a finite number above 0."""
    if value is None:
        return None
    if finite(name, value, " above 0") <= 0.0:
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")
    return float(value)


def finite(name: str, value: float, more: str = "") -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        known = math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        known = False
    if not known:
        raise ValueError(f"{name} must be a finite number{more}, got {value!r:.80}")
    return value
