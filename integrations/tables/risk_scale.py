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
_UNKNOWN = {"n": 0, "moves": 0, "coverage": np.nan, "gain": np.nan, "rival": (np.nan, np.nan)}


@dataclass(frozen=True)
class Scale:
    """The law in use at each of h hours, a column a side."""

    a: np.ndarray  # (h, 2)
    band: np.ndarray  # (h, 2, 2) logarithms of its ends around a
    weight: np.ndarray  # (h, 2) of the feed
    count: np.ndarray  # (h, 2) moves that it was learned from
    evidence: dict[str, dict[str, Any]]  # as of the last hour, by side
    remarks: list[str]  # what did not go as asked

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
    return Scale(a, band, weight, count, {side: _UNKNOWN.copy() for side in SIDES}, [])


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
    for which, (side, law) in enumerate(zip(SIDES, laws, strict=True)):
        asked = ahead[:, which] / bars["close"] - 1.0, observed[:, which], ledger_usd[:, which]
        moves = _Moves.of(law, turnover, *asked)
        moves.check_usd(side, law, turnover, bars["close"])
        taught = moves.taught(horizon)
        g, median = taught.weight, taught.median
        scale.a[:, which] += g * median
        scale.band[:, which, 0] += g * (taught.low - median - scale.band[:, which, 0])
        scale.band[:, which, 1] += g * (taught.high - median - scale.band[:, which, 1])
        scale.weight[:, which] += g
        scale.count[cold:, which] = taught.count[cold:]
        if len(bars) > cold:
            scale.evidence[side] = moves.evidence(scale.a[:, which] - law.a, scale.band[:, which], taught.count)
            scale.remarks.extend(taught.remarks(side, market))
    return scale


@dataclass(frozen=True)
class _Taught:
    """What the moves known by each hour taught."""

    count: np.ndarray
    weight: np.ndarray  # g
    low: np.ndarray  # quantiles of the residuals, 0 without any
    median: np.ndarray
    high: np.ndarray
    nothing: np.ndarray  # whether nothing was liquidated in any of them
    unlike: np.ndarray  # whether they are no dollars of this feed

    def remarks(self, side: str, market: str) -> list[str]:
        """What did not go as asked, as of the last hour."""
        count, median = int(self.count[-1]), float(self.median[-1])
        if count == 0:
            return [f"observed covers no {side} move of the trailing 30 days: the prior is used"]
        if self.unlike[-1] and self.nothing[-1]:
            return [f"observed saw no {side} liquidated in {count} moves of the trailing 30 days: the prior is used"]
        times = f"observed {side}_usd is {np.exp(median):.2g} times what the prior expects"
        if self.unlike[-1]:
            return [f"{times}, so it is not of this coin or not in dollars of this feed: the prior is used"]
        if count >= LEARNED and median > np.log(UNUSUAL) and market == "perpetual":
            return [f"{times} of perpetual candles: if these are spot candles, say market='spot'"]
        if count >= LEARNED and median < -np.log(UNUSUAL) and market == "spot":
            return [f"{times} of spot candles: if these are perpetual candles, say market='perpetual'"]
        return []


@dataclass(frozen=True)
class _Moves:
    """A side's moves and what a feed saw of them, at the hours that they begin with; NaN where there is none."""

    away: np.ndarray  # how far, share of the close
    usd: np.ndarray  # liquidated
    shape: np.ndarray  # the law without its a
    answer: np.ndarray  # ln(usd + 10,000)
    residual: np.ndarray  # of the prior

    @classmethod
    def of(cls, law: Law, turnover: np.ndarray, move: np.ndarray, usd: np.ndarray, ledger_usd: np.ndarray) -> _Moves:
        shape = logs(turnover, ledger_usd, move, law.b)
        with np.errstate(invalid="ignore", divide="ignore"):
            answer = np.log(usd + FLOOR_USD)
            residual = np.where(np.isfinite(shape), answer - np.log(turnover) - law.a - shape, np.nan)
        return cls(np.abs(move), usd, shape, answer, residual)

    def taught(self, horizon: int) -> _Taught:
        """A move is known once its horizon has passed."""
        span = TAUGHT - horizon + 1
        residual, usd = (np.r_[np.full(horizon, np.nan), some][: len(some)] for some in (self.residual, self.usd))
        quantiles, count = trailing_quantiles(residual, span, (0.1, 0.5, 0.9))
        low, median, high = np.where(np.isnan(quantiles), 0.0, quantiles).T
        nothing = _trailing_count(~np.isnan(residual) & (usd > 0.0), span) == 0
        unlike = (count >= HALFWAY) & (nothing | (np.abs(median) > np.log(UNLIKE)))
        weight = np.where(unlike, 0.0, count / (count + HALFWAY))
        return _Taught(count, weight, low, median, high, nothing, unlike)

    def evidence(self, shift: np.ndarray, band: np.ndarray, count: np.ndarray) -> dict[str, Any]:
        """How the law in use did, ``shift`` from the prior and with the ``band`` of each hour, beside a rival that
        knows the move alone: a line in its logarithm, fitted on the first half of the moves.
        """
        seen = ~np.isnan(self.residual) & ~np.isnan(shift)
        errors, ends = (self.residual - shift)[seen], band[seen]
        inside = (errors >= ends[:, 0]) & (errors <= ends[:, 1])
        found = {**_UNKNOWN, "n": int(count[-1]), "moves": len(errors)}
        if len(errors):
            found["coverage"] = float(inside.mean())
        if len(errors) >= LEAST_MOVES:
            half = len(errors) // 2
            line, answer = np.column_stack([np.ones(len(errors)), np.log(self.away[seen])]), self.answer[seen]
            fitted = np.linalg.lstsq(line[:half], answer[:half], rcond=None)[0]
            own = answer[half:] - line[half:] @ fitted
            found["rival"] = tuple(fitted.tolist())
            found["gain"] = float(1.0 - np.mean(errors[half:] ** 2) / np.mean(own**2))
        return found

    def check_usd(self, side: str, law: Law, turnover: np.ndarray, close: np.ndarray) -> None:
        """Raise for a feed in coins, told by its sums beside turnover, and beside what the prior expects."""
        moves = ~np.isnan(self.residual)
        if moves.sum() < HALFWAY:
            return
        seen, traded = float(self.usd[moves].sum()), float(turnover[moves].sum())
        if seen > traded:
            raise ValueError(
                f"observed: {side}_usd adds up to {seen:.3g} over {int(moves.sum())} moves, more than the {traded:.3g} "
                "USD that are traded in as many hours: it must be USD of this market, not coins"
            )
        ratio = seen / float((turnover * np.exp(law.a + self.shape))[moves].sum())
        if not 0.0 < ratio < 1.0 / (2.0 * UNLIKE):
            return
        with_price = ratio * float(np.median(close[moves]))
        if 1.0 / UNLIKE < with_price < UNLIKE:
            raise ValueError(
                f"observed: {side}_usd is {ratio:.2g} times what the prior expects, and {with_price:.2g} times if "
                "multiplied by the price: it seems to be in coins"
            )


def _trailing_count(which: np.ndarray, length: int) -> np.ndarray:
    """How many of each row's last ``length``, its own among them."""
    total: np.ndarray = np.r_[0, np.cumsum(which)]
    counted: np.ndarray = total[1:] - total[np.maximum(np.arange(len(which)) - length + 1, 0)]
    return counted
