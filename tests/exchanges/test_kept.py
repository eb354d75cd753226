"""What a store keeps is not fetched again; an interrupted fetch goes on; two at once lose and double nothing."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from venue_server import Fault, Loopback, serving
from venue_tape import HOUR, MINUTE, START, make

from liquidator_integrations.exchanges import fetch
from liquidator_integrations.store import Store, layout, parquet
from liquidator_integrations.store.kinds import key_of
from liquidator_integrations.store.layout import Span

DAY = 24 * HOUR
PATHS = {
    "binance": "aggTrades",
    "okx": "history-trades",
    "kraken": "/Trades",
    "coinbase": "/ticker",
    "bybit": "recent-trade",
}


DATA = {
    "binance": ("aggTrades", "klines"),
    "okx": ("history-trades", "candles"),
    "kraken": ("/Trades", "/OHLC"),
    "coinbase": ("/ticker", "/candles"),
    "bybit": ("recent-trade", "/kline"),
}


def day_of(server: Loopback, venue: str, store: Any, kinds: Any = ("trades",), **more: Any) -> Any:
    wanted = {"since": START, "until": START + DAY, **more}
    return fetch("BTC", server.instance(venue), kinds, store=store, **wanted)


@pytest.fixture(scope="module")
def small():
    with serving(make(5000)) as made:
        made.now = START + 2 * DAY
        yield made


@pytest.fixture(autouse=True)
def as_it_was(request):
    if "small" in request.fixturenames:
        server = request.getfixturevalue("small")
        server.log.clear()
        server.faults = []


def same(one: Any, two: Any) -> bool:
    tables = all(one.tables[kind].to_pandas().equals(table.to_pandas()) for kind, table in two.tables.items())
    return tables and one.coverage.equals(two.coverage) and one.gaps.equals(two.gaps)


@pytest.mark.parametrize(("venue", "kind"), [("kraken", "trades"), ("binance", "trades"), ("okx", "candles")])
def test_holes_that_lie_near_are_filled_by_one_request(small, tmp_path, venue, kind):
    whole = day_of(small, venue, None, (kind,))
    place = layout.folder(layout.open_root(tmp_path), venue, whole.symbol, "candles-1m" if kind == "candles" else kind)
    proof = "count" if kind == "candles" else "ids"
    first = int(small.tape.time[0]) // MINUTE * MINUTE + 2 * HOUR
    holes = [(first + MINUTE * at, first + MINUTE * (at + 1)) for at in range(0, 80, 8)]
    spans = [
        Span(*span, proof) for span in layout.without([(START, START + DAY)], [Span(*one, "none") for one in holes])
    ]
    parquet.add(place, whole.tables[kind].replace_schema_metadata(None), spans, key_of(kind))
    small.log.clear()
    filled = day_of(small, venue, tmp_path, (kind,))
    assert filled.tables[kind].to_pandas().equals(whole.tables[kind].to_pandas())
    assert len(small.asked(PATHS[venue] if kind == "trades" else DATA[venue][1])) <= 4  # alone ten or more


class Enough(KeyboardInterrupt):
    pass


@pytest.mark.parametrize("pages", [3, *(pytest.param(pages, marks=pytest.mark.slow) for pages in (1, 2, 4, 5))])
@pytest.mark.parametrize("venue", ["binance", "okx", "kraken", "coinbase"])
def test_a_fetch_that_was_interrupted_goes_on_where_it_was(small, tmp_path, venue, pages):
    whole = day_of(small, venue, None)
    full = len(small.asked(PATHS[venue]))
    small.log.clear()

    def stop(what: str, done: int, total: int) -> None:
        heard.append(done)
        if len(heard) == pages:
            raise Enough

    heard: list[int] = []
    with pytest.raises(Enough):
        day_of(small, venue, tmp_path / "store", progress=stop)
    begun = len(small.asked(PATHS[venue]))
    assert begun < full
    small.log.clear()
    assert same(day_of(small, venue, tmp_path / "store"), whole)
    assert len(small.asked(PATHS[venue])) <= full - begun + 4  # to find the place again, and the end


@pytest.mark.parametrize("venue", ["binance", pytest.param("okx", marks=pytest.mark.slow), "kraken", "coinbase"])
def test_a_fetch_that_failed_goes_on_where_it_was(small, tmp_path, venue):
    whole = day_of(small, venue, None)
    small.faults = [Fault(PATHS[venue], 502, 99, 4)]
    with pytest.raises(ConnectionError):
        day_of(small, venue, tmp_path / "store")
    small.faults = []
    assert same(day_of(small, venue, tmp_path / "store"), whole)


@pytest.mark.parametrize("venue", ["binance", "okx", "kraken", "coinbase", "bybit"])
def test_what_is_kept_is_not_fetched_again(small, tmp_path, venue):
    kinds = ("trades", "candles") if venue != "bybit" else ("candles",)
    first = -(-int(small.tape.time[0]) // MINUTE) * MINUTE
    span = {"since": first, "until": START + 20 * HOUR}
    one = day_of(small, venue, tmp_path / "store", kinds, **span)
    asked = len(small.log)
    two = day_of(small, venue, tmp_path / "store", kinds, **span)
    assert not [one for one in small.log[asked:] if any(word in one[0] for word in DATA[venue])]
    assert same(one, two)
    assert same(day_of(small, venue, None, kinds, **span), one)


def test_a_span_that_grows_asks_for_the_rest_alone(small, tmp_path):
    day_of(small, "binance", tmp_path / "s", since=START + 6 * HOUR, until=START + 14 * HOUR)
    small.log.clear()
    history = day_of(small, "binance", tmp_path / "s")
    assert same(history, day_of(small, "binance", None))
    assert set(history.coverage["status"]) == {"complete"}
    first, last = (small.tape.id[small.tape.between(START + 6 * HOUR, START + 14 * HOUR)[place]] for place in (0, -1))
    asked = [int(params["fromId"]) for params in small.asked("aggTrades") if "fromId" in params]
    inside = [number for number in asked[: len(asked) // 2] if first + 1000 < number < last - 1000]
    assert inside == []


def test_nothing_is_kept_that_may_still_grow(small, tmp_path):
    """A fetch up to now: what the venue shows a moment later must not be taken for known."""
    small_tape = small.tape
    cut = small_tape.only(small_tape.time < START + 12 * HOUR + 60_000)
    small.tape, small.now, small.date = cut, START + 13 * HOUR, START + 13 * HOUR
    try:
        day_of(small, "binance", tmp_path / "s", until=START + 13 * HOUR)
    finally:
        small.tape, small.now, small.date = small_tape, START + 2 * DAY, None
    later = day_of(small, "binance", tmp_path / "s", until=START + 13 * HOUR)
    assert len(later.tables["trades"]) == len(small.tape.between(START, START + 13 * HOUR))
    assert set(later.coverage["status"]) == {"complete"}


def test_gaps_are_asked_for_again(small, tmp_path):
    tape = small.tape
    holed = tape.only((tape.id < tape.id[2000]) | (tape.id >= tape.id[2050]))
    small.tape = holed
    try:
        before = day_of(small, "binance", tmp_path / "s")
    finally:
        small.tape = tape
    assert before.gaps["missing"].tolist() == [50]
    after = day_of(small, "binance", tmp_path / "s")
    assert len(after.gaps) == 0
    assert same(after, day_of(small, "binance", None))


def test_without_a_store_nothing_is_read_or_written(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    day_of(small, "binance", None)
    assert list(tmp_path.iterdir()) == []


def test_files_hold_the_tables_and_the_time_of_writing(small, tmp_path):
    history = day_of(small, "binance", tmp_path / "s", ("trades", "candles", "funding", "open_interest"))
    folder = tmp_path / "s" / "binance" / "BTC%2FUSDT%3AUSDT"
    assert sorted(path.name for path in folder.iterdir()) == ["candles-1m", "funding", "open_interest", "trades"]
    files = sorted((folder / "trades").glob("*.parquet"))
    table = pa.concat_tables([pq.read_table(path) for path in files])
    assert table["written"].null_count == 0
    assert table["id"].cast(pa.string()).to_pylist() == history.tables["trades"]["id"].to_pylist()


def _fetch_into(port: int, store: str, name: str) -> None:
    server = Loopback(make(10))
    server.port = port
    fetch("BTC", server.instance(name), ("trades", "candles"), since=START, until=START + DAY, store=store)


@pytest.mark.parametrize("venue", ["binance", pytest.param("coinbase", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_two_processes_at_one_store(small, tmp_path, venue):
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_fetch_into, args=(small.port, str(tmp_path / "s"), venue)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    files = sorted((tmp_path / "s" / venue).glob("*/trades/*.parquet"))
    ids = [one for path in files for one in pq.read_table(path)["id"].cast(pa.string()).to_pylist()]
    assert ids == [str(number) for number in small.tape.id]  # missing 0, doubled 0
    assert same(day_of(small, venue, tmp_path / "s"), day_of(small, venue, None))


KILLED = """
import sys
sys.path[:0] = [sys.argv[3]]
from test_kept import _fetch_into
print("go", flush=True)
_fetch_into(int(sys.argv[1]), sys.argv[2], "okx")
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.05, 0.2, 0.4, 0.8])
def test_a_fetch_that_is_killed_goes_on(small, tmp_path, after):
    whole = day_of(small, "okx", None)
    here = str(Path(__file__).parent)
    environment_path = str(Path(__file__).parent.parent / "helpers")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(small.port), str(tmp_path / "s"), here],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": environment_path},
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert same(day_of(small, "okx", tmp_path / "s"), whole)


def test_a_disk_that_fills_is_an_error_that_names_it(small, tmp_path, monkeypatch):
    script = (
        "import resource, sys; sys.path[:0] = [sys.argv[3]]\n"
        "from test_kept import _fetch_into\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "try:\n    _fetch_into(int(sys.argv[1]), sys.argv[2], 'binance')\n"
        "except OSError as error:\n    print(type(error).__name__, error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent / "helpers")}
    command = [sys.executable, "-c", script, str(small.port), str(tmp_path / "s"), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.startswith("OSError"), done.stdout + done.stderr
    assert not list((tmp_path / "s").rglob("*.part"))
    assert same(day_of(small, "binance", tmp_path / "s"), day_of(small, "binance", None))


def test_a_store_is_as_good_as_its_folder(small, tmp_path):
    store = Store(tmp_path / "s")
    history = day_of(small, "binance", store)
    assert same(day_of(small, "binance", tmp_path / "s"), history)
    assert store.read("trades", "BTC")["id"].equals(history.tables["trades"]["id"])
    assert store.coverage()["status"].tolist() == history.coverage["status"].tolist()
    assert len(store.check()) == len(history.gaps) == 0
    store.compact()
    asked = len(small.asked("aggTrades"))
    assert same(day_of(small, "binance", store), history)
    assert len(small.asked("aggTrades")) == asked


def test_a_store_that_is_none_is_refused_before_anything_is_asked(small, tmp_path):
    (tmp_path / "layout.json").write_text('{"layout": 99}')
    with pytest.raises(ValueError, match="a store of layout 99"):
        day_of(small, "binance", tmp_path)
    assert small.log == []
