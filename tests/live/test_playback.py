"""Stores as they grow old, played back: months, parts of days, days without a trade, other venues, several markets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from liquidator_integrations import Liquidator
from liquidator_integrations.live import playback, replay, resume
from liquidator_integrations.live.capture import Capture
from liquidator_integrations.live.channel import Channel
from liquidator_integrations.live.courier import Courier
from liquidator_integrations.live.limits import Limits
from liquidator_integrations.live.repair import rows_of
from liquidator_integrations.live.session import Session
from liquidator_integrations.store import Store, layout, parquet
from liquidator_integrations.store.kinds import empty, key_of, table_of
from liquidator_integrations.store.layout import DAY_MS, Span

pytest.importorskip("filelock")
DAY = 20_240 * DAY_MS  # 2025-06-01
HOUR = 3_600_000
PERPETUAL = "BTC/USDT:USDT"


def keep(
    root: Path, kind: str, rows: Any, since: int, until: int, venue: str = "binance", symbol: str = PERPETUAL
) -> None:
    table = empty(kind) if rows is None else table_of(kind, rows, venue, symbol)
    place = layout.folder(layout.open_root(root), venue, symbol, kind)
    parquet.add(place, table, [Span(since, until, "none")], key_of(kind))


def trades(since: int, until: int) -> dict[str, Any]:
    time = np.arange(since, until, HOUR)
    ids = [str(one) for one in (time // HOUR).tolist()]
    return {"time": time, "price": 100.0 + time % 7, "size": np.ones(len(time)), "side": ["buy"] * len(time), "id": ids}


def replayed(root: Path) -> Liquidator:
    made = Liquidator("BTC", mode="streaming", bar="1h")
    replay(made, root)
    return made


def test_a_month_comes_before_the_days_behind_it(tmp_path):
    keep(tmp_path, "trades", trades(DAY, DAY + 3 * DAY_MS), DAY, DAY + 3 * DAY_MS)
    keep(
        tmp_path,
        "trades",
        trades(DAY + 3 * DAY_MS, DAY + 3 * DAY_MS + 6 * HOUR),
        DAY + 3 * DAY_MS,
        DAY + 4 * DAY_MS - 1,
    )
    want = replayed(tmp_path).bars()
    place = layout.folder(tmp_path, "binance", PERPETUAL, "trades")
    parquet.compact(place, key_of("trades"))
    assert sorted(path.stem for path in place.glob("*.parquet")) == ["2025-06", "2025-06-04"]
    got = replayed(tmp_path).bars()
    assert len(got) == 76
    assert got.tobytes() == want.tobytes()


def test_what_a_store_lacks_between_two_days_ends_no_replay(tmp_path):
    for since, until in ((DAY, DAY + 20 * HOUR), (DAY + 30 * HOUR, DAY + 2 * DAY_MS)):
        keep(tmp_path, "trades", trades(since, until), since, until)
    assert len(replayed(tmp_path).bars()) == 46


def test_a_day_without_a_trade_comes_first(tmp_path):
    keep(tmp_path, "trades", None, DAY, DAY + DAY_MS)
    keep(tmp_path, "trades", trades(DAY + DAY_MS, DAY + 2 * DAY_MS), DAY + DAY_MS, DAY + 2 * DAY_MS)
    assert replayed(tmp_path).bars()["time"][0] == DAY + DAY_MS
    keep(tmp_path / "empty", "trades", None, DAY, DAY + DAY_MS)
    with pytest.raises(ValueError, match="no trades of BTC"):
        replayed(tmp_path / "empty")


@pytest.mark.parametrize("venue", ["binance", "hyperliquid", "bybit"])
def test_trades_of_a_file_without_ids(tmp_path, venue):
    symbol = "BTC/USDC:USDC" if venue == "hyperliquid" else PERPETUAL
    keep(tmp_path, "trades", trades(DAY, DAY + DAY_MS), DAY, DAY + DAY_MS, venue, symbol)
    later = trades(DAY + DAY_MS, DAY + 2 * DAY_MS)
    named = later | {"id": [f"buy at {time}" for time in later["time"]]}
    keep(tmp_path, "trades", named, DAY + DAY_MS, DAY + 2 * DAY_MS, venue, symbol)
    keep(
        tmp_path,
        "trades",
        trades(DAY + 2 * DAY_MS, DAY + 3 * DAY_MS),
        DAY + 2 * DAY_MS,
        DAY + 3 * DAY_MS,
        venue,
        symbol,
    )
    batch = Liquidator("BTC", bar="1h")
    batch.ingest_trades(Store(tmp_path).read("trades", symbol, venue=venue), venue)
    assert replayed(tmp_path).bars().tobytes() == batch.bars()[:-1].tobytes()


@pytest.mark.parametrize("venue", ["kraken", "coinbase", "bitfinex"])
def test_a_venue_of_ccxt_pro(tmp_path, venue):
    keep(tmp_path, "trades", trades(DAY, DAY + DAY_MS), DAY, DAY + DAY_MS, venue, "BTC/USD")
    made = replayed(tmp_path)
    assert len(made.bars()) == 22
    made.rebuild(tmp_path)
    assert len(made.bars()) == 22


def test_markets_are_one_coins_when_it_is_rebuilt(tmp_path):
    for venue, open_interest, funding in (("binance", 10.0, 1e-4), ("okx", 30.0, 3e-4)):
        keep(tmp_path, "trades", trades(DAY, DAY + DAY_MS), DAY, DAY + DAY_MS, venue)
        when = {"time": np.arange(DAY, DAY + DAY_MS, HOUR)}
        keep(tmp_path, "funding", {**when, "funding_rate": np.full(24, funding)}, DAY, DAY + DAY_MS, venue)
        keep(tmp_path, "open_interest", {**when, "open_interest": np.full(24, open_interest)}, DAY, DAY + DAY_MS, venue)
    made = replayed(tmp_path)
    want = made.bars()
    made.rebuild(tmp_path)
    assert want["open_interest"][-1] == 40.0
    for name in ("open_interest", "funding_rate"):
        np.testing.assert_array_equal(made.bars()[name], want[name])


def restart(made: Liquidator, root: Path, now: int) -> list[dict[str, Any]]:
    """Catch up from a store and REST: the gaps that are told."""

    async def main() -> list[dict[str, Any]]:
        capture, courier, limits = Capture(root), Courier(), replace(Limits(), first_wait=0.0, now=lambda: now)
        session = Session({"binance": None}, capture, courier, limits, None, None)
        market = {"symbol": PERPETUAL, "contract": False}
        channel = Channel("binance", market, made._stream_sink(None), True, True, "full", DAY)
        session.add(channel)
        await resume.catch_up([channel], capture, session, limits)
        told = session.gaps.rows()
        await session.tasks.end()
        session.finish([])
        courier.close(1.0)
        return told

    return asyncio.run(main())


def test_a_restart_takes_trades_liquidations_and_readings_in_one_order(tmp_path, monkeypatch):
    end = DAY + DAY_MS
    keep(tmp_path, "trades", trades(DAY, end), DAY, end)
    half = np.arange(DAY, end, HOUR) + HOUR // 2
    keep(tmp_path, "funding", {"time": half, "funding_rate": np.linspace(1e-4, 2e-4, 24)}, DAY, end)
    events = {"time": half, "price": np.full(24, 100.0), "size": np.ones(24), "usd": np.full(24, 100.0)}
    keep(tmp_path, "liquidations", {**events, "side": ["long"] * 24}, DAY, end)
    want = replayed(tmp_path)
    made = Liquidator("BTC", mode="streaming", bar="1h")
    replay(made, tmp_path, until=DAY + 6 * HOUR)

    async def nothing(*_: Any) -> Any:
        return [], True

    monkeypatch.setattr(resume, "fetch_rows", nothing)
    restart(made, tmp_path, end)
    assert made.bars().tobytes() == want.bars().tobytes()
    assert not any(count for name, count in made.counts.items() if name.startswith("late"))


def test_a_restart_takes_the_liquidations_that_the_state_lacks_whatever_their_times(tmp_path, monkeypatch):
    """Those of a moment that the state has some of, and those that came late."""
    since, end = DAY + 6 * HOUR, DAY + DAY_MS
    keep(tmp_path, "trades", trades(DAY, end), DAY, end)
    made = Liquidator("BTC", mode="streaming", bar="1h")
    replay(made, tmp_path, until=since + 1)
    told = [(since + at, price, usd, "long") for at, price, usd in ((9, 101.0, 1.0), (5, 102.0, 4.0), (9, 101.0, 1.0))]
    sink = made._stream_sink(None)
    sink.liquidation("binance", *told[0])
    rows = dict(zip(("time", "price", "usd", "side"), zip(*told, strict=True), strict=True))
    keep(tmp_path, "liquidations", {**rows, "size": [1.0] * 3}, DAY, end)

    async def nothing(*_: Any) -> Any:
        return [], True

    monkeypatch.setattr(resume, "fetch_rows", nothing)
    restart(made, tmp_path, end)
    assert np.nansum(made.bars()["liq_long_usd"]) == 6.0


@pytest.mark.parametrize("answers", [True, False])
def test_a_restart_asks_for_what_a_gap_before_it_left_out(tmp_path, monkeypatch, answers):
    end = DAY + DAY_MS
    first, last = DAY + 8 * HOUR, DAY + 10 * HOUR
    keep(tmp_path / "whole", "trades", trades(DAY, end), DAY, end)
    for since, until in ((DAY, first), (last, end)):
        keep(tmp_path / "holed", "trades", trades(since, until), since, until)
    made = Liquidator("BTC", mode="streaming", bar="1h")
    replay(made, tmp_path / "holed", until=DAY + 6 * HOUR)

    async def rest(instance: Any, channel: Channel, gap: Any, *_: Any) -> Any:
        place = layout.folder(tmp_path / "whole", "binance", PERPETUAL, "trades")
        return rows_of(parquet.rows(place, "trades", gap.left.time if answers else end - HOUR, end), channel), answers

    monkeypatch.setattr(resume, "fetch_rows", rest)
    told = restart(made, tmp_path / "holed", end)
    assert made.bars().tobytes() == replayed(tmp_path / ("whole" if answers else "holed")).bars().tobytes()
    known = [(gap["since"], gap["until"], gap["filled"]) for gap in told]
    assert known == ([] if answers else [(first - HOUR, end - HOUR, False)])
    assert len(Store(tmp_path / "holed").gaps()) == (0 if answers else 1)


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_a_replay_at_a_speed_gives_every_trade_when_it_is_due(tmp_path, monkeypatch, speed):
    rng = np.random.default_rng(5)
    time = DAY + np.cumsum(rng.integers(1, 60_000, 400))
    rows = {"time": time, "price": np.full(400, 9.0), "size": np.ones(400), "side": ["buy"] * 400}
    keep(tmp_path, "trades", {**rows, "id": list(map(str, range(400)))}, DAY, DAY + DAY_MS)
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    clock.sleep = lambda seconds: setattr(clock, "now", clock.now + seconds)
    monkeypatch.setattr(playback, "time", clock)
    applied: list[tuple[int, float]] = []
    sink = SimpleNamespace(
        join=lambda symbol: None, trades=lambda venue, rows: applied.extend((row.time, clock.now) for row in rows)
    )
    playback.play(tmp_path, {("binance", PERPETUAL): sink}, DAY, None, speed)
    early = [(when - time[0]) / 1000.0 / speed - at for when, at in applied]
    assert len(applied) == 400
    assert min(early) > -1e-6
    assert max(early) <= 0.05 + 1e-6
