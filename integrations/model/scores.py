"""How good probabilities are: calibration by logistic regression, Brier skill, and intervals from resampled days."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

DAY_MS = 86_400_000
RESAMPLES = 2000
LEAST_DAYS = 10  # of which an interval is made
_LEAST, _MOST = 0.02, 0.98  # of a rate whose log odds are taken


def log_odds(rate: np.ndarray) -> np.ndarray:
    """Log odds of rates, each kept within 2 to 98 %.

    >>> log_odds(np.array([0.5, 0.0])).round(3).tolist()
    [0.0, -3.892]
    """
    kept = np.clip(rate, _LEAST, _MOST)
    return np.asarray(np.log(kept / (1.0 - kept)))


def from_log_odds(value: np.ndarray) -> np.ndarray:
    """Rates of log odds, of the same shape.

    >>> from_log_odds(np.array([0.0, -3.892])).round(3).tolist()
    [0.5, 0.02]
    """
    return np.asarray(1.0 / (1.0 + np.exp(-value)))


def logistic(
    columns: np.ndarray, held: np.ndarray, weight: np.ndarray | None = None, ridge: Any = 1e-3, near: Any = 0.0
) -> np.ndarray:
    """(k,) coefficients of a logistic regression on (n, k) columns, by Newton's method; none is taken for granted.

    ridge   how strongly they are pulled towards ``near``: 1 / the variance of a normal prior, each its own or all one
    """
    weight = np.ones(len(held)) if weight is None else weight
    pull = np.broadcast_to(ridge, columns.shape[1])
    found: np.ndarray = near + np.zeros(columns.shape[1])
    for _ in range(50):
        rate = from_log_odds(columns @ found)
        slope = columns.T @ (weight * (held - rate)) - pull * (found - near)
        bend = (columns * (weight * rate * (1.0 - rate))[:, None]).T @ columns + np.diag(pull)
        move = np.clip(np.linalg.solve(bend, slope), -4.0, 4.0)
        found = found + move
        if np.abs(move).max() < 1e-6:  # the error left is about its square
            break
    return found


def brier(rate: np.ndarray, held: np.ndarray) -> np.ndarray:
    """(n,) squared errors of rates against outcomes, 1 held and 0 broke; their mean is the Brier score.

    >>> brier(np.array([0.5, 0.9]), np.array([1.0, 1.0])).round(2).tolist()
    [0.25, 0.01]
    """
    return np.asarray((rate - held) ** 2)


def day_draws(time_ms: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """((n,) number of each row's day, (resamples, days) how often each day is drawn): days with replacement."""
    _, day = np.unique(time_ms // DAY_MS, return_inverse=True)
    days = int(day.max()) + 1
    draws = np.random.default_rng(seed).multinomial(days, np.full(days, 1.0 / days), resamples)
    return day, draws


def skill_interval(
    loss: np.ndarray, rival: np.ndarray, time_ms: np.ndarray, level: float
) -> tuple[float, float, float]:
    """(1 - loss / the rival's, its interval at a level from resampled days); no interval of under ``LEAST_DAYS``."""
    skill = 1.0 - float(loss.sum() / rival.sum())
    day, draws = day_draws(time_ms)
    if draws.shape[1] < LEAST_DAYS:
        return skill, np.nan, np.nan
    sums = (draws @ np.bincount(day, some) for some in (loss, rival))
    ours, theirs = sums
    low, high = np.quantile(1.0 - ours / theirs, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return skill, float(low), float(high)


def calibration(
    learn: Callable[[np.ndarray], np.ndarray],
    learned_ms: np.ndarray,
    columns: np.ndarray,
    held: np.ndarray,
    time_ms: np.ndarray,
    weight: np.ndarray | None = None,
    resamples: int = 200,
) -> dict[str, float]:
    """Slope and intercept of outcomes on log odds, 1 and 0 if calibrated, with 95 % intervals from resampled days.

    Days are resampled of what the calibration learned from, too: an interval of the tried ones alone takes for granted
    what it cost to learn from so few, and holds 1 and 0 six or seven times in ten.

    learn       (k,) coefficients of the calibration, given (m,) weights of what it learns from
    learned_ms  (m,) when that was
    columns     (n, k) of what it is tried on: log odds = columns @ coefficients
    """
    given = np.ones(len(held)) if weight is None else weight

    def line(coefficients: np.ndarray, weight: np.ndarray) -> np.ndarray:
        odds = np.column_stack([columns @ coefficients, np.ones(len(held))])
        return logistic(odds, held, weight, near=np.array([1.0, 0.0]))

    slope, intercept = line(learn(np.ones(len(learned_ms))), given)
    then, now = day_draws(learned_ms, 2, resamples), day_draws(time_ms, 1, resamples)
    drawn = [
        line(learn(taught[then[0]].astype(np.float64)), given * tried[now[0]])
        for taught, tried in zip(then[1], now[1], strict=True)
    ]
    (slope_low, intercept_low), (slope_high, intercept_high) = np.quantile(drawn, [0.025, 0.975], axis=0)
    return {
        "slope": float(slope), "slope_low": float(slope_low), "slope_high": float(slope_high),
        "intercept": float(intercept), "intercept_low": float(intercept_low), "intercept_high": float(intercept_high),
    }  # fmt: skip
