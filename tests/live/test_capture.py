"""What a stream captures says what it covers, and no more: connections, rows for which there was no room, days."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from liquidator_integrations.live import capture as capturing
from liquidator_integrations.live.capture import Capture
from liquidator_integrations.live.channel import Channel, Gap, Mark
from liquidator_integrations.live.said import Row
from liquidator_integrations.store import Store, journal, parquet
from liquidator_integrations.store.kinds import table_of
from liquidator_integrations.store.layout import DAY_MS, Span, folder

pytest.importorskip("filelock")
DAY = 20_240 * DAY_MS
FEEDS = ("liquidations", "funding", "open_interest")


def opened(root: Path) -> tuple[Capture, Channel]:
    made = Capture(root)
    channel = Channel("binance", {"symbol": "BTC/USDT:USDT"}, None, True, True, "full", DAY)
    made.open(channel)
    return made, channel


def trade(made: Capture, channel: Channel, *seconds: int) -> None:
    rows = [Row(DAY + 1000 * second, 100.0, 1.0, 1, second) for second in seconds]
    made.trades(channel, rows)
    channel.last = Mark(rows[-1].time, rows[-1].id)


def told(made: Capture, channel: Channel, *seconds: int) -> None:
    for second in seconds:
        time = DAY + 1000 * second
        made.liquidation(channel, time, 100.0, 1.0, "long", 100.0)
        made.reading(channel, "funding", time, 1e-4)
        made.reading(channel, "open_interest", time, 10.0)


def spans(made: Capture, kind: str) -> list[Span]:
    return parquet.read(folder(made.root, "binance", "BTC/USDT:USDT", kind), DAY, DAY + 9 * DAY_MS)[0]


def at(since: float, until: float, proof: str) -> Span:
    return Span(DAY + int(1000 * since), DAY + int(1000 * until), proof)


def test_feeds_are_covered_from_one_end_of_a_connection_to_the_other(tmp_path):
    made, channel = opened(tmp_path)
    trade(made, channel, 0, 1, 2)
    told(made, channel, 0, 10)
    made.flush()
    told(made, channel, 20, 30)
    made.fold()
    told(made, channel, 40)
    made.broken(Gap(channel, channel.last, DAY))
    told(made, channel, 1000, 1010)
    made.close()
    for kind in FEEDS:
        assert spans(made, kind) == [at(0, 40.001, "none"), at(1000, 1010.001, "none")]
        assert len(parquet.rows(folder(made.root, "binance", "BTC/USDT:USDT", kind), kind, DAY, DAY + DAY_MS)) == 7
    assert len(Store(tmp_path).check()) == 0


def test_a_time_that_is_none_is_covered_by_itself(tmp_path):
    made, channel = opened(tmp_path)
    told(made, channel, 0, 10, 8 * 86_400, 20, 30)
    made.close()
    for kind in FEEDS:
        far = 8 * 86_400
        assert spans(made, kind) == [at(0, 10.001, "none"), at(20, 30.001, "none"), at(far, far + 0.001, "none")]


def test_a_fold_touches_the_days_that_it_has_rows_of(tmp_path):
    made, channel = opened(tmp_path)
    trade(made, channel, 0, 100)
    made.fold()
    trade(made, channel, 86_400, 90_000)
    made.fold()
    first = folder(made.root, "binance", "BTC/USDT:USDT", "trades") / "2025-06-01.parquet"
    before = first.stat().st_ino
    trade(made, channel, 90_001, 90_002)
    made.close()
    assert first.stat().st_ino == before  # not written anew
    assert spans(made, "trades") == [at(0, 90_002, "ids"), at(90_002, 90_002.001, "none")]


def test_rows_without_room_are_not_covered(tmp_path, monkeypatch):
    monkeypatch.setattr(capturing, "_MOST", 4)
    made, channel = opened(tmp_path)
    trade(made, channel, 0, 1, 2, 3)
    trade(made, channel, 4, 5)
    made.flush()
    trade(made, channel, 6, 7)
    made.close()
    assert channel.counts["dropped"] == 2
    assert spans(made, "trades") == [at(0, 4, "ids"), at(6, 7, "ids"), at(7, 7.001, "none")]


def test_what_is_covered_is_told_again_after_a_full_disk(tmp_path, monkeypatch):
    made, channel = opened(tmp_path)
    trade(made, channel, 0, 1, 2)
    made.broken(Gap(channel, channel.last, DAY, Mark(DAY + 9000, 9)))
    trade(made, channel, 9, 10)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(journal.Journal, "append", full)
        made.flush()
    made.close()
    assert spans(made, "trades") == [at(0, 2, "ids"), at(2, 2.001, "none"), at(9, 10, "ids"), at(10, 10.001, "none")]


def test_a_new_day_folds_as_early_as_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(capturing, "_FOLD_ROWS", 5)
    made, channel = opened(tmp_path)
    trade(made, channel, *range(100))
    made.flush()
    folded: list[str] = []
    real = journal.fold
    monkeypatch.setattr(journal, "fold", lambda path, key: (folded.append(path.parent.name), real(path, key)))
    made.fold_due()
    assert folded == ["trades"]
    folded.clear()
    trade(made, channel, *range(100, 110))
    told(made, channel, *range(100, 106))
    made.flush()
    made.fold_due()
    assert sorted(folded) == sorted(FEEDS)
    trade(made, channel, *range(86_400, 86_406))
    made.flush()
    made.fold_due()
    assert folded[-1:] == ["trades"]
    made.close()


def full(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


def kept(made: Capture) -> list[int]:
    place = folder(made.root, "binance", "BTC/USDT:USDT", "trades")
    return [int(one) for one in parquet.rows(place, "trades", 0, 9 * DAY)["id"].to_pylist()]


def test_a_fold_that_fails_is_tried_again_and_told_until_then(tmp_path, monkeypatch):
    monkeypatch.setattr(capturing, "_FOLD_ROWS", 5)
    made, channel = opened(tmp_path)
    trade(made, channel, *range(10))
    made.flush()
    with monkeypatch.context() as patched:
        patched.setattr(parquet, "add", full)
        for _ in range(3):
            with pytest.raises(OSError, match="No space left"):
                made.fold_due()
        trade(made, channel, *range(10, 12))
        made.flush()
        assert "No space left" in str(made.error_of(channel))
    made.fold_due()
    assert made.error_of(channel) is None
    assert kept(made) == list(range(10))
    made.close()
    assert kept(made) == list(range(12))
    assert not list(tmp_path.rglob("*.arrows"))


@pytest.mark.parametrize("again", [False, True])
def test_a_journal_that_cannot_be_ended_is_not_written_over_and_ended_later(tmp_path, monkeypatch, again):
    monkeypatch.setattr(capturing, "_FOLD_ROWS", 5)
    made, channel = opened(tmp_path)
    trade(made, channel, *range(10))
    made.flush()
    with monkeypatch.context() as patched:
        patched.setattr(journal.os, "truncate", full)
        with pytest.raises(OSError, match="No space left"):
            made.fold_due()
        assert "No space left" in str(made.error_of(channel))
    if again:
        made.fold_due()
        assert made.error_of(channel) is None
        assert kept(made) == list(range(10))
    trade(made, channel, *range(10, 20))
    made.flush()
    made.close()
    assert made.error_of(channel) is None
    assert kept(made) == list(range(20))


def test_the_others_are_folded_while_one_journal_cannot_be_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(capturing, "_FOLD_ROWS", 5)
    made, channel = opened(tmp_path)
    other = Channel("bybit", {"symbol": "BTC/USDT:USDT"}, None, True, True, "full", DAY)
    made.open(other)
    for one in (channel, other):
        trade(made, one, *range(6))
    made.flush()
    rotate = journal.Journal.rotate

    def stuck(one: journal.Journal) -> list[Path]:
        if "binance" in str(one._place):
            raise PermissionError(13, "Permission denied")
        return rotate(one)

    with monkeypatch.context() as patched:
        patched.setattr(journal.Journal, "rotate", stuck)
        for _ in range(4):
            with pytest.raises(OSError, match="Permission denied"):
                made.fold_due()
            assert "Permission denied" in str(made.error_of(channel))
        assert made.error_of(other) is None
        assert len(parquet.rows(folder(made.root, "bybit", "BTC/USDT:USDT", "trades"), "trades", DAY, 2 * DAY)) == 6
    made.fold_due()
    assert made.error_of(channel) is None
    assert kept(made) == list(range(6))
    made.close()


def test_nothing_is_changed_while_another_thread_reads_it(tmp_path, monkeypatch):
    made = Capture(tmp_path)

    class Owned(dict[Any, Any]):
        def __setitem__(self, key: Any, value: Any) -> None:
            assert made._lock._is_owned()
            super().__setitem__(key, value)

        def __delitem__(self, key: Any) -> None:
            assert made._lock._is_owned()
            super().__delitem__(key)

    for name in ("_journals", "_rows", "_receipts", "_channels", "_ended", "_errors"):
        monkeypatch.setattr(made, name, Owned())
    channel = Channel("binance", {"symbol": "BTC/USDT:USDT"}, None, True, True, "full", DAY)
    made.open(channel)
    trade(made, channel, *range(10))
    made.freeze()
    with monkeypatch.context() as patched:
        patched.setattr(parquet, "add", full)
        with pytest.raises(OSError, match="No space left"):
            made.fold_ended()
    made.thaw()
    made.fold()
    made.close()
    assert kept(made) == list(range(10))


def test_a_store_that_was_closed_without_room_says_so_whenever_it_is_wanted(tmp_path, monkeypatch):
    made, channel = opened(tmp_path)
    trade(made, channel, 0, 1)
    monkeypatch.setattr(journal.Journal, "append", full)
    for wanting in (made.close, made.fold, made.freeze, made.close):
        with pytest.raises(OSError, match=r"could not be written"):
            wanting()
    assert "closed" in str(made.error_of(channel))


def test_it_is_not_closed_while_others_want_the_files_as_they_are(tmp_path):
    made, channel = opened(tmp_path)
    trade(made, channel, 0, 1)
    made.freeze()
    made.fold_ended()
    trade(made, channel, 2, 3)
    closing = threading.Thread(target=made.close)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive()
    assert kept(made) == [0, 1]
    made.fold_ended()  # nothing that this takes is held meanwhile
    made.thaw()
    closing.join()
    assert kept(made) == [0, 1, 2, 3]


def test_a_journal_that_cannot_be_begun_leaves_nothing_behind(tmp_path, monkeypatch):
    made, channel = opened(tmp_path)
    trade(made, channel, 0, 1)
    with monkeypatch.context() as patched:
        patched.setattr(journal.pa.ipc, "new_stream", full)
        for _ in range(3):
            made.flush()
        assert not list(tmp_path.rglob("*.arrows"))
        assert "No space left" in str(made.error_of(channel))
    made.close()
    assert kept(made) == [0, 1]


def test_what_cannot_be_written_is_an_error_of_who_wants_it_in_the_files(tmp_path, monkeypatch):
    made, channel = opened(tmp_path)
    trade(made, channel, *range(10))
    with monkeypatch.context() as patched:
        patched.setattr(journal.Journal, "append", full)
        for wanting in (made.freeze, made.fold):
            with pytest.raises(OSError, match="No space left"):
                wanting()
    made.fold()
    assert kept(made) == list(range(10))
    trade(made, channel, *range(10, 12))
    monkeypatch.setattr(capturing, "_FOLD_ROWS", 1)
    made.flush()
    made.fold_due()  # nothing is frozen
    assert kept(made) == list(range(12))
    made.close()


def test_a_store_that_cannot_be_folded_is_let_go_of_and_folded_by_the_next(tmp_path, monkeypatch):
    made, channel = opened(tmp_path)
    trade(made, channel, *range(10))
    with monkeypatch.context() as patched:
        patched.setattr(parquet, "add", full)
        with pytest.raises(OSError, match="No space left"):
            made.close()
        with pytest.raises(OSError, match="No space left"):
            opened(tmp_path)
    again, _ = opened(tmp_path)
    again.close()
    assert kept(again) == list(range(10))


def test_rows_have_the_time_of_their_receipt_where_it_was_seen(tmp_path):
    made, channel = opened(tmp_path)
    rows = [Row(DAY + 1000 * second, 100.0, 1.0, 1, second) for second in range(4)]
    made.trades(channel, rows[:2], DAY + 1500)
    made.trades(channel, rows[2:])  # fetched
    made.liquidation(channel, DAY, 100.0, 1.0, "long", 100.0, DAY + 7)
    made.reading(channel, "funding", DAY, 1e-4, DAY + 8)
    made.flush()
    made.reading(channel, "open_interest", DAY, 10.0, DAY + 9)
    made.close()
    store = Store(tmp_path)
    read = {kind: store.read(kind, "BTC/USDT:USDT") for kind in ("trades", *FEEDS)}
    assert read["trades"]["received"].to_pylist() == [DAY + 1500, DAY + 1500, None, None]
    assert [read[kind]["received"].to_pylist() for kind in FEEDS] == [[DAY + 7], [DAY + 8], [DAY + 9]]
    assert all(table["written"].null_count == 0 for table in read.values())


def test_rows_that_were_kept_before_receipts_were_have_none(tmp_path):
    place = folder(Store(tmp_path).path, "binance", "BTC/USDT:USDT", "funding")
    old = table_of("funding", {"time": [DAY], "funding_rate": [1e-4]}, "binance", "BTC/USDT:USDT")
    parquet.add(place, old, [Span(DAY, DAY + 1, "none")], ("time",))
    made, channel = opened(tmp_path)
    made.reading(channel, "funding", DAY + 1000, 2e-4, DAY + 1002)
    made.close()
    assert Store(tmp_path).read("funding", "BTC/USDT:USDT")["received"].to_pylist() == [None, DAY + 1002]
