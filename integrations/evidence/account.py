"""The account of a fade: bars and their signals to what trading them gives, without backtrader.

``ZoneFade`` on backtrader's own broker, order by order and in the same order of operations, so that results are equal
to the last digit. It is for the many runs that a real one is set beside. Nothing else is traded here, and no other
broker is meant: a cash account that gives a short its notional in cash and asks a long for its notional over
``MARGIN_LEVERAGE``, a commission that is a share of the notional, no slippage, no interest.

A bar is gone through as backtrader does it: orders that were placed at the close before are checked for cash, those
that passed are tried in the order in which they were placed, the account is valued at the close, the strategy decides.
"""

from __future__ import annotations

import math

import numpy as np

from liquidator_core import Params, fold, new_signals, new_state
from liquidator_core._jit import kernel, kernel_views
from liquidator_core.layout import Record

from .result import ClosedTrade, Result, check_tradable, result_of

#: Cash a long needs is its notional / this, like a perpetual's margin, or a gap up at the fill would reject the order.
#: How much a strategy risks is its own affair.
MARGIN_LEVERAGE = 10.0

NONE, PLACED, WAITING, FILLED = range(4)  # an order: there is none or it is gone, not yet checked, to be tried, done

ACCOUNT = np.dtype(
    [
        ("cash", "f8"),
        ("value", "f8"),  # at the last close
        ("position", "f8"),  # size of the position; below 0 is short
        ("entry_price", "f8"),  # of its fill
        ("entry_row", "i8"),
        ("entry_paid", "f8"),  # commission
        ("entry", "i8"),  # state of the entry order
        ("entry_size", "f8"),
        ("entry_at", "f8"),  # its limit, or the close at which it was placed
        ("placed_row", "i8"),
        ("stop", "i8"),  # state of its stop
        ("stop_at", "f8"),
        ("exit", "i8"),  # state of the order that closes all
        ("exit_at", "f8"),  # the close at which it was placed
        ("trades", "i8"),  # closed so far
    ]
)

RULES = np.dtype(
    [
        ("commission", "f8"),
        ("leverage", "f8"),
        ("entry_bars", "i8"),
        ("allow_short", "?"),
        ("stop_atr", "f8"),
        ("risk_share", "f8"),
        ("max_leverage", "f8"),
    ]
)

TRADE = np.dtype(
    [
        ("placed_row", "i8"),  # of the bar at whose close the entry was placed
        ("entry_row", "i8"),
        ("exit_row", "i8"),
        ("entry_price", "f8"),
        ("exit_price", "f8"),
        ("position", "f8"),
        ("pnl", "f8"),
        ("commission", "f8"),
        ("stopped", "?"),
    ]
)


@kernel
def _opened(r: Record, cash: float, size: float, price: float) -> float:
    """Cash left when a position was opened."""
    cost = size * price
    if cost > 0.0:
        cost /= r.leverage
    left: float = cash - cost - abs(size) * r.commission * price
    return left


@kernel
def _closed(r: Record, cash: float, size: float, entry_price: float, price: float) -> float:
    """Cash when a position of this size was closed."""
    back = size * entry_price
    if back > 0.0:
        back /= r.leverage
    left: float = cash + (back + size * (price - entry_price)) - abs(size) * r.commission * price
    return left


@kernel
def _check_orders(a: Record, r: Record) -> None:
    """Let those orders wait that cash suffices for, as if each were filled at the price it was placed with."""
    if a.exit == PLACED:
        a.exit = WAITING if _closed(r, a.cash, a.position, a.exit_at, a.exit_at) >= 0.0 else NONE
    if a.entry == PLACED:
        cash = _opened(r, a.cash, a.entry_size, a.entry_at)
        is_paid = cash >= 0.0 and _closed(r, cash, a.entry_size, a.stop_at, a.stop_at) >= 0.0
        a.entry = a.stop = WAITING if is_paid else NONE


@kernel
def _resting(side: float, price: float, b: Record) -> float:
    """Where a limit order to buy, or a stop to sell, at ``price`` is filled (side 1); -1 mirrored. NaN: nowhere."""
    if side > 0.0:
        return min(b.open, price) if b.open <= price or b.low <= price else math.nan
    return max(b.open, price) if b.open >= price or b.high >= price else math.nan


@kernel
def _enter(a: Record, r: Record, b: Record, row: int) -> None:
    """Try the entry; one that cash does not suffice for at its fill is gone, and its stop with it."""
    price = b.open if r.entry_bars == 0 else _resting(a.entry_size, a.entry_at, b)
    if price != price:
        return
    cash = _opened(r, a.cash, a.entry_size, price)
    if cash < 0.0:
        a.entry = a.stop = NONE
        return
    a.entry, a.cash = FILLED, cash
    a.position, a.entry_price, a.entry_row = a.entry_size, price, row
    a.entry_paid = abs(a.position) * r.commission * price


@kernel
def _close(a: Record, r: Record, price: float, row: int, stopped: bool, trades: np.ndarray) -> None:
    """Close the position and write down the trade."""
    t = trades[a.trades]
    a.trades += 1
    t.placed_row, t.entry_row, t.exit_row = a.placed_row, a.entry_row, row
    t.entry_price, t.exit_price, t.position, t.stopped = a.entry_price, price, a.position, stopped
    t.commission = a.entry_paid + abs(a.position) * r.commission * price
    # A trade's price is kept as a mean: it may differ in its last digit.
    mean_price = a.position * a.entry_price / a.position
    t.pnl = a.position * (price - mean_price) - t.commission
    a.cash = _closed(r, a.cash, a.position, a.entry_price, price)
    a.position = 0.0


@kernel
def _fill_orders(a: Record, r: Record, b: Record, row: int, trades: np.ndarray) -> None:
    """Try what waits on a bar, and value the account at its close."""
    if a.entry == WAITING:
        _enter(a, r, b, row)
    if a.entry == FILLED and a.stop == WAITING:
        price = _resting(a.position, a.stop_at, b)
        if price == price:
            a.stop = FILLED
            _close(a, r, price, row, True, trades)
    if a.exit == WAITING:
        a.exit = FILLED
        _close(a, r, b.open, row, False, trades)
    worth = a.position * b.close
    if worth > 0.0:
        gained = a.position * (b.close - a.entry_price)
        worth = (worth - gained) / r.leverage + gained
    a.value = a.cash + worth


@kernel
def _short_binary(size: float) -> float:
    """A size rounded down to 36 binary digits."""
    unit = math.ldexp(1.0, math.frexp(size)[1] - 36)
    return math.floor(size / unit) * unit


@kernel
def _place_entry(a: Record, r: Record, b: Record, o: Record) -> None:
    """Place an entry with its stop, if there is something to risk."""
    distance = r.stop_atr * o.atr
    if o.fade > 0:
        stop, price = o.fade_low - distance, o.fade_high
    else:
        stop, price = o.fade_high + distance, o.fade_low
    if r.entry_bars == 0:
        price = b.close
    if not o.fade * (price - stop) > 0.0:
        return
    most = r.max_leverage * a.value
    size = min(r.risk_share * a.value / abs(stop - price), most / price)
    size = _short_binary(min(size, (most - abs(size) * r.commission * price) / price))
    if size > 0.0:
        a.entry = a.stop = PLACED
        a.entry_size, a.entry_at, a.stop_at = o.fade * size, price, stop


@kernel
def _decide(a: Record, r: Record, b: Record, o: Record, row: int) -> None:
    """The strategy at a bar's close."""
    if a.position != 0.0:
        is_over = o.exit_long if a.position > 0.0 else o.exit_short
        if is_over or a.stop != WAITING:
            a.stop = NONE
            a.exit, a.exit_at = PLACED, b.close
        return
    if a.entry == WAITING and row < a.placed_row + r.entry_bars:
        return
    a.entry = a.stop = NONE
    if o.fade > 0 or (o.fade < 0 and r.allow_short):
        _place_entry(a, r, b, o)
    if o.fade != 0:
        a.placed_row = row


@kernel
def _trade(
    account: np.ndarray,
    rules: np.ndarray,
    bars: np.ndarray,
    signals: np.ndarray,
    first: int,
    equity: np.ndarray,
    trades: np.ndarray,
) -> None:
    a, r = account[0], rules[0]
    for row in range(first, len(bars)):
        _check_orders(a, r)
        _fill_orders(a, r, bars[row], row, trades)
        equity[row - first] = a.value
        _decide(a, r, bars[row], signals[row], row)


def fade_trades(
    bars: np.ndarray,
    params: Params,
    cash: float,
    commission: float,
    leverage: float,
    *,
    entry_bars: int,
    allow_short: bool,
    stop_atr: float,
    risk_share: float,
    max_leverage: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Bars to (the account's value at each close from row ``memory - 1`` on, the closed trades as (n,) TRADE).

    leverage   what the broker divides a long's notional by, to ask for it in cash
    others     as for ``fade_account``
    """
    check_tradable(bars, params)
    record = params.to_record()
    signals = new_signals(len(bars))
    fold(new_state(record), record, bars, signals)
    first = params.memory - 1
    account, rules = np.zeros(1, ACCOUNT), np.zeros(1, RULES)
    account["cash"] = cash
    rules[0] = (commission, leverage, entry_bars, allow_short, stop_atr, risk_share, max_leverage)
    equity, trades = np.zeros(len(bars) - first), np.zeros(len(bars) - first, TRADE)
    a, r, b, o, t = kernel_views(account, rules, bars, signals, trades)
    _trade(a, r, b, o, first, equity, t)
    return equity, trades[: int(account["trades"][0])]


def fade_account(
    bars: np.ndarray,
    params: Params | None = None,
    cash: float = 10_000.0,
    commission: float = 0.0004,
    *,
    entry_bars: int = 3,
    allow_short: bool = True,
    stop_atr: float = 1.0,
    risk_share: float = 0.01,
    max_leverage: float = 1.0,
) -> Result:
    """Bars to the ``Result`` of ``ZoneFade``: what ``run_fade`` gives for the same arguments, to the last digit.

    bars         (n,) BAR, every bar with usable prices: orders would be filled at the others too
    params       of the zones; None = defaults
    commission   share of the notional, for each fill; funding is not charged

    The others are those of ``ZoneFade``. Raises ValueError as ``backtest`` does for its bars. Cost: that of ``fold``,
    and some 50 ns a bar.

    >>> from liquidator_integrations import sample_bars
    >>> result = fade_account(sample_bars()[:1500])
    >>> len(result.trades), round(result.total_return, 3)
    (45, 0.17)
    """
    equity, found = fade_trades(
        bars,
        Params() if params is None else params,
        cash,
        commission,
        MARGIN_LEVERAGE,
        entry_bars=entry_bars,
        allow_short=allow_short,
        stop_atr=stop_atr,
        risk_share=risk_share,
        max_leverage=max_leverage,
    )
    found["entry_row"], found["exit_row"] = bars["time"][found["entry_row"]], bars["time"][found["exit_row"]]
    trades = [ClosedTrade(*trade[1:]) for trade in found.tolist()]
    return result_of(bars, equity, trades, cash, commission)
