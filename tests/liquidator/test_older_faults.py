"""Each fault that was found in liquidator-indicator 0.1.2, and what happens here instead."""

from __future__ import annotations

import ast
import dataclasses
import logging
import math
import os
import pickle
import re
import subprocess
import sys

import made_bars
import naive
import numpy as np
import pandas as pd
import pytest
from places import ROOT

from liquidator_core import TRADE
from liquidator_core.zones import marks_of
from liquidator_integrations import Liquidator, compute_atr

NO_CLOCK = ("liquidator_core", "integrations/liquidator", "integrations/market", "integrations/tables")
CLOCKS = {"now", "utcnow", "today", "time_ns", "monotonic", "perf_counter", "localtime", "gmtime"}
SMALL = made_bars.small_params(zone_bars=60, event_mult=2.0, break_atr=2.0)
MINUTE = 60_000


def trades_of(length: int = 2500, seed: int = 0, price: float = 250.0) -> pd.DataFrame:
    trades = made_bars.random_trades(length, seed)
    columns = {name: trades[name] for name in TRADE.names}
    columns["price"] = columns["price"] * (price / 250.0)
    columns["side"] = np.where(columns["side"] < 0, "A", "B")
    return pd.DataFrame(columns)


def filled(trades: pd.DataFrame, **options) -> Liquidator:
    made = Liquidator(**{"params": SMALL, **options})
    made.ingest_trades(trades)
    return made


def test_the_wall_clock_is_in_no_result(monkeypatch):
    """The same trades gave other zones two seconds later, and none once they were 48 hours old."""
    zones = filled(trades_of()).compute_zones()
    assert len(zones) > 2
    for now in (1.6e9, 4e9):
        monkeypatch.setattr("time.time", lambda now=now: now)
        pd.testing.assert_frame_equal(filled(trades_of()).compute_zones(), zones)
    for path in (path for folder in NO_CLOCK for path in (ROOT / folder).rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        called = {
            node.func.attr for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        assert not called & CLOCKS, path
        assert "time" not in imported, path
    as_of = int(trades_of()["time"][1500])
    early = filled(trades_of()).compute_zones(as_of=as_of)
    assert np.datetime64(early.attrs["as_of"]).astype(np.int64) <= as_of


@pytest.mark.parametrize(("zone_bars", "seeds"), [(23, 10), (900, 2)])
def test_there_is_one_clustering_and_no_zone_wider_than_asked(zone_bars, seeds):
    """Two clusterings, up to 100 rows and above, differed in 98 of 100 seeds; zones were wider than the merge width."""
    for seed in range(seeds):
        params = made_bars.small_params(
            event_mult=0.0, event_share=0.0, zone_bars=zone_bars, max_width_atr=4.0, break_atr=100.0
        )
        made = Liquidator(params=params)
        made.ingest_trades(trades_of(2000, seed))
        made.compute_zones()
        engine = made._frames.engine("1m")
        marks = marks_of(engine.state, engine.record)
        names = ["birth_row", "birth", "side", "price", "half_width", "usd", "atr"]
        whole = [naive.Mark(*mark) for mark in marks[marks["broken"] == 0][names].tolist()]
        expected = [len(members) for members in naive.cluster(whole, 4.0)]
        assert made.compute_zones().sort_values("price_min")["count"].tolist() == expected
        zones = made.compute_zones(pct_merge=0.002)
        several = zones[zones["count"] > 1]
        assert ((several["price_max"] - several["price_min"]) <= 0.002 * several["price_mean"]).all()
    assert (len(whole) > 100) == (zone_bars > 100)


def test_streaming_works_out_what_is_new_and_tells_of_it():
    """It recomputed everything, and callbacks never fired: 0 events in 20 calls that created 20 zones."""
    made = filled(trades_of()[:0], mode="streaming")
    formed = []
    made.on_zone_formed(formed.append)
    seen = set()
    for part in np.array_split(np.arange(2500), 20):
        seen |= set(made.update_incremental(trades_of().iloc[part])["zone_id"])
    assert len(seen) > 5
    assert seen <= {zone["zone_id"] for zone in formed}
    engine = made._frames.engine("1m")
    before = engine._at
    last = trades_of().iloc[-1]
    made.push({"time": last["time"] + MINUTE + 5000, "price": last["price"], "size": 1.0, "side": "A"})
    made.compute_zones()
    assert made._frames.engine("1m") is engine
    assert 0 < engine._at - before <= 2  # rows folded, of some 500


def test_funding_is_that_of_its_own_time():
    """Extreme funding weighted the oldest 30 % of the trades."""
    made = filled(trades_of())
    time = made.bars()["time"]
    made.ingest_funding_rates([{"time": int(time[200]) + 5, "funding_rate": 0.005}])
    rates = made.bars()["funding_rate"]
    assert np.isnan(rates[:200]).all()
    assert (rates[200:] == 0.005).all()


def test_open_interest_is_used():
    """The rule never fired from the documented feed, of which only the last reading was kept."""
    made = filled(trades_of())
    bars = made.bars()
    readings = [
        {"symbol": "BTC", "funding_rate": 0.0, "open_interest": 1000.0 - (40.0 if i > 250 else 0.0) + 0.01 * i,
         "timestamp": pd.Timestamp(int(time) + MINUTE, unit="ms", tz="UTC").isoformat()}
        for i, time in enumerate(bars["time"])
    ]  # fmt: skip
    before = made.levels()
    for reading in readings:
        made.ingest_funding_rates({"BTC": reading})
    assert (made.bars()["open_interest"] > 0).all()
    assert not made.levels().equals(before)


def test_observed_liquidations_are_read():
    """They were ingested and never read."""
    made = filled(trades_of())
    before = made.compute_zones()
    bar = made.bars()[-3]
    liquidation = pd.DataFrame([{"timestamp": int(bar["time"]), "exchange": "okx", "side": "sell", "price": bar["low"],
                                 "quantity": 1e6, "symbol": "BTC"}])  # fmt: skip
    made.ingest_liquidations(liquidation)
    assert made.bars()["liq_long_usd"][-3] == 1e6 * bar["low"]
    pd.testing.assert_frame_equal(made.compute_zones(), before)  # it stands beside the estimate
    made = filled(trades_of(), params=dataclasses.replace(SMALL, observed="unscaled"))
    made.ingest_liquidations(liquidation)
    after = made.compute_zones()
    assert not after.equals(before)
    assert after["real_liq_count"].sum() == 1
    assert after["total_usd"].max() >= 1e6 * bar["low"]


def test_zones_of_cheap_coins_have_ids_of_their_own():
    """Ids were prices rounded to 10 USD: four DOGE zones shared one."""
    zones = filled(trades_of(price=0.08), coin="DOGE").compute_zones()
    assert len(zones) > 2
    assert zones["zone_id"].is_unique


def test_what_is_large_is_large_at_any_price():
    """With a threshold in coins 2 % of BTC's trades were large, and 100 % of DOGE's."""
    large = []
    for price in (50_000.0, 0.08):
        bars = filled(trades_of(price=price).assign(size=lambda frame: frame["size"] / frame["price"])).bars()
        large.append(((bars["large_buy_usd"] > 0) | (bars["large_sell_usd"] > 0)).tolist())
    assert large[0] == large[1]
    assert 0 < sum(large[0]) < len(large[0])


def test_every_fill_counts():
    """Fills of one time and price were dropped as duplicates: 30,000 USD counted of 1.2 million."""
    fill = {"time": made_bars.START, "px": 30_000.0, "sz": 1.0, "side": "A"}
    made = Liquidator()
    made.ingest_trades([fill] * 40)
    made.push({**fill, "time": made_bars.START + MINUTE})
    bar = made.bars()[0]
    assert bar["volume"] * bar["close"] == 1_200_000.0


@pytest.mark.parametrize("venue", ["binance", "bybit", "okx", "kraken", "gate", "kucoin", "bitget", "htx", "gemini"])
def test_sides_are_the_aggressors(venue):
    """Parsers mapped buy to 'A', which then was taken as a sell."""
    made = Liquidator(params=SMALL)
    trade = {"time": made_bars.START, "price": 1.0, "size": 1.0, "side": "buy"}
    made.ingest_trades([trade, {**trade, "time": made_bars.START + MINUTE}], venue=venue)
    assert made.bars()["taker_buy"].tolist() == [1.0]


def test_nothing_is_learned_from_invented_data_and_no_file_runs_code(tmp_path):
    """Models were trained on made-up outcomes, and loading one ran whatever the pickle held."""
    with pytest.raises(ValueError, match="use_synthetic=True is refused: invented outcomes teach what was invented"):
        Liquidator().train_ml_predictor(use_synthetic=True)

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "trapped"),)

    path = tmp_path / "saved"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match=r"not a file that Liquidator\.save wrote"):
        Liquidator.load(path)
    np.savez(tmp_path / "saved.npz", about=np.array([Trap()], dtype=object))
    with pytest.raises(ValueError, match=r"not a file that Liquidator\.save wrote"):
        Liquidator.load(tmp_path / "saved.npz")
    with pytest.raises(ValueError, match="not a file that save_ml_model wrote"):
        Liquidator().load_ml_model(path)
    assert not (tmp_path / "trapped").exists()


def test_a_script_of_cheap_zones_keeps_their_prices(capsys):
    """Prices stood in the Pine script with two decimals (DOGE: high = low = 0.10), printed and never returned."""
    pytest.importorskip("liquidator_integrations.for_tradingview")
    made = filled(trades_of(price=0.08), coin="DOGE")
    zones = made.compute_zones()
    script = made.plot(zones, show=False, export="tradingview").layout.meta["pine"]
    assert isinstance(script, str)
    assert capsys.readouterr().out == ""
    numbers = np.array([float(number) for number in re.findall(r"\d+\.\d+(?:e-?\d+)?", script)])
    for zone in zones.itertuples():
        assert zone.entry_low < zone.entry_high
        for price in (zone.entry_low, zone.entry_high):
            assert np.isclose(numbers, price, rtol=1e-9).any()


@pytest.mark.parametrize("power", [-3, 3, 6])
def test_times_in_other_units_are_understood(power):
    """Seconds and nanoseconds gave silently nothing."""
    trades = trades_of()
    expected = filled(trades).compute_zones()
    times = trades["time"] / 1000 if power < 0 else trades["time"] * 10**power
    pd.testing.assert_frame_equal(filled(trades.assign(time=times)).compute_zones(), expected)


def test_missing_columns_are_told_of():
    """They gave silently nothing."""
    for name in ("time", "price", "size", "side"):
        with pytest.raises(ValueError, match=f"missing column for {name}"):
            filled(trades_of(10).drop(columns=name))


@pytest.mark.parametrize("price", [0.0, -1.0, math.inf, math.nan])
def test_impossible_prices_are_refused(price):
    """They made wrong zones."""
    trades = trades_of(100)
    trades.loc[7, "price"] = price
    with pytest.raises(ValueError, match=r"row 7 .*price: found .*allowed a finite number above 0"):
        filled(trades)


def test_a_nan_candle_is_no_nan_atr(caplog):
    """One made the ATR NaN for good."""
    bars = filled(trades_of()).bars()
    candles = pd.DataFrame({name: bars[name] for name in ("time", "open", "high", "low", "close", "volume")})
    candles.loc[50, "high"] = np.nan
    assert compute_atr(candles).iloc[51:].notna().all()
    with pytest.raises(ValueError, match=r"row 50 .*high: found nan"):
        Liquidator(params=SMALL).update_candles(candles)
    made = Liquidator(params=SMALL, on_bad="skip")
    with caplog.at_level(logging.WARNING, "liquidator"):
        made.update_candles(candles)
    assert "1 of" in caplog.text
    assert made.compute_zones()["atr"].notna().all()
    assert len(made.compute_zones()) > 0


def test_a_plot_waits_for_no_browser():
    """Without one ``plot`` could block for ever."""
    code = "from liquidator_integrations import Liquidator; print(type(Liquidator().plot()).__name__)"
    quiet = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")}
    if sys.platform in ("win32", "darwin"):
        pytest.skip("there is always a browser")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, env=quiet, timeout=120,
    )  # fmt: skip
    assert done.stdout == "Figure\n"


def test_dates_are_those_of_the_trades():
    """With pandas 3 version 0.0.6 gave dates in 1970."""
    trades = trades_of()
    for times in (trades["time"], pd.to_datetime(trades["time"], unit="ms", utc=True)):
        zones = filled(trades.assign(time=times)).compute_zones()
        assert zones["first_ts"].dt.year.eq(2020).all()
        assert (zones["last_ts"] >= zones["first_ts"]).all()
        assert (zones["last_ts"] <= pd.Timestamp(int(trades["time"].iloc[-1]), unit="ms", tz="UTC")).all()
