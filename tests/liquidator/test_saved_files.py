"""What comes back from a file: the same, or a ValueError, whatever was done to the file."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile

import made_bars
import numpy as np
import pytest

from liquidator_core import TRADE
from liquidator_core.layout import SCHEMA
from liquidator_integrations import Liquidator
from liquidator_integrations.liquidator import liquidator as whole
from liquidator_integrations.liquidator import sealed
from liquidator_integrations.liquidator.ahead import DAY_MS

SMALL = made_bars.small_params(zone_bars=60, event_mult=2.0, break_atr=2.0)
OTHER = "not a file that Liquidator.save wrote, or damaged"


def filled(mode: str = "batch", length: int = 300) -> Liquidator:
    """A Liquidator with something in every array of its file."""
    trades = made_bars.random_trades(length, 3)
    trades["side"] = np.where(trades["side"] == 0, 1, trades["side"])
    made = Liquidator(params=SMALL, mode=mode, cutoff_hours=0.5, timeframe="3m", timeframes=["3m", "1h"])
    half = len(trades) // 2
    trades["time"][half:] += DAY_MS // 3
    for venue, some in (("okx", trades[:half]), ("bybit", trades[half:])):
        made.ingest_trades({name: some[name] for name in TRADE.names} | {"id": np.arange(len(some))}, venue)
        last = int(some["time"].max())
        made.ingest_liquidations([{"time": last, "side": "long", "price": 90.0, "usd": 10.0, "id": 5}], venue)
        made.ingest_funding_rates([{"time": last + 1, "funding_rate": 0.1, "open_interest": 3.0}])
    made.push({"time": last + 9 * DAY_MS, "price": 1.0, "size": 1.0, "side": "buy", "id": 7}, "okx")
    candle = made.bars()[-1:]
    candle["time"] = last // 60_000 * 60_000
    made.update_candles(candle)
    made.push({"time": last + 60_000, "price": 90.0, "size": 1.0, "side": "buy", "id": 8}, "okx")
    made.compute_multi_timeframe_zones()
    return made


@pytest.fixture(scope="module", params=["batch", "streaming"])
def saved(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param) / "saved"
    filled(request.param).save(path)
    return path


def read(path) -> tuple[dict, dict[str, bytearray]]:
    about, parts = sealed.read_sealed(path)
    return about, {name: bytearray(part) for name, part in parts.items()}


def write(path, about: dict, parts: dict[str, bytearray]) -> None:
    """A file as ``save`` writes it, whatever it says."""
    sealed.write_sealed(path, about, {name: np.frombuffer(bytes(part), np.uint8) for name, part in parts.items()})


def refused(path) -> bool:
    try:
        Liquidator.load(path)
    except ValueError as error:
        return str(error).startswith(f"{path}: ")
    return False


@pytest.mark.parametrize("mode", ["batch", "streaming"])
def test_what_comes_while_a_file_is_written_is_not_in_it(mode, tmp_path, monkeypatch):
    made = filled(mode)
    made.save(tmp_path / "before")
    write_sealed = sealed.write_sealed

    def late(*arguments):
        last = int(made.bars()["time"][-1])
        late_ones = made_bars.random_trades(100, 4)
        late_ones["side"] = 1
        late_ones["time"] += last - int(late_ones["time"][-1])
        made.ingest_trades({name: late_ones[name] for name in TRADE.names} | {"id": np.arange(100) + 900}, "kraken")
        made.ingest_liquidations([{"time": last, "side": "short", "price": 80.0, "usd": 3.0, "id": 6}], "okx")
        made.ingest_funding_rates([{"time": last, "funding_rate": 0.2, "open_interest": 4.0}])
        made.compute_multi_timeframe_zones()
        write_sealed(*arguments)

    monkeypatch.setattr(whole, "write_sealed", late)
    made.save(tmp_path / "meanwhile")
    assert (tmp_path / "meanwhile").read_bytes() == (tmp_path / "before").read_bytes()


def test_a_file_holds_everything(saved):
    about, parts = read(saved)
    filled_in = {name for name, part in parts.items() if part}
    assert filled_in >= {"rows", "runs", "liquidations", "funding_rate", "open_interest", "queue_trades"}
    assert filled_in >= {"seen_0", "queue_order", "higher 3m", "higher 1h", "tape"}
    assert filled_in >= (
        {"waiting"} if about["settings"]["mode"] == "streaming" else {"traded_runs", "ahead_trades", "candles"}
    )
    assert about["history"]["venues"] == ["okx", "bybit"]
    again = Liquidator.load(saved)
    assert again.bars().tobytes() == filled(again.mode).bars().tobytes()
    assert again.counts == filled(again.mode).counts


def test_one_flipped_bit_anywhere_is_told(saved, tmp_path):
    content, rng = saved.read_bytes(), np.random.default_rng(0)
    path = tmp_path / "flipped"
    places = np.r_[np.arange(150), rng.integers(0, len(content), 400)]
    for place in places.tolist():
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        assert refused(path), place


@pytest.mark.parametrize("length", [0, 1, 30, 60, 80, 200, -1])
def test_a_file_cut_short_or_longer_is_told(saved, tmp_path, length):
    path = tmp_path / "cut"
    path.write_bytes(saved.read_bytes()[:length])
    with pytest.raises(ValueError, match=OTHER):
        Liquidator.load(path)
    path.write_bytes(saved.read_bytes() + b"x")
    with pytest.raises(ValueError, match=OTHER):
        Liquidator.load(path)


def test_older_and_newer_files_are_refused_by_name(saved, tmp_path):
    path = tmp_path / "other"
    content = saved.read_bytes()
    path.write_bytes(content.replace(b"schema %d\n" % SCHEMA, b"schema %d\n" % (SCHEMA + 1), 1))
    with pytest.raises(ValueError, match=f"other: of schema {SCHEMA + 1}, this version reads schema {SCHEMA}"):
        Liquidator.load(path)
    np.savez(path.with_suffix(".npz"), about=np.zeros(3))
    with pytest.raises(ValueError, match=f"or of schema 1: this version reads schema {SCHEMA}"):
        Liquidator.load(path.with_suffix(".npz"))


def test_nothing_is_expanded(tmp_path):
    """3 MB of zip that would be 3 GB are refused by their first bytes."""
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("about.npy", "w") as part:
        for _ in range(30):
            part.write(bytes(1 << 20))
    assert refused(path)


@pytest.mark.parametrize("length", [0, 1, 2**40, 2**63])
def test_a_header_of_any_length_is_bounded_by_the_file(saved, tmp_path, length):
    content = bytearray(saved.read_bytes())
    start = content.index(b"\n") + 1
    content[start + 32 : start + 40] = struct.pack("<Q", length)
    content[start : start + 32] = hashlib.sha256(content[:start] + content[start + 32 :]).digest()
    path = tmp_path / "long"
    path.write_bytes(content)
    assert refused(path)


NUMBERS = [-1, 1, 2**31, 2**62, 2**63, 2**70, 1.5, True, None, "x", [], {}, float("nan"), 1e308]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_a_number_that_no_history_has_is_refused_or_harmless(saved, tmp_path, value):
    path = tmp_path / "crafted"
    about, parts = read(saved)
    for name in about["history"]:
        changed = {**about, "history": {**about["history"], name: value}}
        write(path, changed, parts)
        if not refused(path):
            use(path)
    for name in about:
        write(path, {**about, name: value}, parts)
        if not refused(path):
            use(path)
        write(path, {other: about[other] for other in about if other != name}, parts)
        assert refused(path)


def use(path) -> None:
    """Go on from a file in every way."""
    made = Liquidator.load(path)
    made.compute_multi_timeframe_zones()
    made.levels()
    last = max(made._history.clock, made._history.closed)
    if last < 2**52:
        row = {"time": max(last, 1_600_000_000_000), "price": 100.0, "size": 1.0, "side": "buy"}
        for i in range(3):
            made.push({**row, "time": row["time"] + i * 400_000})
        made.compute_zones()
        repr(made), made.counts


def test_crafted_arrays_are_refused_or_harmless(saved, tmp_path):
    """A right checksum over wrong records: nothing but ValueError, and nothing out of bounds later."""
    path = tmp_path / "crafted"
    about, parts = read(saved)
    rng = np.random.default_rng(1)
    accepted = 0
    odd = [0, 1, -1, 255, 2**31, 2**62, -(2**63)]
    names = [name for name, part in parts.items() if part]
    for turn in range(250):
        name = names[turn % len(names)]
        changed = bytearray(parts[name])
        place = 8 * int(rng.integers(len(changed) // 8))
        value = struct.pack("<q", odd[int(rng.integers(len(odd)))])
        changed[place : place + 8] = value if turn % 2 else rng.bytes(8)
        write(path, about, {**parts, name: changed})
        if not refused(path):
            accepted += 1
            use(path)
    assert accepted < 200
    for name in names:
        for changed in (parts[name][:-1], parts[name][: len(parts[name]) // 2], parts[name] * 2, bytearray()):
            write(path, about, {**parts, name: changed})
            if not refused(path):
                use(path)
        write(path, about, {other: part for other, part in parts.items() if other != name})
        if not name.endswith("_order"):
            assert refused(path)
        write(path, about, {**parts, "more": bytearray(8)})
        assert refused(path)


@pytest.mark.parametrize("header", ["[]", "[" * 5000, "1e999", '{"about": {}}', '{"about": [], "arrays": 3}', "\udcff"])
def test_a_crafted_header_is_refused(saved, tmp_path, header, monkeypatch):
    path = tmp_path / "crafted"
    monkeypatch.setattr(json, "dumps", lambda _: header.encode("utf-8", "surrogateescape").decode("latin1"))
    sealed.write_sealed(path, {}, {})
    monkeypatch.undo()
    assert refused(path)
