"""The command line as a user meets it; each command once in a process of its own."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from command import liquidator, liquidator_alone
from places import ROOT

from liquidator_core import Params
from liquidator_integrations import sample_bars
from liquidator_integrations.for_tradingview import to_pine

SMALL = {"ledger_bars": 20, "flow_bars": 10, "zone_bars": 30, "atr_bars": 5, "event_mult": 1.0, "event_share": 0.01}


@pytest.fixture
def candles(tmp_path):
    bars = sample_bars()[:400]
    table = pa.table({name: bars[name] for name in ("time", "open", "high", "low", "close", "volume")})
    pa.csv.write_csv(table, tmp_path / "candles.csv")
    pa.parquet.write_table(table, tmp_path / "candles.parquet")
    (tmp_path / "params.json").write_text(json.dumps(SMALL))
    return tmp_path


def test_help_names_the_commands(tmp_path):
    out = liquidator_alone("--help", cwd=tmp_path).stdout
    assert "demo" in out
    assert "zones" in out


def test_json_of_a_file_holds_zones_levels_and_the_backtest(candles):
    done = liquidator_alone("zones", "candles.csv", "--json", "--params", "params.json", "--seeds", "2", cwd=candles)
    report = json.loads(done.stdout)
    assert done.stderr == ""
    assert report["bars"] == 400
    assert report["warm"] is True
    assert report["params_digest"] == Params(**SMALL).digest
    assert report["zones"]
    for zone in report["zones"]:
        assert zone["low"] <= zone["price"] <= zone["high"]
        assert (zone["kind"] == "support") == (zone["price"] <= report["close"])
        assert re.fullmatch(r"2019-10-\d\dT\d\d:00:00Z", zone["birth"])
    assert len(report["backtest"]["placebo"]) == 2
    assert not list(candles.glob("*.html"))


@pytest.mark.slow
def test_csv_of_parquet_equals_json_of_csv(candles):
    rows = list(csv.DictReader(io.StringIO(zones(candles, "candles.parquet", "--csv"))))
    report = json.loads(zones(candles, "candles.csv", "--json"))
    assert [float(row["price"]) for row in rows] == [zone["price"] for zone in report["zones"]]
    assert [row["quality_label"] for row in rows] == [zone["quality_label"] for zone in report["zones"]]


def zones(folder: Path, *words: str) -> str:
    return liquidator("zones", *words, "--params", "params.json", "--seeds", "0", cwd=folder).stdout


def test_tables_in_a_pipe_are_plain_and_the_chart_is_one_file(candles):
    out = zones(candles, "candles.parquet", "--chart", "chart.html")
    assert out.isascii()
    assert "\x1b" not in out
    assert "Backtest: fade the zones" in out
    assert f"Chart: {candles / 'chart.html'}" in out
    chart = (candles / "chart.html").read_text(encoding="utf-8")
    assert "<script src=" not in chart
    assert "candles.parquet: liquidation zones" in chart


def test_what_stands_in_brackets_is_printed(candles):
    """Rich would take it for markup: the name of a file, and of the extra that is missing."""
    (candles / "candles.csv").rename(candles / "btc[spot].csv")
    code = "import sys; sys.modules['backtrader'] = None; from liquidator_integrations.cli.main import main; main()"
    command = [sys.executable, "-c", code, "zones", "btc[spot].csv", "--params", "params.json"]
    out = subprocess.run(command, cwd=candles, capture_output=True, text=True, check=True).stdout
    assert out.startswith("btc[spot].csv: 400 bars")
    assert 'No backtest: this needs backtrader: pip install "liquidator-core[backtrader]"\n' in out


def test_trades_are_folded_into_bars(tmp_path):
    rng = np.random.default_rng(3)
    count = 3000
    trades = {
        "timestamp": 1_700_000_000_000 + np.arange(count) * 10_000,
        "price": 100 * np.exp(np.cumsum(rng.normal(0, 0.001, count))),
        "amount": rng.lognormal(0, 1, count),
        "side": np.where(rng.random(count) < 0.5, "buy", "sell"),
    }
    pa.parquet.write_table(pa.table(trades), tmp_path / "trades.parquet")
    report = json.loads(liquidator("zones", "trades.parquet", "--json", "--bar", "5m", cwd=tmp_path).stdout)
    assert report["bars"] == 29_990_000 // 300_000 + 1
    assert report["warm"] is False
    assert "480" in report["why_no_backtest"]


def test_pine_scripts_go_to_standard_output_or_a_file(candles):
    printed = liquidator_alone("pine", "--strategy", "--symbol", "BTCUSDT", "--params", "params.json", cwd=candles)
    assert printed.stdout == to_pine(Params(**SMALL), "strategy", symbol="BTCUSDT")
    assert printed.stderr == ""
    written = liquidator("pine", "--timeframe", "4h", "--open-interest", "-o", "live.pine", cwd=candles)
    assert written.stdout == ""
    assert (candles / "live.pine").read_text(encoding="utf-8") == to_pine(open_interest=True, timeframes=("4h",))
    assert [path.name for path in candles.glob("*.p*t*")] == ["candles.parquet"]


@pytest.mark.slow
def test_a_pine_snapshot_holds_the_zones_of_a_file(candles):
    script = liquidator("pine", "--snapshot", "candles.csv", "--params", "params.json", cwd=candles).stdout
    report = json.loads(zones(candles, "candles.csv", "--json"))
    lows = re.search(r"var array<float> lows = array.from\((.*)\)", script)[1].split(", ")
    assert [float(low) for low in lows] == [zone["low"] for zone in report["zones"]]
    assert f"// As of: {report['last']}\n" in script
    assert f"// Params {report['params_digest']}: " in script


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["zones", "nothing.csv"], "nothing.csv"),
        (["zones", "candles.csv", "--json", "--csv"], "exclude each other"),
        (["zones", "candles.csv", "--params", "typo.json"], "did you mean 'event_mult'"),
        (["zones", "candles.csv", "--params", "broken.json"], "not JSON"),
        (["zones", "junk.parquet"], "junk.parquet"),
        (["zones", "bad.csv"], "row 1"),
        (["pine", "--live", "--snapshot"], "--live and --snapshot exclude each other"),
        (["pine", "--snapshot"], "--snapshot needs a FILE"),
        (["pine", "candles.csv"], "--live takes no FILE, got candles.csv"),
        (["pine", "--output", "zones.txt"], "not a .pine file in a folder that exists"),
        (["pine", "--bar", "5m"], "is for the trades of a --snapshot"),
        (["pine", "--snapshot", "candles.csv", "--open-interest"], "belong to the live forms"),
        (["pine", "--timeframe", "7h"], "got '7h'"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(candles, words, says):
    (candles / "typo.json").write_text('{"evnt_mult": 2}')
    (candles / "broken.json").write_text("{")
    (candles / "junk.parquet").write_bytes(b"junk" * 100)
    (candles / "bad.csv").write_text(
        "time,open,high,low,close,volume\n1700000000000,1,2,0.5,1,1\n1700003600000,1,2,3,1,1\n"
    )
    done = liquidator(*words, cwd=candles, code=2)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("liquidator: ")
    assert says in done.stderr


def test_a_switch_without_its_feed_is_warned_of_once(candles):
    (candles / "funding.json").write_text('{"use_funding": true, "zone_bars": 30}')
    words = ("zones", "candles.parquet", "--params", "funding.json", "--json", "--seeds", "2")
    done = liquidator_alone(*words, cwd=candles)
    assert len(json.loads(done.stdout)["backtest"]["placebo"]) == 2
    assert done.stderr == "liquidator: Params.use_funding does nothing: the candles have no funding_rate\n"


@pytest.mark.slow
def test_demo_prints_what_its_page_shows(tmp_path):
    out = liquidator_alone("demo", cwd=tmp_path).stdout
    page = (ROOT / "docs" / "demo.md").read_text(encoding="utf-8")
    shown = page[page.index("BTCUSDT 1h, Binance spot") : page.index("\nChart: (path")]
    assert [line.rstrip() for line in out.splitlines()[:-2]] == shown.splitlines()
    assert out.splitlines()[-1] == f"Chart: {tmp_path / 'liquidator-demo.html'}"
    assert (tmp_path / "liquidator-demo.html").exists()


@pytest.fixture
def observed(tmp_path):
    bars = sample_bars()[:1500]
    table = pa.table({name: bars[name] for name in ("time", "open", "high", "low", "close", "volume")})
    pa.parquet.write_table(table, tmp_path / "candles.parquet")
    rng = np.random.default_rng(0)
    usd = {"longUsd": rng.lognormal(10, 1, 1500), "shortUsd": rng.lognormal(10, 1, 1500)}
    pa.csv.write_csv(pa.table({"ts": bars["time"], **usd}), tmp_path / "observed.csv")
    return tmp_path


def test_fit_writes_parameters_that_the_other_commands_take(observed):
    words = ("--leverages", "10,50,100", "--margin-rates", "0.004", "--spans", "2")
    out = liquidator("fit", "candles.parquet", "observed.csv", "--out", "mix.json", *words, cwd=observed).stdout
    learned = Params.from_dict(json.loads((observed / "mix.json").read_text()))
    assert learned.leverages == (10.0, 50.0, 100.0)
    for leverage, weight in zip(learned.leverages, learned.leverage_weights, strict=True):
        assert re.search(rf"^{leverage:g}x +\| +{weight:.3f} \|", out, re.MULTILINE)
    assert "1,021 bars with observed liquidations" in out
    assert re.search(r"^0.40% \* +\| +\S+ \| +100%$", out, re.MULTILINE)
    taught = out[out.index("What the bars before each span taught") :].splitlines()[1:5]
    assert [cell.strip() for cell in taught[0].split("|")] == ["from", "margin rate", "10x", "50x", "100x"]
    for line in taught[2:]:
        assert sum(map(float, line.split("|")[2:])) == pytest.approx(1.0, abs=2e-3)
    assert out.splitlines()[-1] == "Parameters: mix.json"
    done = liquidator("zones", "candles.parquet", "--json", "--params", "mix.json", "--seeds", "0", cwd=observed)
    assert json.loads(done.stdout)["params_digest"] == learned.digest


@pytest.mark.slow
def test_fit_says_how_many_observations_open_no_bar(observed):
    lines = (observed / "observed.csv").read_text().splitlines()
    time, *usd = lines[-1].split(",")
    late = [",".join([str(int(time) + 3_600_000 * i), *usd]) for i in range(1, 4)]
    (observed / "longer.csv").write_text("\n".join([*lines, *late]))
    words = ("--margin-rates", "0.004", "--spans", "2")
    done = liquidator("fit", "candles.parquet", "longer.csv", *words, cwd=observed)
    assert done.stderr.startswith("3 of 1,503 observations open no bar")
    assert Params.from_dict(json.loads(done.stdout)).margin_rate == 0.004  # nothing but the parameters
    assert "observations" not in liquidator("fit", "candles.parquet", "observed.csv", *words, cwd=observed).stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["candles.parquet"], "Missing argument"),
        (["candles.parquet", "candles.parquet"], "liq_long_usd (accepted names: liq_long_usd, long_usd, longusd)"),
        (["candles.parquet", "observed.csv", "--leverages", "10;50"], "--leverages must be numbers"),
        (["candles.parquet", "observed.csv", "--leverages", "10,10"], "leverages must differ, got (10.0, 10.0)"),
        (
            ["candles.parquet", "observed.csv", "--leverages", "2,10", "--spans", "1"],
            "never reached a liquidation at 2x",
        ),
        (["candles.parquet", "observed.csv", "--window", "60"], "fewer spans or a longer window"),
        (["candles.parquet", "negative.csv"], "row 1 (2019-10-01T01:00:00 UTC), liq_short_usd: found -1.0"),
        (["candles.parquet", "late.csv"], "no bar opens at any time"),
        (["nothing.csv", "nothing.csv", "--out", "no/mix.json"], "--out no/mix.json: not a file in a folder that"),
        (["nothing.csv", "nothing.csv", "--out", "."], "--out .: not a file in a folder that exists"),
    ],
)
def test_mistakes_in_what_fit_is_given(observed, words, says):
    (observed / "negative.csv").write_text("time,long_usd,short_usd\n1569888000000,0,1\n1569891600000,0,-1\n")
    (observed / "late.csv").write_text("time,long_usd,short_usd\n1699888000000,0,1\n")
    done = liquidator("fit", *words, cwd=observed, code=2)
    assert says in done.stderr


# --- liquidation at risk ----------------------------------------------------------------------------------------------


@pytest.fixture
def hours(tmp_path):
    """A thousand hours of candles, and what was liquidated in the last three hundred."""
    bars = sample_bars()[:1000]
    table = pa.table({name: bars[name] for name in ("time", "open", "high", "low", "close", "volume")})
    pa.csv.write_csv(table, tmp_path / "candles.csv")
    usd = 5e-3 * bars["close"] * bars["volume"]
    seen = pa.table({"time": bars["time"], "long_usd": usd, "short_usd": usd}).slice(700)
    pa.csv.write_csv(seen, tmp_path / "observed.csv")
    (tmp_path / "params.json").write_text(json.dumps(SMALL))
    return tmp_path


def test_risk_prints_dollars_for_moves_and_draws_them(hours):
    done = liquidator_alone("risk", "candles.csv", "--market", "spot", cwd=hours)
    assert done.stderr == ""
    assert "Dollars of binance, spot candles, within 4h." in done.stdout
    assert re.search(r"^-2\.0% +\|.*[\d.]+[kMB] of longs \|.* to [\d.]+[kMB] \|", done.stdout, re.MULTILINE)
    assert "Scale of longs: prior; no feed of your own" in done.stdout
    assert "It does not say that price gets there." in done.stdout
    page = (hours / "liquidator-risk-candles.html").read_text()
    assert "longs, 80 % band" in page
    assert "by the move alone" not in page


@pytest.mark.slow
def test_risk_of_a_feed_says_what_it_taught_and_how_it_did(hours):
    words = ("risk", "candles.csv", "--observed", "observed.csv", "--market", "spot", "--horizon", "1h")
    done = liquidator(*words, "--params", "params.json", "--chart", "risk.html", cwd=hours)
    assert "Dollars of three_venues, spot candles, within 1h." in done.stdout  # the feed whose hours are known
    assert re.search(r"Scale of longs: (mixed|learned), from \d+ moves of 30 days", done.stdout)
    assert (hours / "risk.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--market", "perp"), "market must be one of 'perpetual', 'spot', got 'perp'"),
        (("--horizon", "2h"), "horizon must be one of '1h', '4h', got '2h'"),
        (("--horizon", "1h", "--feed", "binance"), "no law is known of feed 'binance'"),
        (("--observed", "candles.csv"), "observed: missing column for long_usd"),
        (("--chart", "no/where.html"), "--chart no/where.html: not a file in a folder that exists"),
    ],
)
def test_risk_refuses_what_it_does_not_know(hours, words, said):
    done = liquidator("risk", "candles.csv", *words, cwd=hours, code=2)
    assert done.stderr.startswith("liquidator: ")
    assert said in done.stderr
    assert done.stdout == ""
