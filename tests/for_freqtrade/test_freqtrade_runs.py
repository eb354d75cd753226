"""The genuine freqtrade runs the ready strategies, offline, on a loopback exchange that the tests start and stop."""

from __future__ import annotations

import csv
import itertools
import json
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import talib.abstract as ta
from command import liquidator
from freqtrade.configuration import setup_utils_configuration
from freqtrade.data.history import get_datahandler
from freqtrade.enums import RunMode, TradingMode
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from freqtrade.optimize.analysis.lookahead_helpers import LookaheadAnalysisSubFunctions
from freqtrade.optimize.analysis.recursive_helpers import RecursiveAnalysisSubFunctions
from freqtrade.persistence import LocalTrade, Order, Trade
from freqtrade.resolvers import StrategyResolver
from freqtrade.rpc import RPC
from freqtrade.util import get_progress_tracker
from freqtrade_setup import (
    MODEL,
    MODES,
    NAMES,
    ROOT,
    STRATEGIES,
    TIMERANGE,
    arguments,
    awaited,
    backtest,
    candle_frame,
    config,
    dry_run,
    freqtrade,
    pairs,
    trading,
    write_data,
)
from freqtrade_table import write_placebo
from loopback_exchange import COINS, HOUR, coin_bars, funding_rates, open_interest, public_trades, running

from liquidator_core import SIGNAL, Params
from liquidator_core.tape import bars_from_trades
from liquidator_core.timeframes import to_timeframe
from liquidator_integrations.for_freqtrade import add_features, add_informative_zones, add_zones
from liquidator_integrations.frames import placebo_marks

MEMORY = Params().memory
SHORT_SPAN = "20200701-20200901"

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def exchange():
    with running() as exchange:
        yield exchange
        assert exchange.missed == []


@pytest.fixture(scope="module")
def userdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user_data")
    write_data(folder)
    return folder


# Backtests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "LiquidatorScale" else ()) for name in NAMES]
)
def test_backtest(name, mode, exchange, userdir):
    results = backtest(config(mode, exchange, userdir), name, timerange=SHORT_SPAN, enable_protections=True)
    trades = results["trades"]
    assert len(trades) > 10
    assert {trade["pair"] for trade in trades} == set(pairs(mode))
    assert results["trade_count_short"] > 0 if mode == "futures" else results["trade_count_short"] == 0
    assert {trade["leverage"] for trade in trades} == {2.0 if mode == "futures" else 1.0}
    assert any(trade["funding_fees"] for trade in trades) == (mode == "futures")
    assert "trailing_stop_loss" in {trade["exit_reason"] for trade in trades}
    if name == "LiquidatorScale":
        assert {len(trade["orders"]) for trade in trades} & {3, 4, 5}


def test_the_strategy_in_the_docs_trades(exchange, userdir, tmp_path):
    page = (ROOT / "docs" / "freqtrade.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(from freqtrade.*?)```", page, flags=re.DOTALL)
    (tmp_path / "buy_support.py").write_text(code, encoding="utf-8")
    results = backtest(config("spot", exchange, userdir), "BuySupport", tmp_path, timerange=SHORT_SPAN)
    assert results["total_trades"] > 50


HOURLY = pd.Timedelta(hours=1)


def zones_of_coins() -> dict[str, pd.DataFrame]:
    return {coin: add_zones(candle_frame(coin_bars(coin))).set_index("date") for coin in COINS}


def candle_before(zones: dict[str, pd.DataFrame], pair: str, date: str | pd.Timestamp) -> pd.Series:
    """The row that was known when something was done at a candle's open."""
    return zones[pair[:3]].loc[pd.Timestamp(date) - HOURLY]


def test_every_entry_of_the_fade_follows_a_fade_with_room_and_its_stop_lies_beyond_that_zone(exchange, userdir):
    trades = backtest(config("futures", exchange, userdir), "LiquidatorFade", timerange=SHORT_SPAN)["trades"]
    zones = zones_of_coins()
    for trade in trades:
        before = candle_before(zones, trade["pair"], trade["open_date"])
        side = -1 if trade["is_short"] else 1
        assert before["lz_fade"] == side
        assert not room_ahead(before, side) < 0.5
        assert trade["open_rate"] == zones[trade["pair"][:3]].loc[pd.Timestamp(trade["open_date"]), "open"]
        low, high = before["lz_fade_low"], before["lz_fade_high"]
        stop = low - (high - low) if side > 0 else high + (high - low)
        if (trade["open_rate"] - stop) * side > 0:
            assert trade["stop_loss_abs"] == pytest.approx(stop, abs=0.011)  # freqtrade rounds to the tick
    start, end = (pd.Timestamp(day, tz="UTC") for day in SHORT_SPAN.split("-"))
    for side in (1, -1):
        span = zones["BTC"].loc[start:end]
        assert (room_ahead(span[span["lz_fade"] == side], side) < 0.5).any()


@pytest.mark.parametrize(("name", "entry"), [("LiquidatorFade", "lz_fade"), ("LiquidatorJoin", "lz_join")])
def test_a_placebo_run_trades_placebo_marks(name, entry, exchange, userdir, tmp_path):
    placebo = write_placebo(tmp_path, name, 1)
    trades = backtest(config("futures", exchange, userdir), placebo, tmp_path, timerange=SHORT_SPAN)["trades"]
    assert len(trades) > 5
    start, end = (pd.Timestamp(day, tz="UTC") for day in SHORT_SPAN.split("-"))
    candles = {coin: candle_frame(coin_bars(coin)) for coin in COINS}
    columns = {}
    for coin, frame in candles.items():
        seen = frame[(frame["date"] >= start - MEMORY * HOURLY) & (frame["date"] < end)].reset_index(drop=True)
        columns[coin] = add_zones(seen, marks=placebo_marks(seen, None, 1, mode="flipped")).set_index("date")
    for trade in trades:
        assert candle_before(columns, trade["pair"], trade["open_date"])[entry] == (-1 if trade["is_short"] else 1)


def room_ahead(candles: Any, side: int) -> Any:
    """ATR between the close and the zone ahead."""
    ahead = candles["lz_resistance_low"] if side > 0 else candles["lz_support_high"]
    return side * (ahead - candles["close"]) / candles["lz_atr"]


@pytest.mark.slow
def test_the_join_asks_for_as_much_alignment_as_it_is_told_to(exchange, userdir, tmp_path):
    changed_copy(
        tmp_path,
        "join",
        LiquidatorJoin="AlignedJoin",
        **{"IntParameter(0, 100, default=0": "IntParameter(0, 100, default=100"},
    )
    path = config("futures", exchange, userdir)
    trades, aligned = (
        backtest(path, name, folder, timerange=TIMERANGE)["trades"]
        for name, folder in (("LiquidatorJoin", STRATEGIES), ("AlignedJoin", tmp_path / "strategies"))
    )
    assert 5 < len(aligned) < len(trades)
    zones = zones_of_coins()
    larger = {coin: add_zones(candle_frame(to_timeframe(coin_bars(coin), "4h"))).set_index("date") for coin in COINS}
    for trade in aligned:
        before = candle_before(zones, trade["pair"], trade["open_date"])
        assert before["lz_join"] == (-1 if trade["is_short"] else 1)
        kind = "resistance" if trade["is_short"] else "support"
        closed = larger[trade["pair"][:3]].loc[: pd.Timestamp(trade["open_date"]) - 4 * HOURLY].iloc[-1]
        assert before[f"lz_{kind}_low"] <= closed[f"lz_{kind}_high"]
        assert before[f"lz_{kind}_high"] >= closed[f"lz_{kind}_low"]


@pytest.mark.slow
def test_the_scale_adds_at_deeper_fades_and_takes_half_off_ahead(exchange, userdir, tmp_path):
    changed_copy(
        tmp_path,
        "scale",
        LiquidatorScale="DeepScale",
        **{"DecimalParameter(0.2, 4, default=1,": "DecimalParameter(0.2, 4, default=0.2,"},
    )
    path = config("futures", exchange, userdir)
    results = backtest(path, "DeepScale", tmp_path / "strategies", timerange="20200801-20201101")
    zones = zones_of_coins()
    counts = set()
    for trade in results["trades"]:
        side = -1 if trade["is_short"] else 1
        entries = [order for order in trade["orders"] if order["ft_is_entry"]]
        exits = [order for order in trade["orders"] if not order["ft_is_entry"]]
        counts.add((len(entries), len(exits)))
        for order, last in zip(entries, [None, *entries], strict=False):
            filled = pd.Timestamp(order["order_filled_timestamp"], unit="ms", tz="UTC")
            placed = [filled - waited * HOURLY for waited in range(3)]
            (before,) = [
                candle_before(zones, trade["pair"], at)
                for at in placed
                if is_limit(order, zones[trade["pair"][:3]], at, side)
            ][:1]
            if last is not None:
                assert order["ft_order_tag"] == "deeper zone"
                assert (last["safe_price"] - before["close"]) * side > 0.2 * before["lz_atr"]
                assert last["order_filled_timestamp"] < before.name.timestamp() * 1000 + HOUR
        if len(exits) == 2:
            half, rest = exits
            assert half["ft_order_tag"] == "half at the zone ahead"
            before = candle_before(
                zones, trade["pair"], pd.Timestamp(half["order_filled_timestamp"], unit="ms", tz="UTC")
            )
            assert before["lz_exit_long" if side > 0 else "lz_exit_short"] == 1
            if len(entries) == 1:
                assert half["amount"] == pytest.approx(rest["amount"], rel=0.01)
    assert {entries for entries, _ in counts} == {1, 2, 3}
    assert {exits for _, exits in counts} == {1, 2}


def is_limit(order: dict[str, Any], zones: pd.DataFrame, placed: pd.Timestamp, side: int) -> bool:
    """Whether an order is one at the edge of the zone that the candle before it was placed faded, or better."""
    before = zones.loc[placed - HOURLY]
    opened = zones.loc[placed, "open"]
    limit = min(opened, before["lz_fade_high"]) if side > 0 else max(opened, before["lz_fade_low"])
    return before["lz_fade"] == side and abs(order["safe_price"] - limit) <= 0.011


def test_the_scale_acts_once_on_a_candle_however_often_a_bot_asks(tmp_path):
    """No rate within a candle counts, and a fade that was entered, though above its close, is not entered again."""
    words = {"strategy": "LiquidatorScale", "strategy_path": str(STRATEGIES), "user_data_dir": tmp_path}
    strategy = StrategyResolver.load_strategy(words)
    candle = {"date": pd.Timestamp("2024-01-01 10:00", tz="UTC"), "close": 98.5, "lz_atr": 1.0}
    candle |= {"lz_fade": 1, "lz_exit_long": 0, "lz_exit_short": 0}
    strategy.dp = SimpleNamespace(get_analyzed_dataframe=lambda *_: (pd.DataFrame([candle]), None))
    trade = filled_trade(pd.Timestamp("2024-01-01 11:00:05", tz="UTC"), 100.0)

    def asked(rate: float) -> tuple[float, str] | None:
        return strategy.adjust_trade_position(trade, current_rate=rate, current_profit=rate / trade.open_rate - 1.0)

    assert [asked(rate) for rate in (100.0, 98.5, 90.0, 110.0)] == [None] * 4
    candle |= {"date": pd.Timestamp("2024-01-01 11:00", tz="UTC"), "close": 98.9}
    assert [asked(rate) for rate in (98.9, 120.0)] == [(trade.stake_amount, "deeper zone")] * 2
    candle |= {"close": 99.1}
    assert [asked(rate) for rate in (98.9, 120.0)] == [None] * 2
    candle |= {"close": 101.0, "lz_fade": 0, "lz_exit_long": 1}
    assert [asked(rate) for rate in (98.9, 120.0)] == [(-trade.stake_amount / 2, "half at the zone ahead")] * 2


def filled_trade(filled: pd.Timestamp, price: float) -> LocalTrade:
    """A long trade of one order."""
    common = {"pair": "BTC/USDT", "stake_amount": 33.0, "amount": 0.33, "is_short": False, "exchange": "binance"}
    common |= {"fee_open": 0.0, "fee_close": 0.0, "leverage": 1.0, "timeframe": 60}
    trade = LocalTrade(**common, open_rate=price, open_date=filled.to_pydatetime())
    amounts = {"ft_amount": 0.33, "amount": 0.33, "filled": 0.33, "remaining": 0.0}
    order = Order(**amounts, ft_order_side="buy", side="buy", ft_pair="BTC/USDT", order_id="1", status="closed")
    order.ft_is_open, order.ft_price, order.price, order.average = False, price, price, price
    order.order_filled_date, order._trade_bt = filled.to_pydatetime(), trade
    trade.orders.append(order)
    return trade


@pytest.mark.slow
def test_protections_keep_out_of_the_market_for_a_while(exchange, userdir):
    path = config("futures", exchange, userdir)
    free, kept = (
        backtest(path, "LiquidatorFade", timerange=SHORT_SPAN, enable_protections=on)["trades"] for on in (False, True)
    )
    assert min(pauses(kept)) > 2 * HOURLY >= min(pauses(free))
    assert entries_after_stops(free) > 0
    assert entries_after_stops(kept) == 0


def pauses(trades: list[dict[str, Any]]) -> list[pd.Timedelta]:
    """Between the end of a trade and the beginning of the next of its pair."""
    found = []
    for pair in pairs("futures"):
        mine = [trade for trade in trades if trade["pair"] == pair]
        found += [after["open_date"] - before["close_date"] for before, after in itertools.pairwise(mine)]
    return found


def entries_after_stops(trades: list[dict[str, Any]]) -> int:
    """Trades begun within twelve hours of the last of four stops within two days."""
    stops = sorted(
        trade["close_date"] for trade in trades if trade["exit_reason"] in ("stop_loss", "trailing_stop_loss")
    )
    locks = [last for first, last in zip(stops, stops[3:], strict=False) if last - first < 36 * HOURLY]
    return sum(any(lock < trade["open_date"] <= lock + 11 * HOURLY for lock in locks) for trade in trades)


# Live -------------------------------------------------------------------------------------------------------------


def present_hour() -> int:
    return int(time.time() * 1000 // HOUR)


def an_hour_in_which(check):
    """What it returns or raises; of a second run if the hour turned in the first, and the bot saw another candle."""
    started = present_hour()
    try:
        done = check()
    except Exception:
        if present_hour() == started:
            raise
    else:
        if present_hour() == started:
            return done
    return check()


def test_what_was_found_while_the_hour_turned_does_not_count(monkeypatch):
    hours = iter((7, 8))
    runs = []

    def check():
        runs.append(len(runs))
        assert len(runs) > 1
        return runs

    monkeypatch.setattr(sys.modules[__name__], "present_hour", lambda: next(hours))
    assert an_hour_in_which(check) == [0, 1]


def last_fade(side: int) -> int:
    """A row on which the fade strategy would enter BTC."""
    zones = add_zones(candle_frame(coin_bars("BTC")))
    room = (zones["lz_resistance_low"] - zones["close"]) / zones["lz_atr"]
    if side < 0:
        room = (zones["close"] - zones["lz_support_high"]) / zones["lz_atr"]
    return int(np.flatnonzero((zones["lz_fade"] == side) & (room > 1.0))[-1])


@pytest.mark.parametrize(("mode", "rows", "side"), [("futures", 498, -1), ("spot", 999, 1)])
def test_live_values_equal_batch_values_and_the_bot_trades(mode, rows, side, userdir):
    def check():
        with (
            running(last_fade(side) + 1) as exchange,
            dry_run(config(mode, exchange, userdir), "LiquidatorFade") as bot,
        ):
            live = [bot.dataprovider.get_analyzed_dataframe(pair, "1h")[0] for pair in pairs(mode)]
            whole = [candle_frame(exchange.bars[coin]) for coin in COINS]
            trades = Trade.get_open_trades()
            shown = RPC(bot)._rpc_analysed_dataframe(pairs(mode)[0], "1h", 400, None)
            return live, whole, trades, shown, exchange.missed

    live, whole, trades, shown, missed = an_hour_in_which(check)
    assert missed == []
    for seen, candles in zip(live, whole, strict=True):
        assert len(seen) == rows
        batch = add_zones(candles).set_index("date").loc[seen["date"].iloc[MEMORY - 1] : seen["date"].iloc[-1]]
        names = [f"lz_{name}" for name in SIGNAL.names]
        pd.testing.assert_frame_equal(
            seen.set_index("date")[names].iloc[MEMORY - 1 :], batch[names], check_exact=True, check_freq=False
        )
        assert batch["lz_fade"].any()
    (trade,) = [trade for trade in trades if trade.pair.startswith("BTC")]
    last = live[0].iloc[-1]
    assert last["lz_fade"] == side
    low, high = last["lz_fade_low"], last["lz_fade_high"]
    stop = low - (high - low) if side > 0 else high + (high - low)
    assert trade.is_short == (side < 0)
    assert trade.stop_loss == pytest.approx(stop, abs=0.011)
    assert shown["annotations"]
    json.dumps(shown["annotations"], default=str)


@pytest.mark.parametrize("row", range(9000, 9004))  # whatever the hour, each phase of the four
def test_live_values_of_a_larger_timeframe_equal_batch_values(userdir, row):
    def check():
        with running(row) as exchange, dry_run(config("futures", exchange, userdir), "LiquidatorJoin", 1) as bot:
            return bot.dataprovider.get_analyzed_dataframe("BTC/USDT:USDT", "1h")[0], exchange.bars["BTC"]

    seen, bars = an_hour_in_which(check)
    assert len(seen) == 498
    larger = add_informative_zones(candle_frame(to_timeframe(bars, "4h")))
    last = seen.iloc[-1]
    closed = larger[larger["date"] + pd.Timedelta(hours=4) <= last["date"] + pd.Timedelta(hours=1)].iloc[-1]
    assert last["date_4h"] == closed["date"]
    for name in SIGNAL.names:
        assert last[f"lz_{name}_4h"] == closed[f"lz_{name}"]
    assert last["lz_support_agreement"] in (0.0, 100.0)


def test_one_bad_candle_does_not_stop_the_bot(userdir, caplog):
    def check():
        with running() as exchange:
            exchange.bars["BTC"]["low"][8900] = 2 * exchange.bars["BTC"]["high"][8900]
            with dry_run(config("futures", exchange, userdir), "LiquidatorFade", 1) as bot:
                return bot.dataprovider.get_analyzed_dataframe("BTC/USDT:USDT", "1h")[0]

    seen = an_hour_in_which(check)
    assert any(re.match("BTC/USDT:USDT 1h: 1 of 498 candles skipped: row ", message) for message in caplog.messages)
    assert not any("Unable to analyze" in message for message in caplog.messages)
    assert seen["lz_support"].iloc[-5:].notna().any()


def a_young_pair() -> int:
    """A row so early that no zone is known yet, after which the exit strategy's trend turns upwards in BTC."""
    candles = candle_frame(coin_bars("BTC"))
    trend = candles["close"] - ta.MIDPRICE(candles, timeperiod=48)
    return int(np.flatnonzero((trend > 0) & (trend.shift(1) <= 0) & (trend.index < MEMORY - 100))[-1])


@pytest.mark.parametrize("name", NAMES)
def test_a_pair_with_fewer_candles_than_the_memory_is_told_of_and_left_alone(name, userdir, caplog):
    row = a_young_pair()

    def check():
        with running(row + 1) as exchange, dry_run(config("futures", exchange, userdir), name) as bot:
            return bot.dataprovider.get_analyzed_dataframe("BTC/USDT:USDT", "1h")[0], Trade.get_open_trades()

    seen, trades = an_hour_in_which(check)
    assert len(seen) == row + 1 > 200
    assert (
        f"BTC/USDT:USDT 1h: {row + 1} candles are too few: a row depends on 480, so all are unknown" in caplog.messages
    )
    assert not any("Unable to analyze" in message for message in caplog.messages)
    assert trades == []


FED = """
from liquidator_integrations.for_freqtrade import add_funding_rate, add_liquidations, add_mark_price
from liquidator_integrations.for_freqtrade import add_open_interest, read_forced_orders
from liquidator_integrations.for_freqtrade import ZoneStrategy, add_zones


class Fed(ZoneStrategy):
    def informative_pairs(self):
        kinds = ("open_interest", "funding_rate", "mark")
        return [(pair, "1h", kind) for pair in self.dp.current_whitelist() for kind in kinds]

    def populate_indicators(self, dataframe, metadata):
        pair = metadata["pair"]
        name = pair.replace("/", "_").replace(":", "_") + "-liquidations.parquet"
        orders = read_forced_orders(self.config["user_data_dir"] / name, pair)
        feeds = {kind: self.dp.get_pair_dataframe(pair, "1h", kind) for _, _, kind in self.informative_pairs()}
        dataframe = add_open_interest(dataframe, feeds["open_interest"], metadata)
        dataframe = add_funding_rate(dataframe, feeds["funding_rate"], metadata)
        dataframe = add_mark_price(dataframe, feeds["mark"], metadata)
        dataframe = add_zones(add_liquidations(dataframe, orders, metadata), metadata=metadata)
        if pair.startswith("BTC"):
            dataframe.to_feather(self.config["user_data_dir"] / "seen.feather")
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe.loc[dataframe["lz_fade"] > 0, ["enter_long", "enter_tag"]] = (1, "fade")
        return dataframe
"""
FEEDS = ("open_interest", "funding_rate", "mark_price", "liq_long_usd", "liq_short_usd")


def write_orders(folder, bars: np.ndarray) -> None:
    """A forced order half an hour into each hour that fell, of both pairs."""
    fell = bars[bars["close"] < bars["open"]]
    orders = {"time": fell["time"] + HOUR // 2, "price": fell["low"], "size": fell["volume"] / 2}
    table = pa.table(orders | {"side": ["sell"] * len(fell)})
    for pair in pairs("futures"):
        pq.write_table(table, folder / f"{re.sub('[/:]', '_', pair)}-liquidations.parquet")


def by_hand(bars: np.ndarray, seen: pd.DataFrame) -> pd.DataFrame:
    """What the feeds of these bars had said when each candle of a frame closed."""
    at = np.searchsorted(bars["time"], seen["date"].to_numpy("M8[ms]").astype(np.int64))
    known = bars[at]
    paid = at - known["time"] // HOUR % 8
    fell = known["close"] < known["open"]
    return pd.DataFrame(
        {
            "open_interest": open_interest(known),
            "funding_rate": np.where(paid < 0, np.nan, funding_rates(bars)[paid]),
            "mark_price": known["close"],
            "liq_long_usd": np.where(fell, known["low"] * known["volume"] / 2, 0.0),
            "liq_short_usd": 0.0,
        }
    )


def test_feeds_are_the_same_in_a_backtest_and_live(userdir, exchange, tmp_path):
    (tmp_path / "fed.py").write_text(FED)
    write_orders(userdir, coin_bars("BTC"))
    results = backtest(config("futures", exchange, userdir), "Fed", tmp_path, timerange=SHORT_SPAN)
    assert results["total_trades"] > 5
    tested = pd.read_feather(userdir / "seen.feather")

    def check():
        with running() as exchange:
            write_orders(userdir, exchange.bars["BTC"])
            with dry_run(config("futures", exchange, userdir), "Fed", 1, tmp_path) as bot:
                return bot.dataprovider.get_analyzed_dataframe("BTC/USDT:USDT", "1h")[0], exchange.bars["BTC"]

    live, bars = an_hour_in_which(check)
    assert len(live) == 498
    for frame, known in ((tested, coin_bars("BTC")), (live, bars)):
        assert len(frame) >= 498
        fed = frame[list(FEEDS)].reset_index(drop=True).iloc[24:]  # what a bot knows begins with its first candle
        pd.testing.assert_frame_equal(fed, by_hand(known, frame).iloc[24:], rtol=1e-12)
        batch = add_zones(frame.loc[:, :"liq_short_price"])
        pd.testing.assert_frame_equal(frame[list(batch)], batch, check_exact=True)


def stopped_trade(client) -> dict[str, Any] | None:
    """The bot's first trade, once its stop has left the strategy's outer limit."""
    trades = client.status() or []
    return next((trade for trade in trades if trade["stop_loss_abs"] != trade["initial_stop_loss_abs"]), None)


def loopback_config(mode: str, exchange, folder) -> Path:
    """What is said beside the installed config: exchange and mode, and prices at which orders are filled at once."""
    whole = json.loads(config(mode, exchange, folder).read_text())
    names = ("trading_mode", "margin_mode", "exchange", "internals", "db_url", "entry_pricing", "exit_pricing")
    path = folder / "loopback.json"
    path.write_text(json.dumps({name: whole[name] for name in names}))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "rows", "side"), [("futures", 498, -1), ("spot", 999, 1)])
def test_the_command_trades_with_the_values_of_a_batch(mode, rows, side, tmp_path):
    """The user's way: installed strategies and config, ``freqtrade trade --dry-run``, values from its REST API."""
    liquidator("freqtrade", "install", "--userdir", str(tmp_path), cwd=tmp_path)

    def check():
        with running(last_fade(side) + 1) as exchange:
            paths = (tmp_path / "liquidator_dry_run.json", loopback_config(mode, exchange, tmp_path))
            with trading(*paths, strategy="LiquidatorFade", userdir=tmp_path) as (client, log):
                trade = awaited(lambda: stopped_trade(client))
                shown = [client.pair_candles(pair, "1h") for pair in pairs(mode)]
            return trade, shown, [candle_frame(exchange.bars[coin]) for coin in COINS], exchange.missed, log()

    trade, shown, whole, missed, log = an_hour_in_which(check)
    assert missed == []
    assert not re.search(r"ERROR|Unable to analyze|Traceback", log), log
    names = [f"lz_{name}" for name in SIGNAL.names]
    for answer, candles in zip(shown, whole, strict=True):
        live = pd.DataFrame(answer["data"], columns=answer["columns"])
        assert len(live) == rows
        batch = add_zones(candles).set_index(candles["date"].astype("int64") // 1000)[names]
        batch = batch.loc[live["__date_ts"].iloc[MEMORY - 1] : live["__date_ts"].iloc[-1]]
        assert len(batch) == rows - MEMORY + 1
        for name in names:
            seen = live[name].iloc[MEMORY - 1 :].to_numpy(batch[name].dtype)
            np.testing.assert_array_equal(seen, batch[name], err_msg=name)
        assert batch["lz_fade"].any()
    last = pd.Series(shown[0]["data"][-1], shown[0]["columns"])
    assert last["lz_fade"] == side
    low, high = last["lz_fade_low"], last["lz_fade_high"]
    assert trade["pair"] == pairs(mode)[0]
    assert trade["stop_loss_abs"] == pytest.approx(low - (high - low) if side > 0 else high + (high - low), abs=0.011)


def test_a_feed_without_an_answer_costs_its_pair_alone(userdir, tmp_path, caplog):
    (tmp_path / "fed.py").write_text(FED)

    def check():
        with running() as exchange:
            write_orders(userdir, exchange.bars["BTC"])
            exchange.silent = {("BTC", "fundingRate")}
            with dry_run(config("futures", exchange, userdir), "Fed", 1, tmp_path) as bot:
                return [bot.dataprovider.get_analyzed_dataframe(pair, "1h")[0] for pair in pairs("futures")]

    silent, other = an_hour_in_which(check)
    told = "BTC/USDT:USDT 1h: funding rate: found no rows: list it in informative_pairs"
    assert any(message.startswith("Unable to analyze") and told in message for message in caplog.messages)
    assert silent.empty
    assert other["lz_atr"].notna().any()


# The command ------------------------------------------------------------------------------------------------------


def test_install_copies_strategies_and_configs_and_replaces_nothing_unasked(tmp_path):
    folder = tmp_path / "user_data"
    done = liquidator("freqtrade", "install", "--userdir", "user_data", cwd=tmp_path, code=2)
    assert "no such folder; make it with: freqtrade create-userdir" in done.stderr
    folder.mkdir()
    done = liquidator("freqtrade", "install", "--userdir", "user_data", cwd=tmp_path)
    installed = sorted(str(path.relative_to(tmp_path)) for path in folder.rglob("*.*"))
    assert sorted(done.stdout.splitlines()) == installed
    assert len(installed) == 7
    fade = folder / "strategies" / "liquidator_fade.py"
    assert fade.read_bytes() == (STRATEGIES / "fade.py").read_bytes()
    liquidator("freqtrade", "install", "--userdir", "user_data", cwd=tmp_path)
    fade.write_text("mine")
    done = liquidator("freqtrade", "install", "--userdir", "user_data", cwd=tmp_path, code=2)
    assert "liquidator_fade.py: is there already and differs" in done.stderr
    assert fade.read_text() == "mine"
    words = {"config": [str(folder / name) for name in ("liquidator_dry_run.json", "liquidator_freqai.json")]}
    settings = setup_utils_configuration(words | {"user_data_dir": str(folder)}, RunMode.UTIL_NO_EXCHANGE)
    assert settings["dry_run"]
    assert settings["initial_state"] == "running"  # without it a bot waits for /start
    assert settings["freqai"]["enabled"]
    liquidator("freqtrade", "install", "--userdir", "user_data", "--overwrite", cwd=tmp_path)
    assert fade.read_bytes() == (STRATEGIES / "fade.py").read_bytes()


FLOWING = """
from liquidator_integrations.for_freqtrade import add_order_flow
from liquidator_integrations.for_freqtrade import ZoneStrategy, add_zones


class Flowing(ZoneStrategy):
    stop_edge = "nearest"

    def populate_indicators(self, dataframe, metadata):
        return add_zones(add_order_flow(dataframe, metadata=metadata), metadata=metadata)

    def populate_entry_trend(self, dataframe, metadata):
        dataframe.loc[dataframe["taker_buy"] > 0.7 * dataframe["volume"], ["enter_long", "enter_tag"]] = (1, "flow")
        return dataframe
"""


def stored_trades(trades: np.ndarray) -> pd.DataFrame:
    """(n,) TRADE as freqtrade stores them."""
    frame = pd.DataFrame({"timestamp": trades["time"], "id": trades["time"].astype(str), "type": None})
    frame["side"] = np.where(trades["side"] > 0, "buy", "sell")
    frame["price"], frame["amount"] = trades["price"], trades["size"]
    return frame.assign(cost=frame["price"] * frame["amount"])


def with_order_flow(path: Path, max_candles: int) -> Path:
    """Add what freqtrade needs to work with public trades to a config."""
    values = json.loads(path.read_text())
    values["exchange"]["use_public_trades"] = True
    limits = {"cache_size": 1000, "max_candles": max_candles, "scale": 0.5, "stacked_imbalance_range": 3}
    values["orderflow"] = limits | {"imbalance_volume": 1, "imbalance_ratio": 3}
    path.write_text(json.dumps(values))
    return path


@pytest.mark.slow
def test_order_flow_of_public_trades_in_a_backtest(userdir, exchange, tmp_path):
    (tmp_path / "flowing.py").write_text(FLOWING)
    stop = int(pd.Timestamp("2020-09-01", tz="UTC").timestamp() * 1000)
    bars = coin_bars("BTC")
    bars = bars[(bars["time"] < stop) & (bars["time"] >= stop - 200 * HOUR)]
    trades = stored_trades(public_trades(bars))
    handler = get_datahandler(userdir / "data" / "binance", "feather")
    for pair in pairs("futures"):
        handler.trades_store(pair, trades, TradingMode.FUTURES)
    path = with_order_flow(config("futures", exchange, userdir), 150)
    results = backtest(path, "Flowing", tmp_path, timerange=SHORT_SPAN)
    assert len(results["trades"]) > 5
    bought = trades["amount"].where(trades["side"] == "buy", 0.0).groupby(trades["timestamp"] // HOUR).sum()
    for trade in results["trades"]:
        hour = int(trade["open_timestamp"]) // HOUR - 1
        assert hour * HOUR >= stop - 151 * HOUR
        assert bought[hour] > 0.7 * bars["volume"][bars["time"] == hour * HOUR][0]


FLOW = ("taker_buy", "large_sell_usd", "large_sell_price", "large_buy_usd", "large_buy_price")


@pytest.mark.slow
def test_order_flow_of_public_trades_live_candle_after_candle(tmp_path):
    (tmp_path / "flowing.py").write_text(FLOWING)

    def check():
        with running() as exchange:
            exchange.behind_ms = 2 * HOUR
            path = with_order_flow(config("futures", exchange, tmp_path), 100)
            with dry_run(path, "Flowing", 1, tmp_path) as bot:
                first = [bot.dataprovider.get_analyzed_dataframe(pair, "1h")[0] for pair in pairs("futures")]
                exchange.behind_ms = 0
                bot.process()
                second = [bot.dataprovider.get_analyzed_dataframe(pair, "1h")[0] for pair in pairs("futures")]
            return first, second, exchange.bars, exchange.missed

    first, second, bars, missed = an_hour_in_which(check)
    assert missed == []
    for before, after, coin in zip(first, second, COINS, strict=True):
        assert after["date"].iloc[-1] - before["date"].iloc[-1] == pd.Timedelta(hours=1)
        tape = bars_from_trades(public_trades(bars[coin]), Params(tape_ms=HOUR))
        for seen in (before, after):
            filled = np.flatnonzero(seen["total_trades"].notna())
            assert 95 < len(filled) <= 100
            assert filled.tolist() == list(range(len(seen) - len(filled), len(seen)))
            times = seen["date"].to_numpy("M8[ms]").astype(np.int64)
            known = tape[np.isin(tape["time"], times[filled])]
            assert seen[list(FLOW)].iloc[: filled[1]].isna().all(axis=None)  # the first may lack some of its trades
            np.testing.assert_array_equal(seen["taker_buy"].iloc[filled[1:]], known["taker_buy"][1:])
            for name in FLOW[1:]:  # and before the second were fewer than a large one needs
                assert np.isnan(seen[name].iloc[filled[1]])
                np.testing.assert_array_equal(seen[name].iloc[filled[2:]], known[name][2:], err_msg=name)
            assert (seen["large_buy_usd"] > 0.0).sum() > 10
            batch = add_zones(seen.loc[:, : FLOW[-1]])
            pd.testing.assert_frame_equal(seen[list(batch)], batch, check_exact=True)


# Analyzers, hyperopt, plots, FreqAI: minutes ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(userdir):
    """The user's folder with the strategies as installed, and a copy of one that knows three candles ahead."""
    liquidator("freqtrade", "install", "--userdir", str(userdir), cwd=userdir)
    changed_copy(userdir, "fade", LiquidatorFade="PeekingFade", **{'["lz_fade"]': '["lz_fade"].shift(-3)'})
    return userdir


def changed_copy(userdir, strategy: str, **changes: str) -> None:
    """Another strategy beside the installed ones: this one's text with something put in the place of something."""
    text = (STRATEGIES / f"{strategy}.py").read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (userdir / "strategies").mkdir(exist_ok=True)
    (userdir / "strategies" / f"changed_{strategy}.py").write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_list_strategies_finds_them_and_no_fault(installed, tmp_path):
    found = freqtrade("list-strategies", "-1", userdir=installed).stdout.split()
    assert sorted(found) == sorted([*NAMES, MODEL, "PeekingFade"])
    (tmp_path / "strategies").mkdir()
    table = freqtrade("list-strategies", "--strategy-path", str(STRATEGIES), userdir=tmp_path).stdout
    for name in (*NAMES, MODEL):
        assert re.search(rf"{name}\W+\w+\.py\W+OK\W", table), table


def analysis_words(name: str, exchange, installed) -> dict[str, object]:
    path = config("futures", exchange, installed)
    words = {"timerange": "20200601-20201001", "timeframe": "1h", "startup_candle": [200, 480, 498, 999]}
    words |= {"minimum_trade_amount": 10, "targeted_trade_amount": 12}
    words["lookahead_analysis_exportfilename"] = str(installed / f"lookahead-{name}.csv")
    if name == MODEL:
        with_freqai(path, name)
        words |= {"freqaimodel": "LightGBMRegressor", "timerange": "20200801-20200820"}
    return arguments(path, name, installed / "strategies", **words)


def with_freqai(path, identifier: str) -> None:
    """Add the sample's FreqAI settings to a config."""
    freqai = json.loads((path.parent / "liquidator_freqai.json").read_text())
    freqai["freqai"]["identifier"] = identifier
    path.write_text(json.dumps(json.loads(path.read_text()) | freqai))


def lookahead_row(name: str, installed) -> dict[str, str]:
    """What the analysis exported. Its exit code is 0 whatever it found, and a strategy it did not judge has no row."""
    with (installed / f"lookahead-{name}.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["strategy"] == name
    assert int(row["total_signals"]) > 10
    return row


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning:lightgbm.*")  # for how freqtrade calls it
@pytest.mark.parametrize("name", [*NAMES, MODEL])
def test_lookahead_analysis_finds_no_bias(name, installed, exchange):
    # one at a time: given a --strategy-list, it judges the first for all of them
    settings = setup_utils_configuration(analysis_words(name, exchange, installed), RunMode.UTIL_NO_EXCHANGE)
    LookaheadAnalysisSubFunctions.start(settings)
    row = lookahead_row(name, installed)
    assert row["biased_entry_signals"] == row["biased_exit_signals"] == "0"
    biased = {column for column in row["biased_indicators"].split(",") if column}
    if name == MODEL:  # FreqAI predicts nothing for the last candle of a run, and each cut has another one
        biased -= {column for column in biased if column.startswith(("&-", "do_predict", "enter_"))}
    else:
        assert row["has_bias"] == "False"
    assert biased == set()


@pytest.mark.slow
def test_lookahead_analysis_convicts_the_one_that_peeks(installed, exchange):
    words = analysis_words("PeekingFade", exchange, installed)
    freqtrade(
        *("lookahead-analysis", "-c", str(words["config"][0]), "--strategy", "PeekingFade", "--timeframe", "1h"),
        *("--minimum-trade-amount", "10", "--targeted-trade-amount", "12", "--timerange", str(words["timerange"])),
        *("--lookahead-analysis-exportfilename", str(words["lookahead_analysis_exportfilename"])),
        userdir=installed,
    )
    row = lookahead_row("PeekingFade", installed)
    assert row["has_bias"] == "True"
    assert int(row["biased_entry_signals"]) > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning:lightgbm.*")  # for how freqtrade calls it
@pytest.mark.parametrize("name", [*NAMES, MODEL])
def test_recursive_analysis_finds_no_column_that_needs_more_than_its_startup(name, installed, exchange):
    settings = setup_utils_configuration(analysis_words(name, exchange, installed), RunMode.UTIL_NO_EXCHANGE)
    settings = RecursiveAnalysisSubFunctions.calculate_config_overrides(settings)
    found = next(one for one in StrategyResolver.search_all_objects(settings, False) if one["name"] == name)
    with get_progress_tracker() as progress:
        analysis = RecursiveAnalysisSubFunctions.initialize_single_recursive_analysis(settings, found, progress)
    assert analysis._strat_scc == MEMORY
    differing = {startup for values in analysis.dict_recursive.values() for startup in values}
    # fewer than the startup: the analysis does see a difference. FreqAI loads its training span before.
    assert differing == (set() if name == MODEL else {200}), analysis.dict_recursive
    analysis.exchange.close()


@pytest.mark.slow
@pytest.mark.parametrize("per_epoch", [False, True], ids=["entries and stops", "zones too"])
def test_hyperopt_with_two_jobs(per_epoch, installed, exchange):
    spaces = ["zones"] if per_epoch else ["buy", "sell"]
    words = ["--epochs", "6", "-j", "2", "--random-state", "1", "--disable-param-export", "--min-trades", "1"]
    words += ["--analyze-per-epoch"] if per_epoch else []
    done = freqtrade(
        *("hyperopt", "-c", str(config("futures", exchange, installed)), "--strategy", "LiquidatorFade", *words),
        *("--timerange", SHORT_SPAN, "--hyperopt-loss", "SharpeHyperOptLoss", "--spaces", *spaces),
        userdir=installed,
    )
    assert "Best result" in done.stdout
    (results,) = (installed / "hyperopt_results").glob("*.fthypt")
    epochs = [json.loads(line) for line in results.read_text().splitlines()]
    results.unlink()
    assert len(epochs) == 6
    names = {"event_mult", "zone_atr"} if per_epoch else {"min_room", "with_trend", "stop_widths"}
    assert all(set(epoch["params_dict"]) == names for epoch in epochs)
    assert len({epoch["results_metrics"]["total_trades"] for epoch in epochs}) > 1
    assert not list((installed / "strategies").glob("*.json"))


@pytest.mark.slow
def test_plot_dataframe_draws_the_zones(installed, exchange):
    path = config("futures", exchange, installed)
    words = ["--strategy", "LiquidatorFade", "-p", "BTC/USDT:USDT", "--timerange", "20200801-20200901", "--no-trades"]
    freqtrade("plot-dataframe", "-c", str(path), *words, userdir=installed)
    (chart,) = (installed / "plot").glob("freqtrade-plot-BTC*.html")
    drawn = chart.read_text(encoding="utf-8")
    for name in ("lz_support_low", "lz_level_above", "lz_short_flow_usd", "lz_resistance_quality"):
        assert name in drawn


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning:lightgbm.*")  # of LightGBM, for how freqtrade calls it
@pytest.mark.parametrize("model", ["LightGBMRegressor", "LightGBMClassifier"])
def test_freqai_trains_and_trades(model, installed, exchange, tmp_path):
    path = config("futures", exchange, installed)
    with_freqai(path, model)
    changed_copy(tmp_path, "model", LiquidatorModel="BoldModel", **{"default=0.8": "default=0.5"})
    trades, bold = (
        backtest(path, name, folder, freqaimodel=model, timerange="20200801-20201001")["trades"]
        for name, folder in ((MODEL, STRATEGIES), ("BoldModel", tmp_path / "strategies"))
    )
    assert 0 < len(trades) < len(bold)
    assert {trade["enter_tag"] for trade in trades} == {"fade"}
    predicted = [pd.read_feather(path) for path in (installed / "models" / model).glob("*/*_prediction.feather")]
    assert len(predicted) == len(COINS) * 3  # a training a month
    hold = pd.concat(predicted)["hold" if model.endswith("Classifier") else "&-lz_hold"]
    assert hold.between(-0.5, 1.5).all()
    assert hold.nunique() > 50


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning:lightgbm.*")  # of LightGBM, for how freqtrade calls it
@pytest.mark.filterwarnings("ignore:Series.values returning:pandas.errors.Pandas4Warning")  # of freqtrade's own code
def test_freqai_trains_predicts_and_trades_live(tmp_path):
    """Three candles of a bot: nothing known, a model there, a prediction to act on; then it learns anew."""
    (tmp_path / "strategies").mkdir()
    changed_copy(tmp_path, "model", LiquidatorModel="BoldModel", **{"default=0.8": "default=0.5"})
    pair = pairs("futures")[0]

    def check():
        with running(last_fade(1) + 1) as exchange:
            exchange.behind_ms = 2 * HOUR  # what the bot loads to learn from ends where its first candle does
            path = config("futures", exchange, tmp_path)
            settings = json.loads((STRATEGIES / "freqai.json").read_text())
            path.write_text(json.dumps(json.loads(path.read_text()) | settings))
            more = {"freqaimodel": "LightGBMRegressor"}
            with dry_run(path, "BoldModel", 0, tmp_path / "strategies", **more) as bot:
                drawer = bot.strategy.freqai.dd
                seen = []
                for exchange.behind_ms in (3 * HOUR, 2 * HOUR, 0):
                    bot.process()
                    seen.append(bot.dataprovider.get_analyzed_dataframe(pair, "1h")[0])
                    awaited(lambda: len(drawer.model_dictionary) == len(COINS) or None)
                trained_at = drawer.get_pair_dict_info(pair)[1]
                kitchen = FreqaiDataKitchen(bot.config, True, pair)
                kitchen.set_paths(pair, trained_at)
                model = drawer.load_data(pair, kitchen)
                bot.config["freqai"]["live_retrain_hours"] = 0
                awaited(lambda: drawer.get_pair_dict_info(pair)[1] > trained_at or None)
                return seen, Trade.get_open_trades(), kitchen, model, exchange.bars["BTC"], exchange.missed

    seen, trades, kitchen, model, bars, missed = an_hour_in_which(check)
    assert missed == []
    assert not seen[0]["do_predict"].eq(1).any()
    last = seen[-1].iloc[-1]
    assert last["do_predict"] == 1
    features = add_features(candle_frame(bars)).set_index("date").loc[last["date"]]
    known = {f"{name}_gen_BTC/USDTUSDT_1h": value for name, value in features.items()}
    row, _, _ = kitchen.feature_pipeline.transform(pd.DataFrame([known])[kitchen.training_features_list])
    expected, _, _ = kitchen.label_pipeline.inverse_transform(pd.DataFrame({"&-lz_hold": model.predict(row)}))
    assert last["&-lz_hold"] == pytest.approx(expected["&-lz_hold"].iloc[0], rel=1e-12)
    assert last["lz_fade"] == 1
    assert [(trade.pair, trade.enter_tag, trade.is_short) for trade in trades] == [(pair, "fade", False)]
