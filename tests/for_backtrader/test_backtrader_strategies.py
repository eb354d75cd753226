"""The ready strategies against plain loops and by hand, and the backtest."""

from __future__ import annotations

import dataclasses

import backtrader as bt
import numpy as np
import pytest
from backtrader_runs import HOUR, LENGTH, MODES, PARAMS, folded, holey, kit, observed, series

from liquidator_integrations.for_backtrader import CandleFeed, backtest, buy_and_hold
from liquidator_integrations.for_backtrader.engine import days_of
from liquidator_strategies.for_backtrader import ZoneExit, ZoneFade, ZoneJoin, ZoneScale, for_module, run_fade

CASES = kit().cases
run = kit().run


def filled(order: str, price: float | None, bar) -> float | None:
    """The price at which a resting order is filled on a bar; None if it is not."""
    opened, high, low = bar["open"], bar["high"], bar["low"]
    if order == "market":
        return opened
    if order in ("buy limit", "sell stop"):
        return min(opened, price) if low <= price else None
    return max(opened, price) if high >= price else None


def plain_fade(
    bars, params=PARAMS, cash=10_000.0, commission=0.0004, allow_short=True, stop_atr=1.0, risk_share=0.01,
    max_leverage=1.0, entry_bars=3, signal="fade", take_profit=False,
):  # fmt: skip
    """ZoneFade (or ZoneJoin, ZoneExit) as a loop over rows and signals: (trades, values from the first warm row on)."""
    rows = folded(bars, params)
    trades, values = [], []
    entry = stop = size = limit = 0.0
    start = placed = 0
    waiting = leaving = False
    target = None
    for i, bar in enumerate(bars):
        if waiting:
            price = filled("buy limit" if size > 0 else "sell limit", limit, bar) if entry_bars else bar["open"]
            if price is not None:
                waiting, entry, start = False, price, i
                cash -= commission * abs(size) * entry
        if size and not waiting:
            order = "market" if leaving else "sell stop" if size > 0 else "buy stop"
            price = filled(order, stop, bar)
            stopped = price is not None and not leaving
            if price is None and target is not None:
                price = filled("sell limit" if size > 0 else "buy limit", target, bar)
            if price is not None:
                paid = commission * abs(size) * (entry + price)
                cash += size * (price - entry) - commission * abs(size) * price
                trades.append((start, i, entry, price, size, size * (price - entry) - paid, paid, stopped))
                size, leaving, target = 0.0, False, None
        close = bar["close"]
        if i < params.memory - 1:
            continue
        value = cash + (0.0 if waiting else size * (close - entry))
        values.append(value)
        row = rows[i]
        if size and not waiting:
            if not take_profit:
                leaving = bool(row["exit_long"] if size > 0 else row["exit_short"])
            elif np.isfinite(near := row["resistance_low" if size > 0 else "support_high"]):
                target = near
            continue
        if waiting and i < placed + entry_bars:
            continue
        waiting, size = False, 0.0
        side = row[signal]
        if side and (allow_short or side > 0):
            low, high = row[f"{signal}_low"], row[f"{signal}_high"]
            stop = low - stop_atr * row["atr"] if side > 0 else high + stop_atr * row["atr"]
            limit = high if side > 0 else low
            price = limit if entry_bars else close
            if side * (price - stop) > 0:
                most = max_leverage * value
                size = min(risk_share * value / abs(price - stop), most / price)
                size = side * min(size, (most - commission * size * price) / price)
                waiting, placed = True, i
    return trades, np.array(values)


def check_trades(result, bars, trades, values):
    rows = {int(time): row for row, time in enumerate(bars["time"])}
    got = [(rows[trade.entry_ms], rows[trade.exit_ms], *trade[2:]) for trade in result.trades]
    assert [trade[:4] + trade[-1:] for trade in got] == [trade[:4] + trade[-1:] for trade in trades]
    np.testing.assert_allclose([trade[4:7] for trade in got], [trade[4:7] for trade in trades], rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(result.equity, values, rtol=1e-9)
    assert result.final_value == result.equity[-1]
    assert result.wins == sum(trade[5] > 0 for trade in trades)


SETTINGS = {
    "defaults": {},
    "long only": {"allow_short": False},
    "at the next open": {"entry_bars": 0},
    "a patient order": {"entry_bars": 12},
    "tight stops": {"stop_atr": 0.1, "risk_share": 0.002},
    "large risk": {"risk_share": 0.5, "max_leverage": 2.0},
    "no commission": {"commission": 0.0},
}


@pytest.mark.parametrize("settings", SETTINGS)
def test_trades_are_those_of_a_plain_loop(settings):
    bars = series(1500, seed=7)
    settings = SETTINGS[settings]
    trades, values = plain_fade(bars, **settings)
    check_trades(run_fade(bars, PARAMS, **settings), bars, trades, values)
    sides = {np.sign(trade[4]) for trade in trades}
    assert sides == ({1.0} if "allow_short" in settings else {1.0, -1.0})
    assert {trade[-1] for trade in trades} == {True, False}
    assert len(trades) >= 40


def test_joins_are_those_of_a_plain_loop():
    bars = series(3000, seed=7)
    trades, values = plain_fade(bars, signal="join", entry_bars=0)
    check_trades(backtest(bars, ZoneJoin, PARAMS), bars, trades, values)
    assert {np.sign(trade[4]) for trade in trades} == {1.0, -1.0}
    assert {trade[-1] for trade in trades} == {True, False}
    assert len(trades) >= 20


@pytest.mark.parametrize("settings", [{}, {"entry_bars": 0, "stop_atr": 0.2}, {"allow_short": False}])
def test_profit_is_taken_where_a_plain_loop_takes_it(settings):
    bars = series(1500, seed=7)
    trades, values = plain_fade(bars, take_profit=True, **settings)
    result = backtest(bars, ZoneExit, PARAMS, **settings)
    check_trades(result, bars, trades, values)
    taken = [trade for trade in trades if not trade[-1]]
    assert len(taken) >= 15
    rows = folded(bars)
    edges = [rows["resistance_low" if trade[4] > 0 else "support_high"][trade[0] : trade[1]] for trade in taken]
    at_edge = [trade[3] in edge for trade, edge in zip(taken, edges, strict=True)]
    assert sum(at_edge) >= 10  # the others gapped beyond it


class Noting(ZoneScale):
    """Notes every order that was filled: (row, size)."""

    def __init__(self, **unknown):
        super().__init__(**unknown)
        self.fills = []

    def notify_order(self, order):
        if order.status == order.Completed:
            self.fills.append((len(self.data), order.executed.size, order.exectype, order.created.dt))


@pytest.mark.parametrize("max_adds", [0, 1, 3])
def test_a_position_is_added_to_at_most_so_often(max_adds):
    bars = series(3000, seed=7)
    rows = folded(bars)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=bars))
    cerebro.broker.setcommission(leverage=10.0)
    cerebro.addstrategy(Noting, zone_params=PARAMS, max_adds=max_adds)
    fills = cerebro.run()[0].fills
    signal_row = {day: row for row, day in enumerate(days_of(bars["time"]).tolist())}
    held, units, most = 0.0, 0, 0
    for _, size, kind, created in fills:
        if kind == bt.Order.Limit:  # an entry: at a fade, to the position's side
            assert rows["fade"][signal_row[created]] == np.sign(size)
            assert held * size >= 0.0
            units += 1
            most = max(most, units - 1)
        else:  # a stop, or all at once
            assert held * size < 0.0
        held += size
        units = units if held else 0
    assert most == max_adds


def test_a_scale_without_adds_is_a_fade():
    bars = series(1500, seed=7)
    assert backtest(bars, ZoneScale, PARAMS, max_adds=0).trades == run_fade(bars, PARAMS).trades
    with pytest.raises(ValueError, match="max_adds must be a whole number not below 0"):
        backtest(bars, ZoneScale, PARAMS, max_adds=-1)


@pytest.mark.parametrize("name", ["ZoneFade", "ZoneJoin", "ZoneScale", "ZoneExit"])
def test_strategies_on_another_library_trade_the_same(name):
    import backtrader_next

    bars = series(1500, seed=7)
    fills = []
    for library, made in ((bt, for_module(bt)), (backtrader_next, for_module(backtrader_next))):
        cerebro = library.Cerebro(stdstats=False)
        cerebro.adddata(kit(library.__name__).lz.CandleFeed(dataname=bars))
        cerebro.broker.setcommission(leverage=10.0)
        cerebro.addstrategy(getattr(made, name), zone_params=PARAMS)
        cerebro.addanalyzer(library.analyzers.Transactions, _name="fills")
        found = cerebro.run()[0].analyzers.fills.get_analysis()
        fills.append([(str(time)[:19], *row[:2]) for time, rows in found.items() for row in rows])
    assert len(fills[0]) >= 40
    assert fills[0] == fills[1]


def test_some_are_stopped_on_the_bar_of_the_fill():
    trades, _ = plain_fade(series(1500, seed=7), stop_atr=0.1)
    assert any(trade[0] == trade[1] for trade in trades)


def test_orders_fill_at_the_open_after_the_signal_and_stops_hold():
    bars = series(1500, seed=8)
    rows = folded(bars)
    result = run_fade(bars, PARAMS, commission=0.0, entry_bars=0)
    place = {int(time): row for row, time in enumerate(bars["time"])}
    value = dict(zip(result.equity_ms.tolist(), result.equity, strict=True))
    assert len(result.trades) >= 40
    for trade in result.trades:
        entered, left = place[trade.entry_ms], place[trade.exit_ms]
        side = np.sign(trade.size)
        assert rows["fade"][entered - 1] == side
        assert trade.entry_price == bars["open"][entered]
        if not trade.stopped:
            assert rows["exit_long" if side > 0 else "exit_short"][left - 1] == 1
            assert trade.exit_price == bars["open"][left]
        before = value[int(bars["time"][entered - 1])]
        close = bars["close"][entered - 1]
        risked = 0.01 * before
        assert abs(trade.size) * close <= before * (1 + 1e-12)
        if abs(trade.size) * close < before * (1 - 1e-9):
            stop = close - side * risked / abs(trade.size)
            held = slice(entered, left)
            extreme = bars["low" if side > 0 else "high"]
            assert (side * (extreme[held] - stop) > 0).all()
            if trade.stopped and side * (bars["open"][left] - stop) > 0:
                assert trade.exit_price == pytest.approx(stop, rel=1e-10)


def test_later_bars_do_not_change_earlier_trades():
    bars = series(1000, seed=9)
    whole = run_fade(bars, PARAMS)
    for length in (300, 617, 999):
        part = run_fade(bars[:length], PARAMS)
        assert part.trades == [trade for trade in whole.trades if trade.exit_ms <= bars["time"][length - 1]]
        assert part.equity.tolist() == whole.equity[: len(part.equity)].tolist()


def test_marks_from_outside_are_traded():
    """A placebo's marks come as observed forced flow, each of which is an event."""
    bars = observed(1200, seed=10)
    params = dataclasses.replace(PARAMS, event_mult=0.0, event_share=0.0)
    trades, values = plain_fade(bars, params)
    assert len(trades) >= 20
    check_trades(run_fade(bars, params), bars, trades, values)
    unmarked = bars.copy()
    unmarked["liq_long_usd"] = unmarked["liq_short_usd"] = 0.0
    assert run_fade(unmarked, params).trades == []


@pytest.mark.parametrize("mode", ["runonce, preload", "neither"])
def test_a_faster_second_feed_does_not_change_the_trades(mode):
    def final(feeds):
        cerebro = bt.Cerebro(stdstats=False, **MODES[mode])
        for bars in feeds:
            cerebro.adddata(CandleFeed(dataname=bars))
        cerebro.addstrategy(ZoneFade, zone_params=PARAMS)
        cerebro.run()
        return cerebro.broker.getvalue()

    slow, fast = series(400, seed=7, step_ms=4 * HOUR), series(1600, seed=11)
    assert final([slow]) != 10_000.0
    assert final([slow, fast]) == final([slow])


@pytest.mark.parametrize("given", [{}, {"entry_bars": 0}])
@pytest.mark.parametrize("strategy", [ZoneFade, ZoneExit])
def test_a_faster_second_feed_does_not_place_more_orders(strategy, given):
    """Each bar is acted on once, however often it is shown."""
    slow, fast = series(400, seed=7, step_ms=4 * HOUR), series(1600, seed=11)
    alone, beside = (orders_of(strategy, slow, feeds=feeds, **given)[1] for feeds in ((), (fast,)))
    assert len(alone) > 50
    assert len(beside) == len(alone)


# Rows of a market at rest: longs were liquidated at 100 on row 10 (ATR 2, so 99.5 to 100.5), shorts at 108 on row 12
# (ATR 3.5, so 107.125 to 108.875). Row 17 touches the lower zone (ATR 3.3) and closes at 102: with
# AT_OPEN buy at the next open, stop at 99.5 - 1.
AT_OPEN = {"entry_bars": 0, "stop_atr": 1 / 3.3}
TINY = dataclasses.replace(
    PARAMS, ledger_bars=2, flow_bars=2, zone_bars=12, atr_bars=2, outcome_bars=24, event_mult=0.0, event_share=0.0
)


def tiny(**changes) -> np.ndarray:
    """Bars by row: ``r18=(open, high, low, close)``."""
    candles = [(100, 101, 99, 100)] * 11 + [(104, 105, 103, 104)] * 13
    candles[17] = (104, 105, 100.4, 102)
    candles[18] = (103, 105, 101, 104)
    candles[20] = (104, 108, 103, 106)
    candles[21] = (107, 107.5, 103, 104)
    for row, candle in changes.items():
        candles[int(row[1:])] = candle
    bars = series(len(candles))
    for at, name in enumerate(("open", "high", "low", "close")):
        bars[name] = [candle[at] for candle in candles]
    bars["volume"] = 1.0
    bars["liq_long_usd"] = bars["liq_short_usd"] = 0.0
    bars["liq_long_usd"][10], bars["liq_long_price"][10] = 1000.0, 100.0
    bars["liq_short_usd"][12], bars["liq_short_price"][12] = 500.0, 108.0
    return bars


def test_a_trade_by_hand():
    bars = tiny()
    result = run_fade(bars, TINY, cash=10_000.0, commission=0.001, **AT_OPEN)
    (trade,) = result.trades
    size = 100.0 / 3.5  # 1 % of 10,000, over 102 - 98.5
    assert (trade.entry_ms, trade.exit_ms) == (int(bars["time"][18]), int(bars["time"][21]))
    assert (trade.entry_price, trade.exit_price, trade.stopped) == (103.0, 107.0, False)
    assert trade.size == pytest.approx(size, rel=1e-10)
    assert trade.commission == pytest.approx(size * 0.21, rel=1e-10)
    assert trade.pnl == pytest.approx(size * (4.0 - 0.21), rel=1e-10)
    assert result.final_value == pytest.approx(10_000.0 + trade.pnl, rel=1e-10)
    assert result.total_return == pytest.approx(trade.pnl / 10_000.0)
    assert result.wins == 1
    assert result.equity_ms.tolist() == bars["time"][16:].tolist()
    held = [10_000.0 - 0.103 * size + size * gain for gain in (1.0, 1.0, 3.0)]
    np.testing.assert_allclose(result.equity, [10_000.0] * 2 + held + [10_000.0 + trade.pnl] * 3, rtol=1e-10)
    assert result.max_drawdown == 0.0
    assert result.buy_and_hold == pytest.approx(104.0 / (104.0 * 1.001) - 1.0)
    assert buy_and_hold(bars, TINY.memory, 0.0) == 0.0


def test_a_stop_by_hand():
    result = run_fade(tiny(r19=(104, 104, 98, 99), r20=(99, 100, 98, 99)), TINY, commission=0.0, **AT_OPEN)
    assert result.trades[0][2:4] == (103.0, pytest.approx(98.5, rel=1e-10))
    assert result.trades[0].stopped
    assert result.trades[0].pnl == pytest.approx(-4.5 * 100.0 / 3.5)
    peak = 10_000.0 + 100.0 / 3.5
    assert result.max_drawdown >= 1.0 - (10_000.0 - 450.0 / 3.5) / peak - 1e-12


def test_a_gap_through_the_stop_by_hand():
    (trade, *_) = run_fade(tiny(r18=(98, 99, 97, 98)), TINY, commission=0.0, **AT_OPEN).trades
    assert trade.entry_ms == trade.exit_ms
    assert (trade.entry_price, trade.exit_price, trade.pnl, trade.stopped) == (98.0, 98.0, 0.0, True)


def test_a_gap_up_at_the_fill_does_not_reject_a_full_position():
    (trade, *_) = run_fade(tiny(), TINY, risk_share=1.0, **AT_OPEN).trades
    assert trade.size == pytest.approx((10_000.0 - 4.0) / 102.0)  # 4 of commission
    assert trade.size * trade.entry_price > 10_000.0


def test_a_rejected_entry_leaves_no_position():
    """Without margin the fill at 103 costs more cash than there is; its stop, reached on that bar, must not sell."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=tiny(r18=(103, 104, 97, 98), r19=(98, 99, 97, 98), r20=(98, 99, 97, 98))))
    cerebro.addstrategy(ZoneFade, zone_params=TINY, risk_share=1.0, allow_short=False, **AT_OPEN)
    strategy = cerebro.run()[0]
    orders = [(order.getordername(), order.getstatusname()) for order in cerebro.broker.orders]
    assert orders == [("Market", "Margin"), ("Stop", "Canceled")]
    assert strategy.position.size == 0
    assert cerebro.broker.getvalue() == 10_000.0


class Ticket(bt.CommInfoBase):
    """A fixed sum for each order."""

    params = (("stocklike", True), ("commtype", bt.CommInfoBase.COMM_FIXED))

    def _getcommission(self, size, price, pseudoexec):
        return self.p.commission * bool(size)


def orders_of(strategy, bars, prepare=lambda broker: None, feeds=(), params=PARAMS, **given):
    """The finished strategy and its broker's orders, with backtrader's default broker if it is not prepared."""
    cerebro = bt.Cerebro(stdstats=False)
    for one in (bars, *feeds):
        cerebro.adddata(CandleFeed(dataname=one))
    prepare(cerebro.broker)
    cerebro.addstrategy(strategy, zone_params=params, **given)
    done = cerebro.run()[0]
    return done, cerebro.broker.orders


COMMISSIONS = {
    "none": lambda broker: None,
    "percent": lambda broker: broker.setcommission(commission=0.001),
    "ticket": lambda broker: broker.addcommissioninfo(Ticket(commission=25.0)),
}


@pytest.mark.parametrize("commission", COMMISSIONS)
def test_a_full_position_leaves_room_for_the_commission(commission, caplog):
    _, orders = orders_of(ZoneFade, series(1500, seed=7), COMMISSIONS[commission], risk_share=1.0)
    entries = [order for order in orders if order.exectype == bt.Order.Limit]
    assert {order.getstatusname() for order in entries} == {"Completed", "Canceled"}
    assert {np.sign(order.created.size) for order in entries} == {1.0, -1.0}
    assert caplog.text == ""


def test_the_first_order_that_is_rejected_for_want_of_cash_is_logged(caplog):
    """At the next open, which may lie above the close that the size was made for."""
    _, orders = orders_of(ZoneFade, series(1500, seed=7), risk_share=1.0, entry_bars=0)
    rejected = [order for order in orders if order.getstatusname() == "Margin"]
    assert len(rejected) > 5
    first = rejected[0].created
    assert [record.getMessage() for record in caplog.records] == [
        f"ZoneFade: cash is short for {first.size:g} at {first.price:g}, the order was rejected"
    ]


def test_the_stake_of_a_contract_by_hand():
    def contract(broker):
        broker.setcommission(commission=2.0, mult=5.0, margin=1000.0)

    bars = tiny(r19=(104, 104, 98, 99), r20=(99, 100, 98, 99))
    _, (entry, stop, *_) = orders_of(ZoneFade, bars, contract, params=TINY, **AT_OPEN)
    size = 100.0 / (3.5 * 5.0)  # 1 % of 10,000, over 102 - 98.5 times 5
    assert entry.executed.size == pytest.approx(size, rel=1e-10)
    assert stop.executed.pnl == pytest.approx(-size * 4.5 * 5.0, rel=1e-10)
    _, orders = orders_of(ZoneFade, bars, contract, params=TINY, risk_share=1.0, **AT_OPEN)
    full = 10_000.0 / (102.0 * 5.0)
    assert orders[0].created.size == pytest.approx((10_000.0 - 2.0 * full) / (102.0 * 5.0), rel=1e-10)


# Volume fillers ---------------------------------------------------------------------------------------------------


def filling(*sizes):
    """A filler of at most these sizes, one after the other; the last one for ever."""
    left = list(sizes)
    return lambda order, price, ago: min(left.pop(0) if len(left) > 1 else left[0], abs(order.executed.remsize))


def fills_of(strategy, bars, filler, feeds=()):
    """(row, size, price) of every fill."""

    class Noting(strategy):
        def __init__(self, **unknown):
            super().__init__(**unknown)
            self.fills = []

        def notify_order(self, order):
            if order.status in (order.Partial, order.Completed):
                bit = order.executed.exbits[-1]
                self.fills.append((len(self.data) - 1, bit.size, bit.price))

    prepare = lambda broker: broker.set_filler(filler)  # noqa: E731
    return orders_of(Noting, bars, prepare, feeds, params=TINY, **AT_OPEN)[0].fills


@pytest.mark.parametrize("feeds", [(), (series(96, step_ms=HOUR // 4),)], ids=["alone", "beside a faster feed"])
def test_what_a_bar_leaves_of_an_entry_is_called_off(feeds):
    """The stop is of the size that was filled, and works from the next bar on."""
    fills = fills_of(ZoneFade, tiny(r18=(103, 105, 98, 104), r19=(104, 104, 98, 99)), filling(10.0), feeds)
    assert fills[:2] == [(18, 10.0, 103.0), (19, -10.0, pytest.approx(98.5, rel=1e-10))]


def test_what_a_bar_leaves_of_a_stop_leaves_at_the_next_open():
    fills = fills_of(ZoneFade, tiny(r19=(104, 104, 98, 99), r20=(101, 102, 100, 101)), filling(10.0, 4.0, 5.0))
    assert fills[:4] == [
        (18, 10.0, 103.0),
        (19, -4.0, pytest.approx(98.5, rel=1e-10)),
        (20, -5.0, 101.0),
        (21, -1.0, 107.0),
    ]


def test_what_a_bar_leaves_of_a_target_leaves_at_the_next_open():
    fills = fills_of(ZoneExit, tiny(), filling(10.0, 4.0, 10.0))
    assert fills[:3] == [(18, 10.0, 103.0), (20, -4.0, 107.125), (21, -6.0, 107.0)]


def test_a_bar_that_reaches_stop_and_target_counts_as_stopped():
    fills = fills_of(ZoneExit, tiny(r20=(104, 108, 98, 104)), filling(10.0, 4.0, 10.0))
    assert fills[:3] == [(18, 10.0, 103.0), (20, -4.0, pytest.approx(98.5, rel=1e-10)), (21, -6.0, 107.0)]


@pytest.mark.parametrize("strategy", [ZoneFade, ZoneExit])
def test_a_position_whose_stop_is_gone_is_left(strategy):
    class Careless(strategy):
        def next(self):
            if len(self.data) == 20:
                self.cancel(self.entries[0][1])
            super().next()

    fills = fills_of(Careless, tiny(r20=(104, 105, 103, 104)), filling(1e9))
    size = pytest.approx(100.0 / 3.5, rel=1e-10)
    assert [(row, abs(amount), price) for row, amount, price in fills[:2]] == [(18, size, 103.0), (20, size, 104.0)]


class Crumbs:
    """Fills a random part of an order, or nothing, or all."""

    def __init__(self):
        self.rng = np.random.default_rng(12)

    def __call__(self, order, price, ago):
        return abs(order.executed.remsize) * self.rng.choice([0.0, 0.3, 0.7, 1.0])


FILLERS = {
    "crumbs": lambda library: Crumbs(),
    "a fixed size": lambda library: library.fillers.FixedSize(size=0.4),
    "a share of the volume": lambda library: library.fillers.FixedBarPerc(perc=50.0),
    "none": lambda library: None,
}


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize("name", ["ZoneFade", "ZoneJoin", "ZoneScale", "ZoneExit"])
@pytest.mark.parametrize("library", ["backtrader", "backtrader_next"])
def test_no_position_is_held_that_stops_of_its_size_do_not_protect(library, name, filler):
    parts = kit(library)

    class Checked(getattr(for_module(parts.bt), name)):
        held = leaving = 0

        def next(self):
            super().next()
            if self.position and self.exit_order is not None and self.exit_order.alive():
                self.leaving += 1
            elif self.position:
                stops = [stop for entry, stop in self.entries if entry.executed.size and stop.alive()]
                assert self.position.size == pytest.approx(-sum(stop.executed.remsize for stop in stops), rel=1e-9)
                self.held += 1

    cerebro = parts.bt.Cerebro(stdstats=False)
    cerebro.adddata(parts.lz.CandleFeed(dataname=series(1500, seed=7)))
    cerebro.broker.setcommission(commission=0.0004, leverage=10.0)
    cerebro.broker.set_filler(FILLERS[filler](parts.bt))
    cerebro.addstrategy(Checked, zone_params=PARAMS)
    checked = cerebro.run()[0]
    partial = [o for o in cerebro.broker.orders if o.executed.size and abs(o.executed.size) < abs(o.created.size)]
    assert checked.held > 50
    assert checked.leaving > 3 or (name, filler) == ("ZoneExit", "none")
    assert bool(partial) == (filler != "none")


def test_nothing_to_risk_is_no_trade():
    assert run_fade(tiny(), TINY, risk_share=0.0).trades == []


def test_replayed_feeds_are_refused():
    with pytest.raises(ValueError, match="use resampledata"):
        run(CASES["replayed"][0], "neither", strategy=ZoneFade)


def test_wrong_backtests_are_refused():
    with pytest.raises(ValueError, match=r"more than params\.memory = 480, got 400"):
        run_fade(series())
    with pytest.raises(ValueError, match=r"row 200 has open nan"):
        run_fade(holey(), PARAMS)
    with pytest.raises(TypeError, match="ZoneFade has no parameter 'stop_art': did you mean 'stop_atr'"):
        run_fade(series(), PARAMS, stop_art=2.0)
    for bars in (-1, 1.5):
        with pytest.raises(ValueError, match="entry_bars must be a whole number not below 0"):
            run_fade(series(), PARAMS, entry_bars=bars)
    with pytest.raises(ValueError, match=r"stop_atr must not be below 0, got -1\.0"):
        run_fade(series(), PARAMS, stop_atr=-1.0)

    class Late(bt.Strategy):
        params = (("zone_params", None),)

        def __init__(self):
            self.average = bt.ind.SMA(self.data, period=LENGTH)

    with pytest.raises(ValueError, match="got 400: Late never came to trade"):
        backtest(series(), Late, PARAMS)


def test_any_strategy_that_takes_zone_params_can_be_run():
    class Idle(bt.Strategy):
        params = (("zone_params", None),)

        def __init__(self):
            self.average = bt.ind.SMA(self.data, period=100)

    bars = series()
    result = backtest(bars, Idle, PARAMS)
    assert (result.total_return, result.trades, result.max_drawdown) == (0.0, [], 0.0)
    assert len(result.equity) == LENGTH - 99
    assert result.buy_and_hold == buy_and_hold(bars, 100)
