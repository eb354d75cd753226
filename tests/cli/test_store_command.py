"""``liquidator fetch`` and ``liquidator store``."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import said_here
from venue_server import serving
from venue_tape import HOUR, START, make

from liquidator_integrations.exchanges import client
from liquidator_integrations.store import Store

pytest.importorskip("filelock")


@pytest.fixture(scope="module")
def server():
    with serving(make(2000)) as made:
        made.now = START + 48 * HOUR
        yield made


@pytest.fixture
def fetched(server, monkeypatch, tmp_path):
    monkeypatch.setitem(client._SHARED, "binance", server.instance("binance"))
    words = ("fetch", "BTC", "--exchange", "binance", "--since", "2025-06-02T13:00", "--until", "2025-06-03T12:00")
    said = said_here(*words, "--kinds", "trades,candles", "--store", "kept", cwd=tmp_path)
    assert said.code == 0, said.stderr
    return said


def test_fetch_says_what_came(fetched, tmp_path):
    lines = fetched.stdout.splitlines()
    assert lines[0].rstrip() == "BTC/USDT:USDT of binance"
    assert lines[3].split() == [
        "trades",
        "|",
        f"{len(Store(tmp_path / 'kept').read('trades', 'BTC')):,}",
        *["|", "2", "|", "2", "|", "0", "|", "0"],
    ]
    assert lines[4].split()[0] == "candles"
    assert lines[-1].startswith("Kept in ")


def test_a_store_is_listed_checked_and_made_smaller(fetched, tmp_path):
    listed = said_here("store", "ls", "--store", "kept", cwd=tmp_path).stdout
    assert "binance | BTC/USDT:USDT | candles-1m" in listed
    assert "2025-06-02T13:00:00" in listed
    said = said_here("store", "check", "--store", "kept", cwd=tmp_path)
    assert (said.code, "nothing is wrong" in said.stdout) == (0, True)
    assert said_here("store", "compact", "--store", "kept", cwd=tmp_path).stderr == "0 months written\n"


def test_check_exits_with_1_when_something_is_missing(fetched, tmp_path):
    place = next(place for place in Store(tmp_path / "kept").places() if place.kind == "candles-1m")
    path = place.path / "2025-06-02.parquet"
    table = pq.read_table(path)
    holed = pa.concat_tables([table.slice(0, 100), table.slice(110)])
    pq.write_table(holed, path)
    said = said_here("store", "check", "--store", "kept", cwd=tmp_path)
    assert said.code == 1
    assert said.stdout.splitlines() == [
        "binance BTC/USDT:USDT candles-1m from 2025-06-02T14:39:00 UTC to 2025-06-02T14:50:00 UTC: rows are missing"
    ]
    path.write_bytes(b"PAR1")
    said = said_here("store", "check", "--store", "kept", cwd=tmp_path)
    assert (said.code, "2025-06-02.parquet: cannot be read" in said.stdout) == (1, True)


def test_files_in_and_out(fetched, tmp_path):
    said = said_here("store", "export", "candles-1h", "BTC", "data", "--store", "kept", cwd=tmp_path)
    assert said.stdout == "data/binance/futures/BTC_USDT_USDT-1h-futures.feather\n"
    said = said_here("store", "import", "data", "--store", "other", cwd=tmp_path)
    assert said.code == 0
    assert said.stdout.strip().endswith("binance BTC/USDT:USDT candles-1h: 23 of 23 rows kept")
    pq.write_table(pa.table({"a": np.arange(3)}), tmp_path / "data" / "other.parquet")
    said = said_here("store", "import", "data", "--store", "other", cwd=tmp_path)
    assert said.code == 1
    assert "other.parquet: nothing says which exchange" in said.stdout


def test_an_empty_store_says_how_to_fill_it(tmp_path):
    Store(tmp_path / "new")
    assert "holds nothing yet" in said_here("store", "ls", "--store", "new", cwd=tmp_path).stdout
    assert said_here("store", "check", "--store", "new", cwd=tmp_path).code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("store", "ls", "--store", "."), "not a store: the folder is not empty"),
        (("store", "import", "nowhere", "--store", "new"), "there is no such file or folder"),
        (("store", "check", "--store", "misspelt"), "--store misspelt: there is no such folder"),
        (("store", "export", "trades", "BTC", "x", "--store", "empty"), "there is nothing"),
        (
            ("fetch", "BTC", "--exchange", "binanse", "--since", "2025-06-02", "--store", "new"),
            "did you mean 'binance'",
        ),
        (("fetch", "BTC", "--exchange", "binance", "--since", "soon", "--store", "new"), "since: found 'soon'"),
    ],
)
def test_what_is_not_allowed_is_one_line_and_exits_2(tmp_path, words, said):
    (tmp_path / "notes.txt").write_text("mine")
    Store(tmp_path / "empty")
    done = said_here(*words, cwd=tmp_path)
    assert done.code == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("columns", [60, 120])
@pytest.mark.parametrize(
    "words", [("fetch",), ("store",), ("store", "import"), ("store", "check"), ("store", "export")]
)
def test_help_suffices(tmp_path, words, columns):
    said = said_here(*words, "--help", cwd=tmp_path, columns=columns)
    assert said.code == 0
    assert "..." not in said.stdout.replace("{SYMBOL}...", "").replace("[ARGS]...", "")
