"""One link: what two of its connections say, how it is read, and when it is connected again."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from liquidator_integrations.live.limits import Limits
from liquidator_integrations.live.raw import Raw, links_of
from liquidator_integrations.live.said import Link, Liquidation

T = 1_700_000_000_000
LINK = Link("ws://x", [], "ping", True, {"BTCUSDT": "BTC/USDT:USDT"})


class Listener:
    """Keeps what is told; ``error`` is what it makes of it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.heard: list[Any] = []
        self.unread: list[Exception] = []
        self.ups = self.downs = 0
        self._error = error

    def said(self, said: Any, receipt: int) -> None:
        self.heard.append(said)
        if self._error is not None:
            raise self._error

    def nonsense(self, error: Exception) -> None:
        self.unread.append(error)

    def up(self) -> None:
        self.ups += 1

    def down(self) -> None:
        self.downs += 1

    def tried(self, attempt: int, why: str) -> None: ...


def liquidations(*times: int) -> str:
    data = [{"T": T + time, "s": "BTCUSDT", "S": "Buy", "v": "2.5", "p": "50.5"} for time in times]
    return json.dumps({"topic": "allLiquidation.BTCUSDT", "ts": T, "data": data})


def test_a_liquidation_that_both_of_two_connections_tell_counts_once():
    heard = Listener()
    raw = Raw(None, "bybit", LINK, heard, Limits())
    for connection, times in ((1, [0, 1, 1]), (2, [1]), (2, [1, 2]), (1, [2]), (2, [3, 3, 3])):
        raw._take(liquidations(*times), connection)
    assert [said.time - T for said in heard.heard if isinstance(said, Liquidation)] == [0, 1, 1, 2, 3, 3, 3]


class Closing:
    """An aiohttp session whose connections say one thing, if they are given one, and are closed by the server."""

    def __init__(self, *says: str) -> None:
        self.made = 0
        self._says = says

    async def ws_connect(self, url: str, **options: Any) -> Any:
        self.made += 1
        says = [SimpleNamespace(type=SimpleNamespace(name="TEXT"), data=one) for one in self._says]
        closed = SimpleNamespace(type=SimpleNamespace(name="CLOSE"), data=1000, extra="")
        messages = iter([*says, closed])

        async def receive(timeout: float) -> Any:
            return next(messages)

        async def close() -> None: ...

        return SimpleNamespace(receive=receive, close=close, send_str=None)


@pytest.mark.parametrize(
    ("steady", "waits"), [(10.0, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]), (0.0, [])], ids=["at once", "later"]
)
@pytest.mark.parametrize("says", [(), (liquidations(1),), ('{"success": false, "ret_msg": "no"}',)])
def test_a_connection_that_ends_at_once_is_followed_by_a_wait(monkeypatch, steady, waits, says):
    limits, http, waited = Limits(steady_s=steady), Closing(*says), []

    async def main() -> None:
        running = asyncio.create_task(Raw(http, "bybit", LINK, Listener(), limits).run())
        real = asyncio.sleep

        async def sleep(seconds: float) -> None:
            if seconds != limits.ping_s:
                waited.append(seconds)
            await real(0)

        monkeypatch.setattr(asyncio, "sleep", sleep)
        while http.made <= 8:
            await real(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())
    assert waited[:8] == waits


def test_a_frame_that_cannot_be_read_to_its_end_counts_up_to_there():
    heard = Listener()
    raw = Raw(None, "bybit", LINK, heard, Limits())
    raw._take(liquidations(1, 2).replace(f'"T": {T + 2}', '"T": null'), 1)
    assert [said.time - T for said in heard.heard] == [1]
    assert [type(error) for error in heard.unread] == [TypeError]


@pytest.mark.parametrize("error", [ValueError("engine"), TypeError("engine"), KeyError("engine")])
def test_what_an_engine_raises_is_no_frame_that_cannot_be_read_and_ends_the_stream(error):
    heard = Listener(error)
    raw = Raw(Closing(liquidations(1)), "bybit", LINK, heard, Limits())
    with pytest.raises(type(error), match="engine"):
        asyncio.run(raw.run())
    assert heard.unread == []


@pytest.mark.parametrize(("answers", "ups"), [([], 0), (['{"channel": "subscriptionResponse", "data": {}}'], 1)])
def test_the_greeting_of_hyperliquid_is_no_frame_and_no_answer(answers, ups):
    heard = Listener()
    link = Link("ws://x", [], "ping", True, {"BTC": "BTC/USDC:USDC"})

    async def main() -> None:
        running = asyncio.create_task(
            Raw(Closing("Websocket connection established.", *answers), "hyperliquid", link, heard, Limits()).run()
        )
        while heard.downs == 0:
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())
    assert (heard.unread, heard.ups) == ([], ups)


@pytest.mark.parametrize(
    ("venue", "frame"),
    [
        ("binance", {"e": "aggTrade", "s": "BTCUSDT", "a": "7x", "p": "1", "q": "1", "T": T, "m": True}),
        ("binance", {"e": "aggTrade", "s": "BTCUSDT", "a": 7, "p": "1", "q": "1", "T": T, "m": None}),
        ("binance", {"e": "aggTrade", "s": "BTCUSDT", "a": 7, "p": "1", "q": "1", "T": T, "m": "false"}),
        ("binance", {"e": "markPriceUpdate", "E": None, "s": "BTCUSDT", "p": "60.0"}),
        ("bybit", {"topic": "tickers.BTCUSDT", "ts": [T], "data": {"markPrice": "60.0"}}),
        ("hyperliquid", {"channel": "trades", "data": [{"coin": "BTC", "side": "A", "px": "1", "sz": "1", "time": T,
            "tid": {}}]}),
    ],
)  # fmt: skip
def test_fields_that_are_none_are_found_where_a_frame_is_read(venue, frame):
    heard = Listener()
    Raw(None, venue, LINK, heard, Limits())._take(json.dumps(frame), 1)
    assert (len(heard.heard), len(heard.unread)) == (0, 1)


@pytest.mark.parametrize("venue", ["binance", "bybit", "okx"])
def test_many_markets_are_subscribed_to_within_the_limits_of_the_venue(server, venue):
    """Binance takes 1,024 streams a connection and OKX 64 kB a message."""
    markets = []
    for number in range(700):
        names = {"id": f"COIN{number}-USDT-SWAP", "lowercaseId": f"coin{number}usdt", "symbol": f"C{number}/USDT:USDT"}
        markets.append({**names, "spot": False, "linear": True, "contract": True, "swap": True})
    made = links_of(server.live(venue), markets)
    wanted = [json.loads(text) for link in made for text in link.subscribe]
    topics = [topic for said in wanted for topic in said.get("params") or said["args"]]
    want = 3 * len(markets) if venue != "okx" else 4 * len(markets) + 1
    assert len({json.dumps(topic) for topic in topics}) == len(topics) == want
    assert max(len(text) for link in made for text in link.subscribe) < 64_000
    if venue == "binance":
        assert max(sum(len(json.loads(text)["params"]) for text in link.subscribe) for link in made) <= 1024
        assert sum(len(link.markets) for link in made) == len(markets)


# Two connections ------------------------------------------------------------------------------------------------------


class Told(Listener):
    """Keeps up, down and the times of liquidations in order."""

    def said(self, said: Any, receipt: int) -> None:
        self.heard.append(said.time - T)

    def up(self) -> None:
        self.heard.append("up")

    def down(self) -> None:
        self.heard.append("down")


class Scripted:
    """An aiohttp session whose connections say what a test puts into their queues; ``None`` closes one."""

    def __init__(self) -> None:
        self.queues: list[asyncio.Queue[str | None]] = []
        self.closing = asyncio.Event()  # what those wait for that are closed by who reads them

    async def ws_connect(self, url: str, **options: Any) -> Any:
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self.queues.append(queue)
        ended = asyncio.Event()

        async def receive(timeout: float) -> Any:
            said = await queue.get()
            name = "CLOSE" if said is None else "TEXT"
            if said is None:
                ended.set()
            return SimpleNamespace(type=SimpleNamespace(name=name), data=said, extra="")

        async def close() -> None:
            if not ended.is_set():
                await self.closing.wait()

        async def send_str(text: str) -> None: ...

        return SimpleNamespace(receive=receive, close=close, send_str=send_str)

    async def say(self, connection: int, time: int | None) -> None:
        queue = self.queues[connection - 1]
        queue.put_nowait(None if time is None else liquidations(time))
        await settled()
        assert queue.empty()


async def settled() -> None:
    """Until all is done that can be done before time passes: nothing here waits for more than the loop itself."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_whatever_a_proxy_raises_is_an_attempt():
    attempts: list[str] = []

    class Proxied(Scripted):
        async def ws_connect(self, url: str, **options: Any) -> Any:
            if len(attempts) < 2:
                raise Exception("ProxyError: host unreachable")
            return await super().ws_connect(url, **options)

    async def main() -> list[Any]:
        heard, http = Told(), Proxied()
        heard.tried = lambda attempt, why: attempts.append(why)  # type: ignore[method-assign]
        http.closing.set()
        running = asyncio.create_task(Raw(http, "bybit", LINK, heard, Limits(first_wait=0.001)).run())
        async with asyncio.timeout(20.0):
            while not http.queues:
                await asyncio.sleep(0.001)
        await http.say(1, 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return heard.heard

    assert asyncio.run(main())[:2] == [1, "up"]
    assert attempts == ["Exception: ProxyError: host unreachable"] * 2


#: name: (who says what in turn, None that it closes, 0 that a time of overlap passes; what is told)
OVERLAPS: dict[str, tuple[list[tuple[int, int | None]], list[Any]]] = {
    "the old one goes on": ([(1, 1), (2, 3), (1, 2), (1, 3)], [1, "up", "up", 2, 3]),
    "the old one says nothing any more": ([(1, 1), (2, 3), (0, 0)], [1, "up", "up", "down", "up", 3]),
    "the old one ends": ([(1, 1), (2, 3), (1, None)], [1, "up", "up", "down", "up", 3]),
    "the old one ends before the new one says something": ([(1, 1), (1, None), (2, 3)], [1, "up", "down", 3, "up"]),
    "the new one ends": ([(1, 1), (2, 2), (2, None), (1, 2), (1, 3)], [1, "up", "up", 2, 3]),
    "both end, the new one first": ([(1, 1), (2, 2), (2, None), (1, None), (3, 4)], [1, "up", "up", "down", 4, "up"]),
    "the new one ends while the old one closes": (
        [(1, 1), (2, 2), (1, 2), (0, 0), (2, None), (3, 4)],
        [1, "up", "up", 2, "down", 4, "up"],
    ),
}


@pytest.mark.parametrize("name", OVERLAPS)
def test_what_two_connections_say_leaves_no_hole_that_is_not_told(monkeypatch, name):
    steps, told = OVERLAPS[name]
    limits, clock = Limits(life_s=10.0, overlap_s=5.0, steady_s=0.0), [0.0]

    async def passes(seconds: float) -> None:
        clock[0] += seconds
        await settled()

    async def main() -> list[Any]:
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock[0])
        heard, http = Told(), Scripted()
        running = asyncio.create_task(Raw(http, "bybit", LINK, heard, limits).run())
        await settled()
        try:
            for connection, what in steps:
                if connection == 0:
                    await passes(limits.overlap_s)
                    continue
                await http.say(connection, what)
                if (connection, what) == (1, 1):
                    await passes(limits.life_s)
        finally:
            http.closing.set()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return heard.heard

    assert asyncio.run(main()) == told
