"""An archive on loopback: whole days and months from it, what is wrong named, kept and repaired by REST."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import said_here
from venue_server import Fault, Loopback, serving
from venue_tape import HOUR, Tape, make
from venue_wire import open_interest
from vision_files import (
    AGG_DEFECTS,
    DAY,
    HEAD,
    START,
    Defect,
    agg_file,
    checksum,
    kline_lines,
    metric_lines,
    zipped,
)

from liquidator_integrations.exchanges import archive, client, download, fetch
from liquidator_integrations.store import Store
from liquidator_integrations.store.layout import day_name

DAYS = 3
UM = "data/futures/um"
AGG = f"{UM}/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades"


@pytest.fixture(scope="module")
def served():
    tape = make(3000, hours=24 * DAYS, start=START, hole=False)
    with serving(tape) as made:
        made.now = START + (DAYS + 1) * DAY
        yield made


@pytest.fixture(autouse=True)
def fresh(served, monkeypatch):
    served.log.clear()
    served.faults, served.files = [], {}
    monkeypatch.setattr(download, "_WAIT", 0.001)


def part(tape: Tape, since: int, until: int) -> Tape:
    return tape.only((tape.time >= since) & (tape.time < until))


def put(server: Loopback, path: str, data: bytes, check: bytes | None = None) -> None:
    server.files[f"{path}.zip"] = data
    server.files[f"{path}.zip.CHECKSUM"] = check or checksum(data, path.rpartition("/")[2] + ".zip")


def put_days(server: Loopback, defect: Defect | None = None, which: int = 1) -> None:
    """Days of aggTrades, one of them with something wrong."""
    for day in range(DAYS):
        since = START + day * DAY
        stem = f"BTCUSDT-aggTrades-{day_name(since)}"
        wrong = defect if day == which else None
        put(server, f"{AGG}-{day_name(since)}", *agg_file(wrong, part(server.tape, since, since + DAY), stem))


def get(server: Loopback, kinds: Any = ("trades",), from_archive: bool = True, **more: Any) -> Any:
    span = {"since": START, "until": START + DAYS * DAY, **more}
    return fetch("BTC", server.instance("binance"), kinds, archive=from_archive, **span)


def test_days_of_an_archive_are_those_of_rest(served):
    put_days(served)
    history = get(served)
    rest = [path for path, *_ in served.log if "aggTrades" in path and "archive" not in path]
    assert history.tables["trades"].equals(get(served, from_archive=False).tables["trades"])
    assert set(history.coverage["status"]) <= {"complete", "unproven"}
    assert len(history.gaps) == len(history.defects) == 0
    assert rest == []


@pytest.mark.parametrize("name", AGG_DEFECTS)
def test_every_defect_is_named_kept_and_repaired(served, tmp_path, name):
    defect = AGG_DEFECTS[name]
    said = defect.said.replace("2025-06-02", "2025-06-03")
    if name == "zip bomb":
        defect = Defect(said, data=defect.data)
        said = "holds 'BTCUSDT-aggTrades-2025-06-02.csv'"  # its member has another day's name
    put_days(served, defect)
    history = get(served, store=tmp_path / "s")
    (row,) = history.defects.itertuples()
    assert row.file == f"{AGG}-2025-06-03.zip"
    assert said in row.problem
    assert Path(row.kept).read_bytes() == served.files[row.file]
    assert Path(row.kept).parent.name == "bad"
    assert history.tables["trades"]["id"].to_pylist() == [str(one) for one in served.tape.id]
    assert len(history.gaps) == 0
    store = Store(tmp_path / "s")
    assert store.read("trades", "BTC")["id"].to_pylist() == [str(one) for one in served.tape.id]
    assert len(store.check()) == 0


def test_a_day_that_is_not_there_comes_by_rest(served):
    put_days(served)
    for path in list(served.files):
        if "06-03" in path:
            del served.files[path]
    history = get(served)
    assert history.tables["trades"]["id"].to_pylist() == [str(one) for one in served.tape.id]
    assert len(history.gaps) == len(history.defects) == 0
    assert served.asked("aggTrades")


def test_a_file_that_is_refused_is_named_and_comes_by_rest(served):
    put_days(served)
    served.faults = [Fault("2025-06-03", 403, 1)]
    history = get(served)
    assert history.tables["trades"]["id"].to_pylist() == [str(one) for one in served.tape.id]
    assert history.defects["file"].tolist() == [f"{AGG}-2025-06-03.zip"]
    assert history.defects["problem"].str.endswith("2025-06-03.zip: refuses (HTTP 403)").tolist() == [True]


def test_a_file_that_does_not_say_its_length_is_cut_off(tmp_path, monkeypatch):
    class Endless:
        status_code, headers = 200, {}

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: Any) -> None:
            pass

        def iter_content(self, size: int) -> Any:
            return iter(lambda: b"0" * size, b"")

    monkeypatch.setattr("requests.get", lambda *_, **__: Endless())
    assert download._get(None, "http://x", tmp_path / "file", 5_000_000) is False
    assert not (tmp_path / "file").exists()


def test_a_file_without_a_checksum_is_named(served):
    put_days(served)
    del served.files[f"{AGG}-2025-06-03.zip.CHECKSUM"]
    history = get(served)
    assert history.defects["problem"].tolist() == ["has no CHECKSUM"]
    assert history.defects["kept"].tolist() == [""]


def test_what_neither_has_is_a_gap(served):
    put_days(served, AGG_DEFECTS["hole"])
    whole = served.tape
    served.tape = part(whole, START, START + DAY)  # REST has forgotten the later days
    try:
        history = get(served)
    finally:
        served.tape = whole
    (gap,) = history.gaps.itertuples()
    assert gap.missing == 100
    assert history.coverage["status"].tolist()[1] == "gap"


def test_candles_with_a_hole_are_repaired(served):
    first = served.tape.time[0] // 60_000 * 60_000
    for day in range(DAYS):
        since = START + day * DAY
        lines = kline_lines(served.tape, since)
        lines = lines[:200] + lines[300:] if day == 1 else lines
        stem = f"BTCUSDT-1m-{day_name(since)}"
        put(served, f"{UM}/daily/klines/BTCUSDT/1m/{stem}", zipped(stem, lines, HEAD["1m"] if day else None))
    history = get(served, "candles", since=int(first))
    assert history.tables["candles"].equals(get(served, "candles", False, since=int(first)).tables["candles"])
    assert history.coverage["status"].tolist() == ["complete"] * DAYS
    assert history.defects["problem"].tolist()[-1] == "100 candles are missing"


def test_a_month_in_one_file_and_where_it_is_bad_by_days():
    start, until = START - DAY, START + 29 * DAY  # June 2025
    tape = make(900, hours=24 * 30, start=start, hole=False)
    with serving(tape) as server:
        server.now = until + DAY
        stem = "BTCUSDT-aggTrades-2025-06"
        path = f"{UM}/monthly/aggTrades/BTCUSDT/{stem}"
        put(server, path, *agg_file(None, tape, stem))
        history = get(server, since=start, until=until)
        assert history.tables["trades"]["id"].to_pylist() == [str(one) for one in tape.id]
        assert len([path for path, *_ in server.log if "exchangeInfo" not in path]) == 2  # the file and its CHECKSUM
        put(server, path, *agg_file(AGG_DEFECTS["cut zip"], tape, stem))
        for day in range(30):
            since = start + day * DAY
            stem = f"BTCUSDT-aggTrades-{day_name(since)}"
            put(server, f"{AGG}-{day_name(since)}", *agg_file(None, part(tape, since, since + DAY), stem))
        history = get(server, since=start, until=until)
        assert history.tables["trades"]["id"].to_pylist() == [str(one) for one in tape.id]
        assert "is no whole archive" in history.defects["problem"][0]
        assert not [path for path, *_ in server.log if "aggTrades" in path and "archive" not in path]


def test_a_month_of_too_many_trades_comes_by_days(served, monkeypatch):
    monkeypatch.setattr(archive, "_LARGEST_MONTH", 1000)
    stem = "BTCUSDT-aggTrades-2025-06"
    put(served, f"{UM}/monthly/aggTrades/BTCUSDT/{stem}", *agg_file(None, served.tape, stem))
    put_days(served)
    history = get(served, since=START - DAY, until=START + 29 * DAY)
    assert len(history.tables["trades"]) == len(served.tape)
    asked = [path for path, *_ in served.log if path.endswith(".zip")]
    assert len([path for path in asked if "daily" in path]) == 30


def test_funding_comes_by_month(served):
    stem = "BTCUSDT-fundingRate-2025-06"
    rates = [f"{START + n * 8 * HOUR},8,0.000{n}" for n in range(1, 10)]
    put(served, f"{UM}/monthly/fundingRate/BTCUSDT/{stem}", zipped(stem, rates, HEAD["fundingRate"]))
    table = get(served, "funding").tables["funding"]
    assert table["funding_rate"].to_pylist() == [float(f"0.000{n}") for n in range(1, 9)]


def test_coin_margined_open_interest_is_that_of_rest(served):
    times = range(START + 300_000, START + DAY + 1, 300_000)
    rows = [(time, f"{open_interest(time):.3f}", f"{open_interest(time) * 600:.0f}") for time in times]
    lines = [f"{np.datetime64(time, 'ms')},BTCUSD_PERP,{count},{coins}" for time, coins, count in rows]
    lines = [line.replace("T", " ", 1).replace(".000,", ",", 1) for line in lines]
    stem = "BTCUSD_PERP-metrics-2025-06-02"
    head = ",".join(HEAD["metrics"].split(",")[:4])
    put(served, f"data/futures/cm/daily/metrics/BTCUSD_PERP/{stem}", zipped(stem, lines, head))
    span = {"market": "inverse", "since": START + 300_000, "until": START + DAY}
    history = get(served, "open_interest", **span)
    assert [path for path, *_ in served.log if "openInterestHist" in path] == []
    assert len(history.defects) == 0
    table = history.tables["open_interest"]
    assert len(table) == 287
    assert table.equals(get(served, "open_interest", from_archive=False, **span).tables["open_interest"])
    assert table["usd"][0].as_py() == float(rows[0][2]) * 100


@pytest.mark.parametrize(("stamped", "said"), [(0, []), (1, ["+5 min"]), (2, ["+10 min"])])
def test_open_interest_that_is_stamped_early_is_placed(served, stamped, said):
    day = START + DAY
    lines = kline_lines(served.tape, day, step=5 * 60_000)
    close = {int(line.split(",")[0]) + 300_000: float(line.split(",")[4]) for line in lines}
    times = [time for time in sorted(close) if time + stamped * 300_000 in close]
    metrics = metric_lines(times, [close[time + stamped * 300_000] for time in times])
    put(served, f"{UM}/daily/klines/BTCUSDT/5m/BTCUSDT-5m-2025-06-03", zipped("BTCUSDT-5m-2025-06-03", lines, None))
    stem = "BTCUSDT-metrics-2025-06-03"
    put(served, f"{UM}/daily/metrics/BTCUSDT/{stem}", zipped(stem, metrics, HEAD["metrics"]))
    history = get(served, "open_interest", since=day, until=day + DAY)
    table = history.tables["open_interest"]
    seen = dict(
        zip(
            table["time"].to_pylist(),
            (table["usd"].to_numpy() / table["open_interest"].to_numpy()).tolist(),
            strict=True,
        )
    )
    placed = [abs(price / close[time] - 1) < 1e-9 for time, price in seen.items() if time in close and time != day]
    assert sum(placed) > 280  # but for what REST has, which knows another price
    told = [problem for problem in history.defects["problem"] if "from their stamps" in problem]
    assert [one.split("its readings are of ")[1] for one in told] == [
        f"{one} from their stamps: placed there" for one in said
    ]


def test_a_server_that_stumbles_is_asked_again(served):
    put_days(served)
    served.faults = [Fault("archive/data", 503, 2), Fault("06-04.zip", "drop", 1)]
    assert get(served).tables["trades"].num_rows == len(served.tape)


def test_a_server_that_is_down_is_an_error_and_leaves_nothing_half_written(served, tmp_path):
    put_days(served)
    served.faults = [Fault("06-04.zip", 503, 99)]
    with pytest.raises(ConnectionError, match=r"BTCUSDT-aggTrades-2025-06-04\.zip: HTTP 503"):
        get(served, store=tmp_path / "s")
    store = Store(tmp_path / "s")
    assert store.read("trades", "BTC", until=START + 2 * DAY)["time"].to_pylist()
    assert not list(tmp_path.rglob("*.part"))
    served.faults = []
    assert get(served, store=store).tables["trades"].num_rows == len(served.tape)
    assert len(store.check()) == 0


def test_the_command_names_what_is_wrong(served, monkeypatch, tmp_path):
    monkeypatch.setitem(client._SHARED, "binance", served.instance("binance"))
    put_days(served, AGG_DEFECTS["negative price"])
    words = ("fetch", "BTC", "--exchange", "binance", "--since", "2025-06-02", "--until", "2025-06-05")
    said = said_here(*words, "--kinds", "trades", "--archive", "--store", "kept", cwd=tmp_path)
    assert said.code == 0, said.stderr
    assert "2025-06-03.zip: row 7: price is none" in said.stdout
    assert "the original is kept/" in said.stdout
