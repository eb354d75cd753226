"""How good probabilities are: calibration by logistic regression, Brier skill, and intervals from resampled days."""

from __future__ import annotations

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
        if np.abs(move).max() < 1e-9:
            break
    return found


def brier(rate: np.ndarray, held: np.ndarray) -> np.ndarray:
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


def calibration(rate: np.ndarray, held: np.ndarray, time_ms: np.ndarray, resamples: int = 200) -> dict[str, float]:
    """Slope and intercept of outcomes on log odds, 1 and 0 if calibrated, with 95 % intervals from resampled days."""
    columns = np.column_stack([log_odds(rate), np.ones(len(rate))])
    slope, intercept = logistic(columns, held)
    day, draws = day_draws(time_ms, 1, resamples)
    drawn = np.array([logistic(columns, held, draw[day].astype(np.float64)) for draw in draws])
    (slope_low, intercept_low), (slope_high, intercept_high) = np.quantile(drawn, [0.025, 0.975], axis=0)
    return {
        "slope": float(slope), "slope_low": float(slope_low), "slope_high": float(slope_high),
        "intercept": float(intercept), "intercept_low": float(intercept_low), "intercept_high": float(intercept_high),
    }  # fmt: skip
