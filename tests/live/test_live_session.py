"""A session told by hand what comes, its venue's REST and its clock a test's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from liquidator_integrations.live import bybit
from liquidator_integrations.live.channel import Channel, Gap
from liquidator_integrations.live.courier import Courier
from liquidator_integrations.live.limits import Limits
from liquidator_integrations.live.repair import Fetches
from liquidator_integrations.live.said import Liquidation, Reading, Row, Trades
from liquidator_integrations.live.session import Session

T = 1_700_000_000_000


class Heard:
    """A sink that keeps the times of what is applied."""

    closed = 0

    def __init__(self) -> None:
        self.applied: list[Any] = []

    def trades(self, venue: str, rows: Sequence[Row]) -> None:
        self.applied += [row.time - T for row in rows]

    def liquidation(self, venue: str, time: int, price: float, usd: float, side: str) -> None:
        self.applied.append((time - T, usd))

    def rate(self, kind: str, time: int, value: float) -> None:
        self.applied.append((kind, value))

    def save(self) -> None: ...


class Rest:
    """A venue's REST: ``answer`` gives the rows and whether they are all there were."""

    def __init__(self) -> None:
        self.asked: list[Gap] = []
        self.answer: Callable[[Gap], Coroutine[Any, Any, tuple[list[Row], bool]]] = self._nothing

    async def _nothing(self, gap: Gap) -> tuple[list[Row], bool]:
        return [], False

    async def __call__(self, instance: Any, channel: Channel, gap: Gap, now: int) -> tuple[list[Row], bool]:
        self.asked.append(gap)
        return await self.answer(gap)


class Bench:
    """A session with one market, ``bybit`` by its ids, unless told otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, on_gap: Any = None, **limits: Any) -> None:
        self.rest, self.sink, self.now = Rest(), Heard(), T
        monkeypatch.setattr(Fetches, "rows", lambda _, gap, now: self.rest(None, gap.channel, gap, now))
        usual: dict[str, Any] = {
            "first_wait": 0.001,
            "longest_wait": 0.001,
            "longest_late": 0.001,
            "quiet_s": 3.0,
            "now": lambda: self.now,
        }
        self.limits = replace(Limits(), **{**usual, **limits})
        self.courier = Courier()
        self.session = Session({"bybit": object()}, None, self.courier, self.limits, on_gap, None)
        self.channel = self.market("bybit")

    def market(self, venue: str, **market: Any) -> Channel:
        channel = Channel(venue, {"symbol": "BTC/USDT:USDT", **market}, self.sink, False, False, "full", T)
        self.session.add(channel)
        return channel

    def trade(self, *times: int) -> None:
        self.session.take(self.channel, [row(time) for time in times], self.now)

    def liquidate(self, time: int) -> None:
        self.session.said(self.channel, Liquidation("BTCUSDT", T + time, 10.0, 1.0, "long"), self.now, False)

    def run(self, play: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Play within a loop, whose tasks end with it."""

        async def main() -> None:
            try:
                async with asyncio.timeout(20.0):
                    await play()
            finally:
                await self.session.tasks.end()
                self.courier.close(1.0)

        asyncio.run(main())


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda *args, **limits: Bench(monkeypatch, *args, **limits)


def row(time: int) -> Row:
    return Row(T + time, 10.0, 1.0, 1, str(time))


async def until(done: Callable[[], Any]) -> None:
    while not done():
        await asyncio.sleep(0.001)


def test_liquidations_wait_with_the_trades_and_are_applied_in_order_of_time(bench):
    one = bench()

    async def play() -> None:
        one.session.stands([one.channel])
        one.trade(0)
        one.session.broke([one.channel])
        one.session.stands([one.channel])
        one.trade(500)
        one.liquidate(400_000)
        one.trade(500_000)
        assert one.sink.applied == [0]

        async def whole(gap: Gap) -> tuple[list[Row], bool]:
            return [row(0), row(400), row(500)], True

        one.rest.answer = whole
        await until(lambda: len(one.sink.applied) > 1)
        assert one.sink.applied == [0, 400, 500, (400_000, 10.0), 500_000]
        assert one.channel.queued == 0

    one.run(play)


def broken(one: Bench) -> None:
    """A market whose trade at 0 is known, and whose connection broke and stands again."""
    one.session.stands([one.channel])
    one.trade(0)
    one.session.broke([one.channel])
    one.session.stands([one.channel])


def test_a_second_break_while_a_gap_is_filled_is_a_gap_of_its_own(bench):
    one = bench()

    async def play() -> None:
        broken(one)
        one.trade(500)
        one.session.broke([one.channel])
        one.session.stands([one.channel])
        one.trade(900)

        async def whole(gap: Gap) -> tuple[list[Row], bool]:
            assert gap.right is not None
            left, right = gap.left.time - T, gap.right.time - T
            return [row(left), row((left + right) // 2), row(right)], True

        one.rest.answer = whole
        await until(lambda: 900 in one.sink.applied)
        assert one.sink.applied == [0, 250, 500, 700, 900]
        assert [gap["filled"] for gap in one.session.gaps.rows()] == [True, True]

    one.run(play)


def test_what_a_connection_repeated_before_it_broke_again_fills_no_gap(bench):
    one = bench()

    async def play() -> None:
        broken(one)
        one.trade(0)  # sent again, and then the connection breaks
        one.session.broke([one.channel])
        one.session.stands([one.channel])
        one.trade(500)
        assert one.channel.gap is not None
        assert one.channel.gap.is_open

    one.run(play)


def test_a_market_is_not_believed_to_be_quiet_while_its_connection_is_down(bench):
    one = bench()

    async def play() -> None:
        broken(one)
        gap = one.channel.gap
        one.now += 10_000

        async def breaks(gap: Gap) -> tuple[list[Row], bool]:
            if len(one.rest.asked) == 1:
                one.session.broke([one.channel])
            return [row(0)], True

        one.rest.answer = breaks
        await until(lambda: one.rest.asked)
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert gap.is_open
        assert len(one.rest.asked) == 1
        one.session.stands([one.channel])
        await until(lambda: len(one.rest.asked) == 3)
        assert gap.is_open  # it stands for less than three seconds
        one.now += 3000
        await until(lambda: gap.filled is True)

    one.run(play)


def test_what_rest_gives_while_on_gap_is_waited_for_is_not_applied(bench):
    free = threading.Event()
    one = bench(lambda gap: free.wait(20.0), hold_s=0.02, late_attempts=10_000)

    async def play() -> None:
        broken(one)
        one.trade(500)

        async def raw(gap: Gap) -> tuple[list[Row], bool]:
            return [row(-900), row(0), row(500)], False

        await until(lambda: one.session.gaps.rows())
        one.rest.answer = raw
        asked = len(one.rest.asked)
        await until(lambda: len(one.rest.asked) >= asked + 2)
        free.set()
        await until(lambda: len(one.sink.applied) > 1)
        assert one.sink.applied == [0, 500]

    one.run(play)


def test_a_gap_that_was_given_up_is_asked_for_over_a_day(bench):
    one = bench(hold_s=0.0)

    async def play() -> None:
        broken(one)
        one.trade(500)
        await until(lambda: one.session.gaps.rows())
        given_up = len(one.rest.asked)

        async def answer(gap: Gap) -> tuple[list[Row], bool]:
            if len(one.rest.asked) < given_up + 30:
                raise ConnectionError("down for hours")
            return [row(0), row(500)], True

        one.rest.answer = answer
        await until(lambda: one.session.gaps.rows()[0]["filled"] is True)

    one.run(play)
    usual = Limits()
    waits = [min(usual.longest_late, usual.first_wait * 2**attempt) for attempt in range(usual.late_attempts)]
    assert sum(waits) == pytest.approx(86_400.0, rel=0.02)


@pytest.mark.parametrize(("market", "coins"), [({"inverse": True}, 15.0), ({"inverse": False}, 900.0)])
def test_open_interest_of_an_inverse_market_of_bybit_is_dollars(bench, market, coins):
    one = bench()
    channel = one.market("bybit", contract=True, contractSize=1.0, **market)
    one.session.channels.remove(one.channel)
    frame = {"topic": "tickers.BTCUSD", "ts": T, "data": {"markPrice": "60", "openInterest": "1800"}}
    for said in bybit.read(frame):
        one.session.said(channel, said, T, True)
    assert one.sink.applied == [("open_interest", coins)]


def test_an_error_while_what_waited_is_applied_ends_the_stream(bench):
    one = bench(quiet_s=0.0)
    saved: list[bool] = []

    def fail(venue: str, rows: Sequence[Row]) -> None:
        raise ZeroDivisionError("engine")

    async def source() -> None:
        broken(one)
        one.sink.trades, one.sink.save = fail, lambda: saved.append(True)

        async def whole(gap: Gap) -> tuple[list[Row], bool]:
            return [row(0), row(400)], True

        one.rest.answer = whole
        await asyncio.Event().wait()

    async def play() -> None:
        with pytest.raises(ZeroDivisionError, match="engine"):
            await one.session.run([source()], [one.sink])
        assert saved == [True]

    one.run(play)


def test_a_fold_that_fails_is_told_once_and_tried_again_ever_later(bench, caplog, monkeypatch):
    one = bench(flush_s=0.001, longest_wait=0.004)
    tried: list[int] = []
    waits: list[float] = []
    real = asyncio.sleep

    def fold_due() -> None:
        tried.append(len(tried))
        if len(tried) < 5:
            raise OSError(28, "No space left on device")

    async def sleep(seconds: float) -> None:
        if asyncio.current_task() is folding[0]:
            waits.append(seconds)
        await real(seconds)

    folding: list[Any] = []

    async def play() -> None:
        monkeypatch.setattr(asyncio, "sleep", sleep)
        folding.append(one.session.tasks.start(one.session._fold(SimpleNamespace(fold_due=fold_due))))
        await until(lambda: len(waits) > 6)

    one.run(play)
    assert caplog.text.count("No space left on device") == 1
    assert waits[:7] == [0.001, 0.002, 0.004, 0.004, 0.004, 0.001, 0.001]


@pytest.mark.parametrize(
    "said",
    [
        Liquidation("BTCUSDT", T, float("nan"), 1.0, "long"),
        Liquidation("BTCUSDT", T, 10.0, 0.0, "long"),
        Liquidation("BTCUSDT", 2**70, 10.0, 1.0, "long"),
        Liquidation("BTCUSDT", T, 10.0, 1e308, "long"),
        Trades("BTCUSDT", [Row(T, -1.0, 1.0, 1, "a")]),
        Trades("BTCUSDT", [Row(T, 1e200, 1e200, 1, "a")]),
        Reading("BTCUSDT", "mark", T, -1.0),
        Reading("BTCUSDT", "funding", T, float("inf")),
        Reading("BTCUSDT", "funding", T, 1e308, 1.0),
        Reading("BTCUSDT", "open_interest", 2**70, 1.0),
    ],
)
def test_what_cannot_be_is_counted_as_dropped(bench, said):
    one = bench()

    async def play() -> None:
        one.session.said(one.channel, said, T, False)

    one.run(play)
    assert (one.sink.applied, one.channel.mark, one.channel.counts["dropped"]) == ([], None, 1)


@pytest.mark.parametrize("hours", [1, 23])
def test_one_trade_of_a_time_to_come_is_left_out_and_told_as_a_gap(bench, hours):
    one, ahead = bench(), hours * 3_600_000

    async def play() -> None:
        one.session.stands([one.channel])
        one.trade(0)
        one.trade(ahead)
        one.liquidate(ahead)
        assert one.channel.gap is not None

        async def whole(gap: Gap) -> tuple[list[Row], bool]:
            return [row(0), row(300), row(500)], True

        one.rest.answer = whole
        one.trade(500)
        await until(lambda: one.sink.applied == [0, 300, 500])
        assert one.channel.counts["dropped"] == 2

    one.run(play)


@pytest.mark.parametrize("again", ["the same trade", "a row that is none before a trade"])
def test_only_another_trade_confirms_one_that_is_far_ahead(bench, again):
    one, ahead = bench(), 23 * 3_600_000

    async def play() -> None:
        one.session.stands([one.channel])
        one.trade(0)
        if again == "the same trade":
            one.trade(ahead)
        else:
            one.session.take(one.channel, [Row(T + ahead, float("nan"), 1.0, 1, "b")], one.now)
        one.trade(ahead)
        assert one.sink.applied == [0]
        assert one.channel.counts["dropped"] == 2

    one.run(play)


def test_what_fails_beside_the_source_that_ends_a_stream_is_told(bench, caplog):
    one = bench()

    async def fails(why: str) -> None:
        raise ValueError(why)

    async def fails_late() -> None:
        try:
            await asyncio.sleep(20.0)
        finally:
            raise ValueError("at the end")

    async def play() -> None:
        with pytest.raises(ValueError, match=r"first|second"):
            await one.session.run([fails("first"), fails("second"), fails_late()], [])
        assert len(one.session.tasks.faults) == 2

    one.run(play)
    assert caplog.text.count("a task of the stream failed") == 2


def test_a_clock_that_is_hours_behind_loses_no_trades_of_a_market_that_was_silent(bench):
    one, hours = bench(hold_s=0.0), 3_600_000

    async def play() -> None:
        one.session.stands([one.channel])
        one.trade(0)
        one.now -= 12 * hours
        for time in (2 * hours, 2 * hours + 5, 2 * hours + 9):
            one.trade(time)
        assert one.channel.counts["dropped"] == 1
        await until(lambda: one.sink.applied == [0, 2 * hours + 5, 2 * hours + 9])
        one.trade(2 * hours + 10)
        assert one.channel.counts["dropped"] == 1

    one.run(play)


def test_funding_is_the_mean_of_rates_of_eight_hours(bench):
    one = bench()
    hourly = one.market("hyperliquid")
    for channel, rate in ((one.channel, 0.0008), (hourly, 0.0002)):
        one.session.said(channel, Reading("BTC", "funding", T, rate), T, False)
    assert one.sink.applied == [("funding_rate", 0.0008), ("funding_rate", pytest.approx(0.0012))]


def test_an_interval_of_funding_is_what_a_message_tells_or_two_times_of_it(bench):
    one = bench()
    hour = 3_600_000
    told = [
        Reading("BTC", "funding", T, 1e-4),
        Reading("BTC", "funding", T + hour, 1e-4, hours=4.0),
        Reading("BTC", "funding", T + 2 * hour, 1e-4, due=T + 4 * hour),
        Reading("BTC", "funding", T + 4 * hour, 1e-4, due=T + 6 * hour),
        Reading("BTC", "funding", T + 5 * hour, 1e-4, due=T + 6 * hour),
    ]
    for said in told:
        one.session.said(one.channel, said, said.time, False)
    assert [rate for _, rate in one.sink.applied] == pytest.approx([1e-4, 2e-4, 2e-4, 4e-4, 4e-4])


def test_a_trade_that_cannot_be_is_a_gap_where_it_was(bench):
    one = bench()

    async def shown(gap: Gap) -> tuple[list[Row], bool]:
        if gap.right is None:
            return [], False
        return [row(time) for time in (0, 5, 10) if gap.left.time <= T + time <= gap.right.time], True

    one.rest.answer = shown

    async def play() -> None:
        nothing = row(7)._replace(amount=0.0)
        rows = [row(0), row(5)._replace(price=float("nan")), nothing, row(10), nothing]
        one.session.take(one.channel, rows, T)
        await until(lambda: one.sink.applied == [0, 5, 10])

    one.run(play)
    assert one.channel.counts == {"trades": 3, "liquidations": 0, "gaps": 1, "dropped": 3}


def test_a_reading_hours_ahead_does_not_keep_out_those_that_follow(bench):
    one = bench()
    for ahead in (0, 3_600_000 * 20, 10_000, 15_000, 20_000):
        one.session.said(one.channel, Reading("BTC", "open_interest", T + ahead, 5.0 + ahead), T, False)
    assert [value for _, value in one.sink.applied] == [5.0, 72_000_005.0, 10_005.0, 20_005.0]


def test_a_next_payment_that_is_no_time_tells_no_interval(bench):
    one = bench()
    for time, due in ((T, T + 60_000), (T + 70_000, 10**400), (T + 140_000, None)):
        one.session.said(one.channel, Reading("BTC", "funding", time, 0.0001, due=due), time, False)
    assert one.sink.applied == [("funding_rate", 0.0001)] * 3


def test_a_payment_that_an_outage_hid_is_no_longer_interval(bench):
    one, hour = bench(), 3_600_000
    for at, due in ((0, 4), (4, 8), (12.2, 16)):
        said = Reading("BTC", "funding", int(T + at * hour), 1e-4, due=T + due * hour)
        one.session.said(one.channel, said, said.time, False)
    assert [rate for _, rate in one.sink.applied] == pytest.approx([1e-4, 2e-4, 2e-4])


def test_a_rate_of_an_interval_that_is_not_known_yet_is_left_out(bench):
    one = bench()
    one.channel.funding_hours = None
    one.session.said(one.channel, Reading("BTC", "funding", T, 1e-4), T, False)
    assert one.sink.applied == []


def test_the_interval_of_a_market_comes_with_its_description(bench):
    one = bench()
    channel = one.market("bitget", info={"fundingInterval": 240})
    one.session.channels.remove(one.channel)
    one.session.said(channel, Reading("BTC", "funding", T, 1e-4), T, False)
    assert one.sink.applied == [("funding_rate", 2e-4)]
