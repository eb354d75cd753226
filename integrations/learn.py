"""Learning the leverage mix and the margin rate from observed liquidations.

Forced flow that the ledger implies is linear in the leverage weights, so the engine is run once for each leverage and
what was observed is taken to be Poisson with mean ``background + sum(w_k * flow_k)``. Weights that fit best and are not
negative follow from the EM iteration ``w_k *= sum(flow_k * y / mean) / sum(flow_k)`` (Shepp and Vardi 1982; Richardson
1972, Lucy 1974), long and short hours together. On the simplex, because only a flow's size against its own past is ever
used; the factor that was divided out, observed USD a USD implied, is told.

The margin rate that predicts best is chosen on rolling spans: each is predicted from what came before it, less the
``ledger_bars`` rows next to it, because flow on a row follows from so many rows before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from liquidator_core import Params, fold, new_signals, new_state

from .files import moment

__all__ = ["MixFit", "Span", "fit_mix", "flows_by_leverage", "observe"]

DAY = 86_400_000
LEAST_ROWS = 50
ITERATIONS = 2000
RESAMPLED_ITERATIONS = 300
TINY = 1e-300  # keeps a quotient finite

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Span:
    """Rows that were predicted from earlier ones: how learned and given Params rank what was observed."""

    start: int  # ms
    stop: int  # ms, of the last row
    rows: int
    learned: tuple[float, float]  # long, short
    given: tuple[float, float]


@dataclass(frozen=True)
class MixFit:
    """What ``fit_mix`` found. ``params`` are those given, with the learned mix and margin rate."""

    params: Params
    low: tuple[float, ...]  # 95 % intervals of the weights, from resampled days
    high: tuple[float, ...]
    scale: float  # observed USD a USD of implied forced flow
    background: float  # observed USD a row and side that no leverage explains
    rows: int  # used
    deviance: dict[float, float]  # margin rate -> Poisson deviance of the predicted spans, lower is better
    spans: tuple[Span, ...]


def observe(bars: np.ndarray, time: np.ndarray, usd: np.ndarray) -> np.ndarray:
    """A copy of (n,) BAR with (2, m) observed long and short USD on the bars that open at these times.

    Raises ValueError if there are no times, one of them comes twice, ``usd`` has another shape, or no bar opens at any.
    """
    if not len(time):
        raise ValueError("no times of observed liquidations")
    if usd.shape != (2, len(time)):
        raise ValueError(f"usd must have shape (2, {len(time)}), long and short at {len(time)} times, got {usd.shape}")
    if len(np.unique(time)) < len(time):
        raise ValueError("the observed liquidations hold a time twice; sum them over the bars")
    _, ours, theirs = np.intersect1d(bars["time"], time, return_indices=True)
    if not len(ours):
        spans = (f"{moment(times[0])} to {moment(times[-1])}" for times in (bars["time"], time))
        raise ValueError(
            "no bar opens at any time of the observed liquidations; sum them over these bars: "
            "bars from {}, observed from {}".format(*spans)
        )
    bars = bars.copy()
    for name, values in zip(("liq_long_usd", "liq_short_usd"), usd, strict=True):
        bars[name] = np.nan
        bars[name][ours] = values[theirs]
    return bars


def fit_mix(
    bars: np.ndarray,
    params: Params | None = None,
    margin_rates: Sequence[float] | None = None,
    spans: int = 4,
    resamples: int = 200,
    seed: int = 0,
    tell: Tell | None = None,
) -> MixFit:
    """Learn leverage weights and margin rate from bars with observed liquidations.

    bars          (n,) BAR, ``liq_long_usd`` and ``liq_short_usd`` known on the rows to learn from; not changed
    params        the leverages to mix, and everything else; default ``Params()``
    margin_rates  to choose from; default the one of ``params``
    spans         how many times a span is predicted from what came before it
    resamples     of days, for the intervals
    tell          called as ``tell(what, done, total)``

    Only rows on which both sides were observed (finite, not below 0) and the engine gives a flow are used; 0 means that
    nothing was liquidated, not that nobody looked. Raises ValueError for fewer than 50 such rows a span or to predict
    the first one from, and where nothing was liquidated, or what was does not rise with any leverage's flow.
    Cost: the engine once a leverage and margin rate, some seconds of EM for 2,000 rows and 200 resamples.
    """
    params = params or Params()
    rates = (params.margin_rate,) if margin_rates is None else tuple(margin_rates)
    for name, count in (("margin_rates", len(rates)), ("spans", spans), ("resamples", resamples)):
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
    observed = np.stack([bars["liq_long_usd"], bars["liq_short_usd"]])
    plain = _flow(bars, params)
    rows = np.flatnonzero(((observed >= 0.0) & (observed < np.inf) & np.isfinite(plain)).all(axis=0))
    if len(rows) < LEAST_ROWS * (spans + 1):
        raise ValueError(
            f"{len(rows)} rows have both liq_long_usd and liq_short_usd after the first {params.memory - 1} rows; "
            f"{spans} spans need at least {LEAST_ROWS * (spans + 1)}"
        )
    parts = np.array_split(rows, spans + 1)
    before = [rows[rows < part[0] - params.ledger_bars] for part in parts[1:]]
    if len(before[0]) < LEAST_ROWS:
        raise ValueError(
            f"the first of {spans} spans would be predicted from {len(before[0])} rows, those more than ledger_bars = "
            f"{params.ledger_bars} rows before it; it takes {LEAST_ROWS}: more rows or fewer spans"
        )
    if not observed[:, before[0]].sum() > 0.0:
        raise ValueError(
            f"nothing was liquidated on any row before {moment(bars['time'][parts[1][0]])}, from which the first span "
            f"is predicted: liq_long_usd and liq_short_usd are 0 there"
        )
    steps = len(rates) * (spans + 1) + 1
    done = 0

    def step(what: str) -> None:
        nonlocal done
        if tell:
            tell(what, done, steps)
        done += 1

    deviance, flows, predicted = {}, {}, {}
    for rate in rates:
        step(f"ledger at {rate:.2%}")
        flows[rate] = flows_by_leverage(bars, dataclasses.replace(params, margin_rate=rate))
        predicted[rate] = []
        for part, past in zip(parts[1:], before, strict=True):
            step(f"spans at {rate:.2%}")
            weights = _poisson(*_stacked(flows[rate], observed, past))
            predicted[rate].append(_expected(flows[rate][:, part], weights))
        deviance[rate] = sum(
            _deviance(observed[:, part], expected) for part, expected in zip(parts[1:], predicted[rate], strict=True)
        )
    best = min(rates, key=deviance.__getitem__)

    step("intervals")
    weights = _poisson(*_stacked(flows[best], observed, rows))
    if not weights[:-1].sum() > 0.0:
        raise ValueError("what was observed rises with the forced flow of no leverage, so that there is nothing to mix")
    low, high = _intervals(flows[best], observed, rows, bars["time"], resamples, seed)
    learned = dataclasses.replace(
        params,
        margin_rate=best,
        leverage_weights=tuple(_on_simplex(weights)),
        leverages=tuple(sorted(params.leverages)),
    )
    return MixFit(
        params=learned,
        low=tuple(low),
        high=tuple(high),
        scale=float(weights[:-1].sum()),
        background=float(weights[-1]),
        rows=len(rows),
        deviance=deviance,
        spans=tuple(
            Span(
                start=int(bars["time"][part[0]]),
                stop=int(bars["time"][part[-1]]),
                rows=len(part),
                learned=_correlations(expected, observed[:, part]),
                given=_correlations(plain[:, part], observed[:, part]),
            )
            for part, expected in zip(parts[1:], predicted[best], strict=True)
        ),
    )


def flows_by_leverage(bars: np.ndarray, params: Params) -> np.ndarray:
    """(2, n, leverages) long and short flow that each leverage would give alone, leverages upwards; NaN while cold.

    Observed liquidations are not looked at. The flow of a mix is the sum weighted by the mix.
    """
    leverages = sorted(params.leverages)
    alone = [dataclasses.replace(params, leverages=(leverage,), leverage_weights=(1.0,)) for leverage in leverages]
    return np.stack([_flow(bars, one) for one in alone], axis=2)


def rank_correlation(left: np.ndarray, right: np.ndarray) -> float:
    """Spearman's, equal values sharing their mean rank; NaN if either is constant."""
    a, b = _ranks(left), _ranks(right)
    if a.min() == a.max() or b.min() == b.max():
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2.0)[place]


def _flow(bars: np.ndarray, params: Params) -> np.ndarray:
    unobserved = bars.copy()
    for name in ("liq_long_usd", "liq_long_price", "liq_short_usd", "liq_short_price"):
        unobserved[name] = np.nan
    record, out = params.to_record(), new_signals(len(bars))
    fold(new_state(record), record, unobserved, out)
    return np.stack([out["long_flow_usd"], out["short_flow_usd"]])


def _stacked(flows: np.ndarray, observed: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of these rows below each other, with a column of ones for the background."""
    both = flows[:, rows].reshape(-1, flows.shape[2])
    return np.column_stack([both, np.ones(len(both))]), observed[:, rows].ravel()


def _poisson(
    flows: np.ndarray,
    observed: np.ndarray,
    counts: np.ndarray | None = None,
    iterations: int = ITERATIONS,
) -> np.ndarray:
    """Weights, not negative, under which ``observed`` is likeliest; ``counts`` says how often a row counts.

    In the beginning every column explains as much as any other, whatever its unit.
    """
    counts = np.ones(len(observed)) if counts is None else counts
    total = counts @ flows
    share = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0.0)
    weights = share * (observed @ counts) / len(share)
    for _ in range(iterations):
        expected = np.maximum(flows @ weights, TINY)
        weights = weights * ((counts * observed / expected) @ flows) * share
    return weights


def _expected(flows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.maximum(flows @ weights[:-1] + weights[-1], TINY)


def _deviance(observed: np.ndarray, expected: np.ndarray) -> float:
    ratio = np.divide(observed, expected, out=np.ones_like(observed), where=observed > 0.0)
    return float(2.0 * np.sum(observed * np.log(ratio) - (observed - expected)))


def _on_simplex(weights: np.ndarray) -> np.ndarray:
    """The leverages' weights as shares of one, in four decimals that still add up to one."""
    shares = np.round(weights[:-1] / weights[:-1].sum(), 4)
    shares[np.argmax(shares)] += 1.0 - shares.sum()
    return np.round(shares, 4)


def _intervals(
    flows: np.ndarray,
    observed: np.ndarray,
    rows: np.ndarray,
    time: np.ndarray,
    resamples: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    _, day = np.unique(time[rows] // DAY, return_inverse=True)
    days = int(day.max()) + 1
    stacked = _stacked(flows, observed, rows)
    drawn = []
    for _ in range(resamples):
        counts = np.bincount(rng.integers(0, days, days), minlength=days)[day].astype(float)
        again = _poisson(*stacked, np.concatenate([counts, counts]), RESAMPLED_ITERATIONS)[:-1]
        drawn.append(again / max(again.sum(), TINY))
    return tuple(np.quantile(drawn, [0.025, 0.975], axis=0))


def _correlations(estimated: np.ndarray, observed: np.ndarray) -> tuple[float, float]:
    long, short = (rank_correlation(*pair) for pair in zip(estimated, observed, strict=True))
    return long, short
