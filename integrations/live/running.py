"""A stream as its user holds it: on a thread and loop of its own, or on the caller's loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pandas as pd

from ..exchanges.client import is_async, let_go, streaming_instance
from . import interrupts, limits
from .capture import Capture
from .courier import Courier
from .raw import MODULES
from .resume import catch_up, join_late
from .session import GAPS, HEALTH, Session, Sink
from .shares import shares_of
from .venue import Venue
from .waiting import Key
from .workers import Workers

_LOG = logging.getLogger("liquidator")
_LAST_CALLBACKS_S = 10.0
_LOOK_S = 0.1  # between two looks at whether its loop still runs

Told: TypeAlias = Callable[[dict[str, Any]], object]
T = TypeVar("T")


class Stream:
    """Public data of markets on its way into engines: made by ``Liquidator.start_stream`` and ``live.stream``.

    ``wait`` and ``stop`` raise what ended it. On the caller's loop, ``await`` it after ``stop``.

    >>> Stream({}, [], None, None, None)
    Traceback (most recent call last):
    ValueError: exchange: found none, allowed one or more
    """

    def __init__(
        self,
        wanted: Mapping[Sink, Sequence[str]],
        exchange: Any,
        store: str | os.PathLike[str] | None,
        on_gap: Told | None,
        on_health: Told | None,
    ) -> None:
        for name, told in (("on_gap", on_gap), ("on_health", on_health)):
            if told is not None and not callable(told):
                raise TypeError(f"{name} must be callable, got {type(told).__name__}")
        self._limits = limits.LIMITS
        self._wanted = wanted
        self._own: list[Any] = []  # instances that are closed with it
        self._venues = [self._venue(one) for one in exchanges_of(exchange)]
        names = [venue.name for venue in self._venues]
        if len(set(names)) < len(names):
            raise ValueError(f"exchange: found {', '.join(names)}, allowed each once")
        self._capture = None if store is None else Capture(Path(store).absolute())
        self._courier = Courier()
        self._session = Session(
            {venue.name: venue.instance for venue in self._venues},
            *(self._capture, self._courier, self._limits, on_gap, on_health),
        )
        self._error: BaseException | None = None
        self._done = threading.Event()
        self._ending = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False

    def _venue(self, exchange: Any) -> Venue:
        instance, market_type = exchange, None
        if isinstance(exchange, str):
            instance, market_type = streaming_instance(exchange)
            self._own.append(instance)
        if not (hasattr(instance, "id") and hasattr(instance, "urls") and is_async(instance)):
            raise TypeError(f"exchange must be a name or an instance of ccxt.pro, got {type(exchange).__name__}")
        if instance.id not in MODULES and not instance.has.get("ws"):
            raise TypeError(
                f"exchange must be a name or an instance of ccxt.pro, got one of {type(instance).__module__}"
            )
        if instance.id not in MODULES and not instance.has.get("watchTrades"):
            own = ", ".join(MODULES)
            raise ValueError(f"exchange: {instance.id} has no stream of trades in ccxt.pro; {own} and most others have")
        return Venue(instance, market_type, self._limits)

    # What its user calls ---------------------------------------------------------------------------------------------

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it ends, or for so long; whether it has ended. Raises what ended it, if not ``stop``."""
        if self._is_here():
            raise RuntimeError("wait would wait for itself here: await the stream")
        end = math.inf if seconds is None else time.monotonic() + seconds
        while self.running and (left := end - time.monotonic()) > 0.0:
            self._done.wait(min(left, _LOOK_S))
        if self.running:
            return False
        if self._error is not None:
            raise self._error
        return True

    def health(self) -> pd.DataFrame:
        """A row a market: venue, symbol, state, last_trade and last_message (UTC ms), counts, liquidation_feed.

        trades, liquidations  that came; the venue's own totals of liquidated USD are raw_long_usd and raw_short_usd
        gaps, dropped, queue  how often trades were missing; frames or trades that could not be read; trades that wait
        store_error           why something that was captured is not in the store's files yet; None: nothing is behind
        """
        rows = self._session.health()
        there = {row["venue"] for row in rows}
        for venue in self._venues:
            if venue.name not in there:
                names = [name for symbols in self._wanted.values() for name in symbols]
                rows += [_absent(venue.name, name) for name in names]
        frame = pd.DataFrame(rows, columns=list(HEALTH))
        return frame.astype({"last_trade": "Int64", "last_message": "Int64"})

    def shares(self, minutes: int = 60) -> pd.DataFrame:
        """A row a market: venue, symbol, usd, share: of the USD traded at the streamed markets of its coin.

        minutes   of event time, up to that of the coin's last trade, from the stream's start on at most; 1 to 1440

        Bars, and so the ledger and its zones, are made of the trades of all of them: this is what each brings. Where
        nothing was traded the share is NaN. Raises ValueError for other ``minutes``.
        """
        return shares_of(list(self._session.channels), minutes)

    def gaps(self) -> pd.DataFrame:
        """A row a gap: venue, symbol, kind, since, until (UTC ms), missing, filled (True, False or "store")."""
        return pd.DataFrame(self._session.gaps.rows(), columns=list(GAPS))

    def stop(self) -> None:
        """End it: what waits is applied, store and state are written. Raises what went wrong with that.

        In a callback, and on the loop that it runs on, it returns at once; elsewhere once that loop runs no longer.
        """
        self.request_stop()
        if self._is_here() or self._loop is None:
            return
        while not self._done.wait(_LOOK_S):
            if self._loop.is_closed():
                self._end_without_loop()
            elif not (self._thread.is_alive() if self._thread else self._loop.is_running()):
                return
        if self._thread is not None:
            self._thread.join()
            interrupts.forget(self)
        if self._error is not None:
            raise self._error

    def request_stop(self) -> None:
        """Have it end, without waiting for that."""
        self._stopping = True
        loop = self._loop
        if loop is not None and not self._done.is_set():
            with contextlib.suppress(RuntimeError):  # it ends as this is called
                loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        """Once: a second time would break off what it does at its end."""
        if self._task is not None and not self._task.cancelling():
            self._task.cancel()

    def _is_here(self) -> bool:
        """Whether this is the thread of its loop or of its callbacks."""
        return self._courier.is_here or self.is_on_loop

    @property
    def is_on_loop(self) -> bool:
        """Whether this is the thread of its loop, in one of its steps."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    @property
    def counts(self) -> dict[str, int]:
        """Counters of the whole stream.

        callbacks_waiting, callbacks_lost   that are to be called yet; that were not, since 100,000 waited
        callback_errors                     calls of ``on_gap`` and ``on_health`` that raised
        faults                              of its tasks, and waits for ``on_gap`` that were given up; the log has them
        """
        courier = self._courier
        known = {"callbacks_waiting": courier.waiting, "callbacks_lost": courier.lost}
        return known | {"callback_errors": courier.errors, "faults": len(self._session.tasks.faults)}

    @property
    def running(self) -> bool:
        """Whether it has not ended yet, its last callbacks included."""
        return not (self._done.is_set() or (self._loop is not None and self._loop.is_closed()))

    def __await__(self) -> Generator[Any, None, None]:
        return self._ended().__await__()

    async def _ended(self) -> None:
        assert self._task is not None
        if not self._task.done():
            if not self.is_on_loop:
                raise RuntimeError("await: this stream runs on another loop: wait()")
            await asyncio.wait({self._task})
        if self._error is not None:
            raise self._error

    # Running ---------------------------------------------------------------------------------------------------------

    @property
    def courier(self) -> Courier:
        """The thread of its callbacks."""
        return self._courier

    @property
    def store(self) -> Path | None:
        """The folder of its store."""
        return None if self._capture is None else self._capture.root

    def flush(self) -> None:
        """Have all that was captured in the files of the store; while a ``rebuild`` reads them it waits for that.

        Raises OSError or ValueError where that fails.
        """
        if self._capture is not None:
            self._capture.fold()

    @contextlib.contextmanager
    def frozen(self, began: Callable[[], None]) -> Iterator[Counter[Key]]:
        """Within the block the store is as of the moment at which ``began`` is called; what it has and no engine yet.

        One thread at a time is within it. Errors as for ``flush``.
        """
        held: Counter[Key] = Counter()
        capture = self._capture

        with contextlib.ExitStack() as thawing:

            def freeze() -> bool:
                if capture is not None:
                    if not capture.freeze():
                        return False
                    thawing.callback(capture.thaw)
                held.update(self._session.gaps.held())
                began()
                return True

            while not self._call_on_loop(freeze):
                assert capture is not None
                capture.wait_until_thawed()
            if capture is not None:
                capture.fold_ended()
            yield held

    def _call_on_loop(self, call: Callable[[], T]) -> T:
        """What something gives that is called between two steps of its loop; raises what that raises."""
        loop = self._loop
        if loop is None or not self.running or self.is_on_loop:
            return call()
        called: Future[T] = Future()

        def run() -> None:
            if called.set_running_or_notify_cancel():
                try:
                    called.set_result(call())
                except BaseException as error:
                    called.set_exception(error)

        with contextlib.suppress(RuntimeError):  # it ends as this is called
            loop.call_soon_threadsafe(run)
        try:
            while not wait([called], _LOOK_S).done:
                if not self.running and called.cancel():
                    return call()
        finally:
            if not called.cancel():  # who was interrupted leaves nothing that is called later
                wait([called])
        return called.result()

    def start(self) -> Stream:
        """Run on a thread of its own, which keeps the process alive."""
        started = threading.Event()

        async def main() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            self._loop.set_default_executor(Workers())
            started.set()
            if self._stopping:  # before there was a loop to tell
                self._cancel()
            await self._main()

        self._thread = threading.Thread(target=lambda: asyncio.run(main()), name="liquidator-stream", daemon=False)
        interrupts.watch(self)
        self._thread.start()
        started.wait()
        return self

    def start_here(self) -> Stream:
        """Run on the loop that runs."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._main())
        return self

    async def _main(self) -> None:
        try:
            await self._run()
        except asyncio.CancelledError:
            if not self._stopping:  # the loop itself ends
                raise
        except Exception as error:
            self._error = error
            _LOG.error("the stream has ended: %s", error)
        finally:
            try:
                self._courier.close(_LAST_CALLBACKS_S)
            finally:
                self._done.set()
            if self._thread is not None:
                interrupts.forget(self)

    def _end_without_loop(self) -> None:
        """What is left to do where the loop was closed before the stream had ended: by one thread, others wait."""
        with self._ending:
            if self._done.is_set():
                return
            try:
                self._session.finish(list(self._wanted))
            finally:
                self._courier.close(_LAST_CALLBACKS_S)
                self._done.set()

    async def _run(self) -> None:
        import aiohttp

        visited = [] if self._thread is None else [one.instance for one in self._venues]  # on a loop of ours
        for instance in visited:
            await let_go(instance)
        try:
            async with aiohttp.ClientSession() as http, aiohttp.ClientSession(trust_env=True) as by_proxy:
                await self._session.run([self._receive((http, by_proxy))], list(self._wanted))
        finally:
            for instance in visited:
                await let_go(instance)
            for instance in self._own:
                with contextlib.suppress(Exception):
                    await instance.close()

    async def _receive(self, http: Any) -> None:
        """Find markets, catch up, then receive; a venue that does not answer at first joins when it does."""
        tasks = {asyncio.create_task(venue.open(self._wanted)): venue for venue in self._venues}
        try:
            done, late = await asyncio.wait(tasks, timeout=self._limits.hold_s, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
            there = [venue for task, venue in tasks.items() if task in done]
            channels = [channel for venue in there for channel in venue.channels]
            for channel in channels:
                self._session.add(channel)
            await catch_up(channels, self._capture, self._session, self._limits)
            running = [self._session.tasks.start(one) for venue in there for one in venue.sources(http, self._session)]
            running += [self._session.tasks.start(self._join(task, tasks[task], http)) for task in late]
            await asyncio.gather(*running)
        finally:
            for task in tasks:
                task.cancel()

    async def _join(self, opening: asyncio.Task[None], venue: Venue, http: Any) -> None:
        await opening
        for channel in venue.channels:
            self._session.add(channel)
        await join_late(venue.channels, self._session, self._limits)
        await asyncio.gather(*(self._session.tasks.start(one) for one in venue.sources(http, self._session)))


def exchanges_of(exchange: Any) -> list[Any]:
    """The exchanges that are named by one, or by a list of them."""
    found = list(exchange) if isinstance(exchange, (list, tuple)) else [exchange]
    if not found:
        raise ValueError("exchange: found none, allowed one or more")
    return found


def _absent(venue: str, symbol: str) -> dict[str, Any]:
    """The row of a market of a venue that has not answered yet."""
    counts = dict.fromkeys(("trades", "liquidations", "gaps", "dropped", "queue"), 0)
    return {"venue": venue, "symbol": symbol, "state": "STALE", "liquidation_feed": "none", **counts}
