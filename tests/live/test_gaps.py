"""The life of a gap, step by step: what is told of it, what is applied, what the store has in the end."""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from liquidator_integrations.live import repair
from liquidator_integrations.live.capture import Capture
from liquidator_integrations.live.channel import Channel
from liquidator_integrations.live.courier import Courier
from liquidator_integrations.live.limits import Limits
from liquidator_integrations.live.resume import catch_up, join_late
from liquidator_integrations.live.said import Row
from liquidator_integrations.live.session import Session
from liquidator_integrations.store import parquet
from liquidator_integrations.store.layout import folder

pytest.importorskip("filelock")
T = 1_700_000_000_000
LONG, SHORT = 15.0, 0.005  # seconds that trades wait
HOUR = 3600
SYMBOL = "BTC/USDT:USDT"


def row(second: int, chained: bool) -> Row:
    return Row(T + 1000 * second, 10.0, 1.0, 1, second if chained else str(second))


class Sink:
    """Keeps the seconds of what is applied, and how many gaps had been told by then."""

    closed = 0

    def __init__(self, told: list[Any]) -> None:
        self.applied: list[int] = []
        self.after: list[int] = []
        self._told = told

    def liquidations(self, venue: str) -> Counter[Any]:
        return Counter()

    def trades(self, venue: str, rows: Sequence[Row]) -> None:
        self.applied += [(one.time - T) // 1000 for one in rows]
        self.after += [len(self._told)] * len(rows)


class Market:
    """A market whose venue's REST shows some trades; trade n is of second n and has the id n."""

    def __init__(self, bench: Bench, venue: str, chained: bool) -> None:
        self.chained = chained
        self.shown: set[int] = set()
        self.answers = True
        self.channel = Channel(venue, {"symbol": SYMBOL}, bench.sink, chained, chained, "none", T)
        bench.session.add(self.channel)


class Bench:
    """A session told by hand what comes, with a clock of its own, in seconds from T."""

    def __init__(self, monkeypatch: Any, root: Path | None, chained: bool, hold_s: float) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.sink = Sink(self.told)
        self.now, self.markets = 0, {}
        self.asked: list[tuple[int, int]] = []
        monkeypatch.setattr(repair, "fetch_span", self._shown)
        limits = replace(
            Limits(),
            hold_s=hold_s,
            first_wait=0.001,
            longest_wait=0.001,
            longest_late=0.001,
            now=lambda: T + 1000 * self.now,
        )
        self.courier = Courier()
        self.capture = None if root is None else Capture(root)
        names = ("binance", "bitget") if chained else ("bybit", "okx")
        self.session = Session(dict.fromkeys(names, object()), self.capture, self.courier, limits, self._on_gap, None)
        self.markets = {name: Market(self, venue, chained) for name, venue in zip("ab", names, strict=True)}

    async def _shown(self, instance: Any, channel: Channel, since: int, until: int, *_: Any) -> tuple[list[Row], bool]:
        market = next(one for one in self.markets.values() if one.channel is channel)
        if not market.answers:
            raise ConnectionError("it does not answer")
        self.asked.append(((since - T) // 1000, (until - T) // 1000))
        rows = [row(second, market.chained) for second in sorted(market.shown)]
        return [one for one in rows if since <= one.time < until], False

    def _on_gap(self, gap: dict[str, Any]) -> None:
        missing = None if math.isnan(gap["missing"]) else int(gap["missing"])
        self.told.append(((gap["since"] - T) // 1000, (gap["until"] - T) // 1000, missing, gap["filled"]))

    async def do(self, what: str, *numbers: int, market: str = "a") -> None:
        one = self.markets[market]
        if what == "stands":
            self.session.stands([one.channel])
        elif what == "breaks":
            self.session.broke([one.channel])
        elif what == "trades":
            self.session.take(one.channel, [row(second, one.chained) for second in numbers], T + 1000 * self.now)
        elif what == "rest":
            one.shown, one.answers = set(range(numbers[0], numbers[1])), True
        elif what == "rest is down":
            one.answers = False
        elif what == "flush":
            assert self.capture is not None
            self.capture.flush()
        elif what == "now":
            self.now = numbers[0]
        elif what == "told":
            await self.until(lambda: len(self.told) >= numbers[0])
        elif what == "quiet":  # as long as it takes to ask in vain
            for _ in range(50):
                await asyncio.sleep(0.001)

    async def until(self, done: Any) -> None:
        while not done():
            await asyncio.sleep(0.001)

    async def play(self, steps: str) -> None:
        """Do steps such as ``trades 5 6, breaks, stands of b, told 2``."""
        for step in steps.split(", "):
            what, _, market = step.partition(" of ")
            market, *numbers = (market or "a").split()
            what, *mine = re.split(r" (?=[-0-9])", what)
            await self.do(what, *map(int, mine or numbers), market=market)

    def run(self, steps: str, applied: Sequence[int]) -> None:
        async def main() -> None:
            try:
                async with asyncio.timeout(20.0):
                    await self.play(steps)
                    await self.until(lambda: self.sink.applied == list(applied))
            finally:
                await self.session.tasks.end()
                self.courier.close(1.0)
                self.session.finish([])

        asyncio.run(main())


BROKEN = "stands, trades 0, breaks"
GIVEN_UP = f"{BROKEN}, now 30, told 1"
N = None  # of how many no id tells

#: name: (ids chain, hold_s, steps, told as (since, until, missing, filled), applied, what the store has, covers whole)
LIVES: dict[str, tuple[Any, ...]] = {
    "filled while it is held": (
        False, LONG,
        f"{BROKEN}, stands, rest 0 6, trades 5",
        [(0, 5, N, True)],
        range(6), range(6), [(0, 5)],
    ),
    "nothing was missing": (
        False, LONG,
        f"{BROKEN}, stands, rest 0 2, trades 1",
        [],
        range(2), range(2), [(0, 1)],
    ),
    "given up while the connection is down, ended by the first trade": (
        False, SHORT,
        f"{GIVEN_UP}, now 60, stands, trades 61, told 2",
        [(0, 30, N, False), (0, 61, N, False)],
        [0, 61], [0, 61], [],
    ),
    "the same by ids": (
        True, SHORT,
        f"{GIVEN_UP}, now 60, stands, trades 61, told 2",
        [(0, 30, N, False), (0, 61, 60, False)],
        [0, 61], [0, 61], [],
    ),
    "filled late": (
        True, SHORT,
        f"{GIVEN_UP}, stands, trades 40, told 2, trades 41, rest 0 41, told 3",
        [(0, 30, N, False), (0, 40, 39, False), (0, 40, 39, "store")],
        [0, 40, 41], range(42), [(0, 41)],
    ),
    "what is filled late sets nothing back, and the next gap is seen": (
        True, SHORT,
        f"{GIVEN_UP}, stands, trades 40, told 2, rest 0 41, told 3, trades 41, trades 44, told 4",
        [(0, 30, N, False), (0, 40, 39, False), (0, 40, 39, "store"), (41, 44, 2, False)],
        [0, 40, 41, 44], [*range(42), 44], [(0, 41)],
    ),
    "filled late before a trade came: the market goes on from what was fetched": (
        False, SHORT,
        f"{GIVEN_UP}, stands, rest 0 5, now 34, told 2, trades 5, breaks, told 3",
        [(0, 30, N, False), (0, 34, N, "store"), (5, 34, N, False)],
        [0, 5], range(6), [(0, 5)],
    ),
    "nothing was missing of what was given up": (
        False, SHORT,
        f"{GIVEN_UP}, stands, rest 0 1, now 34, told 2, trades 35",
        [(0, 30, N, False), (0, 34, N, True)],
        [0, 35], [0, 35], [(0, 35)],
    ),
    "it breaks again before a trade came: one gap": (
        True, SHORT,
        f"{GIVEN_UP}, stands, breaks, now 50, stands, trades 51, told 2, rest 0 52, told 3",
        [(0, 30, N, False), (0, 51, 50, False), (0, 51, 50, "store")],
        [0, 51], range(52), [(0, 51)],
    ),
    "never filled: what was asked in vain is asked again once its end is known": (
        False, SHORT,
        f"{GIVEN_UP}, rest is down, stands, quiet, rest 0 10, trades 9, told 3",
        [(0, 30, N, False), (0, 9, N, False), (0, 9, N, "store")],
        [0, 9], range(10), [(0, 9)],
    ),
    "a part of it comes late: it ends before that": (
        False, SHORT,
        f"{GIVEN_UP}, stands, trades 9, told 2, rest 5 10, told 3",
        [(0, 30, N, False), (0, 9, N, False), (0, 5, N, False)],
        [0, 9], [0, *range(5, 10)], [(5, 9)],
    ),
    "what the stream says again shows that nothing is missing": (
        False, SHORT,
        f"{GIVEN_UP}, stands, trades 0 1 2, told 2",
        [(0, 30, N, False), (0, 1, N, True)],
        [0, 1, 2], [0, 1, 2], [(0, 2)],
    ),
    "two of one venue, both late": (
        False, SHORT,
        f"{BROKEN}, stands, trades 5, breaks, stands, trades 9, told 2, rest 0 10, told 4",
        [(0, 5, N, False), (5, 9, N, False), (0, 5, N, "store"), (5, 9, N, "store")],
        [0, 5, 9], range(10), [(0, 9)],
    ),
    "two of one venue, both held": (
        True, LONG,
        f"{BROKEN}, stands, trades 5, trades 9, rest 0 10",
        [(0, 5, 4, True), (5, 9, 3, True)],
        range(10), range(10), [(0, 9)],
    ),
    "two venues at once, one down for longer": (
        True, SHORT,
        "stands, stands of b, trades 0, trades of b 1, breaks, breaks of b, now 30, told 2, "
        "stands, trades 40, told 3, stands of b, trades of b 50, told 4",
        [(0, 30, N, False), (1, 30, N, False), (0, 40, 39, False), (1, 50, 48, False)],
        [0, 1, 40, 50], [0, 40], [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIVES)
def test_the_life_of_a_gap(name, monkeypatch, tmp_path):
    chained, hold_s, steps, told, applied, kept, covered = LIVES[name]
    bench = Bench(monkeypatch, tmp_path, chained, hold_s)
    bench.run(steps, applied)
    assert bench.told == told
    channel = bench.markets["a"].channel
    assert channel.last is not None
    assert (channel.last.time - T) // 1000 == max(applied if "two venues" not in name else [40])
    rows = bench.session.gaps.rows()
    assert len(rows) == len({since for since, *_ in told})
    place = folder(tmp_path, channel.venue, SYMBOL, "trades")
    assert [(time - T) // 1000 for time in parquet.rows(place, "trades", 0, 2 * T)["time"].to_pylist()] == list(kept)
    assert covers(tmp_path, channel) == covered


def covers(root: Path, channel: Channel) -> list[tuple[int, int]]:
    """The seconds from and to which a store covers a market's trades."""
    place = folder(root, channel.venue, SYMBOL, "trades")
    spans = [span for span in parquet.read(place, 0, 2 * T)[0] if span.until - span.since > 1]
    joined = [[span.since, span.until] for span in spans[:1]]
    for span in spans[1:]:
        if span.since <= joined[-1][1] + 1:
            joined[-1][1] = span.until
        else:
            joined.append([span.since, span.until])
    return [((since - T) // 1000, (until - T) // 1000) for since, until in joined]


@pytest.mark.parametrize(
    ("chained", "steps", "applied", "covered"),
    [
        (
            False,
            "stands, trades 0 1 2, breaks, stands, trades 60, breaks, stands, trades 100, rest 60 101, told 1, flush, "
            "trades 101",
            [0, 1, 2],
            [(0, 2), (60, 101)],
        ),
        (
            True,
            "stands, rest is down, trades 0 1 2 3, trades 50, trades 51, flush, trades 52",
            [0, 1, 2, 3],
            [(0, 3), (50, 52)],
        ),
    ],
    ids=["a later one is filled", "a jump of ids"],
)
def test_what_is_written_while_a_gap_is_open_does_not_cover_it(monkeypatch, tmp_path, chained, steps, applied, covered):
    bench = Bench(monkeypatch, tmp_path, chained, LONG)
    bench.run(steps, applied)
    assert covers(tmp_path, bench.markets["a"].channel) == covered
    assert bench.session.gaps.rows()[-1]["filled"] is False


@pytest.mark.parametrize(
    ("closed", "stored", "applied", "told", "asked"),
    [
        (
            -46 * HOUR,
            [range(-50 * HOUR, -46 * HOUR + 1, 600), range(-25 * HOUR, 0, 600)],
            [-46 * HOUR, *range(-25 * HOUR, 1, 600)],
            [(-46 * HOUR, -25 * HOUR, None, False)],
            (-600, 0),
        ),
        (-2 * HOUR, [range(-HOUR, 0, 600)], range(-2 * HOUR, 1, 600), [], (-2 * HOUR, 0)),
    ],
    ids=["too old to ask for", "before all that is stored"],
)
def test_a_restart_asks_for_a_hole_of_the_store_or_tells_it(
    monkeypatch, tmp_path, closed, stored, applied, told, asked
):
    before = Capture(tmp_path)
    channel = Channel("bybit", {"symbol": SYMBOL}, None, False, False, "none", T)
    before.open(channel)
    for run in stored:
        rows = [row(second, False) for second in run]
        before.late(channel, rows, rows[0].time, rows[-1].time + 1)
    before.close()
    bench = Bench(monkeypatch, tmp_path, False, LONG)
    bench.sink.closed = T + 1000 * closed
    requests: list[tuple[int, int]] = []

    async def shown(instance: Any, channel: Channel, since: int, until: int, *_: Any) -> tuple[list[Row], bool]:
        requests.append(((since - T) // 1000, (until - T) // 1000))
        return [row(second, False) for second in range(requests[-1][0], 1, 600)], True

    async def main() -> None:
        monkeypatch.setattr(repair, "fetch_span", shown)
        session = bench.session
        await catch_up([bench.markets["a"].channel], bench.capture, session, replace(Limits(), now=lambda: T))
        await session.tasks.end()

    asyncio.run(main())
    assert (bench.sink.applied, bench.told, requests) == (list(applied), told, [asked])
    assert bench.markets["a"].channel.health.state(T) == ("PARTIAL" if told else "LIVE")
    bench.session.finish([])
    bench.courier.close(1.0)


@pytest.mark.parametrize(
    ("steps", "last"), [("trades 10, rest 0 11", 10), ("rest 0 11, now 34, quiet, trades 11", 11)], ids=["ended", "not"]
)
@pytest.mark.parametrize("kept", [3, 0])
def test_what_a_restart_did_not_get_is_covered_once_it_is_filled(monkeypatch, tmp_path, steps, last, kept):
    before = Capture(tmp_path)
    channel = Channel("bybit", {"symbol": SYMBOL}, None, False, False, "none", T)
    before.open(channel)
    before.late(channel, [row(second, False) for second in range(kept)], T, T + 1000 * kept)
    before.close()
    bench = Bench(monkeypatch, tmp_path, False, LONG)
    bench.sink.closed = T
    channel = bench.markets["a"].channel
    channel.began = T + 5000
    shown = repair.fetch_span

    async def whole(*arguments: Any) -> tuple[list[Row], bool]:
        return (await shown(*arguments))[0], True

    async def main() -> None:
        monkeypatch.setattr(repair, "fetch_span", whole)
        await bench.play("now 5, rest is down")
        limits = replace(Limits(), first_wait=0.001, now=lambda: T + 5000)
        await catch_up([channel], bench.capture, bench.session, limits)
        await bench.play(f"stands, {steps}")
        async with asyncio.timeout(20.0):
            await bench.until(lambda: bench.sink.applied == list(range(last + 1)))
        await bench.session.tasks.end()

    asyncio.run(main())
    bench.session.finish([])
    bench.courier.close(1.0)
    assert covers(tmp_path, channel) == [(0, last)]


def test_a_restart_waits_for_a_venue_that_never_answers_no_longer_than_trades_wait(monkeypatch):
    hold_s = 0.5
    bench = Bench(monkeypatch, None, False, SHORT)
    bench.sink.closed = T
    stuck, other = (bench.markets[name].channel for name in "ab")
    shown = repair.fetch_span

    async def hangs(instance: Any, channel: Channel, since: int, until: int, answered: Any) -> tuple[list[Row], bool]:
        if channel is stuck:
            await asyncio.Event().wait()
        loop = asyncio.get_running_loop()
        end = loop.time() + 2 * hold_s
        while answered and loop.time() < end:  # page after page
            answered("trades", 0, 1)
            await asyncio.sleep(0)
        return (await shown(instance, channel, since, until))[0], True

    async def main() -> None:
        monkeypatch.setattr(repair, "fetch_span", hangs)
        await bench.play("now 5, rest 0 4 of b")
        async with asyncio.timeout(20.0):
            limits = replace(Limits(), hold_s=hold_s, now=lambda: T + 5000)
            await catch_up([stuck, other], None, bench.session, limits)
        assert bench.sink.applied == [0, 1, 2, 3]
        assert [channel.gap is not None for channel in (stuck, other)] == [True, True]
        await bench.session.tasks.end()

    asyncio.run(main())
    bench.session.finish([])
    bench.courier.close(1.0)


def test_a_restart_waits_for_a_market_as_long_as_its_venue_answers_others(monkeypatch):
    """Markets of a venue share its rate limit: each waits for its turn."""
    hold_s = 0.5
    bench = Bench(monkeypatch, None, False, SHORT)
    bench.sink.closed = T
    first = bench.markets["a"].channel
    second = Channel(first.venue, {"symbol": "ETH/USDT:USDT"}, bench.sink, False, False, "none", T)
    turn = asyncio.Event()

    async def in_turn(instance: Any, channel: Channel, since: int, until: int, answered: Any) -> tuple[list[Row], bool]:
        if channel is second:
            await turn.wait()
            return [row(4, False)], True
        end = asyncio.get_running_loop().time() + 2 * hold_s
        while asyncio.get_running_loop().time() < end:  # page after page
            answered("trades", 0, 1)
            await asyncio.sleep(0)
        turn.set()
        return [row(3, False)], True

    async def main() -> None:
        monkeypatch.setattr(repair, "fetch_span", in_turn)
        limits = replace(Limits(), hold_s=hold_s, now=lambda: T + 5000)
        async with asyncio.timeout(20.0):
            await catch_up([first, second], None, bench.session, limits)
        assert bench.sink.applied == [3, 4]
        await bench.session.tasks.end()

    asyncio.run(main())
    bench.session.finish([])
    bench.courier.close(1.0)


def test_a_market_that_joins_late_is_partial_after_what_cannot_be_asked_for(monkeypatch):
    bench = Bench(monkeypatch, None, False, LONG)
    channel = bench.markets["a"].channel
    bench.sink.closed = channel.began = T - 1000 * 25 * HOUR

    async def whole(*_: Any) -> tuple[list[Row], bool]:
        return [row(second, False) for second in range(2)], True

    async def main() -> None:
        monkeypatch.setattr(repair, "fetch_span", whole)
        await join_late([channel], bench.session, replace(Limits(), now=lambda: T))
        await bench.play("stands, trades 1")
        async with asyncio.timeout(20.0):
            await bench.until(lambda: bench.sink.applied == [0, 1])
        await bench.session.tasks.end()

    asyncio.run(main())
    bench.courier.close(1.0)
    assert bench.told == [(-25 * HOUR, 0, None, False), (0, 1, None, True)]
    assert channel.health.state(T) == "PARTIAL"


@pytest.mark.parametrize("came", [[2], [2, 4]])
def test_trades_of_one_moment_stand_as_rest_has_them(monkeypatch, came):
    """It shows some already that the stream has not told yet."""
    bench = Bench(monkeypatch, None, False, LONG)
    moment = [Row(T, 10.0, 1.0, 1, str(number)) for number in range(6)]
    applied: list[str] = []

    async def shown(*asked: Any) -> tuple[list[Row], bool]:
        return moment[:5], False

    async def main() -> None:
        session, channel = bench.session, bench.markets["a"].channel
        monkeypatch.setattr(repair, "fetch_span", shown)
        monkeypatch.setattr(bench.sink, "trades", lambda venue, rows: applied.extend(row.id for row in rows))
        session.stands([channel])
        session.take(channel, moment[:1], T)
        session.broke([channel])
        for number in came:
            session.take(channel, [moment[number]], T)
        session.stands([channel])
        await bench.until(lambda: not session.gaps.are_held)
        for row in moment[1:]:
            session.take(channel, [row], T)
        await session.tasks.end()

    asyncio.run(main())
    bench.courier.close(1.0)
    assert applied == [row.id for row in moment]


def test_it_is_told_before_the_first_trade_after_it_is_applied(monkeypatch):
    bench = Bench(monkeypatch, None, True, SHORT)
    bench.run(f"{GIVEN_UP}, now 60, stands, trades 61", [0, 61])
    assert bench.sink.after == [0, 2]


def test_it_is_partial_for_an_hour_after_its_end(monkeypatch):
    bench = Bench(monkeypatch, None, True, SHORT)
    bench.run(f"{GIVEN_UP}, now 7200, stands, trades 7200, told 2", [0, 7200])
    health = bench.markets["a"].channel.health
    assert [health.state(T + 1000 * second) for second in (7201, 7229)] == ["PARTIAL", "PARTIAL"]


def test_a_gap_that_goes_on_reaches_to_now_and_one_of_a_stream_that_ended_does_not(monkeypatch):
    bench = Bench(monkeypatch, None, False, SHORT)

    async def main() -> None:
        await bench.play(GIVEN_UP)
        bench.now = 45
        assert [(gap["until"] - T) // 1000 for gap in bench.session.gaps.rows()] == [45]
        await bench.session.tasks.end()
        bench.now = 50
        bench.session.finish([])

    asyncio.run(main())
    bench.courier.close(1.0)
    bench.now = 60
    assert [(gap["until"] - T) // 1000 for gap in bench.session.gaps.rows()] == [50]


def test_before_a_first_trade_that_is_older_than_the_stream_nothing_is_missing(monkeypatch):
    """The venue's clock is behind, or what it sends was recorded."""
    bench = Bench(monkeypatch, None, False, SHORT)
    bench.run("stands, breaks, stands, rest is down, trades -5 6", [-5, 6])
    assert bench.told == []
    assert bench.markets["a"].channel.health.state(T + 6000) == "LIVE"


def test_a_gap_that_was_given_up_before_a_first_trade_that_is_older_does_not_end_before_it_begins(monkeypatch):
    bench = Bench(monkeypatch, None, False, SHORT)
    bench.run("stands, breaks, rest is down, now 3, told 1, stands, trades -5 6", [-5, 6])
    assert bench.told == [(0, 3, None, False), (0, 0, None, True)]


@pytest.mark.parametrize("chained", [True, False])
def test_before_a_first_trade_those_since_the_start_are_missing_and_not_that_one(monkeypatch, chained):
    bench = Bench(monkeypatch, None, chained, LONG)
    shown = repair.fetch_span

    async def whole(*arguments: Any) -> tuple[list[Row], bool]:
        return (await shown(*arguments))[0], True

    monkeypatch.setattr(repair, "fetch_span", whole)
    bench.run("stands, breaks, rest 0 7, trades 5, stands, now 6, told 1, trades 6", range(7))
    assert bench.markets["a"].channel.counts["trades"] == 7
    assert bench.told == [(0, 5, None, True)]


def test_without_a_store_what_comes_late_counts_for_nothing(monkeypatch):
    bench = Bench(monkeypatch, None, False, SHORT)
    bench.run(f"{GIVEN_UP}, stands, rest 0 5, now 34, quiet, trades 5", [0, 5])
    assert bench.told == [(0, 30, None, False), (0, 5, None, False)]


@pytest.mark.parametrize(("chained", "requests"), [(True, [(0, 40), (3000, 3020)]), (False, [(0, 3020)])])
def test_holes_that_lie_near_are_asked_for_together(monkeypatch, chained, requests):
    """Of a venue that gives the newest page alone all of them."""
    bench = Bench(monkeypatch, None, chained, LONG)
    runs = [(0, 1), (2, 11), (12, 31), (40, 3001), (3010, 3016), (3020, 3021)]
    came = [f"trades {' '.join(map(str, range(*run)))}" for run in runs]
    bench.run("stands, rest 0 3021, " + (", " if chained else ", breaks, stands, ").join(came), range(3021))
    assert bench.asked == requests
