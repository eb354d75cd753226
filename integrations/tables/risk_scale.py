"""The scale of liquidation at risk: the prior's, moved by what a feed taught up to each hour.

A move is an hour from whose close price goes more than 0.4 % to a side within the horizon. Of the moves of the trailing
30 days that a feed covers, a residual says by how much what was liquidated exceeds the prior, in logarithms. With n of
them and ``g = n / (n + 20)``, a moves by g times their median, and the ends of the band by g from the prior's towards
their 10 % and 90 % quantiles. A feed whose median is more than 20 times off, or that saw
nothing liquidated in 20 moves, is not of these dollars: the prior stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from liquidator_core.windows import trailing_quantiles

from .observed import HOUR, Feed
from .risk_law import FLOOR_USD, Law, logs

__all__ = ["SOURCES", "TAUGHT", "Scale", "learn", "moves_ahead", "prior"]

TAUGHT = 720  # hours that a feed teaches over
LEAST_MOVE = 0.004
HALFWAY = 20  # moves with which a feed counts as much as the prior
LEARNED = 60
UNLIKE = 20.0
UNUSUAL = 4.0
LEAST_MOVES = 40  # to compare with what knows the move alone

SOURCES = ("none", "prior", "mixed", "learned")
SIDES = ("long", "short")


@dataclass(frozen=True)
class Scale:
    """The law in use at each of h hours, a column a side."""

    a: np.ndarray  # (h, 2)
    band: np.ndarray  # (h, 2, 2) logarithms of its ends around a
    weight: np.ndarray  # (h, 2) of the feed
    count: np.ndarray  # (h, 2) moves that it was learned from
    evidence: dict[str, dict[str, Any]]  # as of the last hour, by side
    told: list[str]  # what did not go as asked

    @property
    def source(self) -> np.ndarray:
        """(h, 2) places in SOURCES."""
        return np.select([np.isnan(self.weight), self.weight == 0.0, self.count < LEARNED], [0, 1, 2], 3)


def prior(laws: tuple[Law, Law], hours: int, cold: int) -> Scale:
    """The prior at each of so many hours, NaN at the first ``cold``."""
    a = np.tile([law.a for law in laws], (hours, 1))
    band = np.tile(np.log([law[2:] for law in laws]), (hours, 1, 1))
    weight = np.zeros((hours, 2))
    for values in (a, band, weight):
        values[:cold] = np.nan
    count = np.zeros((hours, 2), np.int64)
    unknown = {"n": 0, "moves": 0, "coverage": np.nan, "gain": np.nan, "rival": (np.nan, np.nan)}
    return Scale(a, band, weight, count, {side: dict(unknown) for side in SIDES}, [])


def moves_ahead(bars: np.ndarray, feed: Feed, hours: int) -> tuple[np.ndarray, np.ndarray]:
    """How far price went in the ``hours`` after each bar, and what a feed saw meanwhile: (h, 2) quote, (h, 2) USD.

    The low and the high, where they lie more than 0.4 % from the close and the feed covers all of the time; else NaN,
    as where a bar is missing or skipped.
    """
    prices = np.full((len(bars), 2), np.nan)
    usd = feed.between(bars["time"] + HOUR, hours).T
    last = len(bars) - hours
    if last <= 0:
        return prices, usd
    lows = [bars["low"][part : part + last] for part in range(1, hours + 1)]
    highs = [bars["high"][part : part + last] for part in range(1, hours + 1)]
    prices[:last] = np.column_stack([np.minimum.reduce(lows), np.maximum.reduce(highs)])
    in_time = bars["time"][hours:] - bars["time"][:-hours] == hours * HOUR
    away = np.abs(prices[:last] / bars["close"][:last, None] - 1.0)
    moved = np.array([-1.0, 1.0]) * (prices[:last] - bars["close"][:last, None]) > 0.0
    prices[:last][~(in_time[:, None] & moved & (away > LEAST_MOVE) & ~np.isnan(usd[:last]))] = np.nan
    return prices, usd


def learn(
    laws: tuple[Law, Law],
    bars: np.ndarray,
    turnover: np.ndarray,
    horizon: int,
    ahead: np.ndarray,
    observed: np.ndarray,
    ledger_usd: np.ndarray,
    cold: int,
    market: str,
) -> Scale:
    """What a feed taught, at each hour from what was known by its close.

    laws         the prior, of longs and of shorts
    bars         (h,) BAR, hours
    turnover     (h,) USD an hour, the mean of the trailing week
    horizon      hours
    ahead        (h, 2) how far price went within them, and
    observed     (h, 2) USD that were liquidated meanwhile, as from ``moves_ahead``
    ledger_usd   (h, 2) what the ledger held until there
    cold         rows that stay NaN
    market       what the bars are of, for what is told

    Raises ValueError for a feed that is not in USD. Cost: the quantiles of 720 values a row.
    """
    scale = prior(laws, len(bars), cold)
    close = bars["close"]
    span = TAUGHT - horizon + 1  # a move is known once its horizon has passed
    for which, (side, law) in enumerate(zip(SIDES, laws, strict=True)):
        move = ahead[:, which] / close - 1.0
        away = np.abs(move)
        shape = logs(turnover, ledger_usd[:, which], move, law.b)
        with np.errstate(invalid="ignore", divide="ignore"):
            answer = np.log((observed[:, which] + FLOOR_USD) / turnover)
        residual = np.where(np.isfinite(shape), answer - law.a - shape, np.nan)
        _check_usd(side, law, observed[:, which], shape, turnover, close, residual)
        known = np.full(len(bars), np.nan)
        known[horizon:] = residual[:-horizon]
        quantiles, count = trailing_quantiles(known, span, (0.1, 0.5, 0.9))
        nothing = _trailing_count(~np.isnan(known) & (np.roll(observed[:, which], horizon) > 0.0), span) == 0
        unlike = (count >= HALFWAY) & (nothing | (np.abs(quantiles[:, 1]) > np.log(UNLIKE)))
        weight = np.where(unlike, 0.0, count / (count + HALFWAY))
        low, middle, high = np.where(np.isnan(quantiles), 0.0, quantiles).T
        scale.a[:, which] += weight * middle
        scale.band[:, which, 0] += weight * (low - middle - scale.band[:, which, 0])
        scale.band[:, which, 1] += weight * (high - middle - scale.band[:, which, 1])
        scale.weight[:, which] += weight
        scale.count[cold:, which] = count[cold:]
        shift = (scale.a[:, which] - law.a)[:, None]
        seen = ~np.isnan(residual) & ~np.isnan(shift[:, 0])
        ends = (shift + scale.band[:, which])[seen]
        inside = (residual[seen] >= ends[:, 0]) & (residual[seen] <= ends[:, 1])
        rival = _Rival.of(answer[seen], away[seen])
        scale.evidence[side] = {
            "n": int(count[-1]) if len(bars) > cold else 0,
            "moves": len(inside),
            "coverage": float(inside.mean()) if len(inside) else np.nan,
            "gain": rival.beaten_by(residual[seen] - shift[seen, 0]),
            "rival": rival.line,
        }
        if len(bars) > cold:
            last = int(count[-1]), float(quantiles[-1, 1]), bool(unlike[-1]), bool(nothing[-1])
            scale.told.extend(_remarks(side, market, *last))
                _remarks(side, int(count[-1]), float(quantiles[-1, 1]), bool(unlike[-1]), bool(nothing[-1]), market)
            )
    return scale


def _trailing_count(which: np.ndarray, length: int) -> np.ndarray:
    """How many of each row's last ``length``, its own among them."""
    total = np.r_[0, np.cumsum(which)]
    return total[1:] - total[np.maximum(np.arange(len(which)) - length + 1, 0)]


@dataclass(frozen=True)
class _Rival:
    """What knows the move alone: a line in its logarithm, fitted on the first half of the moves."""

    answer: np.ndarray
    away: np.ndarray
    line: tuple[float, float]  # where it is 0, slope; nan below 40 moves

    @classmethod
    def of(cls, answer: np.ndarray, away: np.ndarray) -> _Rival:
        half = len(answer) // 2
        if len(answer) < LEAST_MOVES:
            return cls(answer, away, (np.nan, np.nan))
        known = np.column_stack([np.ones(half), np.log(away[:half])])
        start, slope = np.linalg.lstsq(known, answer[:half], rcond=None)[0].tolist()
        return cls(answer, away, (start, slope))

    def beaten_by(self, errors: np.ndarray) -> float:
        """One minus the ratio of mean squared errors on the second half: those given over its own."""
        half = len(errors) // 2
        own = self.answer[half:] - self.line[0] - self.line[1] * np.log(self.away[half:])
        return float(1.0 - np.mean(errors[half:] ** 2) / np.mean(own**2)) if len(errors) >= LEAST_MOVES else np.nan


def _check_usd(
    side: str,
    law: Law,
    observed: np.ndarray,
    shape: np.ndarray,
    turnover: np.ndarray,
    close: np.ndarray,
    residual: np.ndarray,
) -> None:
    """Raise for a feed in coins, told by its sums beside turnover, and beside what the prior expects."""
    moves = ~np.isnan(residual)
    if moves.sum() < HALFWAY:
        return
    seen, traded = float(observed[moves].sum()), float(turnover[moves].sum())
    if seen > traded:
        raise ValueError(
            f"observed: {side}_usd adds up to {seen:.3g} over {int(moves.sum())} moves, more than the {traded:.3g} USD "
            "that are traded in as many hours: it must be USD of this market, not coins"
        )
    ratio = seen / float((turnover * np.exp(law.a + shape))[moves].sum())
    if not 0.0 < ratio < 1.0 / (2.0 * UNLIKE):
        return
    with_price = ratio * float(np.median(close[moves]))
    if 1.0 / UNLIKE < with_price < UNLIKE:
        raise ValueError(
            f"observed: {side}_usd is {ratio:.2g} times what the prior expects, and {with_price:.2g} times if it is "
            "multiplied by the price: it seems to be in coins"
        )


def _remarks(side: str, market: str, count: int, median: float, unlike: bool, nothing: bool) -> list[str]:
    if count == 0:
        return [f"observed covers no {side} move of the trailing 30 days: the prior is used"]
    if unlike and nothing:
        return [f"observed saw no {side} liquidated in {count} moves of the trailing 30 days: the prior is used"]
    times = f"observed {side}_usd is {np.exp(median):.2g} times what the prior expects"
    if unlike:
        return [f"{times}, so it is not of this coin or not in dollars of this feed: the prior is used"]
    if count >= LEARNED and np.log(UNUSUAL) < median and market == "perpetual":
        return [f"{times} of perpetual candles: if these are spot candles, say market='spot'"]
    if count >= LEARNED and median < -np.log(UNUSUAL) and market == "spot":
        return [f"{times} of spot candles: if these are perpetual candles, say market='perpetual'"]
    return []
