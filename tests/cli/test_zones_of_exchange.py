"""``liquidator zones SYMBOL --exchange``: a newcomer's next command, on loopback."""

from __future__ import annotations

import json
import sys
import time

import pytest
from venue_server import serving
from venue_tape import HOUR, make

from liquidator_integrations.cli.main import main
from liquidator_integrations.exchanges import client


@pytest.fixture(scope="module")
def server():
    """A venue whose last three days end now."""
    start = time.time_ns() // 60_000_000_000 * 60_000 - 72 * HOUR
    with serving(make(9000, hours=72, start=start)) as made:
        made.now = start + 72 * HOUR + 60_000
        yield made


def call(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["liquidator", *words])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code or 0


def test_zones_of_an_exchange(server, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(client._SHARED, "binance", server.instance("binance"))
    words = ("zones", "BTC-USDT", "--exchange", "binance", "--hours", "72", "--seeds", "0")
    assert call(monkeypatch, *words) == 0
    out, err = capsys.readouterr()
    assert out.startswith("BTC-USDT binance: 4,3")
    assert "\nChart: " in out
    assert err.splitlines()[0] == "BTC-USDT on binance: BTC/USDT:USDT (linear perpetual)"
    assert [path.name for path in tmp_path.glob("*.html")] in ([], ["liquidator-BTC-USDT-binance.html"])


def test_json_of_an_exchange_with_a_store(server, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(client._SHARED, "kraken", server.instance("kraken"))
    words = ("zones", "XBT/USD", "--exchange", "kraken", "--hours", "6", "--json", "--seeds", "0", "--store", "kept")
    assert call(monkeypatch, *words) == 0
    assert json.loads(capsys.readouterr().out)
    assert (tmp_path / "kept" / "layout.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("BTC", "--exchange", "binanse"), "did you mean 'binance'"),
        (("NOSUCH", "--exchange", "binance"), "symbol: found 'NOSUCH'"),
        (("BTC", "--exchange", "binance", "--hours", "0"), "hours: found 0"),
        (("BTC", "--exchange", "binance", "--market", "swap"), "market: found 'swap'"),
        (("BTC", "--hours", "3"), "--hours and --store go with --exchange"),
        (("BTC", "--market", "inverse"), "--market: found 'inverse', allowed perpetual or spot"),
        (("BTC",), "BTC: "),
    ],
)
def test_what_is_not_allowed_is_one_line_and_exits_2(server, monkeypatch, capsys, tmp_path, words, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(client._SHARED, "binance", server.instance("binance"))
    assert call(monkeypatch, "zones", *words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_without_a_network_it_is_one_line_and_exits_2(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(client, "_FIRST_WAIT", 0.005)
    with serving(make(10)) as gone:
        monkeypatch.setitem(client._SHARED, "binance", gone.instance("binance"))
    assert call(monkeypatch, "zones", "BTC-USDT", "--exchange", "binance") == 2
    err = capsys.readouterr().err
    assert err.startswith("liquidator: binance does not answer")
    assert err.strip().endswith("is there a network?")
    assert len(err.strip().splitlines()) == 1
