"""Files of one block are read without Arrow's threads, which may outlive the interpreter, to the same table."""

from __future__ import annotations

import gzip
import zipfile

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from liquidator_integrations.market import delimited
from liquidator_integrations.market.files import read_candles_or_trades

ROWS = 300


def text() -> bytes:
    rows = (f"{1_672_531_200_000 + n * 60_000};100.5;101;99;100;{n}.25" for n in range(ROWS))
    return "\n".join(["title", "time;open;high;low;close;volume", *rows, ""]).encode()


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.zip", "utf16.csv"])
@pytest.mark.parametrize("block", [2**20, len(text()), 500])
def test_a_text_of_any_size_is_the_same_table(tmp_path, monkeypatch, name, block):
    path, used, read = tmp_path / name, [], pa_csv.read_csv

    def look(stream: object, options: pa_csv.ReadOptions, *more: object) -> pa.Table:
        used.append(options.use_threads)
        return read(stream, options, *more)

    monkeypatch.setattr(delimited, "_BLOCK", block)
    monkeypatch.setattr(delimited.pa_csv, "read_csv", look)
    if name == "a.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.csv", text())
    else:
        path.write_bytes(
            {"a.csv.gz": gzip.compress, "utf16.csv": lambda data: data.decode().encode("utf-16")}.get(name, bytes)(
                text()
            )
        )
    _, table = read_candles_or_trades(path)
    assert table["volume"].to_pylist() == [n + 0.25 for n in range(ROWS)]
    assert used == [block == 500]


def test_what_is_wrong_is_told_alike(tmp_path, monkeypatch):
    path, told = tmp_path / "a.csv", []
    path.write_bytes(text() + b"1;2\n")
    for block in (2**20, 500):
        monkeypatch.setattr(delimited, "_BLOCK", block)
        with pytest.raises(ValueError, match="CSV parse error: Expected 6 columns, got 2: 1;2") as caught:
            read_candles_or_trades(path)
        told.append(str(caught.value))
    assert told[0] == told[1]
