"""Learning the leverage mix and the margin rate from observed liquidations.

Forced flow that the ledger implies is linear in the leverage weights, so the engine is run once for each leverage and
what was observed is taken to be Poisson with mean ``background + sum(w_k * flow_k)``. Weights that fit best and are not
negative follow from the EM iteration ``w_k *= sum(flow_k * y / mean) / sum(flow_k)`` (Shepp and Vardi 1982; Richardson
1972, Lucy 1974), long and short hours together. On the simplex, because only a flow's size against its own past is ever
used; the factor that was divided out, observed USD a USD implied, is ``MixFit.scale``.

The margin rate is learned with the weights: of those given the one under which what was observed is likeliest, in the
whole, in every resample of days and before every span. A span is predicted from what came before it, less the rows
next to it that its own flow follows from: ``ledger_bars``, with ``use_cascades`` ``flow_bars`` if that is more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from liquidator_core import Params, fold, new_signals, new_state

from ..market.messages import moment

__all__ = ["MixFit", "Span", "fit_mix", "flows_by_leverage", "observe"]
DAY = 86_400_000
LEAST_ROWS = 50
ITERATIONS = 2000
RESAMPLED_ITERATIONS = 300
TINY = 1e-300  # keeps a quotient finite
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Span:
    """Some rows that were predicted from earlier ones: what these taught, and how it and the given Params rank what was
    observed.

    >>> span = Span(0, 3_600_000, 2, 0.004, (0.7, 0.3), learned=(0.5, 0.4), given=(0.4, 0.4), deviance=1.5)
    >>> span.learned > span.given
    True
    """

    start: int  # ms
    stop: int  # ms, of the last row
    rows: int
    margin_rate: float  # learned before it
    weights: tuple[float, ...]  # likewise, leverages upwards; nan where price never reached one
    learned: tuple[float, float]  # long, short
    given: tuple[float, float]
    deviance: float  # Poisson deviance of the prediction, lower is better


@dataclass(frozen=True)
class MixFit:
    """The answer of ``fit_mix``. ``params`` are those given, with the learned mix and margin rate.

    >>> params = Params(leverages=(25, 100), leverage_weights=(0.5, 0.5), ledger_bars=47)
    >>> usd = 2.0 * flows_by_leverage(bars, params)[..., 0]  # as if twice the USD implied were observed, all at 25x
    >>> known = ~np.isnan(usd[0])
    >>> fit = fit_mix(observe(bars, bars["time"][known], usd[:, known]), params, spans=1, resamples=2)
    >>> round(fit.scale, 1), fit.params.leverage_weights
    (2.0, (1.0, 0.0))
    """

    params: Params
    low: tuple[float, ...]  # 95 % intervals of the weights, from resampled days, the margin rate chosen in each
    high: tuple[float, ...]
    scale: float  # observed USD a USD of implied forced flow
    background: float  # observed USD a row and side that no leverage explains
    rows: int  # used
    deviance: dict[float, float]  # margin rate -> Poisson deviance, lower is better
    chosen: dict[float, float]  # margin rate -> share of the resamples in which it is the likeliest
    spans: tuple[Span, ...]

    @property
    def verdict(self) -> str:
        """Whether the learned mix predicted better than the given one, as a sentence.

        It did if its rank correlation was the higher one in three of four cases, a span's longs or shorts, and on
        average.
        """
        pairs = [pair for span in self.spans for pair in zip(span.learned, span.given, strict=True)]
        gains = np.array([learned - given for learned, given in pairs])
        gains = gains[np.isfinite(gains)]
        if not len(gains):
            return "no verdict: on no span could the two mixes be told apart"
        better = int((gains > 0.0).sum())
        keep = 4 * better < 3 * len(gains) or not gains.mean() > 0.0
        return (
            f"{'keep the given mix' if keep else 'take the learned mix'}: what was learned ranked later liquidations "
            f"better in {better} of {len(gains)} cases, by {round(gains.mean(), 3) + 0.0:+.3f} on average"
        )


def observe(bars: np.ndarray, time: np.ndarray, usd: np.ndarray) -> np.ndarray:
    """A copy of (n,) BAR with (2, m) observed long and short USD on the bars that open at these times.

    Raises ValueError if there are no times, one of them comes twice, ``usd`` has another shape, or no bar opens at any.

    >>> usd = np.array([[1e6], [2e5]])  # long and short
    >>> observed = observe(bars, bars["time"][:1], usd)
    >>> observed["liq_long_usd"][:2].tolist()
    [1000000.0, nan]
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
    window: int | None = None,
    resamples: int = 200,
    seed: int = 0,
    tell: Tell | None = None,
) -> MixFit:
    """Bars with observed liquidations to the leverage weights and the margin rate that explain these best.

    bars          (n,) BAR, ``liq_long_usd`` and ``liq_short_usd`` known on the rows to learn from; not changed
    params        the leverages to mix, and everything else; default ``Params()``
    margin_rates  to choose from; default the one of ``params``
    spans         how many times a span is predicted from what came before it
    window        rows before a span that it is learned from, so that spans roll; None: all, which predicted better on
                  the hours of docs/formula.md
    resamples     of days, for the intervals
    tell          called as ``tell(what, done, total)``

    Only rows on which both sides were observed (finite, not below 0) and the engine gives a flow are used; 0 means that
    nothing was liquidated, not that nobody looked. Raises ValueError for fewer than 50 such rows a span or to predict
    one from, for a leverage whose liquidations price never reached, and where nothing was liquidated, or what was does
    not rise with any leverage's flow. In a resample that never reached a leverage its share may be anything, and counts
    as 0 for the lower end of its interval and as 1 for the upper one. Extra sources that ``params`` switches on are
    part of every leverage's flow, so that with them one that was never reached is not noticed.

    The intervals are those of a percentile bootstrap of days. They hold the truth about nine times in ten, not 19 in 20
    (a slow test in tests/evidence/test_leverage_mix.py prints how often), so take them for 90 % intervals.

    Cost: the engine once a leverage and margin rate; then EM once a span, resample and rate, some ten seconds for 2,000
    rows, four rates and 200 resamples.

    >>> params = Params(leverages=(25, 100), leverage_weights=(0.5, 0.5), ledger_bars=47)
    >>> usd = flows_by_leverage(bars, params)[..., 1]  # as if 100x were all there is
    >>> known = ~np.isnan(usd[0])
    >>> fit = fit_mix(observe(bars, bars["time"][known], usd[:, known]), params, spans=1, resamples=2)
    >>> fit.params.leverage_weights
    (0.0, 1.0)
    """
    params = params or Params()
    rates = (params.margin_rate,) if margin_rates is None else tuple(margin_rates)
    for name, count in (("margin_rates", len(rates)), ("spans", spans), ("resamples", resamples)):
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
    if len(set(params.leverages)) < len(params.leverages):
        raise ValueError(f"leverages must differ, got {params.leverages}: nothing tells which of two alike was opened")
    observed = np.stack([bars["liq_long_usd"], bars["liq_short_usd"]])
    plain = _flow(bars, params)
    rows = np.flatnonzero(((observed >= 0.0) & (observed < np.inf) & np.isfinite(plain)).all(axis=0))
    parts = _spans(bars["time"], observed, rows, params, spans, window)
    done, steps = 0, len(rates) + spans + resamples

    def step(what: str) -> None:
        nonlocal done
        if tell:
            tell(what, done, steps)
        done += 1

    flows = {}
    for rate in rates:
        step(f"ledger at {rate:.2%}")
        flows[rate] = _reached(bars, dataclasses.replace(params, margin_rate=rate), rows)
    whole = _likeliest(flows, observed, rows)
    if not whole.weights[:-1].sum() > 0.0:
        raise ValueError("what was observed rises with the forced flow of no leverage, so that there is nothing to mix")

    predicted = []
    for part, past in parts:
        step("spans")
        mix = _likeliest(flows, observed, past)
        expected = _expected(flows[mix.rate][:, part], mix.weights)
        predicted.append(
            Span(
                start=int(bars["time"][part[0]]),
                stop=int(bars["time"][part[-1]]),
                rows=len(part),
                margin_rate=mix.rate,
                weights=tuple(mix.shares.tolist()),
                learned=_correlations(expected, observed[:, part]),
                given=_correlations(plain[:, part], observed[:, part]),
                deviance=_deviance(observed[:, part].ravel(), expected.ravel(), 1.0),
            )
        )
    rng = np.random.default_rng(seed)
    _, day = np.unique(bars["time"][rows] // DAY, return_inverse=True)
    days = int(day.max()) + 1
    drawn = []
    for _ in range(resamples):
        step("intervals")
        counts = np.bincount(rng.integers(0, days, days), minlength=days)[day].astype(float)
        drawn.append(_likeliest(flows, observed, rows, counts, RESAMPLED_ITERATIONS))
    shares = np.array([mix.shares for mix in drawn])
    return MixFit(
        params=dataclasses.replace(
            params,
            margin_rate=whole.rate,
            leverage_weights=tuple(_on_simplex(whole.weights)),
            leverages=tuple(sorted(params.leverages)),
        ),
        low=tuple(np.quantile(np.nan_to_num(shares, nan=0.0), 0.025, axis=0).tolist()),
        high=tuple(np.quantile(np.nan_to_num(shares, nan=1.0), 0.975, axis=0).tolist()),
        scale=float(whole.weights[:-1].sum()),
        background=float(whole.weights[-1]),
        rows=len(rows),
        deviance=whole.deviance,
        chosen={rate: sum(mix.rate == rate for mix in drawn) / resamples for rate in rates},
        spans=tuple(predicted),
    )


def flows_by_leverage(bars: np.ndarray, params: Params) -> np.ndarray:
    """(2, n, leverages) long and short flow that each leverage would give alone, leverages upwards; NaN while cold.

    Observed liquidations are not looked at. The flow of a mix is the sum weighted by the mix.

    >>> flows_by_leverage(bars, Params(leverages=(10, 50), leverage_weights=(0.5, 0.5))).shape
    (2, 1500, 2)
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


def _spans(
    time: np.ndarray, observed: np.ndarray, rows: np.ndarray, params: Params, spans: int, window: int | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The rows of each span and those that it is predicted from."""
    if len(rows) < LEAST_ROWS * (spans + 1):
        raise ValueError(
            f"{len(rows)} rows have both liq_long_usd and liq_short_usd after the first {params.memory - 1} rows; "
            f"{spans} spans need at least {LEAST_ROWS * (spans + 1)}"
        )
    purged = params.memory - 1 - params.flow_bars - params.zone_bars  # as many rows as a flow follows from
    parts = []
    for number, part in enumerate(np.array_split(rows, spans + 1)[1:], 1):
        end = part[0] - purged
        past = rows[(rows < end) & (rows >= (0 if window is None else end - window))]
        whose = f"span {number} of {spans}, from {moment(time[part[0]])} on, would be predicted from"
        if len(past) < LEAST_ROWS:
            raise ValueError(
                f"{whose} {len(past)} rows, those more than {purged} rows before it; it takes {LEAST_ROWS}: "
                f"more rows, fewer spans or a longer window"
            )
        if not observed[:, past].sum() > 0.0:
            raise ValueError(f"{whose} rows on which nothing was liquidated: liq_long_usd and liq_short_usd are 0")
        parts.append((part, past))
    return parts


def _reached(bars: np.ndarray, params: Params, rows: np.ndarray) -> np.ndarray:
    """``flows_by_leverage``; ValueError for a leverage without any on these rows: no flow is no evidence."""
    flows = flows_by_leverage(bars, params)
    for leverage, usd in zip(sorted(params.leverages), flows[:, rows].sum(axis=(0, 1)), strict=True):
        if not usd > 0.0:
            raise ValueError(
                f"price never reached a liquidation at {leverage:g}x (margin rate {params.margin_rate:.2%}) on these "
                f"{len(rows)} rows, which therefore say nothing of it: leave it out of leverages"
            )
    return flows


@dataclass(frozen=True)
class _Mix:
    """What is likeliest on some rows."""

    rate: float
    weights: np.ndarray  # of each leverage, and the background
    shares: np.ndarray  # the leverages' weights as shares of one, nan for those that price never reached
    deviance: dict[float, float]  # by margin rate


def _likeliest(
    flows: dict[float, np.ndarray],
    observed: np.ndarray,
    rows: np.ndarray,
    counts: np.ndarray | None = None,
    iterations: int = ITERATIONS,
) -> _Mix:
    """Margin rate and weights under which ``observed`` is likeliest; ``counts`` says how often a row counts."""
    often = np.tile(np.ones(len(rows)) if counts is None else counts, 2)
    seen = observed[:, rows].ravel()
    weights, deviance, reached = {}, {}, {}
    for rate, flow in flows.items():
        both = flow[:, rows].reshape(-1, flow.shape[2])  # long hours, then short ones
        weights[rate] = _poisson(np.column_stack([both, np.ones(len(both))]), seen, often, iterations)
        deviance[rate] = _deviance(seen, _expected(both, weights[rate]), often)
        reached[rate] = often @ both > 0.0
    rate = min(deviance, key=deviance.__getitem__)
    mix = weights[rate]
    shares = np.where(reached[rate], mix[:-1] / max(mix[:-1].sum(), TINY), np.nan)
    return _Mix(rate, mix, shares, deviance)


def _poisson(flows: np.ndarray, observed: np.ndarray, counts: np.ndarray, iterations: int) -> np.ndarray:
    """Weights, not negative, under which ``observed`` is likeliest.

    In the beginning every column explains as much as any other, whatever its unit.
    """
    total = counts @ flows
    share = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0.0)
    weights = share * (observed @ counts) / len(share)
    for _ in range(iterations):
        expected = np.maximum(flows @ weights, TINY)
        weights = weights * ((counts * observed / expected) @ flows) * share
    return np.asarray(weights)


def _expected(flows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(flows @ weights[:-1] + weights[-1], TINY))


def _deviance(observed: np.ndarray, expected: np.ndarray, counts: np.ndarray | float) -> float:
    ratio = np.divide(observed, expected, out=np.ones_like(observed), where=observed > 0.0)
    return float(2.0 * np.sum(counts * (observed * np.log(ratio) - (observed - expected))))


def _on_simplex(weights: np.ndarray) -> np.ndarray:
    """The leverages' weights as shares of one, in four decimals that still add up to one."""
    shares = np.round(weights[:-1] / weights[:-1].sum(), 4)
    shares[np.argmax(shares)] += 1.0 - shares.sum()
    return np.asarray(np.round(shares, 4))


def _correlations(estimated: np.ndarray, observed: np.ndarray) -> tuple[float, float]:
    long, short = (rank_correlation(*pair) for pair in zip(estimated, observed, strict=True))
    return long, short
