"""What makes forced flow, estimated from candles, agree better with observed liquidations? A table, failures too.

Every ingredient is set beside the ledger alone, and on top of what was adopted. Whatever it has to choose is chosen on
the first two thirds of the observed hours; the last third, which no fit saw, gives the differences in Spearman's
rank correlation on the same hours, with 95 % intervals from resampled days. Adopted is what gains at least 0.02 on both
sides with both intervals above zero. Then it prints what the four signals do on three days of real trades.

    python tests/ingredients.py
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.parquet as pq
import truth
from liquidator_integrations.files import trades_from_table
from liquidator_integrations.learn import fit_mix, rank_correlation

from liquidator_core import Params, fold, new_signals, new_state
from liquidator_core.margin import liquidation_factor
from liquidator_core.tape import bars_from_trades

BEFORE = Params(leverages=(5, 10, 25, 50, 75, 100, 125), leverage_weights=(0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1))
OPEN_INTEREST = truth.DATA / "truth_btcusdt_perp_oi_5m_to_2026-02.parquet"
FUNDING = truth.DATA / "truth_btcusdt_perp_funding_8h_to_2026-02.parquet"
TRADES = truth.DATA / "hyperliquid_btc_trades_3d.parquet"
MINUTES = truth.DATA / "hyperliquid_btc_oi_funding_1m_3d.parquet"
RESAMPLES = 400
LEAST_GAIN = 0.02
RESIDUE = 1e-12  # of the largest flow
RATES = (0.003, 0.004, 0.005, 0.006)

Flow = np.ndarray  # (2, n) USD, long and short


@dataclass
class Hours:
    """The candles and what is known beside them, and which rows choose and which judge."""

    bars: np.ndarray
    observed: Flow
    choose: np.ndarray
    judge: np.ndarray
    open_interest: np.ndarray
    funding: np.ndarray


def load() -> Hours:
    bars = truth.observed_bars()
    observed = np.stack([bars["liq_long_usd"], bars["liq_short_usd"]])
    for name in ("liq_long_usd", "liq_short_usd"):
        bars[name] = np.nan
    rows = np.flatnonzero(np.isfinite(observed).all(axis=0))
    cut = 2 * len(rows) // 3
    hour = 3_600_000
    table = pq.read_table(OPEN_INTEREST)
    ends = bars["time"] + hour  # known at the close: the last reading before it
    interest = as_of(table["ts"].to_numpy(), table["oi"].to_numpy(), ends - 1)
    table = pq.read_table(FUNDING)
    funding = as_of(table["ts"].to_numpy(), table["rate"].to_numpy(), ends - 1)
    return Hours(bars, observed, rows[:cut], rows[cut:], interest, funding)


def as_of(times: np.ndarray, values: np.ndarray, when: np.ndarray) -> np.ndarray:
    """The last value at or before each instant, NaN before the first."""
    place = np.searchsorted(times, when, side="right") - 1
    return np.where(place >= 0, values[place], np.nan)


# --- a ledger in plain NumPy that can be varied -----------------------------------------------------------------------


def factors(params: Params) -> tuple[np.ndarray, np.ndarray]:
    """((2, K) liquidation factors, (K,) weights), as Params gives them."""
    found = [
        [liquidation_factor(leverage, side, params.margin_rate, params.margin_amount) for leverage in params.leverages]
        for side in (0, 1)
    ]
    return np.array(found), np.array(params.leverage_weights)


def swept(
    bars: np.ndarray,
    params: Params,
    entry: np.ndarray | None = None,
    mass: np.ndarray | None = None,
    survival: np.ndarray | None = None,
) -> Flow:
    """Flow of a ledger whose cohorts enter at ``entry`` with ``mass`` a side (2, n).

    ``survival`` (n,) is the share of what was open before a row that it leaves open, beside what it sweeps.
    """
    entry = bars["close"] if entry is None else entry
    mass = np.stack([bars["volume"]] * 2) if mass is None else mass.copy()
    survival = np.ones(len(bars)) if survival is None else survival
    factor, weight = factors(params)
    n = len(bars)
    flow = np.zeros((2, n))
    is_open = np.ones((2, n, len(weight)), bool)
    for t in range(n):
        first = max(0, t - params.ledger_bars)
        for side, limit in ((0, bars["low"][t]), (1, bars["high"][t])):
            price = entry[first:t, None] * factor[side]
            hit = is_open[side, first:t] & ((price >= limit) if side == 0 else (price <= limit))
            is_open[side, first:t] &= ~hit
            flow[side, t] = (mass[side, first:t, None] * weight * price * hit).sum()
        mass[:, first:t] *= survival[t]
    return flow


def within(bars: np.ndarray, params: Params, ordered: bool = True) -> Flow:
    """What bars open and sweep themselves; without order every bar falls and rises over its whole range."""
    factor, weight = factors(params)
    start, high, low, end = (bars[name] for name in ("open", "high", "low", "close"))
    rose = end >= start
    if ordered:
        falls = [(np.where(rose, start, high), low, True), (high, end, rose)]
        rises = [(np.where(rose, low, start), high, True), (low, end, ~rose)]
    else:
        falls, rises = [(high, low, True)], [(low, high, True)]
    flow = np.zeros((2, len(bars)))
    for side, legs in ((0, falls), (1, rises)):
        for first, last, happens in legs:
            for f, w in zip(factor[side], weight, strict=True):
                farthest = first * f
                crossed = np.maximum((farthest - last) if side == 0 else (last - farthest), 0.0)
                extent = np.where(first == last, 1.0, np.abs(first - last))
                flow[side] += happens * bars["volume"] * w * crossed / (f * extent) * (farthest + last) / 2
    return flow


def engine(bars: np.ndarray, params: Params, **columns: np.ndarray) -> Flow:
    bars = bars.copy()
    for name, values in columns.items():
        bars[name] = values
    record, out = params.to_record(), new_signals(len(bars))
    fold(new_state(record), record, bars, out)
    return np.stack([out["long_flow_usd"], out["short_flow_usd"]])


# --- ingredients ------------------------------------------------------------------------------------------------------

Ingredient = Callable[[Flow, Params, bool], Iterator[Flow]]  # (flow without it, mix, with what bars sweep themselves)


def ingredients(hours: Hours) -> dict[str, Ingredient]:
    bars = hours.bars
    volume = bars["volume"]

    def rolled(values: np.ndarray, length: int) -> np.ndarray:
        """Mean of the ``length`` values before."""
        total = np.concatenate([[0.0], np.cumsum(values)])
        mean = np.full(len(values), np.nan)
        mean[length:] = (total[length:-1] - total[: -length - 1]) / length
        return mean

    previous = np.concatenate([bars["close"][:1], bars["close"][:-1]])
    true_range = np.maximum(bars["high"], previous) - np.minimum(bars["low"], previous)
    ratios = {
        "volume ratio, to a power": volume / rolled(volume, 20),
        "range in ATR, to a power": true_range / rolled(true_range, 14),
    }

    def own(params: Params, with_own: bool) -> Flow:
        return within(bars, params) if with_own else np.zeros((2, len(bars)))

    def entries(prices: list[np.ndarray]) -> Ingredient:
        return lambda _, params, full: (swept(bars, params, entry=price) + own(params, full) for price in prices)

    def power(ratio: np.ndarray) -> Ingredient:
        return lambda flow, *_: (flow * ratio**exponent for exponent in (0.25, 0.5, 1.0))

    def tilted(lean: np.ndarray) -> Ingredient:
        """``lean`` in [-1, 1]: above 0 where longs are hurt."""
        both = np.stack([lean, -lean])
        return lambda flow, *_: (flow * (1.0 + strength * both) for strength in (0.25, 0.5, 0.75))

    def aged(_: Flow, params: Params, full: bool) -> Iterator[Flow]:
        for half_life in (12, 24, 48, 96):
            yield swept(bars, params, survival=np.full(len(bars), 0.5 ** (1 / half_life))) + own(params, full)

    def merged(flow: Flow, *_: object) -> Iterator[Flow]:
        earlier = np.concatenate([np.zeros((2, 1)), flow[:, :-1]], axis=1)
        for share in (0.1, 0.25, 0.5):
            yield flow + share * earlier

    def tiers(_: Flow, params: Params, full: bool) -> Iterator[Flow]:
        """A share of the positions in a higher tier, with a maintenance margin of 1 % (as far as leverage allows)."""
        low = [k for k, leverage in enumerate(params.leverages) if leverage <= 75]
        share = sum(params.leverage_weights[k] for k in low)
        mix = tuple(params.leverage_weights[k] / share for k in low)
        higher = replace(
            params, margin_rate=0.01, leverages=tuple(params.leverages[k] for k in low), leverage_weights=mix
        )
        for part in (0.1, 0.25, 0.5):
            plain = swept(bars, params) + own(params, full)
            yield (1 - part) * plain + part * (swept(bars, higher) + own(higher, full))

    def funded(_: Flow, params: Params, full: bool) -> Iterator[Flow]:
        """Longs open more where funding is above its mean of the last 21 settlements, shorts where below."""
        usual, spread = rolled_funding(hours.funding)
        lean = np.nan_to_num(np.tanh((hours.funding - usual) / spread))
        for strength in (0.25, 0.5):
            mass = volume * np.stack([1 + strength * lean, 1 - strength * lean])
            yield swept(bars, params, mass=mass) + own(params, full)

    def switched(switch: str, threshold: str, values: tuple[float, ...], **columns: np.ndarray) -> Ingredient:
        """A switch of Params: what the engine gives with it, less what it gives without, on top of the flow."""

        def add(flow: Flow, params: Params, full: bool) -> Iterator[Flow]:
            without = engine(bars, params, **columns)
            for value in values:
                more = engine(bars, replace(params, **{switch: True, threshold: value}), **columns) - without
                yield flow + np.nan_to_num(more)

        return add

    def with_interest(_: Flow, params: Params, full: bool) -> Iterator[Flow]:
        yield two_sided(hours, params, full)

    buy = bulk_volume(bars)
    return {
        "entry at the typical price": entries([(bars["high"] + bars["low"] + bars["close"]) / 3]),
        "entry at the open": entries([bars["open"]]),
        "opened and swept within the bar, along its path": lambda flow, params, full: iter(
            [flow if full else flow + within(bars, params)]
        ),
        "the same, order of high and low unknown": lambda _, params, __: iter(
            [swept(bars, params) + within(bars, params, ordered=False)]
        ),
        **{name: power(ratio) for name, ratio in ratios.items()},
        "taker imbalance (bulk volume; no taker volume here)": tilted(1.0 - 2.0 * buy),
        "open interest, two-sided ledger": with_interest,
        "funding tilt of what is opened": funded,
        "age weighting": aged,
        "several bars of a sweep merged": merged,
        "tiers: a part at 1 % maintenance": tiers,
        "signal: cascades": switched("use_cascades", "cascade_mult", (2.0, 3.0, 5.0, 10.0)),
        "signal: drops of open interest": switched(
            "use_open_interest_drops", "open_interest_drop", (0.005, 0.01, 0.02), open_interest=hours.open_interest
        ),
        "signal: extreme funding": switched(
            "use_funding", "funding_extreme", (5e-6, 1e-5, 1.2e-5), funding_rate=hours.funding
        ),
    }


def rolled_funding(funding: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of hourly funding over the 168 hours before."""
    usual, spread = np.full((2, len(funding)), np.nan)
    for t in range(168, len(funding)):
        usual[t], spread[t] = funding[t - 168 : t].mean(), max(funding[t - 168 : t].std(), 1e-12)
    return usual, spread


def bulk_volume(bars: np.ndarray) -> np.ndarray:
    """Share of a bar's volume taken to be bought: Phi(change / its spread) (Easley, Lopez de Prado, O'Hara 2012)."""
    change = np.diff(np.log(bars["close"]), prepend=np.log(bars["close"][0]))
    spread = np.array([change[max(0, t - 96) : t].std() if t > 2 else np.nan for t in range(len(bars))])
    scaled = np.nan_to_num(change / np.where(spread > 0, spread, np.nan))
    return np.array([0.5 * (1.0 + math.erf(value / math.sqrt(2.0))) for value in scaled])


def two_sided(hours: Hours, params: Params, with_own: bool) -> Flow:
    """The ledger with open interest: bars open half of volume and change, and close half of volume less change."""
    volume = hours.bars["volume"]
    before = np.concatenate([[np.nan], hours.open_interest[:-1]])
    change = hours.open_interest - before
    known = np.abs(change) <= volume
    survival = np.where(known, np.maximum(0.0, 1.0 - (volume - change) / (2.0 * before)), 1.0)
    opening = hours.bars.copy()
    opening["volume"] = np.where(known, (volume + change) / 2.0, volume)
    flow = swept(opening, params, survival=survival)
    return flow + within(opening, params) if with_own else flow


# --- the table --------------------------------------------------------------------------------------------------------


def scores(flow: Flow, hours: Hours, rows: np.ndarray) -> list[float]:
    least = flow[:, rows][flow[:, rows] != 0.0].min()
    if not least > RESIDUE * flow[:, rows].max():  # what rounding leaves of nothing breaks ties at random
        raise AssertionError(f"an estimate of {least:.3g} USD is negative or a residue of rounding")
    return [rank_correlation(flow[side][rows], hours.observed[side][rows]) for side in (0, 1)]


def chosen(found: Iterator[Flow], hours: Hours) -> Flow:
    return max(found, key=lambda flow: sum(scores(flow, hours, hours.choose)))


def gain(flow: Flow, base: Flow, hours: Hours, seed: int = 0) -> list[tuple[float, float, float]]:
    """(difference, low, high) a side, on the hours that judge, the days resampled alike for both."""
    rows = hours.judge
    days = hours.bars["time"][rows] // truth.DAY
    blocks = [rows[days == day] for day in np.unique(days)]
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(RESAMPLES):
        some = np.concatenate([blocks[i] for i in rng.integers(0, len(blocks), len(blocks))])
        drawn.append(np.subtract(scores(flow, hours, some), scores(base, hours, some)))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return list(zip(np.subtract(scores(flow, hours, rows), scores(base, hours, rows)), low, high, strict=True))


def line(name: str, flow: Flow, base: Flow, hours: Hours) -> bool:
    found = gain(flow, base, hours)
    enough = all(difference >= LEAST_GAIN and low > 0.0 for difference, low, _ in found)
    told = "  ".join(f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]" for difference, low, high in found)
    print(f"{name:52} {told}  {'enough' if enough else ''}".rstrip(), flush=True)
    return enough


def same(left: Flow, right: Flow) -> bool:
    known = np.isfinite(left) & np.isfinite(right)
    return bool(known.any() and np.allclose(left[known], right[known], rtol=1e-9, atol=0.0))


def main() -> int:
    if not (truth.CANDLES.exists() and truth.OBSERVED.exists()):
        print(f"no data in {truth.DATA}", file=sys.stderr)
        return 1
    hours = load()
    bars = hours.bars
    learned = learn(hours)
    default = Params()
    for columns, flow in (
        ({}, swept(bars, default) + within(bars, default)),
        ({"open_interest": hours.open_interest}, two_sided(hours, default, True)),
    ):
        if not same(engine(bars, default, **columns), flow):
            raise AssertionError("the ledger of this script is not the engine's")

    alone = swept(bars, BEFORE)
    adopted = swept(bars, default) + within(bars, default)
    title = "long, short: difference on the last third"
    print(f"\n{len(hours.judge)} hours judge, {len(hours.choose)} choose. Spearman there, long and short:")
    for name, flow in (("the ledger alone", alone), ("as adopted", adopted)):
        print("{:18} {:.3f} {:.3f}".format(name, *scores(flow, hours, hours.judge)))
    print(f"\n{'beside the ledger alone':52} {title}")
    line("the learned mix", swept(bars, learned), alone, hours)
    for name, ingredient in ingredients(hours).items():
        line(name, chosen(ingredient(alone, BEFORE, False), hours), alone, hours)
    line("as adopted: the learned mix, swept within", adopted, alone, hours)
    print(f"\n{'on top of what was adopted':52} {title}")
    seven = replace(default, leverages=(*BEFORE.leverages[1:], 150), leverage_weights=(0.1,) * 3 + (0.175,) * 4)
    refit = fitted(hours, seven)
    line(
        "the mix of the ledger alone instead of the learned", swept(bars, BEFORE) + within(bars, BEFORE), adopted, hours
    )
    line("seven leverages, 10 to 150, refitted", swept(bars, refit) + within(bars, refit), adopted, hours)
    for name, ingredient in ingredients(hours).items():
        line(name, chosen(ingredient(adopted, default, True), hours), adopted, hours)
    print("signal: large trades: cannot be judged, these hours have no tape")
    if TRADES.exists():
        signals_on_trades()
    return 0


def fitted(hours: Hours, params: Params) -> Params:
    """The mix that the first two thirds teach."""
    bars = hours.bars[: hours.judge[0]].copy()
    bars["liq_long_usd"], bars["liq_short_usd"] = hours.observed[:, : len(bars)]
    return fit_mix(bars, params, RATES, resamples=1).params


def learn(hours: Hours) -> Params:
    bars = hours.bars[: hours.judge[0]].copy()
    bars["liq_long_usd"], bars["liq_short_usd"] = hours.observed[:, : len(bars)]
    fit = fit_mix(bars, Params(), RATES)
    print("The mix, learned on the first two thirds (default Params are these, rounded)")
    for leverage, weight, low, high in zip(
        fit.params.leverages, fit.params.leverage_weights, fit.low, fit.high, strict=True
    ):
        print(f"{leverage:5g}x  {weight:.3f} [{low:.3f}, {high:.3f}]")
    for rate, deviance in fit.deviance.items():
        print(f"margin rate {rate:.1%}: deviance {deviance:.4g}, likeliest in {fit.chosen[rate]:.0%} of the resamples")
    print(f"chosen {fit.params.margin_rate:.1%}; {fit.scale:.3f} USD observed a USD implied")
    return fit.params


def signals_on_trades() -> None:
    """The four signals on three days of every trade of one venue, a bar a minute, with open interest and funding."""
    table = pq.read_table(TRADES)
    bars = bars_from_trades(trades_from_table(table, sort=True), Params())
    known = pq.read_table(MINUTES)
    ends = bars["time"] + 59_999
    bars["open_interest"] = as_of(known["ts"].to_numpy(), known["oi"].to_numpy(), ends)
    bars["funding_rate"] = as_of(known["ts"].to_numpy(), known["funding"].to_numpy(), ends)
    plain = np.nan_to_num(engine(bars, Params()))
    print(f"\nThe signals on {len(table):,} real trades, {len(bars):,} minutes: minutes changed, flow with / without")
    for name, switches in (
        ("large trades", {"use_large_trades": True}),
        ("cascades", {"use_cascades": True}),
        ("drops of open interest", {"use_open_interest_drops": True, "open_interest_drop": 0.001}),
        ("extreme funding", {"use_funding": True, "funding_extreme": 1.25e-5}),
    ):
        flow = np.nan_to_num(engine(bars, Params(**switches)))
        changed = (flow != plain).any(axis=0).sum()
        print(f"{name:24} {changed:6,}   {flow.sum() / plain.sum():.3f}")


if __name__ == "__main__":
    sys.exit(main())
