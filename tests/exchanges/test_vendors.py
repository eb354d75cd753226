"""Vendors of observed liquidations on loopback: their units, limits, traps and refusals; the key is shown nowhere."""

from __future__ import annotations

import asyncio
import time
import traceback
from dataclasses import replace

import numpy as np
import pytest
from command import said_here
from vendor_server import HOUR, KEY, Vendors, serving_vendors
from venue_server import serving
from venue_tape import make

from liquidator_integrations.exchanges import afetch, client, coinalyze, coinglass, fetch, keyed
from liquidator_integrations.store import Store
from liquidator_integrations.tables.observed import read_feed

NOW = 1_748_865_600_000 + 25 * 60_000  # 25 minutes into an hour
SINCE = NOW // HOUR * HOUR - 30 * 24 * HOUR
KINDS = ("liquidations",)


@pytest.fixture
def vendors(monkeypatch):
    with serving_vendors(NOW) as made:
        led_here(monkeypatch, made)
        yield made


def led_here(monkeypatch, made: Vendors) -> None:
    monkeypatch.setattr(keyed, "time", made.clock)
    monkeypatch.setattr(coinalyze, "URL", made.url)
    monkeypatch.setattr(coinglass, "URL", made.url)
    for variable in ("COINALYZE_API_KEY", "COINGLASS_API_KEY"):
        monkeypatch.setenv(variable, KEY)


def get(vendor: str = "coinalyze", symbol: str = "BTC", **more):
    return fetch(symbol, vendor, KINDS, **{"since": SINCE, "until": NOW, **more})


def names(made: Vendors, venue: str = "") -> list[str]:
    own = [one["symbol"] for one in made.markets if one["base_asset"] == "BTC" and one["is_perpetual"]]
    return [name for name in own if name.endswith(venue)]


def test_thirty_days_of_hours_of_a_coin_within_the_limit_and_two_minutes(vendors):
    begun = vendors.clock.now
    history = get()
    assert vendors.clock.now - begun < 120
    table = history.tables["liquidations"]
    assert table.column_names == ["time", "long_usd", "short_usd", "venue", "symbol"]
    assert table["time"].to_pylist() == list(range(SINCE, NOW // HOUR * HOUR, HOUR))  # not the hour that is forming
    for row in (0, 100, 719):
        wanted = [
            sum(values)
            for values in zip(*(vendors.usd(name, SINCE + row * HOUR) for name in names(vendors)), strict=True)
        ]
        assert [table["long_usd"][row].as_py(), table["short_usd"][row].as_py()] == wanted
    assert (history.venue, history.symbol) == ("coinalyze", "BTC")
    assert set(history.coverage["status"]) == {"unproven"}
    assert len(history.gaps) == 0
    assert read_feed(table.to_pandas()).step == HOUR


def test_the_limit_is_kept_where_a_coin_has_many_markets(monkeypatch):
    with serving_vendors(NOW, coins=75) as made:
        led_here(monkeypatch, made)
        begun = made.clock.now
        get()
        assert len(names(made)) == 75
        assert 60 <= made.clock.now - begun < 120
        assert 429 not in [code for code, *_ in made.strange]
        assert len([path for path, *_ in made.asked if path == "/liquidation-history"]) == 4  # none was refused


def test_coinglass_has_milliseconds_and_numbers_as_text(vendors):
    table = get("coinglass", "BTC-USDT").tables["liquidations"]
    assert table["time"].to_pylist() == list(range(SINCE, NOW // HOUR * HOUR, HOUR))
    assert (table["long_usd"][5].as_py(), table["short_usd"][5].as_py()) == vendors.usd("BTC", SINCE + 5 * HOUR)
    assert vendors.asked[0][1]["exchange_list"] == "Binance,OKX,Bybit"


def test_one_of_its_own_symbols(vendors):
    table = get(symbol="BTCUSDT_PERP.A", timeframe="4h").tables["liquidations"]
    assert np.diff(table["time"].to_numpy()).tolist() == [4 * HOUR] * (len(table) - 1)
    assert table["long_usd"][0].as_py() == vendors.usd("BTCUSDT_PERP.A", table["time"][0].as_py())[0]


def test_an_interval_that_is_left_out_is_no_zero(vendors):
    vendors.absent = {SINCE + 5 * HOUR}
    history = get()
    assert SINCE + 5 * HOUR not in history.tables["liquidations"]["time"].to_pylist()
    assert len(history.tables["liquidations"]) == 719


def test_what_it_has_no_more_is_a_gap(vendors):
    vendors.oldest = SINCE + 10 * 24 * HOUR
    history = get()
    (gap,) = history.gaps.itertuples()
    assert (gap.since, gap.until) == (SINCE, SINCE + 10 * 24 * HOUR)


def test_what_is_kept_is_not_asked_for_again(vendors, tmp_path):
    store = Store(tmp_path / "s")
    first = get(store=store)
    asked = len(vendors.asked)
    assert get(store=store).tables["liquidations"].equals(first.tables["liquidations"])
    assert len(vendors.asked) == asked
    assert store.read("liquidated-1h", "BTC")["long_usd"].equals(first.tables["liquidations"]["long_usd"])
    assert len(store.check()) == 0
    vendors.now += 2 * HOUR
    again = get(store=store, until=NOW + 2 * HOUR)
    assert len(again.tables["liquidations"]) == 722
    assert int(vendors.asked[-1][1]["from"]) == NOW // HOUR * 3600
    assert KEY not in "".join(path.read_bytes().decode("latin1") for path in tmp_path.rglob("*") if path.is_file())


def test_within_a_running_loop(vendors):
    history = asyncio.run(afetch("BTC", "coinalyze", KINDS, since=SINCE, until=NOW))
    assert len(history.tables["liquidations"]) == 720


# Refusals -------------------------------------------------------------------------------------------------------------


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("vendor", ["coinalyze", "coinglass"])
def test_a_key_that_is_missing(vendors, monkeypatch, vendor):
    monkeypatch.delenv(f"{vendor.upper()}_API_KEY")
    with pytest.raises(
        ValueError, match=f"{vendor} wants a key: put yours into the environment as {vendor.upper()}_API_KEY"
    ):
        get(vendor)
    assert vendors.asked == []


@pytest.mark.parametrize("vendor", ["coinalyze", "coinglass"])
def test_a_key_that_is_wrong_is_shown_nowhere(vendors, monkeypatch, vendor, caplog, capsys):
    caplog.set_level("DEBUG")
    monkeypatch.setenv(f"{vendor.upper()}_API_KEY", "wr0ng-key")
    with pytest.raises(PermissionError, match=f"refuses the key in {vendor.upper()}_API_KEY") as caught:
        get(vendor)
    assert "wr0ng-key" not in shown(caught.value) + caplog.text + "".join(capsys.readouterr())
    assert not any("wr0ng-key" in str(query) + path for path, query, _ in vendors.asked)


STRANGE = [
    ((429, {"message": "Too Many Requests"}, {"Retry-After": "3"}), None),
    ((503, "<html>", {}), None),
    ((200, "<html>maintenance</html>", {}), None),
    ((200, [{"symbol": "x"}], {}), None),
    (
        (200, {"message": f"quota of {KEY} is used up"}, {}),
        "refuses the key in COINALYZE_API_KEY: quota of \\*\\*\\* is used up",
    ),
    ((200, {"message": "symbols are wrong"}, {}), "coinalyze refuses: symbols are wrong"),
    ((400, f"bad request by {KEY}", {}), r"coinalyze refuses \(HTTP 400\): bad request by \*\*\*"),
    ((429, {}, {"Retry-After": "86400"}), "asked too often and wants 86400 s of rest"),
    ((302, "", {"Location": "http://127.0.0.1:9/"}), r"coinalyze refuses \(HTTP 302\)"),
    ((402, "", {}), r"refuses the key in COINALYZE_API_KEY \(HTTP 402\)"),
]


@pytest.mark.parametrize(("strange", "said"), STRANGE)
def test_what_asking_again_may_cure_and_what_not(vendors, strange, said):
    vendors.strange = [strange]
    if said is None:
        assert len(get().tables["liquidations"]) == 720
        return
    with pytest.raises((ValueError, OSError), match=said) as caught:
        get()
    assert KEY not in shown(caught.value)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"t": SINCE, "l": 1, "s": 1}], "t: found .*, allowed seconds"),
        ([{"t": SINCE // 1000, "l": -1, "s": 1}], "allowed USD not below 0"),
        ([{"t": SINCE // 1000 + 1, "l": 1, "s": 1}], "repeat or are no multiple of 3600000 ms"),
        ([{"t": SINCE // 1000, "l": None, "s": 1}], "coinalyze answers nonsense"),
    ],
)
def test_nonsense_is_no_data(vendors, tmp_path, rows, said):
    page = (200, [{"symbol": "BTCUSDT_PERP.A", "history": rows}], {})
    markets = (200, vendors.markets, {})
    vendors.strange = [markets, *[page] * 9]
    with pytest.raises(ValueError, match=said):
        get(symbol="BTCUSDT_PERP.A", store=tmp_path / "s")
    assert not list(tmp_path.rglob("*.parquet"))


def test_errors_of_coinglass_come_at_200(vendors):
    with pytest.raises(PermissionError, match="refuses the key in COINGLASS_API_KEY: The requested interval is not"):
        get("coinglass", timeframe="1m")
    vendors.strange = [(200, {"code": "50001", "msg": "Too Many Requests"}, {})]
    assert len(get("coinglass").tables["liquidations"]) == 720
    vendors.strange = [(200, {"code": "30001", "msg": "no such coin"}, {})]
    with pytest.raises(ValueError, match=r"coinglass refuses: no such coin \(code 30001\)"):
        get("coinglass")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"symbol": "NOSUCH"}, "symbol: found 'NOSUCH', and coinalyze has no perpetual of NOSUCH"),
        ({"timeframe": "8h"}, "timeframe: found '8h', allowed of coinalyze 1m"),
        ({"market": "spot"}, "market and archive are for exchanges"),
        ({"since": "soon"}, "since: found 'soon'"),
    ],
)
def test_what_is_not_allowed(vendors, more, said):
    with pytest.raises(ValueError, match=said):
        get(**more)
    with pytest.raises(ValueError, match="kinds: found trades, allowed of coinalyze liquidations alone"):
        fetch("BTC", "coinalyze", "trades", since=SINCE)


def test_a_vendor_that_is_gone(vendors, monkeypatch):
    monkeypatch.setattr(coinalyze, "URL", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match="coinalyze does not answer: ConnectionError") as caught:
        get()
    assert KEY not in shown(caught.value)


@pytest.mark.slow
def test_risk_of_a_market_by_what_a_vendor_saw(monkeypatch, tmp_path):
    now = time.time_ns() // 1_000_000
    days = 70
    start = now // HOUR * HOUR - days * 24 * HOUR
    tape = make(9000, hours=days * 24, start=start, hole=False)
    tape = replace(tape, price=np.round(60_000.0 * (tape.price / 60_000.0) ** 30, 1))  # which moves
    with serving_vendors(now) as made, serving(tape) as server:
        led_here(monkeypatch, made)
        server.now, made.scale = now, 1e-3
        monkeypatch.setitem(client._SHARED, "binance", server.instance("binance"))
        said = said_here("risk", "BTC-USDT", "--exchange", "binance", "--observed", "coinalyze", cwd=tmp_path)
    assert said.code == 0, said.stderr
    assert said.stdout.startswith("BTC-USDT binance: as of ")
    assert "moves of 30 days" in said.stdout
    asked = {query["symbols"] for path, query, _ in made.asked if path == "/liquidation-history"}
    assert asked == {",".join(sorted(names(made, "A")))}
    assert KEY not in said.stdout + said.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["liquidator-risk-BTC-USDT-binance.html"]
