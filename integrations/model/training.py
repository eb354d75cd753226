"""Training: the first part of all touches teaches, a later one calibrates, the last one is looked at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from liquidator_core import Params
from liquidator_core.timeframes import timeframe_ms

from ..market.messages import moment
from .features import NAMES
from .hold_model import FEEDS, HoldModel, lightgbm_or_explain
from .scores import LEAST_DAYS, brier, calibration, from_log_odds, log_odds, logistic, skill_interval
from .standing import standing_touches
from .touches import EMBARGO_SHARE, Bands, Touches, bands_of, check_features, purged

SLICES = (0.6, 0.8)  # of all touches: where calibration begins, and the last slice
LEAST_TOUCHES = 400
LEAST_OF_A_SLICE = 50  # of zones
LEAST_OF_BANDS = 20  # in a slice, of bands that are none
ROUNDS = 40
PULL = np.array([1e-3, 10.0, 3.0])  # of the calibration, towards what the first slice taught: level, odds, trees
SETTINGS: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 7,
    "lambda_l2": 10.0,
    "feature_fraction": 0.7,
    "seed": 0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
RATES = {"touch": "geometric", "before": "before"}  # what is calibrated, and of which rate of Touches
DISTANCES = {"to 1 ATR": (-np.inf, 1.0), "1 to 3 ATR": (1.0, 3.0), "from 3 ATR": (3.0, np.inf)}  # of a standing zone
_SCORES = [f"{name}{end}" for name in ("skill", "slope", "intercept") for end in ("", "_low", "_high")]
Tell = Callable[[str, int, int], object]
_STEPS = ("touches", "trees", "mirrored bands", "the last slice")


class _Slices(NamedTuple):
    train: Touches
    calibrate: Touches
    last: Touches


class _Sample(NamedTuple):
    """Touches that a calibration learns from, or that something is measured on."""

    touches: Touches
    which: str  # calibration
    weight: np.ndarray
    time_ms: np.ndarray  # by whose days they are resampled


class _Fit:
    """Trees of the first slice, which weigh touches by uniqueness, and calibrations of the second, which do not:
    touches that run together hold less often, and each of them is to be told its odds.

    standing   of the second slice, what the calibration of the next touch learns from; None: from its touches
    """

    def __init__(self, slices: _Slices, standing: Touches | None = None) -> None:
        some, later = slices.train, slices.calibrate
        self._taught = {which: logistic(_columns(getattr(some, of)), some.held) for which, of in RATES.items()}
        self._later = {which: _Sample(later, which, np.ones(len(later)), later.begin) for which in RATES}
        if standing is not None:
            self._later["before"] = _of_standing(standing)
        data = lightgbm_or_explain().Dataset(
            some.features,
            some.held,
            weight=some.weight,
            init_score=_columns(some.geometric) @ self._taught["touch"],
            feature_name=list(NAMES),
        )
        settings = {**SETTINGS, "min_data_in_leaf": max(20, len(some) // 40)}
        self.trees = lightgbm_or_explain().train(settings, data, ROUNDS)
        self.coefficients = {which: self._learning(which)(np.ones(1)) for which in RATES}

    def rate(self, touches: Touches, which: str = "touch") -> np.ndarray:
        """What is said of touches."""
        return from_log_odds(self._scored(touches, which) @ self.coefficients[which])

    def calibration(self, tried: _Sample) -> dict[str, float]:
        """How well that is calibrated."""
        touches, which, weight, time_ms = tried
        learned_ms, columns = self._later[which].time_ms, self._scored(touches, which)
        return calibration(self._learning(which), learned_ms, columns, touches.held, time_ms, weight)

    def _scored(self, touches: Touches, which: str) -> np.ndarray:
        score = np.asarray(self.trees.predict(touches.features, raw_score=True))
        return _columns(getattr(touches, RATES[which]), score)

    def _learning(self, which: str) -> Callable[[np.ndarray], np.ndarray]:
        """Calibration as a function of further weights of the touches that it learns from."""
        touches, _, given, _ = self._later[which]
        columns, near = self._scored(touches, which), np.r_[self._taught[which], 1.0]
        return lambda weight: logistic(columns, touches.held, given * weight, PULL, near)


def train(bars: np.ndarray, params: Params, timeframe: str, attempts: int = 1, tell: Tell | None = None) -> HoldModel:
    """A model of (n,) BAR of a timeframe, see ``train_on``.

    Raises ValueError where touches are too few, or all held or all broke; ImportError without lightgbm. Cost: seconds
    for 150,000 bars.

    >>> train(bars, Params(), "1h")
    Traceback (most recent call last):
        ...
    ValueError: training: found 123 touches that held or broke in 1,500 bars, needs at least 400: some 4,900 bars
    """
    lightgbm_or_explain()
    if tell is not None:
        tell(_STEPS[0], 0, len(_STEPS))
    if len(bars) == 0:
        raise ValueError(f"training: found no bars, needs {LEAST_TOUCHES} touches that held or broke")
    bands = bands_of(bars, params, timeframe_ms(timeframe))
    count = len(bands.real)
    if count < LEAST_TOUCHES:
        needed = f": some {round(len(bars) * LEAST_TOUCHES / count, -2):,.0f} bars" if count else ""
        raise ValueError(
            f"training: found {count} touches that held or broke in {len(bars):,} bars, needs at least "
            f"{LEAST_TOUCHES}{needed}"
        )
    standing = standing_touches(bars, params, timeframe_ms(timeframe), slice_times(bands.real)[0])
    return train_on(bands, params, timeframe, attempts, tell, standing)


def train_on(
    bands: Bands,
    params: Params,
    timeframe: str,
    attempts: int = 1,
    tell: Tell | None = None,
    standing: Touches | None = None,
) -> HoldModel:
    """A model of touches, and what it is worth beside those of bands that are no zones.

    attempts   how often these data were trained on, this time included: the interval is one of 1 - 5 % / attempts
    standing   ``standing_touches`` since the first of ``slice_times``: what the odds of the next touch of standing
               zones are calibrated on, and their skill measured; without it those odds are of zones about to be met

    Trees learn from the first 60 % of the touches, weighted by uniqueness, what moves the odds of the barrier
    distances. The next 20 % calibrate them, unweighted. The last 20 % are looked at once. Touches whose outcome was not
    known 1 % of the span before the next part begins are purged.

    ``metrics``: of the last slice ``touches``, ``skill`` (1 - the Brier score / that of the best rival) with
    ``skill_low`` and ``skill_high`` from resampled days, ``slope`` and ``intercept`` with intervals, ``brier`` of the
    model and of each rival, ``rival``, ``win_rate`` (percent held), ``expectancy`` (of +1 held, -1 broke) and
    ``sqn_score`` (that / its deviation * the root of touches); ``abstains``, where not ``skill_low`` > 0, and
    ``reason``; ``attempts``, ``level``; touches of each slice, those purged, and those left out. With ``standing``
    ``next_touches``, ``next_skill`` and so on, of the next touch of zones that stand, each touch counted once, and
    ``next_by_distance``, by how far away in ATR the zone was when it was said. The rivals: the geometric rate; that as
    bands elsewhere, and as mirrored bands calibrate it; trees that learned from mirrored bands, for what is true of any
    band.
    """
    lightgbm_or_explain()
    for some in bands:
        check_features(some)
    ours, mirrored, elsewhere = _slices(bands)
    told = tell or (lambda *_: None)
    told(_STEPS[1], 1, len(_STEPS))
    teaching, looked_at = _standing_slices(standing, bands.real)
    fit = _Fit(ours, teaching)
    told(_STEPS[2], 2, len(_STEPS))
    rivals = _Rivals(mirrored, elsewhere)
    told(_STEPS[3], 3, len(_STEPS))
    metrics = _metrics(fit, rivals, ours.last, attempts)
    metrics |= _next_unknown() if looked_at is None else _next_metrics(fit, rivals, looked_at, metrics["level"])
    real = bands.real
    counts = {"train_touches": len(ours.train), "calibration_touches": len(ours.calibrate)}
    counts |= {"purged": len(real) - sum(map(len, ours)), "mirrored_touches": len(bands.mirrored)}
    metrics |= {**counts, "left_out": real.left_out}
    calibrations = {which: tuple(values) for which, values in fit.coefficients.items()}
    span = moment(int(real.begin[0])), moment(int(real.end[-1]))
    feeds = [field for name, field in FEEDS.items() if real.features[:, NAMES.index(name)].any()]
    told(_STEPS[3], 4, len(_STEPS))
    return HoldModel(fit.trees.model_to_string(), calibrations, params, timeframe, metrics, span, feeds)


def calibration_later(bands: Bands, later: Touches) -> dict[str, float]:
    """Slope and intercept, with intervals, of what ``train_on`` learns from these bands on touches that came later."""
    return _Fit(_slices(bands)[0]).calibration(_at_touch(later))


def slice_times(real: Touches) -> tuple[int, int]:
    """Times from which on touches of zones calibrate, and are looked at once."""
    middle, last = (int(real.begin[int(share * len(real))]) for share in SLICES)
    return middle, last


def _embargo(real: Touches) -> int:
    return int(EMBARGO_SHARE * (real.end.max() - real.begin[0]))


def _slices(bands: Bands) -> list[_Slices]:
    """The slices of each kind of band, between the same times."""
    real = bands.real
    if len(real) < LEAST_TOUCHES:
        raise ValueError(f"training: found {len(real)} touches that held or broke, needs at least {LEAST_TOUCHES}")
    embargo, (middle, last) = _embargo(real), slice_times(real)
    cut = []
    for whose, touches in bands._asdict().items():
        parts = (touches.begin < middle, (touches.begin >= middle) & (touches.begin < last), touches.begin >= last)
        first, second, third = (touches.taken(np.flatnonzero(part)) for part in parts)
        slices = _Slices(purged(first, middle, embargo), purged(second, last, embargo), third)
        _check_slices(slices, whose)
        cut.append(slices)
    return cut


def _standing_slices(standing: Touches | None, real: Touches) -> tuple[Touches | None, Touches | None]:
    """(those that calibrate, those that are looked at once) of standing zones; None where they are too few."""
    if standing is None:
        return None, None
    last = slice_times(real)[1]
    early, late = (standing.taken(np.flatnonzero(part)) for part in (standing.begin < last, standing.begin >= last))
    slices = purged(early, last, _embargo(real)), late
    least = min(float(some.weight.sum()) for some in slices)
    return slices if least >= LEAST_OF_A_SLICE else (None, None)


def _check_slices(slices: _Slices, whose: str) -> None:
    """ValueError where a slice that is needed has too few touches, or one outcome alone."""
    is_real = whose == "real"
    needed, least = (slices, LEAST_OF_A_SLICE) if is_real else (slices[:2], LEAST_OF_BANDS)
    for name, part in zip(_Slices._fields, needed, strict=False):
        what = f"{len(part)} touches of {'zones' if is_real else f'bands {whose}'} in the slice to {name}"
        if len(part) < least:
            raise ValueError(f"training: found {what}, needs at least {least}: give more bars")
        if len(np.unique(part.held)) == 1:
            raise ValueError(f"training: all of {what} {'held' if part.held[0] else 'broke'}: it takes both to learn")


def _columns(geometric: np.ndarray, score: np.ndarray | None = None) -> np.ndarray:
    columns = [np.ones(len(geometric)), log_odds(geometric)]
    return np.column_stack(columns if score is None else [*columns, score])


class _Rivals:
    """What is to be beaten."""

    def __init__(self, mirrored: _Slices, elsewhere: _Slices) -> None:
        self._mirrored, self._elsewhere, self._trees = mirrored, elsewhere, _Fit(mirrored)

    def rates(self, touches: Touches, which: str) -> dict[str, np.ndarray]:
        """What each says of touches."""
        of = RATES[which]
        return {
            "geometric": getattr(touches, of),
            "elsewhere": _calibrated(self._elsewhere, touches, of),
            "mirrored": _calibrated(self._mirrored, touches, of),
            "mirrored_trees": self._trees.rate(touches, which),
        }


def _calibrated(slices: _Slices, touches: Touches, of: str) -> np.ndarray:
    """Geometric rates of touches as those of the slices before the last calibrate them."""
    geometric, held = (np.concatenate([getattr(some, name) for some in slices[:2]]) for name in (of, "held"))
    return from_log_odds(_columns(getattr(touches, of)) @ logistic(_columns(geometric), held))


def untrained_metrics(reason: str) -> dict[str, Any]:
    """The names that training returns, unknown, of a model that is not there."""
    unknown = {**_unmeasured(), **dict.fromkeys(("win_rate", "expectancy", "sqn_score", "level"), np.nan)}
    counts = dict.fromkeys(("train_touches", "calibration_touches", "purged", "mirrored_touches"), 0)
    unknown |= {**counts, **_next_unknown(), "left_out": {}}
    return {"touches": 0, **unknown, "abstains": True, "reason": reason, "attempts": 0}


def _unmeasured() -> dict[str, Any]:
    """The names of what ``_measured`` finds, unknown."""
    return {**dict.fromkeys((*_SCORES, "brier"), np.nan), "rival": "", "rivals": {}}


def _next_unknown() -> dict[str, Any]:
    """The names of ``_next_metrics``, unknown."""
    unknown = {f"next_{name}": value for name, value in _unmeasured().items()}
    return {"next_touches": 0, **unknown, "next_by_distance": {}, "next_left_out": {}}


def _at_touch(touches: Touches) -> _Sample:
    return _Sample(touches, "touch", np.ones(len(touches)), touches.begin)


def _of_standing(touches: Touches) -> _Sample:
    """Each touch counts once; rows of one are resampled together, by the day that decided it."""
    return _Sample(touches, "before", touches.weight, touches.end)


def _metrics(fit: _Fit, rivals: _Rivals, last: Touches, attempts: int) -> dict[str, Any]:
    level = 1.0 - 0.05 / attempts
    found, _ = _measured(fit, rivals, _at_touch(last), level)
    low, high = found["skill_low"], found["skill_high"]
    abstains = not low > 0.0
    wins = 2.0 * last.held - 1.0
    return {
        "touches": len(last),
        **found,
        "abstains": abstains,
        "reason": _reason(found["rival"], low, high, level) if abstains else "",
        "attempts": attempts,
        "level": level,
        "win_rate": 100.0 * float(last.held.mean()),
        "expectancy": float(wins.mean()),
        "sqn_score": float(wins.mean() / wins.std() * np.sqrt(len(wins))),
    }


def _measured(
    fit: _Fit, rivals: _Rivals, tried: _Sample, level: float
) -> tuple[dict[str, Any], tuple[np.ndarray, np.ndarray]]:
    """(skill beyond the best rival, calibration, Brier scores; the weighted losses of the model and that rival)."""
    touches, which, weight, time_ms = tried
    loss = weight * brier(fit.rate(touches, which), touches.held)
    losses = {name: weight * brier(rate, touches.held) for name, rate in rivals.rates(touches, which).items()}
    rival = min(losses, key=lambda name: float(losses[name].sum()))
    skill, low, high = skill_interval(loss, losses[rival], time_ms, level)
    found = {
        "skill": skill,
        "skill_low": low,
        "skill_high": high,
        **fit.calibration(tried),
        "brier": float(loss.sum() / weight.sum()),
        "rival": rival,
        "rivals": {name: float(some.sum() / weight.sum()) for name, some in losses.items()},
    }
    return found, (loss, losses[rival])


def _next_metrics(fit: _Fit, rivals: _Rivals, standing: Touches, level: float) -> dict[str, Any]:
    """The same of the next touch of standing zones."""
    tried = _of_standing(standing)
    weight, time_ms = tried.weight, tried.time_ms
    found, (ours, theirs) = _measured(fit, rivals, tried, level)
    said = fit.rate(standing, "before")
    distance = standing.features[:, NAMES.index("distance")]
    by_distance = {}
    for name, (least, most) in DISTANCES.items():
        rows = np.flatnonzero((distance >= least) & (distance < most))
        if len(rows):
            skill = skill_interval(ours[rows], theirs[rows], time_ms[rows], level)
            by_distance[name] = {
                "touches": float(weight[rows].sum()),
                **dict(zip(("skill", "skill_low", "skill_high"), skill, strict=True)),
                "said": float(np.average(said[rows], weights=weight[rows])),
                "held": float(np.average(standing.held[rows], weights=weight[rows])),
            }
    return {
        "next_touches": round(float(weight.sum())),
        **{f"next_{name}": value for name, value in found.items()},
        "next_by_distance": by_distance,
        "next_left_out": standing.left_out,
    }


def _reason(rival: str, low: float, high: float, level: float) -> str:
    if np.isnan(low):
        return f"the last slice spans fewer than {LEAST_DAYS} days: no interval can be made of them"
    shown = f"{low:+.4f} to {high:+.4f}, {level:.4g} interval"
    return f"skill beyond the {rival.replace('_', ' ')} rate is not above zero on touches never seen ({shown})"
