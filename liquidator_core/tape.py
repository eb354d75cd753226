"""The tape: public trades folded into bars, with taker buy volume and the flow of large trades."""

from __future__ import annotations

import math

import numpy as np

from ._jit import kernel, kernel_views
from .layout import BAR, PARAMS, SIZES, TRADE, Record
from .params import Params
from .rings import remember, window_sum

TAPE = np.dtype(
    [
        ("trades", "i8"),  # seen, counted up to large_trades
        ("now", "i8"),  # place of the next one among the last
        ("started", "i8"),  # 0 before the first trade, 1 once the open bar has one, 2 while it has none
        ("usd", "f8", (2 * SIZES[0],)),  # of the last trades, kept twice
        ("bar", BAR),  # the bar that is still open
    ],
    align=True,
)


def new_tape() -> np.ndarray:
    """The (1,) state of a tape before its first trade."""
    return np.zeros(1, TAPE)


@kernel
def _start(bar: Record, time: int, price: float) -> None:
    bar.time = time
    bar.open = price
    bar.high = price
    bar.low = price
    bar.close = price
    bar.volume = 0.0
    bar.taker_buy = 0.0
    bar.open_interest = math.nan
    bar.funding_rate = math.nan
    bar.liq_long_usd = math.nan
    bar.liq_long_price = math.nan
    bar.liq_short_usd = math.nan
    bar.liq_short_price = math.nan
    bar.large_sell_usd = 0.0
    bar.large_sell_price = math.nan
    bar.large_buy_usd = 0.0
    bar.large_buy_price = math.nan


@kernel
def _mean_price(usd: float, price: float, more_usd: float, more_price: float) -> float:
    """USD-weighted mean of a price so far and one more."""
    return more_price if usd == 0.0 else price + (more_price - price) * (more_usd / (usd + more_usd))


@kernel
def _add(t: Record, p: Record, bar: Record, trade: Record) -> None:
    size = trade["size"]  # without Numba ``trade.size`` is NumPy's own: 1
    bar.high = max(bar.high, trade.price)
    bar.low = min(bar.low, trade.price)
    bar.close = trade.price
    bar.volume += size
    if trade.side > 0:
        bar.taker_buy += size
    elif trade.side == 0:
        bar.taker_buy = math.nan
    usd = trade.price * size
    if t.trades < p.large_trades:
        t.trades += 1
    elif usd >= p.large_usd and usd * p.large_trades >= p.large_mult * window_sum(t.usd, t.now, p.large_trades):
        if trade.side > 0:
            bar.large_buy_price = _mean_price(bar.large_buy_usd, bar.large_buy_price, usd, trade.price)
            bar.large_buy_usd += usd
        elif trade.side < 0:
            bar.large_sell_price = _mean_price(bar.large_sell_usd, bar.large_sell_price, usd, trade.price)
            bar.large_sell_usd += usd
    remember(t.usd, t.now, p.large_trades, usd)
    t.now = t.now + 1 if t.now + 1 < p.large_trades else 0


@kernel
def _fold_trades(tape: np.ndarray, params: np.ndarray, trades: np.ndarray, bars: np.ndarray) -> tuple[int, int]:
    t = tape[0]
    p = params[0]
    bar = t.bar
    made = 0
    for i in range(len(trades)):
        trade = trades[i]
        if t.started == 0:
            _start(bar, trade.time - trade.time % p.tape_ms, trade.price)
        elif t.started == 2 and trade.time < bar.time + p.tape_ms:
            _start(bar, bar.time, trade.price)
        t.started = 1
        while trade.time >= bar.time + p.tape_ms:
            if made == len(bars):
                return i, made
            bars[made] = bar
            made += 1
            if trade.time >= bar.time + 2 * p.tape_ms:
                _start(bar, bar.time + p.tape_ms, bar.close)
            else:
                _start(bar, bar.time + p.tape_ms, trade.price)
        _add(t, p, bar, trade)
    return len(trades), made


def fold_trades(tape: np.ndarray, params: np.ndarray, trades: np.ndarray, bars: np.ndarray) -> tuple[int, int]:
    """Fold trades into bars of ``params.tape_ms``; returns (trades used, bars closed).

    tape    (1,) from new_tape()   advanced in place
    params  (1,) PARAMS            read only
    trades  (n,) TRADE             read only; times must not go back
    bars    (m,) BAR               its first rows are overwritten with the bars that closed

    A bar closes when a trade arrives at or after its end. Intervals without trades become flat bars of no volume. When
    ``bars`` is full the rest of the trades is left: call again with ``trades[used:]``. A trade is large when its USD is
    at least ``large_usd`` and at least ``large_mult`` times the mean of the ``large_trades`` trades before it; its
    aggressor's sells count as longs leaving, buys as shorts. Cost: O(large_trades / 4) a trade, no allocation.
    """
    if tape.dtype != TAPE or params.dtype != PARAMS or trades.dtype != TRADE or bars.dtype != BAR:
        raise TypeError("fold_trades takes new_tape(), Params(...).to_record(), a TRADE array and a BAR array")
    used, made = _fold_trades(*kernel_views(tape, params, trades, bars))
    return int(used), int(made)


@kernel
def _close_bars(tape: np.ndarray, params: np.ndarray, until: int, bars: np.ndarray) -> int:
    t = tape[0]
    p = params[0]
    bar = t.bar
    made = 0
    while t.started != 0 and made < len(bars) and bar.time + p.tape_ms <= until:
        bars[made] = bar
        made += 1
        _start(bar, bar.time + p.tape_ms, bar.close)
        t.started = 2
    return made


def close_bars(tape: np.ndarray, params: np.ndarray, until: int, bars: np.ndarray) -> int:
    """Close the bars that end at or before ``until``, in ms, though no trade came to close them; returns how many.

    Arguments are those of ``fold_trades``, whose trades must all be earlier than ``until``; flat bars of no volume fill
    the intervals without trades. Later trades, folded then, give the bars that they would have given without this.
    """
    if tape.dtype != TAPE or params.dtype != PARAMS or bars.dtype != BAR:
        raise TypeError("close_bars takes new_tape(), Params(...).to_record(), a time in ms and a BAR array")
    tape, params, bars = kernel_views(tape, params, bars)
    return int(_close_bars(tape, params, until, bars))


def bars_from_trades(trades: np.ndarray, params: Params | None = None) -> np.ndarray:
    """The closed bars of a (n,) TRADE array, times in order; the last bar, still open, is left out.

    Raises ValueError for times that go back, for prices and sizes that are not finite and above 0, for fewer than one
    closed bar or more than 20 million of them (a wrong time unit, usually).
    """
    record = (params or Params()).to_record()
    length = int(record["tape_ms"][0])
    if len(trades) == 0:
        raise ValueError("no trades to make bars from")
    back = trades["time"][1:] < trades["time"][:-1]
    if back.any():
        row = int(back.argmax()) + 1
        found = f"{trades['time'][row]} after {trades['time'][row - 1]} ms"
        raise ValueError(f"row {row}: time is {found}, allowed are times that do not go back")
    for name in ("price", "size"):
        right = (trades[name] > 0.0) & (trades[name] < np.inf)
        if not right.all():
            row = int(right.argmin())
            raise ValueError(f"row {row}: {name} is {trades[name][row]}, allowed is a finite number above 0")
    expected = int(trades["time"][-1]) // length - int(trades["time"][0]) // length
    first, last, end = np.array([trades["time"][0], trades["time"][-1], 0], "M8[ms]")
    span = f"{len(trades)} trade{'s' * (len(trades) > 1)}, from {first} to {last} UTC,"
    if expected == 0:
        end += (int(trades["time"][-1]) // length + 1) * length
        raise ValueError(f"{span} closed no bar of {length} ms: it is still open, until a trade at {end} UTC or later")
    if expected > 20_000_000:
        raise ValueError(f"{span} make {expected} bars of {length} ms; 1 to 20,000,000 are allowed")
    bars = np.zeros(expected, BAR)
    fold_trades(new_tape(), record, trades, bars)
    return bars
