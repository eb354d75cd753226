"""What a newcomer typed, and its neighbours: options, endings, folders, digits, verdicts."""

from __future__ import annotations

import contextlib
import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
from command import said_here

from liquidator_core import Params
from liquidator_core._atomic import replacing
from liquidator_core.layout import VERSION
from liquidator_integrations import sample_bars
from liquidator_integrations.evidence.leverage_mix import MixFit, Span
from liquidator_integrations.evidence.result import ENOUGH_TRADES, too_few
from liquidator_integrations.for_tradingview import to_pine
from liquidator_integrations.frames import signal_columns
from liquidator_integrations.market.bars import read_bars

SMALL = {"ledger_bars": 20, "flow_bars": 10, "zone_bars": 30, "atr_bars": 5, "event_mult": 1.0, "event_share": 0.01}
OPTIONS = ("--no-backtest", "--params", "p.json", "--chart", "c.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("newcomer")
    bars = sample_bars()[:400]
    columns = {name: bars[name] for name in ("time", "open", "high", "low", "close", "volume")}
    table = pa.table(columns)
    pa.csv.write_csv(table, path / "whole.csv")
    kept = np.ones(400, np.bool_)
    kept[100:150] = kept[200:240] = kept[300:310] = False
    pa.csv.write_csv(table.filter(pa.array(kept)), path / "gaps.csv")
    usd = 1e-3 * bars["close"] * bars["volume"]
    more = {"sumOpenInterest": np.full(400, 5e4), "long_usd": usd, "short_usd": usd}
    pa.csv.write_csv(pa.table(columns | more), path / "known.csv")
    pa.csv.write_csv(pa.table({"time": bars["time"], "long_usd": usd, "short_usd": -usd}), path / "wrong.csv")
    (path / "p.json").write_text(json.dumps(SMALL))
    (path / "bad.json").write_text('{"zone_barz": 3}')
    return path


def zones(folder, *words, **how):
    return said_here("zones", *words, *OPTIONS, cwd=folder, **how)


def report(folder, *words):
    said = said_here("zones", *words, "--json", "--no-backtest", "--params", "p.json", cwd=folder)
    assert said.code == 0, said.stderr
    return json.loads(said.stdout)


def test_version(tmp_path):
    assert said_here("--version", cwd=tmp_path).stdout == f"liquidator {VERSION}\n"


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("words", [(), ("zones",), ("fit",), ("pine",), ("freqtrade",)])
def test_no_help_is_cut_off(tmp_path, words, columns):
    said = said_here(*words, "--help", cwd=tmp_path, columns=columns)
    assert said.code == 0
    assert "..." not in said.stdout.replace("[ARGS]...", "")
    assert "…" not in said.stdout


@pytest.mark.parametrize("words", [(), ("zones",), ("store", "ls")])
def test_h_is_help(tmp_path, words):
    assert said_here(*words, "-h", cwd=tmp_path).stdout == said_here(*words, "--help", cwd=tmp_path).stdout != ""


def test_help_lists_optional_columns(tmp_path):
    out = said_here("zones", "--help", cwd=tmp_path).stdout
    for name in ("taker_buy", "open_interest", "funding_rate", "long_usd", "short_usd"):
        assert name in out


def test_what_was_used_is_printed(folder):
    out = zones(folder, "known.csv").stdout
    assert "Read: prices, volume, open_interest, liq_long_usd, liq_short_usd." in out
    assert report(folder, "known.csv")["known"] == ["open_interest", "liq_long_usd", "liq_short_usd"]
    assert "Read: prices, volume.\n" in zones(folder, "whole.csv").stdout


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("sum_open_interest", "open_interest"),
        ("openInterest", "open_interest"),
        ("lastFundingRate", "funding_rate"),
        ("Taker buy base asset volume", "taker_buy"),
        ("takerBuyVolume", "taker_buy"),
        ("longUsd", "liq_long_usd"),
        ("short_usd", "liq_short_usd"),
    ],
)
def test_no_spelling_of_a_column_is_ignored(name, field, folder, tmp_path):
    pd.read_csv(folder / "whole.csv").assign(**{name: 1e-4}).to_csv(tmp_path / "a.csv", index=False)
    said = said_here("zones", "a.csv", "--no-backtest", "--json", cwd=tmp_path)
    assert json.loads(said.stdout)["known"] == [field]


def test_one_bar_is_a_bar(folder):
    out = zones(folder, "whole.csv", "--last", "1").stdout
    assert "whole.csv: 1 bar, 2019-10-17T15:00:00Z to" in out
    assert "\n1 bar is too few to be warm" in out


def test_observed_liquidations_in_a_file_are_those_of_bars(folder):
    assert report(folder, "known.csv")["zones"] != report(folder, "whole.csv")["zones"]


def test_a_thin_feed_is_told(folder, tmp_path):
    frame = pd.read_csv(folder / "whole.csv").assign(long_usd=0.0, short_usd=0.0)
    frame.loc[[5, 9, 70], "long_usd"] = 1e5
    frame.to_csv(tmp_path / "thin.csv", index=False)
    out = said_here("zones", "thin.csv", "--no-backtest", "--chart", "c.json", cwd=tmp_path).stdout
    assert "A thin feed of liquidations: 3 of 400 observed bars hold any, where flow is measured against 96 bars" in out


def test_gaps_are_told(folder):
    assert "\n100 missing hours in 3 gaps.\n" in zones(folder, "gaps.csv").stdout
    assert "missing" not in zones(folder, "whole.csv").stdout
    assert (report(folder, "gaps.csv")["missing_bars"], report(folder, "gaps.csv")["gaps"]) == (100, 3)


@pytest.mark.parametrize(
    ("words", "bars", "first"),
    [
        (["--last", "120"], 120, "2019-10-12T16:00:00Z"),
        (["--last", "5000"], 400, "2019-10-01T00:00:00Z"),
        (["--from", "2019-10-10"], 184, "2019-10-10T00:00:00Z"),
        (["--from", "2019-10-10T06:30"], 177, "2019-10-10T07:00:00Z"),
        (["--from", "10.10.2019"], 184, "2019-10-10T00:00:00Z"),
        (["--from", "2017-01-01"], 400, "2019-10-01T00:00:00Z"),
        (["--from", "2019-10-10", "--last", "3"], 3, "2019-10-17T13:00:00Z"),
    ],
)
def test_a_part_of_the_file_alone(folder, words, bars, first):
    found = report(folder, "whole.csv", *words)
    assert (found["bars"], found["first"], found["last"]) == (bars, first, "2019-10-17T15:00:00Z")


def faulty(fault: str, rows: int = 400) -> pd.DataFrame:
    """The candles of ``whole.csv`` with a fault in the fourth row."""
    bars = sample_bars()[:rows]
    frame = pd.DataFrame({name: bars[name] for name in ("time", "open", "high", "low", "close", "volume")})
    if fault in ("text", "text beside decimal commas"):
        frame = frame.astype({"close": object})
    if fault == "text beside decimal commas":
        frame["close"] = [f"{close:.2f}".replace(".", ",") for close in frame["close"]]
    if fault == "out of order":
        return frame.iloc[[0, 1, 2, 5, 3, 4, *range(6, rows)]]
    field, value = {"repeats": ("time", bars["time"][2]), "high": ("high", 1.0), "below 0": ("close", -1.0)}.get(
        fault, ("close", "n/a?")
    )
    frame.loc[3, field] = value
    return frame


FAULTS = {
    "repeats": "row 3 (2019-10-01T02:00:00 UTC), time: found a time that repeats",
    "out of order": "row 4 (2019-10-01T03:00:00 UTC), time: found a time that goes back",
    "high": "row 3 (2019-10-01T03:00:00 UTC), high: found 1.0",
    "below 0": "row 3 (2019-10-01T03:00:00 UTC), close: found -1.0",
    "text": "row 3, column 'close': found 'n/a?', allowed a number",
    "text beside decimal commas": "row 3, column 'close': found 'n/a?', allowed a number",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_rows_that_are_not_taken_stops_nothing(fault, tmp_path):
    commas = {"sep": ";", "decimal": ","} if "commas" in fault else {}
    faulty(fault).to_csv(tmp_path / "a.csv", index=False, **commas)
    whole = said_here("zones", "a.csv", "--no-backtest", "--json", cwd=tmp_path)
    assert (whole.code, FAULTS[fault] in whole.stderr) == (2, True), whole.stderr
    for words, bars in ((("--last", "120"), 120), (("--from", "2019-10-10"), 184), (("--last", "390"), 390)):
        said = said_here("zones", "a.csv", "--no-backtest", "--json", *words, cwd=tmp_path)
        assert said.code == 0, said.stderr
        assert json.loads(said.stdout)["bars"] == bars
    np.testing.assert_array_equal(read_bars(tmp_path / "a.csv", last=390)["close"], sample_bars()["close"][10:400])
    late = said_here("zones", "a.csv", "--no-backtest", "--json", "--last", "399", cwd=tmp_path)
    assert (late.code, "row " in late.stderr) == (2, True)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "feather", "json"])
def test_rows_are_named_by_their_place_in_the_file(suffix, tmp_path):
    bars = sample_bars()[:400]
    frame = pd.DataFrame({name: bars[name] for name in ("time", "open", "high", "low", "close", "volume")})
    frame.loc[390, "close"] = -1.0
    for name, rows, row in (("a", frame, 390), ("b", frame[::-1].reset_index(drop=True), 9)):
        path = tmp_path / f"{name}.{suffix}"
        if suffix == "csv":
            rows.to_csv(path, index=False)
        elif suffix == "json":
            rows.to_json(path, orient="records")
        else:
            getattr(rows, f"to_{suffix}")(path)
        said = said_here("zones", path.name, "--last", "20", "--no-backtest", cwd=tmp_path)
        assert f"{path.name}: row {row} (2019-10-17T06:00:00 UTC), close: found -1.0" in said.stderr


def test_the_newest_bars_are_taken_of_a_file_that_is_newest_first(tmp_path):
    faulty("below 0")[::-1].to_csv(tmp_path / "a.csv", index=False)
    taken = read_bars(tmp_path / "a.csv", last=120)
    assert taken["time"].tolist() == sample_bars()["time"][280:400].tolist()


def test_an_open_candle_is_none_of_the_last(tmp_path):
    frame = faulty("below 0").assign(is_closed=[True] * 399 + [False])
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert read_bars(tmp_path / "a.csv", last=3)["time"].tolist() == sample_bars()["time"][396:399].tolist()


def test_a_part_of_the_bars_of_trades(tmp_path):
    time = 1_672_531_200_000 + 60_000 * np.arange(10)
    frame = pd.DataFrame({"time": time, "price": 100.0, "size": 1.0, "side": "buy"})
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert read_bars(tmp_path / "a.csv", last=3)["time"].tolist() == time[6:9].tolist()
    assert read_bars(tmp_path / "a.csv", since_ms=int(time[7]) - 1)["time"].tolist() == time[7:9].tolist()
    said = said_here("zones", "a.csv", "--from", "2024-01-01", cwd=tmp_path)
    assert "a.csv: found no bar from 2024-01-01T00:00:00 UTC on: the file ends before" in said.stderr


def tape(rows: int = 600) -> pd.DataFrame:
    """Trades at random times, with a quiet half hour before the last third."""
    rng = np.random.default_rng(7)
    time = 1_672_531_200_000 + np.sort(rng.integers(0, 7_200_000, rows))
    time[rows * 2 // 3 :] += 1_800_000
    price = (100 + rng.normal(size=rows)).round(2)
    sides = rng.choice(["buy", "sell"], rows)
    return pd.DataFrame({"id": np.arange(rows), "time": time, "price": price, "size": 1.0, "side": sides})


@pytest.mark.parametrize("suffix", ["csv", "parquet", "feather", "json"])
@pytest.mark.parametrize("field", ["price", "size", "side"])
def test_a_fault_in_trades_that_are_not_taken_stops_nothing(field, suffix, tmp_path):
    frame, path = tape(), tmp_path / f"a.{suffix}"
    whole, quiet = tmp_path / "whole.csv", int(frame["time"][400]) - 600_000
    frame.to_csv(whole, index=False)
    frame = frame.astype({field: object})
    frame.loc[[3, 300], field] = "none" if field == "side" else "-1" if suffix in ("csv", "json") else -1.0
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "json":
        frame.to_json(path, orient="records")
    else:
        getattr(frame.infer_objects(), f"to_{suffix}")(path)
    with pytest.raises((ValueError, TypeError), match=rf"a\.{suffix}: row 3.*{field}"):
        read_bars(path)
    bars = read_bars(whole)
    plain = list(bars.dtype.names[:7])
    for how in ({"last": 30}, {"last": 45}, {"since_ms": quiet}, {"since_ms": quiet, "last": 7}):
        expected = bars[bars["time"] >= how.get("since_ms", 0)][-how.get("last", 1000) :]
        part = read_bars(path, **how)
        np.testing.assert_array_equal(part[plain].tolist(), expected[plain].tolist())
    with pytest.raises((ValueError, TypeError), match=rf"a\.{suffix}: row 300.*{field}"):
        read_bars(path, last=len(bars) - 5)


def test_more_bars_than_trades_made_are_all_of_them(tmp_path):
    tape().to_csv(tmp_path / "a.csv", index=False)
    assert read_bars(tmp_path / "a.csv", last=10**6).tobytes() == read_bars(tmp_path / "a.csv").tobytes()


@pytest.mark.parametrize("count", [1, 2])
def test_trades_that_close_no_bar_say_that_it_is_open(count, tmp_path):
    trades = {"time": 1_672_531_200_000, "price": 1.0, "size": 1.0, "side": "buy"}
    pd.DataFrame([trades] * count).to_csv(tmp_path / "t.csv", index=False)
    said = said_here("zones", "t.csv", "--bar", "1h", cwd=tmp_path)
    assert (said.code, said.stdout) == (2, "")
    assert re.search(
        rf"t\.csv: {count} trades?, from 2023-01-01T00:00:00.000 to .* closed no bar of 3600000 ms: it is still open, "
        "until a trade at 2023-01-01T01:00:00.000 UTC or later",
        said.stderr,
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["zones", "whole.csv", "--from", "2020-03-01"], "the file ends before, its last bar is that of 2019-10-17T15"),
        (["zones", "whole.csv", "--from", "soon"], "--from must be a date such as 2020-03-01"),
        (["zones", "whole.csv", "--last", "0"], "--last"),
        (["zones", "BTC-USDT", "--exchange", "binance", "--last", "9"], "--last and --from are for a FILE"),
        (
            ["zones", "whole.csv", "--bar", "7m"],
            "one of 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h, 1d, got",
        ),
        (["zones", "whole.csv", "--bar", "60m"], "did you mean '1h'?"),
        (
            ["zones", "whole.csv", "--chart", "no/c.html"],
            "no/c.html: not a file in a folder that exists: there",
        ),
        (["zones", "whole.csv", "--chart", "c.pdf"], "c.pdf: not a .html or .png or .svg or .json file"),
        (["zones", "whole.csv", "--chart", "c"], "its name has no ending"),
        (["fit", "whole.csv", "known.csv", "--out", "mix.csv"], "--out mix.csv: not a .json file"),
        (["risk", "whole.csv", "--chart", "c.png"], "--chart c.png: not a .html file"),
        (["risk", "whole.csv", "--market", "spot", "--observed", "wrong.csv"], "wrong.csv: row 0"),
        (["fit", "whole.csv", "wrong.csv"], "wrong.csv: row 0"),
        (["risk", "whole.csv"], "whole.csv: holds too few hours: a curve needs 648 full ones"),
        (["zones", "whole.csv", "--params", "q.json"], "--params q.json: cannot be read: No such file or directory"),
        (["zones", "BTC-USDT"], "BTC-USDT: no such file; for candles of a market say --exchange"),
        (["zones", "whole.csv", "--from", "05/10/2019"], "allowed is a date of which one can tell day and month"),
        (["zones", "whole.csv", "--from", "1900-01-01"], "from 1973-03-03 on"),
        (["zones", "whole.csv", "--params", "bad.json"], "bad.json: unknown parameter 'zone_barz': did you mean"),
        (["pine", "--last", "9"], "--last 9 is for the FILE of a --snapshot"),
    ],
)
def test_mistakes(folder, words, says):
    said = said_here(*words, cwd=folder)
    assert said.code == 2
    assert says in said.stderr
    assert said.stdout == ""


@pytest.mark.parametrize(("spelt", "meant"), [("240", "4h"), ("4H", "4h"), ("D", "1d"), ("1D", "1d"), ("60m", "1h")])
def test_timeframes_of_tradingview(tmp_path, spelt, meant):
    assert said_here("pine", "--timeframe", spelt, cwd=tmp_path).stdout == to_pine(timeframes=(meant,))


def test_no_backtest(folder):
    assert "No backtest: not asked for" in zones(folder, "whole.csv").stdout
    assert report(folder, "whole.csv")["backtest"] is None


@pytest.mark.parametrize("columns", [24, 40, 50, 80, 200])
def test_a_narrow_terminal_keeps_the_digits_of_prices(folder, columns):
    out = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", zones(folder, "whole.csv", columns=columns).stdout)
    assert "…" not in out
    for zone in report(folder, "whole.csv")["zones"]:
        assert f"{zone['low']:,.2f}" in out
        assert f"{zone['high']:,.2f}" in out
    assert ("Too narrow for: " in out) == (columns < 80)


def test_json_has_the_digits_of_the_tables(folder):
    out = zones(folder, "whole.csv").stdout
    found = report(folder, "whole.csv")
    assert found["zones"]
    for row in [*found["zones"], *found["levels"]]:
        for name in {"price", "low", "high"} & row.keys():
            assert row[name] == round(row[name], 2)
        assert len(f"{row['usd']:.17g}".rstrip("0").replace(".", "")) <= 4
    assert f"Last close {found['close']:,.2f}." in out


def test_a_verdict_needs_trades(folder):
    words = ("zones", "whole.csv", "--params", "p.json", "--seeds", "1", "--last", "120")
    backtest = json.loads(said_here(*words, "--json", cwd=folder).stdout)["backtest"]
    assert 0 < backtest["zone_fade"]["trades"] < ENOUGH_TRADES
    assert backtest["rank"] is None
    assert backtest["why_no_rank"] == too_few(backtest["zone_fade"]["trades"])
    out = said_here(*words, "--chart", "c.json", cwd=folder).stdout
    assert "too few for a verdict" in out
    assert "The real run is" not in out


@pytest.mark.parametrize(
    ("learned", "given", "says"),
    [
        (
            0.5,
            0.4,
            "take the learned mix: what was learned ranked later liquidations better in 4 of 4 cases, by +0.1",
        ),
        (0.4, 0.5, "keep the given mix: what was learned ranked later liquidations better in 0 of 4 cases, by -0.1"),
        (0.4, 0.4, "keep the given mix"),
        (float("nan"), 0.4, "no verdict"),
    ],
)
def test_fit_ends_with_a_verdict(learned, given, says):
    span = Span(0, 1, 50, 0.004, (1.0,), (learned, learned), (given, given), 1.0)
    fit = MixFit(Params(), (0.0,), (1.0,), 1.0, 0.0, 100, {}, {}, (span, span))
    assert fit.verdict.startswith(says)


def test_fit_keeps_the_scale_that_it_prints(tmp_path):
    bars = sample_bars()[:1000]
    params = Params(**SMALL, leverages=(10.0, 50.0), leverage_weights=(0.7, 0.3))
    signals = signal_columns(bars, params).fillna(0.0)
    candles = {name: bars[name] for name in ("time", "open", "high", "low", "close", "volume")}
    pd.DataFrame(candles).to_csv(tmp_path / "c.csv", index=False)
    usd = {f"{side}_usd": 0.03 * signals[f"{side}_flow_usd"].to_numpy() for side in ("long", "short")}
    pd.DataFrame({"time": bars["time"], **usd}).to_csv(tmp_path / "o.csv", index=False)
    (tmp_path / "p.json").write_text(json.dumps(SMALL | {"leverages": [10, 50], "leverage_weights": [0.5, 0.5]}))
    words = ("fit", "c.csv", "o.csv", "--params", "p.json", "--spans", "2", "--margin-rates", "0.004")
    to_file, to_pipe = (said_here(*words, *out, cwd=tmp_path) for out in (("--out", "mix.json"), ()))
    assert (to_file.code, to_pipe.code, to_file.stderr) == (0, 0, "")
    kept = json.loads((tmp_path / "mix.json").read_text())
    printed = re.search(r"; ([\d.e-]+) USD observed a USD implied\.", to_file.stdout)[1]
    assert kept["scale"] == float(printed)
    assert kept["scale"] == pytest.approx(0.03, rel=0.3)
    assert json.loads(to_pipe.stdout) == kept
    tables, path = to_file.stdout.rstrip().rsplit("\n\n", 1)
    assert path == "Parameters: mix.json"
    assert tables.splitlines()[-1].startswith(("Verdict: keep the given mix", "Verdict: take the learned mix"))
    assert to_pipe.stderr.rstrip() == tables
    assert "-0.000" not in tables
    again = said_here("zones", "c.csv", "--params", "mix.json", "--no-backtest", "--json", cwd=tmp_path)
    assert again.code == 0


@pytest.mark.parametrize("name", ["no/mix.json", "no/such/folder/mix.json"])
def test_a_folder_that_is_not_there_is_told_before_the_work_by_what_was_asked(name, tmp_path):
    begun = []
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / name):
        begun.append(name)
    folder = (tmp_path / name).parent
    assert str(caught.value) == f"{tmp_path / name}: there is no folder {folder}, make it first"
    assert begun == list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder, allowed a file"), replacing(tmp_path):
        pass


def test_what_goes_wrong_while_writing_leaves_what_was_there(tmp_path):
    path = tmp_path / "mix.json"
    path.write_text("before")
    with contextlib.suppress(ZeroDivisionError), replacing(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert [one.name for one in tmp_path.iterdir()] == ["mix.json"]
    assert path.read_text() == "before"


def test_parameters_with_a_scale_are_parameters():
    assert Params.from_dict(Params(zone_bars=96).to_dict() | {"scale": 0.5}) == Params(zone_bars=96)
    with pytest.raises(TypeError, match="scales"):
        Params.from_dict({"scales": 0.5})
