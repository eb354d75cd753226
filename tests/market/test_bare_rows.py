"""Candles as venues return them, in rows without names: which column is which is told by arithmetic."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from liquidator_integrations import Liquidator, read_bars
from liquidator_integrations.frames import bars_from_frame

START = 1_614_556_800_000
MINUTE = 60_000
ROWS = 200


def candles() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    close = (50_000 * np.exp(np.cumsum(rng.normal(size=ROWS)) * 0.001)).round(1)
    opened = np.r_[50_000.0, close[:-1]]
    frame = pd.DataFrame({"time": START + MINUTE * np.arange(ROWS), "open": opened})
    frame["high"], frame["low"] = np.maximum(opened, close) + 0.5, np.minimum(opened, close) - 0.5
    frame["close"], frame["volume"] = close, rng.lognormal(size=ROWS).round(4)
    return frame


FRAME = candles()
MEAN = (FRAME["open"] + FRAME["close"]) / 2
MORE = FRAME.assign(
    s=FRAME["time"] // 1000,
    quote=(FRAME["volume"] * MEAN).round(4),
    usd=(2000 * FRAME["volume"] * MEAN).round(4),
    vwap=MEAN.round(1),
    count=7,
    contracts=(1000 * FRAME["volume"]).round(),
    dollars=(FRAME["volume"] * MEAN).round(),
    end=FRAME["time"] + MINUTE - 1,
    closed="true",
    one=1,
)
VENUES = {
    "ccxt": "time open high low close volume",
    "Coinbase": "s low high open close volume",
    "Bitfinex": "time open close high low volume",
    "Kraken's files": "s open high low close volume count",
    "Kraken": "s open high low close vwap volume count",
    "Bybit": "time open high low close volume quote",
    "Bybit, inverse": "time open high low close dollars volume",
    "KuCoin": "s open close high low volume quote",
    "Bitget": "time open high low close volume quote quote",
    "Bitget, a cross": "time open high low close volume usd quote",
    "Bitget's stream, a cross": "time open high low close volume quote usd",
    "MEXC": "time open high low close volume end quote",
    "Gate": "s quote close high low open volume closed",
    "OKX": "time open high low close volume quote quote one",
    "OKX, swap": "time open high low close contracts volume quote one",
    "Binance": "time open high low close volume end quote count volume quote one",
}


def rows_of(venue: str, newest_first: bool = False) -> list[list[str]]:
    rows = MORE[VENUES[venue].split()].astype(str).to_numpy().tolist()
    return rows[::-1] if newest_first else rows


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("road", ["list", "array", "frame", "csv", "json", "answer", "newest first", "Liquidator"])
def test_rows_of_venues(venue, road, tmp_path):
    rows = rows_of(venue, road == "newest first")
    if road == "csv":
        pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False, header=False)
        bars = read_bars(tmp_path / "a.csv")
    elif road in ("json", "answer"):
        kept = rows if road == "json" else {"code": "0", "error": [], "result": {"symbol": "BTCUSDT", "list": rows}}
        (tmp_path / "a.json").write_text(json.dumps(kept))
        bars = read_bars(tmp_path / "a.json")
    elif road == "Liquidator":
        made = Liquidator("BTC")
        made.update_candles({"result": {"symbol": "BTCUSDT", "list": rows}})
        bars = made.bars()
        with pytest.raises(ValueError, match="one Liquidator a coin"):
            Liquidator("ETH").update_candles({"result": {"symbol": "BTCUSDT", "list": rows}})
    else:
        bars = bars_from_frame({"array": np.array, "frame": pd.DataFrame}.get(road, list)(rows))
    for name in ("time", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(bars[name], FRAME[name])


@pytest.mark.parametrize("venue", VENUES)
def test_a_row_alone_is_read_as_many_are_or_refused(venue):
    """Of one candle whose prices are its corners, two orders may fit."""
    refused = []
    for at, row in enumerate(rows_of(venue)[:50]):
        try:
            bars = bars_from_frame([row])
        except ValueError as error:
            refused.append(str(error))
        else:
            assert bars[["time", "volume"]].tolist() == [(START + MINUTE * at, FRAME["volume"][at])]
            assert bars["open"].tolist() == [FRAME["open"][at]]
    assert len(refused) < 5
    assert all("that may be [" in text or "seems to count contracts" in text for text in refused)


UNKNOWN = {
    "contracts": "time open high low close contracts quote",
    "contracts of KuCoin": "s open close high low contracts quote",
    "a quote volume alone": "s quote close high low open",
    "volumes of which none is the base": "time open high low close contracts quote usd",
    "a price between": "time one close open high low close volume quote",
}


@pytest.mark.parametrize("what", UNKNOWN)
@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_rows_in_no_known_order_are_refused(what, suffix, tmp_path):
    rows = MORE[UNKNOWN[what].split()].astype(str).to_numpy().tolist()
    width = len(rows[0])
    says = "row 0" if width == 6 else rf"found rows of {width} values \({START // 1000}.*\) in no order that is known"
    with pytest.raises(ValueError, match=says):
        bars_from_frame(rows)
    path = tmp_path / f"a.{suffix}"
    path.write_text(json.dumps(rows) if suffix == "json" else "\n".join(map(",".join, rows)))
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: {says}"):
        read_bars(path)


def test_candles_without_a_volume_say_so():
    """CoinGecko's."""
    with pytest.raises(ValueError, match=r"as \[time, open, high, low, close\] they lack a volume"):
        bars_from_frame(FRAME[["time", "open", "high", "low", "close"]].to_numpy().tolist())


def test_what_may_be_two_orders_is_refused_with_both():
    row = [START // 1000, 99.0, 101.0, 101.0, 99.0, 2.0]
    says = r"may be \[time, low, high, open, close, volume\] or \[time, open, close, high, low, volume\]: give the"
    with pytest.raises(ValueError, match=says):
        bars_from_frame([row])


def test_a_bad_row_is_told_in_the_order_of_the_others():
    rows = FRAME[["time", "low", "high", "open", "close", "volume"]].to_numpy().tolist()
    rows[5][2] = 1.0
    with pytest.raises(
        ValueError, match=r"row 5 \(2021-03-01T00:05:00 UTC\), high: found 1.0, allowed at least the low"
    ):
        bars_from_frame(rows)


def test_an_open_candle_of_gate_is_no_bar():
    rows = rows_of("Gate")
    rows[-1][-1] = "false"
    assert len(bars_from_frame(rows)) == ROWS - 1


CLOSE, COINS = FRAME["close"], 5 + np.arange(ROWS) % 7
NO_COUNTS = {
    "Yahoo": (CLOSE, 1000 + np.arange(ROWS) % 13),
    "Yahoo, before dividends": ((CLOSE * np.repeat((0.5, 0.8), ROWS // 2)).round(4), COINS),
    "OKX, contracts": (1000 * COINS, COINS),
    "OKX, parts of contracts": (0.1 * COINS, COINS),
    "a spread": (1 + np.arange(ROWS) % 3, COINS),
}


@pytest.mark.parametrize("what", NO_COUNTS)
@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_a_volume_is_not_read_as_a_count(what, suffix, tmp_path):
    """What stands before it is then no volume."""
    before, volume = NO_COUNTS[what]
    frame = FRAME[["time", "open", "high", "low", "close"]].assign(before=before, volume=volume)
    rows = frame.astype(object).to_numpy().tolist()
    says = r"found rows of 7 values \(.*\) in no order that is known: give the columns names"
    with pytest.raises(ValueError, match=says):
        bars_from_frame(rows)
    path = tmp_path / f"a.{suffix}"
    path.write_text(json.dumps(rows) if suffix == "json" else frame.to_csv(index=False, header=False))
    with pytest.raises(ValueError, match=says):
        read_bars(path)


@pytest.mark.parametrize("kept", ["rows", "answer"])
def test_confirm_is_no_volume(kept, tmp_path):
    """OKX's candles of a mark price or an index."""
    frame = FRAME[["time", "open", "high", "low", "close"]].assign(confirm=["0"] + ["1"] * (ROWS - 1))
    rows = frame.astype(str).to_numpy().tolist()
    data = rows if kept == "rows" else {"code": "0", "msg": "", "data": rows}
    (tmp_path / "a.json").write_text(json.dumps(data))
    for read, given in ((bars_from_frame, data), (read_bars, tmp_path / "a.json")):
        with pytest.raises(
            ValueError, match=r"whose sixth is 0 or 1 throughout, .*\(confirm\).*: candles need a volume"
        ):
            read(given)


def test_whole_volumes_of_one_are_read():
    assert bars_from_frame([[START, 1, 2, 1, 2, 1]])["volume"].tolist() == [1.0]
    assert bars_from_frame([[str(START), "1", "2", "1", "2", "1.0"]])["volume"].tolist() == [1.0]
