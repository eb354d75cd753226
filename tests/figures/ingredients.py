"""What makes forced flow, estimated from candles, agree better with observed liquidations? A table, failures too.

Every ingredient is set beside the ledger alone, and on top of what was adopted. Whatever it has to choose is chosen on
the first two thirds of the observed hours; the last third, which no fit saw, gives the differences in Spearman's
rank correlation on the same hours, with 95 % intervals from resampled days. Adopted is what gains at least 0.02 on both
sides with both intervals above zero.

Combinations are grown on the first two thirds alone: what is adopted takes in, one by one, the ingredient that helps
most on parts of them that its choices did not see, purged of the rows beside them, until none helps. Only what came of
it is judged on the last third, once.

Then it prints what the four signals do on three days of real trades.

    python tests/figures ingredients
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import truth

from liquidator_core import Params, fold, new_signals, new_state
from liquidator_core.margin import liquidation_factor
from liquidator_core.tape import bars_from_trades
from liquidator_integrations.evidence.leverage_mix import fit_mix, rank_correlation
from liquidator_integrations.market.trades import trades_from_table

BEFORE = Params(leverages=(5, 10, 25, 50, 75, 100, 125), leverage_weights=(0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1))
OPEN_INTEREST = truth.DATA / "truth_btcusdt_perp_oi_5m_to_2026-02.parquet"
FUNDING = truth.DATA / "truth_btcusdt_perp_funding_8h_to_2026-02.parquet"
TRADES = truth.DATA / "hyperliquid_btc_trades_3d.parquet"
MINUTES = truth.DATA / "hyperliquid_btc_oi_funding_1m_3d.parquet"
RESAMPLES = 400
LEAST_GAIN = 0.02
RESIDUE = 1e-12  # of the largest flow
RATES = (0.003, 0.004, 0.005, 0.006)
PARTS = 4  # of the first two thirds
WINDOW = 800  # hours that spans roll over, beside all that came before

Flow = np.ndarray  # (2, n) USD, long and short


@dataclass(eq=False)
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


# --- recipes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """How flow is estimated; an ingredient changes one of these."""

    params: Params
    within: str = ""  # what bars open and sweep themselves: "path", "range" (order of high and low unknown), or not
    entry: str = "close"
    half_life: float = math.inf  # of positions, in hours
    interest: bool = False  # the two-sided ledger
    funding_lean: float = 0.0  # of what is opened
    tier: float = 0.0  # share of positions at 1 % maintenance, as far as leverage allows
    cascade: float = 0.0  # cascade_mult; 0 is off
    drop: float = 0.0  # open_interest_drop
    funding: float = 0.0  # funding_extreme
    volume_power: float = 0.0
    range_power: float = 0.0
    imbalance: float = 0.0
    merged: float = 0.0  # share of the hour before


@cache
def positions(hours: Hours, recipe: Recipe) -> Flow:
    """What a ledger gives, with the ingredients that change it."""
    bars, params = hours.bars, recipe.params
    opened, survival = two_sided(hours) if recipe.interest else (bars["volume"], np.ones(len(bars)))
    lean = recipe.funding_lean * np.stack([leaning(hours), -leaning(hours)])
    entry = (bars["high"] + bars["low"] + bars["close"]) / 3 if recipe.entry == "typical" else bars[recipe.entry]
    flow = swept(bars, params, entry, opened * (1.0 + lean), survival * 0.5 ** (1.0 / recipe.half_life))
    if recipe.within:
        opening = bars.copy()
        opening["volume"] = opened
        flow = flow + within(opening, params, recipe.within == "path")
    return flow


def estimate(hours: Hours, recipe: Recipe) -> Flow:
    bars = hours.bars
    ledger = replace(
        Recipe(recipe.params),
        **{name: getattr(recipe, name) for name in ("within", "entry", "half_life", "interest", "funding_lean")},
    )
    flow = positions(hours, ledger)
    if recipe.tier:
        flow = (1 - recipe.tier) * flow + recipe.tier * positions(hours, replace(ledger, params=higher(recipe.params)))
    if recipe.cascade:
        flow = flow + added(hours, ("use_cascades", "cascade_mult", recipe.cascade))
    if recipe.drop:
        flow = flow + added(hours, ("use_open_interest_drops", "open_interest_drop", recipe.drop))
    if recipe.funding:
        pays = np.stack([hours.funding, -hours.funding]) >= recipe.funding
        flow = flow * (1.0 + Params().funding_raise * pays)
    if recipe.volume_power:
        flow = flow * (bars["volume"] / rolled(bars["volume"], 20)) ** recipe.volume_power
    if recipe.range_power:
        previous = np.concatenate([bars["close"][:1], bars["close"][:-1]])
        true_range = np.maximum(bars["high"], previous) - np.minimum(bars["low"], previous)
        flow = flow * (true_range / rolled(true_range, 14)) ** recipe.range_power
    if recipe.imbalance:
        sold = 1.0 - 2.0 * bulk_volume(hours)
        flow = flow * (1.0 + recipe.imbalance * np.stack([sold, -sold]))
    if recipe.merged:
        flow = flow + recipe.merged * np.concatenate([np.zeros((2, 1)), flow[:, :-1]], axis=1)
    return flow


def rolled(values: np.ndarray, length: int) -> np.ndarray:
    """Mean of the ``length`` values before."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    mean = np.full(len(values), np.nan)
    mean[length:] = (total[length:-1] - total[: -length - 1]) / length
    return mean


def two_sided(hours: Hours) -> tuple[np.ndarray, np.ndarray]:
    """(what bars open, what they leave of older positions) with open interest: half of volume and change is opened,
    half of volume less change closed.
    """
    volume = hours.bars["volume"]
    before = np.concatenate([[np.nan], hours.open_interest[:-1]])
    change = hours.open_interest - before
    known = np.abs(change) <= volume
    survival = np.where(known, np.maximum(0.0, 1.0 - (volume - change) / (2.0 * before)), 1.0)
    return np.where(known, (volume + change) / 2.0, volume), survival


def higher(params: Params) -> Params:
    """A tier with a maintenance margin of 1 %."""
    low = [k for k, leverage in enumerate(params.leverages) if leverage <= 75]
    share = sum(params.leverage_weights[k] for k in low)
    mix = tuple(params.leverage_weights[k] / share for k in low)
    return replace(params, margin_rate=0.01, leverages=tuple(params.leverages[k] for k in low), leverage_weights=mix)


@cache
def added(hours: Hours, signal: tuple[str, str, float]) -> Flow:
    """What a switch of Params adds: what the engine gives with it, less what it gives without."""
    switch, threshold, value = signal
    columns = {"open_interest": hours.open_interest} if "interest" in switch else {}
    without = engine(hours.bars, Params(), **columns)
    return np.nan_to_num(engine(hours.bars, Params(**{switch: True, threshold: value}), **columns) - without)


@cache
def leaning(hours: Hours) -> np.ndarray:
    """In [-1, 1], above 0 where funding is above its mean of the 168 hours before: longs open more there."""
    lean = np.zeros(len(hours.funding))
    for t in range(168, len(lean)):
        past = hours.funding[t - 168 : t]
        lean[t] = math.tanh((hours.funding[t] - past.mean()) / max(past.std(), 1e-12))
    return np.nan_to_num(lean)


@cache
def bulk_volume(hours: Hours) -> np.ndarray:
    """Share of a bar's volume taken to be bought: Phi(change / its spread) (Easley, Lopez de Prado, O'Hara 2012)."""
    close = hours.bars["close"]
    change = np.diff(np.log(close), prepend=np.log(close[0]))
    spread = np.array([change[max(0, t - 96) : t].std() if t > 2 else np.nan for t in range(len(close))])
    scaled = np.nan_to_num(change / np.where(spread > 0, spread, np.nan))
    return np.array([0.5 * (1.0 + math.erf(value / math.sqrt(2.0))) for value in scaled])


# --- ingredients ------------------------------------------------------------------------------------------------------

Choices = Callable[[np.ndarray], list[dict[str, Any]]]  # rows that may choose -> changes to a recipe to choose from


def choices(name: str, *values: object) -> Choices:
    return lambda _: [{name: value} for value in values]


INGREDIENTS: dict[str, Choices] = {
    "entry at the typical price": choices("entry", "typical"),
    "entry at the open": choices("entry", "open"),
    "opened and swept within the bar, along its path": choices("within", "path"),
    "the same, order of high and low unknown": choices("within", "range"),
    "volume ratio, to a power": choices("volume_power", 0.25, 0.5, 1.0),
    "range in ATR, to a power": choices("range_power", 0.25, 0.5, 1.0),
    "taker imbalance (bulk volume; no taker volume here)": choices("imbalance", 0.25, 0.5, 0.75),
    "open interest, two-sided ledger": choices("interest", True),
    "funding tilt of what is opened": choices("funding_lean", 0.25, 0.5),
    "age weighting": choices("half_life", 12.0, 24.0, 48.0, 96.0),
    "several bars of a sweep merged": choices("merged", 0.1, 0.25, 0.5),
    "tiers: a part at 1 % maintenance": choices("tier", 0.1, 0.25, 0.5),
    "signal: cascades": choices("cascade", 2.0, 3.0, 5.0, 10.0),
    "signal: drops of open interest": choices("drop", 0.005, 0.01, 0.02),
    "signal: extreme funding": choices("funding", 5e-6, 1e-5, 1.2e-5),
}


WITHIN = "opened and swept within the bar, along its path"
SEVEN = "seven leverages, 10 to 150, refitted"
OTHERS = {name: ingredient for name, ingredient in INGREDIENTS.items() if name != WITHIN}


@cache
def refitted(hours: Hours, leverages: tuple[float, ...], rows: tuple[int, ...]) -> Params:
    """The mix and the margin rate that these rows teach."""
    bars, seen = hours.bars.copy(), np.array(rows)
    bars["liq_long_usd"][seen], bars["liq_short_usd"][seen] = hours.observed[:, seen]
    equal = tuple(1.0 / len(leverages) for _ in leverages)
    return fit_mix(bars, Params(leverages=leverages, leverage_weights=equal), RATES, spans=1, resamples=1).params


def seven(hours: Hours) -> Choices:
    leverages = (*BEFORE.leverages[1:], 150.0)
    return lambda rows: [{"params": refitted(hours, leverages, tuple(rows.tolist()))}]


# --- the table --------------------------------------------------------------------------------------------------------


def scores(flow: Flow, hours: Hours, rows: np.ndarray) -> list[float]:
    least = flow[:, rows][flow[:, rows] != 0.0].min()
    if not least > RESIDUE * flow[:, rows].max():  # what rounding leaves of nothing breaks ties at random
        raise AssertionError(f"an estimate of {least:.3g} USD is negative or a residue of rounding")
    return [rank_correlation(flow[side][rows], hours.observed[side][rows]) for side in (0, 1)]


def chosen(hours: Hours, recipe: Recipe, ingredient: Choices, rows: np.ndarray) -> Recipe:
    """The recipe with the ingredient, its strength chosen on these rows."""
    changed = [replace(recipe, **change) for change in ingredient(rows)]
    return max(changed, key=lambda one: sum(scores(estimate(hours, one), hours, rows)))


def unseen(hours: Hours, recipe: Recipe, ingredient: Choices) -> float:
    """Mean rank correlation on parts of the first two thirds, each with what the others chose, less the rows near."""
    found = []
    for part in np.array_split(hours.choose, PARTS):
        reach = recipe.params.ledger_bars
        apart = (hours.choose < part[0] - reach) | (hours.choose > part[-1] + reach)
        best = chosen(hours, recipe, ingredient, hours.choose[apart])
        found.append(np.mean(scores(estimate(hours, best), hours, part)))
    return float(np.mean(found))


def grown(hours: Hours, recipe: Recipe) -> Recipe:
    """The recipe and, one by one, the ingredients that help on unseen parts; prints each."""
    left = {SEVEN: seven(hours), **OTHERS}
    least = unseen(hours, recipe, lambda _: [{}])
    print(f"{'as adopted':52} {least:.4f}")
    while True:
        found = {name: unseen(hours, recipe, ingredient) for name, ingredient in left.items()}
        name = max(found, key=found.__getitem__)
        if not found[name] > least:
            print(f"{'and nothing more: the next best, ' + name:52} {found[name]:.4f}")
            return recipe
        print(f"{'+ ' + name:52} {found[name]:.4f}", flush=True)
        recipe, least = chosen(hours, recipe, left.pop(name), hours.choose), found[name]


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
    learned = learn(hours)
    default = Params()
    adopted = Recipe(default, within="path")
    for recipe, columns in (
        (adopted, {}),
        (replace(adopted, interest=True), {"open_interest": hours.open_interest}),
    ):
        if not same(engine(hours.bars, default, **columns), estimate(hours, recipe)):
            raise AssertionError("the ledger of this script is not the engine's")

    def show(name: str, recipe: Recipe, base: Recipe) -> None:
        line(name, estimate(hours, recipe), estimate(hours, base), hours)

    alone = Recipe(BEFORE)
    title = "long, short: difference on the last third"
    print(f"\n{len(hours.judge)} hours judge, {len(hours.choose)} choose. Spearman there, long and short:")
    for name, recipe in (("the ledger alone", alone), ("as adopted", adopted)):
        print("{:18} {:.3f} {:.3f}".format(name, *scores(estimate(hours, recipe), hours, hours.judge)))
    print(f"\n{'beside the ledger alone':52} {title}")
    show("the learned mix", Recipe(learned), alone)
    for name, ingredient in INGREDIENTS.items():
        show(name, chosen(hours, alone, ingredient, hours.choose), alone)
    show("as adopted: the learned mix, swept within", adopted, alone)
    print(f"\n{'on top of what was adopted':52} {title}")
    show("the mix of the ledger alone instead of the learned", replace(adopted, params=BEFORE), adopted)
    more = chosen(hours, adopted, seven(hours), hours.choose)
    show(SEVEN, more, adopted)
    for name, ingredient in OTHERS.items():
        show(name, chosen(hours, adopted, ingredient, hours.choose), adopted)
    print("signal: large trades: cannot be judged, these hours have no tape")

    print(f"\n{'combined, on the first two thirds':52} Spearman, mean of both sides, on parts that did not choose")
    best = grown(hours, adopted)
    print(f"\n{'combined, beside what was adopted':52} {title}")
    show("grown on the first two thirds", best, adopted)
    found = chosen(hours, more, OTHERS["range in ATR, to a power"], hours.choose)
    show("found on the last third: seven leverages and range", found, adopted)
    if TRADES.exists():
        signals_on_trades()
    return 0


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
    bars = hours.bars.copy()
    bars["liq_long_usd"], bars["liq_short_usd"] = hours.observed
    print(f"deviance of {len(fit.spans)} spans of all hours, learned from")
    for name, window in (("all hours before", None), (f"the {WINDOW} hours before", WINDOW)):
        spans = fit_mix(bars, Params(), RATES, window=window, resamples=1).spans
        print(f"  {name:21} {sum(span.deviance for span in spans):.4g}")
    return fit.params


SIGNALS: dict[str, dict[str, Any]] = {
    "large trades": {"use_large_trades": True, "large_mult": 10.0},
    "cascades": {"use_cascades": True, "cascade_mult": 3.0},
    "drops of open interest": {"use_open_interest_drops": True, "open_interest_drop": 0.001},
    "extreme funding": {"use_funding": True, "funding_extreme": 1.25e-5},
}


def real_minutes(params: Params) -> tuple[np.ndarray, np.ndarray]:
    """(trades, bars) of three days of every trade of one venue, a bar a minute, with open interest and funding."""
    trades = trades_from_table(pq.read_table(TRADES), sort=True)
    bars = bars_from_trades(trades, params)
    known = pq.read_table(MINUTES)
    ends = bars["time"] + 59_999
    bars["open_interest"] = as_of(known["ts"].to_numpy(), known["oi"].to_numpy(), ends)
    bars["funding_rate"] = as_of(known["ts"].to_numpy(), known["funding"].to_numpy(), ends)
    return trades, bars


def with_signal(bars: np.ndarray, switches: dict[str, Any]) -> tuple[int, float]:
    """(minutes that a signal changes, flow with it / without)."""
    plain, flow = (np.nan_to_num(engine(bars, Params(**changes))) for changes in ({}, switches))
    return int((flow != plain).any(axis=0).sum()), float(flow.sum() / plain.sum())


def signals_on_trades() -> None:
    trades, bars = real_minutes(Params())
    print(f"\nThe signals on {len(trades):,} real trades, {len(bars):,} minutes: minutes changed, flow with / without")
    for name, switches in SIGNALS.items():
        threshold, value = list(switches.items())[1]
        default = (
            "the default" if value == getattr(Params(), threshold) else f"default {getattr(Params(), threshold):g}"
        )
        changed, ratio = with_signal(bars, switches)
        print(f"{name:24} {f'{threshold} = {value:g} ({default})':44} {changed:6,}   {ratio:.3f}")
    print("\nLarge trades there by large_mult: share of trades, of turnover, flow with / without")
    usd = trades["price"] * trades["size"]
    for mult in (10.0, 30.0, 100.0, 300.0):
        params = Params(large_mult=mult)
        bars = real_minutes(params)[1]
        large = bars["large_sell_usd"].sum() + bars["large_buy_usd"].sum()
        turnover = usd[: int(np.searchsorted(trades["time"], bars["time"][-1] + 60_000))].sum()
        ratio = with_signal(bars, {"use_large_trades": True})[1]
        print(f"{mult:5g}   {is_large(usd, params).mean():6.1%} {large / turnover:6.0%}   {ratio:.3f}")


def is_large(usd: np.ndarray, params: Params) -> np.ndarray:
    """Of trades in order of time, as docs/formula.md says."""
    n = params.large_trades
    total = np.concatenate([[0.0], np.cumsum(usd)])
    large = np.zeros(len(usd), bool)
    large[n:] = usd[n:] >= params.large_mult * (total[n:-1] - total[: -n - 1]) / n
    return large


if __name__ == "__main__":
    sys.exit(main())
