"""Bars for tests: made from a list of kinds and a seed, so that hypothesis can make and shrink them.

Prices, volumes and flows carry noise, so that no comparison in the engine is an exact tie unless a test wants one.
"""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from liquidator_core import BAR, TRADE, Params
from liquidator_core.layout import BINS_PER_LOG, LONG
from liquidator_core.margin import liquidation_factor

HOUR = 3_600_000
START = 1_577_836_800_000  # 2020-01-01

# kind -> (drift of the log price, range beyond open and close), in percent
MOVES = {
    "quiet": (0.0, 0.3),
    "up": (1.0, 0.5),
    "down": (-1.0, 0.5),
    "wick_up": (0.2, 6.0),
    "wick_down": (-0.2, 6.0),
    "rally": (8.0, 2.0),
    "crash": (-8.0, 2.0),
    "leap": (140.0, 5.0),
    "collapse": (-140.0, 5.0),
    "flat": (0.0, 0.0),
}
VOLUMES = ("volume", "no_volume", "zero_volume", "huge_volume", "wrong_volume")
BAD = ("nan_close", "zero_low", "high_below_low", "infinite_high", "negative", "nan_open")
KINDS = (*MOVES, *VOLUMES[1:], *BAD, "gap_up", "gap_down", "missing_hours", "observed", "observed_zero", "unpriced")
USUAL = ("quiet", "up", "down", "wick_up", "wick_down", "rally", "crash", "observed", "gap_up", "gap_down")


def bars_of(prices, volume=1.0, **columns) -> np.ndarray:
    """Hourly bars from (open, high, low, close) rows; every other column unknown unless it is given."""
    bars = np.zeros(len(prices), BAR)
    for name in BAR.names[1:]:
        bars[name] = np.nan
    bars["time"] = START + HOUR * np.arange(len(prices))
    for place, name in enumerate(("open", "high", "low", "close")):
        bars[name] = [row[place] for row in prices]
    bars["volume"] = volume
    for name, values in columns.items():
        bars[name] = values
    return bars


def add_tape(bars: np.ndarray, seed: int) -> None:
    """Taker buys, large trades and funding, now and then unknown or wrong."""
    rng = np.random.default_rng((seed, 1))
    n = len(bars)

    def mostly(values, *others):
        return np.where(rng.random(n) < 0.85, values, rng.choice(others, n))

    bars["taker_buy"] = mostly(bars["volume"] * rng.uniform(0, 1, n), np.nan, -1.0, 1e300)
    bars["funding_rate"] = mostly(rng.normal(0, 5e-4, n), np.nan, np.inf)
    usd = np.nan_to_num(bars["close"] * bars["volume"])
    for name, extreme in (("sell", "low"), ("buy", "high")):
        bars[f"large_{name}_usd"] = mostly(np.abs(usd) * rng.lognormal(-2, 1.5, n), np.nan, 0.0, np.inf)
        bars[f"large_{name}_price"] = mostly((bars["close"] + bars[extreme]) / 2, np.nan, 0.0)


def bars_of_kinds(kinds, seed, price=103.7, volume=150.0, open_interest=False, observed=False, tape=False):
    """One bar a kind. ``open_interest`` makes it known on most rows, ``observed`` gives every row observed flow,
    ``tape`` taker buys, large trades and funding.
    """
    rng = np.random.default_rng(seed)
    bars = bars_of([(price,) * 4] * len(kinds))
    time, close, interest, typical = START, price, 300 * volume, volume
    for bar, kind in zip(bars, kinds, strict=True):
        time += HOUR * (1 + (50 if kind == "missing_hours" else 0))
        drift, reach = MOVES.get(kind, (0.0, 1.0))
        noise = 0.0 if kind == "flat" else 0.3
        gap = {"gap_up": 4.0, "gap_down": -4.0, "leap": 130.0, "collapse": -130.0}.get(kind, 0.0)
        opened = close * math.exp((gap + noise * 0.2 * rng.normal()) / 100)
        close = close * math.exp((gap or drift) / 100 + noise / 100 * rng.normal())
        ends = abs(rng.normal(size=2)) * reach / 100
        if kind == "wick_up":
            ends[1] = 0.001
        if kind == "wick_down":
            ends[0] = 0.001
        high = max(opened, close) * math.exp(ends[0])
        low = min(opened, close) * math.exp(-ends[1])
        volume = typical * rng.lognormal(0.0, 0.6)
        bar["time"], bar["open"], bar["high"], bar["low"], bar["close"] = time, opened, high, low, close
        bar["volume"] = {
            "no_volume": np.nan, "zero_volume": 0.0, "huge_volume": 1e4 * volume, "wrong_volume": -volume
        }.get(kind, volume)  # fmt: skip
        if open_interest:
            change = volume * rng.uniform(-1.1, 1.1)  # now and then by more than the volume
            interest = interest + change if interest + change > 0 else typical * 300 * rng.uniform(0.5, 2.0)
            bar["open_interest"] = rng.choice([interest, np.nan, 0.0, -1.0, np.inf], p=[0.92, 0.02, 0.02, 0.02, 0.02])
        if observed or kind in ("observed", "observed_zero", "unpriced"):
            for side, extreme in (("long", low), ("short", high)):
                bar[f"liq_{side}_usd"] = 0.0 if kind == "observed_zero" else close * volume * rng.lognormal(-2.0, 1.5)
                inside = extreme + (close - extreme) * rng.uniform() + 1e-6 * close * rng.normal()
                bar[f"liq_{side}_price"] = np.nan if kind == "unpriced" else inside
        spoil(bar, kind)
    if tape:
        add_tape(bars, seed)
    return bars


def rounded_nearer(side: int) -> tuple[float, float, float]:
    """(entry, liquidation price, close) of a position a few ulps beyond the close that falls into the bin before it."""
    sign = 1.0 if side == LONG else -1.0
    for places in range(5_000, 30_000):
        factor = liquidation_factor(10.0, side, 0.004)
        entry = math.exp(places / BINS_PER_LOG) / factor
        price = close = entry * factor
        place = math.floor(sign * (math.log(entry) * BINS_PER_LOG + math.log(factor) * BINS_PER_LOG))
        for _ in range(4):
            close = math.nextafter(close, math.inf if side == LONG else 0.0)
            if place > math.floor(sign * math.log(close) * BINS_PER_LOG):
                return entry, price, close
    raise AssertionError("no such position")


def spoil(bar, kind: str) -> None:
    """Make a row unusable in one of the ways that feeds know."""
    if kind == "nan_close":
        bar["close"] = np.nan
    elif kind == "nan_open":
        bar["open"] = np.nan
    elif kind == "zero_low":
        bar["low"] = 0.0
    elif kind == "high_below_low":
        bar["high"], bar["low"] = bar["low"], 1.1 * bar["high"]
    elif kind == "infinite_high":
        bar["high"] = np.inf
    elif kind == "negative":
        for name in ("open", "high", "low", "close"):
            bar[name] = -bar[name]


def random_bars(length: int, seed: int, kinds=KINDS, calm: float = 0.6, **known) -> np.ndarray:
    """Bars of random kinds, a share of them ``calm``."""
    rng = np.random.default_rng(seed)
    chosen = np.where(rng.random(length) < calm, rng.choice(["quiet", "up", "down"], length), rng.choice(kinds, length))
    return bars_of_kinds(chosen.tolist(), seed, **known)


def bars_with_feed(length: int, seed: int, **known) -> np.ndarray:
    """Bars of 8 and then of 4 hours, most of which a feed covers that sees a few hundredths of what is estimated: one
    side alone now and then, and nothing for a quarter of them.
    """
    bars = random_bars(length, seed, kinds=USUAL, observed=True, **known)
    hours = np.where(np.arange(length) < length // 2, 8, 4)
    bars["time"] = START + HOUR * np.r_[5, 5 + np.cumsum(hours)[:-1]]
    rng = np.random.default_rng((seed, 2))
    for side in ("long", "short"):
        bars[f"liq_{side}_usd"] *= rng.choice([0.03, 0.0, np.nan], length, p=[0.7, 0.15, 0.15])
        bars[f"liq_{side}_usd"][length * 9 // 16 : length * 13 // 16] = np.nan
    return bars


SMALL = {
    "ledger_bars": 7, "flow_bars": 5, "zone_bars": 11, "atr_bars": 3, "outcome_bars": 3,
    "event_mult": 1.0, "event_share": 0.01, "hold_atr": 0.3, "break_atr": 0.2, "rearm_atr": 0.1,
}  # fmt: skip


#: Params under which observed flow is the flow, as it stands.
AS_OBSERVED = {"observed": "unscaled", "observed_bars": 0}


def small_params(**changes) -> Params:
    """Params with a memory of 24 rows, under which marks arm, hold and break within a few bars."""
    return Params(**{**SMALL, **changes})


EVERY_SIGNAL = {
    "use_large_trades": True, "use_cascades": True, "use_open_interest_drops": True, "use_funding": True,
    "cascade_mult": 1.2, "open_interest_drop": 0.001, "funding_extreme": 4e-4, "funding_raise": 0.7,
}  # fmt: skip

PARAMS = {
    "small": small_params(),
    "every row an event": small_params(event_mult=0.0, event_share=0.0, **AS_OBSERVED),
    "wide zones": small_params(event_mult=0.0, zone_atr=1.0, max_width_atr=6.0, zone_bars=23, outcome_bars=30),
    "lone marks": small_params(max_width_atr=0.0, event_mult=0.5),
    "as wide as one mark": small_params(max_width_atr=0.5, event_mult=0.0, event_share=0.0),
    "inverse": small_params(margin="inverse", leverages=(20.0, 3.0), leverage_weights=(0.25, 0.75)),
    "tiers": small_params(margin_amount=0.002, margin_rate=0.01, leverages=(2.0, 40.0), leverage_weights=(0.5, 0.5)),
    "one leverage": small_params(leverages=(10.0,), leverage_weights=(1.0,), ledger_bars=29, level_share=0.2),
    "single rows": small_params(ledger_bars=1, flow_bars=1, zone_bars=1, atr_bars=1, outcome_bars=1, event_mult=0.0),
    "quick": small_params(rearm_atr=0.0, hold_atr=0.0, break_atr=0.0, outcome_bars=1, zone_bars=17, event_mult=0.0),
    "few levels": small_params(level_share=0.45),
    "every signal": small_params(**EVERY_SIGNAL),
    "observed as it is": small_params(**AS_OBSERVED),
    "observed flow": small_params(observed="flow", observed_bars=40),
    "far cascades": small_params(use_cascades=True, cascade_mult=1.2, flow_bars=13, event_mult=1.5),
}  # fmt: skip


@st.composite
def bar_sequences(draw, min_size: int = 1, max_size: int = 80, kinds=KINDS) -> np.ndarray:
    """Sequences of bars of any kind, with or without open interest and observed flow."""
    sequence = draw(st.lists(st.sampled_from((*USUAL, *kinds)), min_size=min_size, max_size=max_size))
    return bars_of_kinds(
        sequence,
        seed=draw(st.integers(0, 999)),
        price=draw(st.sampled_from((103.7, 1.234e-5, 87_654.3))),
        volume=draw(st.sampled_from((150.0, 3e-7, 2e8))),
        open_interest=draw(st.booleans()),
        observed=draw(st.booleans()),
        tape=draw(st.booleans()),
    )


def random_trades(length: int, seed: int, pause_ms: float = 7000.0) -> np.ndarray:
    """Trades at random times in order, some at one time, now and then none for many minutes, a few of them large."""
    rng = np.random.default_rng(seed)
    trades = np.zeros(length, TRADE)
    pauses = rng.exponential(pause_ms, length) * rng.choice([0.0, 1.0, 60.0], length, p=[0.2, 0.78, 0.02])
    time = START + 12_345 + np.cumsum(pauses).astype(np.int64)
    time[rng.random(length) < 0.2] //= 1000  # some on the very edge of a bar
    trades["time"] = np.maximum.accumulate(np.where(time < START, 1000 * time, time))
    trades["price"] = 250.0 * np.exp(np.cumsum(rng.normal(0, 1e-3, length)))
    trades["size"] = rng.lognormal(0, 1, length) * rng.choice([1.0, 40.0], length, p=[0.95, 0.05])
    trades["side"] = rng.choice([-1, 0, 1], length, p=[0.49, 0.02, 0.49])
    return trades


def some_params() -> st.SearchStrategy[Params]:
    return st.sampled_from(list(PARAMS.values()))
