"""Every public reader under input of any kind: what it says, or a ValueError or TypeError of this project's own."""

from __future__ import annotations

import datetime
import decimal
import gzip
import itertools
import time
import traceback

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import ROOT

from liquidator_core import Params
from liquidator_integrations import Liquidator, compute_atr, compute_vwap, read_bars
from liquidator_integrations.frames import bars_from_frame, signal_columns
from liquidator_integrations.market.files import read_liquidations
from liquidator_integrations.market.names import BASE_SIZES, MARKET_NAMES, TRADE_NAMES
from liquidator_integrations.market.trades import trades_from_table

T = 1_700_000_000_000
SECONDS = 8  # a reader

STRANGE = [
    *(None, True, False, 0, 1, -1, 5, 2**53 + 1, 2**63 - 1, 2**63, 2**70, 10**400, -(2**63), T, T * 1000, T / 1000),
    *(0.0, -0.0, 1.5, 1e308, -1e308, float("nan"), float("inf"), 1e-320, 1j),
    *("", " 5 ", "5", "1_000", "\uff15", "\u0665", "nan", "inf", "1e5", "0x10", "buy", "sell", "long", "A", "\ud800"),
    *("20200102", "2020-01-02", "2020-01-02T00:00:00Z", "2020-13-40", "9" * 24, "BTCUSDT", "ETH", "\0"),
    *(b"okx", b"\xff", b"", decimal.Decimal("1.5"), decimal.Decimal("sNaN"), decimal.Decimal("NaN")),
    *(datetime.datetime(2020, 1, 1), datetime.date(2020, 1, 1), datetime.timedelta(1), datetime.time(1)),
    *(np.datetime64("2020"), np.datetime64("NaT", "ns"), np.timedelta64(1, "s"), np.int8(1), np.uint64(2**64 - 1)),
    *(np.bool_(1), np.float16(1), np.array(5), np.array([1.0, 2.0]), np.str_("x"), pd.NaT, pd.NA),
    *(pd.Timestamp("2020"), pd.Timedelta(1)),
    *([], [1], {}, {"a": 1}, (), (1, 2), set(), object(), ...),
]  # fmt: skip
NAMES = [
    *sorted({*(name for names in TRADE_NAMES.values() for name in names), *BASE_SIZES, *MARKET_NAMES}),
    *("open", "high", "low", "close", "volume", "quote_volume", "crossed", "liquidation", "usd", "funding_rate", "oi"),
    *("data", "result", "o", "arg", "start", "closed", "", " ", "\ud800", "TIME", "contractSize", "oiCcy", "instId"),
]
value = st.sampled_from(STRANGE) | st.floats() | st.integers() | st.text(max_size=5) | st.binary(max_size=3)
good = st.fixed_dictionaries({
    "time": st.integers(T, T + 10**6), "price": st.floats(1, 9), "size": st.floats(1, 9),
    "side": st.sampled_from(["buy", "sell", "A"]),
})  # fmt: skip
candle = st.fixed_dictionaries({
    "time": st.integers(0, 99).map(lambda at: T // 60_000 * 60_000 + 60_000 * at), "open": st.just(1.0),
    "high": st.just(2.0), "low": st.just(1.0), "close": st.just(1.5), "volume": st.floats(0, 9),
})  # fmt: skip
spoilt = st.dictionaries(st.sampled_from(NAMES), value, max_size=3)
row = st.builds(lambda base, more: {**base, **more}, good | candle | st.just({}), spoilt)
rows = st.lists(row, max_size=4)
columns = st.dictionaries(st.sampled_from(NAMES), st.lists(value, max_size=3) | value, max_size=6)
tables = rows | columns | value | row | st.lists(value, max_size=3) | rows.map(iter)
tables |= rows.map(lambda rows: {"result": {"list": rows}})
venues = st.sampled_from(
    ["", "okx", "bitfinex", "kraken", "phemex", "okxx", "deribit", b"gate", None, 5, 1.5, "\ud800"]
)
conventions = st.sampled_from([None, "venue", "taker", "x", 5, [], b"taker"])


def ours(call) -> None:
    """Run it; what it raises must be raised by this project."""
    try:
        call()
    except (ValueError, TypeError) as error:
        last = traceback.extract_tb(error.__traceback__)[-1].filename
        if not ("liquidator_" in last or last.startswith(str(ROOT))):
            raise


def framed(data):
    try:
        return pd.DataFrame(data)
    except Exception:
        return data


READERS = {
    "ingest_trades": lambda data, venue, way: Liquidator("BTC").ingest_trades(data, venue, convention=way),
    "ingest_trades_skip": lambda data, venue, way: Liquidator(on_bad="skip").ingest_trades(data, venue, convention=way),
    "push": lambda data, venue, way: Liquidator().push(data, venue, convention=way),
    "push_rows": lambda data, venue, way: [
        Liquidator().push(one, venue, convention=way) for one in (data if isinstance(data, list) else [data])
    ],
    "ingest_liquidations": lambda data, venue, way: Liquidator().ingest_liquidations(data, venue, convention=way),
    "ingest_funding_rates": lambda data, venue, way: Liquidator().ingest_funding_rates(data),
    "update_candles": lambda data, venue, way: Liquidator().update_candles(data),
    "trades_from_table": lambda data, venue, way: trades_from_table(data, True, venue, way),
    "bars_from_frame": lambda data, venue, way: bars_from_frame(data),
    "frames_of_trades": lambda data, venue, way: Liquidator().ingest_trades(framed(data), venue, convention=way),
    "frames_of_candles": lambda data, venue, way: bars_from_frame(framed(data)),
    "signal_columns": lambda data, venue, way: signal_columns(framed(data)),
    "compute_atr": lambda data, venue, way: compute_atr(data),
    "compute_vwap": lambda data, venue, way: compute_vwap(data),
    "windows": lambda data, venue, way: Liquidator(window_minutes=data, coin=venue),
    "as_of": lambda data, venue, way: Liquidator().compute_zones(as_of=data),
    "params": lambda data, venue, way: Params.from_dict(data if isinstance(data, dict) else {"leverages": data}),
}


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_any_input(reader):
    end = time.monotonic() + SECONDS

    @settings(
        max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True
    )
    @given(tables, venues, conventions)
    def tried(data, venue, convention):
        if time.monotonic() < end:
            ours(lambda: READERS[reader](data, venue, convention))

    tried()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet", "feather", "json", "zip"])
def test_any_file(suffix, tmp_path):
    end = time.monotonic() + SECONDS
    start = "time,price,size,side\n1700000000000,1,1,buy\n"
    text = st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
    content = st.binary(max_size=60) | text | text.map(lambda text: start.encode() + text)
    lines = st.lists(st.lists(st.sampled_from([str(one)[:40] for one in STRANGE]), min_size=4, max_size=6), max_size=4)
    content |= lines.map(lambda lines: (start + "\n".join(map(",".join, lines))).encode("utf-8", "surrogatepass"))

    @settings(
        max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True
    )
    @given(content, st.booleans())
    def tried(content, packed):
        if time.monotonic() < end:
            path = tmp_path / f"a.{suffix}"
            path.write_bytes(gzip.compress(content) if packed and suffix.endswith("gz") else content)
            ours(lambda: read_bars(path))
            ours(lambda: read_liquidations(path))

    tried()


NESTED = {"data": []}
for _ in range(2000):
    NESTED = {"data": [NESTED]}
KINDS = [
    (NESTED, r"wrapped more than 20 deep"),
    ({"time": [T], "price": [[1.0]], "size": [1.0], "side": ["buy"]}, r"price must be numbers, got a column of list"),
    ({"time": [T], "price": [1.0], "size": [1.0], "side": [{"a": 1}]}, r"side.*\{'a': 1\}|side must be"),
    ({"time": [{"a": 1}], "price": [1.0], "size": [1.0], "side": ["buy"]}, r"time must be numbers"),
    ([{"time": np.datetime64(T, "ms"), "price": np.int8(1), "size": 1.0, "side": "buy"}] * 1, r""),
    ({"time": [np.datetime64(T, "ms"), np.int8(1)], "price": [1.0] * 2, "size": [1.0] * 2, "side": ["A"] * 2},
     r"row 1, time: found 1, allowed one type throughout"),
    ([{"time": T, "price": 1, "size": 1, "side": "buy", "venue": "binance"},
      {"time": T, "price": 1, "size": 1, "side": "buy", "venue": "okx"},
      {"time": T, "price": 1.0, "size": "x", "side": "buy", "venue": "binance"}],
     r"row 2, size: found 'x', allowed one type throughout"),
    ({"time": [T], "price": ["1_000"], "size": [1.0], "side": ["buy"]}, r"row 0, price: found '1_000', allowed a"),
    ({"time": [T], "price": ["\uff15"], "size": [1.0], "side": ["buy"]}, r"price: found '\uff15', allowed a number"),
    ({"time": [T], "price": [decimal.Decimal("sNaN")], "size": [1.0], "side": ["buy"]}, r"price"),
    (np.array(5), r"expected rows with names|allowed a mapping"),
    ({"time": np.array(5), "price": [1.0], "size": [1.0], "side": ["buy"]}, r"time"),
    ({"time": [datetime.timedelta(1)], "price": [1.0], "size": [1.0], "side": ["buy"]}, r"time must be numbers"),
    ({"time": [pd.NaT], "price": [1.0], "size": [1.0], "side": ["buy"]}, r"row 0, time: found (None|NaT)"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "says"), KINDS, ids=lambda one: str(one)[:30] if isinstance(one, str) else "")
def test_what_once_crashed_says_what_is_wrong(data, says):
    for take in ("ingest_trades", "ingest_liquidations"):
        if says == "":
            getattr(Liquidator(), take)(data)
            continue
        with pytest.raises((ValueError, TypeError), match=says):
            getattr(Liquidator(), take)(data)


@pytest.mark.parametrize("text", [" 5 ", "5", "5.0", "1_000", "\uff15", "\u0665", "0x5", "", "five"])
def test_a_number_in_text_is_one_answer_on_every_road(text):
    trade = {"time": T, "price": text, "size": 1.0, "side": "buy"}
    answers = []
    for form in ([trade, trade], pd.DataFrame([trade] * 2), pa.Table.from_pylist([trade] * 2), None):
        made = Liquidator()
        try:
            made.push(trade) if form is None else made.ingest_trades(form)
            answers.append(dict(made._history.arrays())["queue_trades"]["price"][0])
        except TypeError:
            answers.append("refused")
    assert answers == [5.0 if text.strip().startswith("5") else "refused"] * 4


def test_leverages_from_a_generator():
    weights = (0.25, 0.75)
    params = Params(leverages=(number for number in (10.0, 50.0)), leverage_weights=iter(weights))
    assert (params.leverages, params.leverage_weights) == ((10.0, 50.0), weights)
    with pytest.raises(ValueError, match="leverages must hold 1 to"):
        Params(leverages=itertools.count(10))
    with pytest.raises(TypeError, match="leverages must be a sequence of numbers, got array"):
        Params(leverages=np.array(5.0))


@pytest.mark.parametrize("window", [1e308, 1e300])
def test_a_window_of_ages(window):
    with pytest.raises(ValueError, match="window_minutes must make at most 4096 bars"):
        Liquidator(window_minutes=window)
    with pytest.raises(ValueError, match="window_minutes must make at most 4096 bars"):
        Liquidator().compute_zones(window_minutes=window)
