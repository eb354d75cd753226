"""A Liquidator while a stream feeds it: one lock, who may feed it, and what the stream calls."""

from __future__ import annotations

import functools
import inspect
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from liquidator_core import TRADE

from ..market.columns import NO_ID, id_of
from ..market.trades import One, Trades
from ..market.venues import venue_of
from ..tables.zone_schema import SIDES
from .history import pieces
from .settings import SETTINGS

if TYPE_CHECKING:
    import pandas as pd

    from ..live.running import Stream, Told
    from ..live.said import Row

Made = TypeVar("Made", bound=type)
_ONE_BY_ONE = 64  # trades that are pushed; more make an array
_AT_LAST = 100  # of what a stream brought in the meantime that are applied while it waits
#: Methods that wait for the stream, or that it must not wait for; those of the second line take the lock themselves.
_FREE = (
    *("start_stream", "astart_stream", "stop_stream", "stream_health", "from_exchange"),
    *("rebuild", "plot", "train_ml_predictor", "save"),
)


class Guard:
    """The lock of a Liquidator's public methods, and the stream that feeds it; a copy has its own and no stream.

    brought  while it is rebuilt, what a stream brings: calls of its ``Sink``
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.stream: Stream | None = None
        self.rebuilding = threading.Lock()
        self.brought: list[tuple[str, tuple[Any, ...]]] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Guard:
        return Guard()

    def __reduce__(self) -> tuple[type[Guard], tuple[()]]:
        return Guard, ()

    def check_feeding(self, name: str) -> None:
        """Raise RuntimeError for a user that feeds beside a stream."""
        if self.stream is not None and self.stream.running:
            raise RuntimeError(f"{name} while a stream feeds this Liquidator: stop_stream() first")


def guarded(made: Made) -> Made:
    """A class whose public methods are called by one thread at a time, under ``self._guard``."""
    for name in dir(made):
        value = inspect.getattr_static(made, name)
        if name.startswith("_") or name in _FREE:
            continue
        if inspect.isfunction(value):
            setattr(made, name, _locked(value))
        elif isinstance(value, property) and value.fget is not None:
            setattr(made, name, property(_locked(value.fget), doc=value.__doc__))
    return made


def _locked(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def locked(self: Any, *args: Any, **kwargs: Any) -> Any:
        with self._guard.lock:
            return method(self, *args, **kwargs)

    return locked


class Sink:
    """What a stream feeds: one Liquidator, under its lock. ``path`` is where its state is kept; None: nowhere."""

    def __init__(self, liquidator: Any, path: str | os.PathLike[str] | None) -> None:
        self._of = liquidator
        self._guard: Guard = liquidator._guard
        self._path = None if path is None else Path(path).absolute()
        self._saving = threading.Lock()

    @property
    def closed(self) -> int:
        with self._guard.lock:
            return int(self._of._history.closed)

    def join(self, symbol: str) -> None:
        """Take a market as one of its coin. Raises ValueError for one of another."""
        with self._guard.lock:
            self._of._identity = self._of._identity.joined(symbol)

    def _brought(self, what: str, *about: Any) -> None:
        """Note a call for who rebuilds the engine."""
        if self._guard.brought is not None:
            self._guard.brought.append((what, about))

    def trades(self, venue: str, rows: Sequence[Row]) -> None:
        """Apply trades of base coins, in order."""
        with self._guard.lock:
            self._brought("trades", venue, rows)
            venue = venue_of(venue).name
            history, events = self._of._history, self._of._events
            if len(rows) > _ONE_BY_ONE:
                for piece in pieces([_part(venue, rows)], history):
                    history.add_trades(piece)
                    events.advance()
                return
            for time, price, size, side, ident in rows:
                number, ordered = (ident, True) if type(ident) is int else id_of(ident)
                history.push(One(time, price, size, side, number, ordered), venue)
                if history.clock >= history.due:
                    events.advance()

    def liquidation(self, venue: str, time: int, price: float, usd: float, side: str) -> None:
        """Apply an observed liquidation."""
        with self._guard.lock:
            self._brought("liquidation", venue, time, price, usd, side)
            row = {"time": time, "price": price, "usd": usd, "side": side}
            self._of.ingest_liquidations([row], venue)

    def liquidations(self, venue: str) -> Counter[tuple[int, float, float, str]]:
        """Those of a venue that were applied since the last closed bar: how often each time, price, USD and side."""
        with self._guard.lock:
            history, venue = self._of._history, venue_of(venue).name
            if venue not in history.venues:
                return Counter()
            some = history.liquidations.rows
            mine = some[(some["venue"] == history.venues.index(venue)) & (some["time"] >= history.closed)]
            columns = [mine[name].tolist() for name in ("time", "price", "usd", "side")]
            return Counter((*known, SIDES[side]) for *known, side in zip(*columns, strict=True))

    def rate(self, kind: str, time: int, value: float) -> None:
        """Apply a reading of funding_rate or open_interest."""
        with self._guard.lock:
            self._brought("rate", kind, time, value)
            series = {kind: (np.array([time], np.int64), np.array([value]))}
            self._of._history.add_rates(series)

    def save(self) -> None:
        """Write the state, if one is kept."""
        if self._path is not None:
            with self._saving:  # one that began earlier ends earlier
                self._of.save(self._path)


def _part(venue: str, rows: Sequence[Row]) -> Trades:
    trades = np.zeros(len(rows), TRADE)
    columns = list(zip(*rows, strict=True))
    for name, values in zip(("time", "price", "size", "side"), columns, strict=False):
        trades[name] = values
    known = [id_of(one) for one in columns[4]]
    ids = np.array([number for number, _ in known], np.int64)
    return Trades(venue, trades, ids if (ids != NO_ID).any() else None, all(ordered for _, ordered in known))


def _check_same(one: Any, other: Any, path: Any) -> None:
    """Raise ValueError for a state that was written with other settings."""
    for name in (*(name for name in SETTINGS if name != "ml_enabled"), "params"):  # training enables it
        mine, saved = getattr(one, name), getattr(other, name)
        if mine != saved and not (name == "coin" and mine is None):
            raise ValueError(f"{path}: a state of {name}={saved!r}, and this Liquidator has {name}={mine!r}")


def take_over(one: Any, other: Any) -> None:
    """Have a Liquidator go on from where another one is."""
    one._frames, one._history, one._identity = other._frames, other._history, other._identity
    one.skipped, one.not_trades = other.skipped, other.not_trades
    one._events.go_on_with(other._frames)
    one._last = None


def _apply(brought: Sequence[tuple[str, tuple[Any, ...]]], sink: Sink) -> None:
    """Call a sink as another one was called."""
    for what, about in brought:
        getattr(sink, what)(*about)


class Streamed:
    """The part of a Liquidator that starts and ends a stream."""

    _guard: Guard

    def start_stream(
        self,
        exchange: Any = "hyperliquid",
        symbols: Sequence[str] | None = None,
        store: str | os.PathLike[str] | None = None,
        state: str | os.PathLike[str] | None = None,
        on_gap: Told | None = None,
        on_health: Told | None = None,
    ) -> Stream:
        """Feed this Liquidator from exchanges, on a thread of the stream's own, until ``stop_stream`` or Ctrl-C.

        exchange   a name, an instance of ccxt.pro, to whose ``urls`` it connects, or a list of either: binance, bybit,
                   okx, hyperliquid by our own readers, any other that has a stream of trades by ccxt.pro
        symbols    markets of this coin, as people write them; None: its perpetual at each exchange
        store      a folder that keeps what comes, written every second
        state      a file that keeps this Liquidator, written every minute and at the end; one that is there is loaded
                   into a Liquidator that was given nothing yet, and what was missed since is fetched first
        on_gap     is called with each row of ``Stream.gaps()``; of an unfilled gap before the next trade is applied
        on_health  is called with a row of ``Stream.health()`` at each change of a state

        Returns at once. While it runs every method may be called by any thread, callbacks are called on one thread of
        their own, and ``push`` and ``ingest_trades`` raise RuntimeError. Raises ValueError in batch mode, for an
        exchange without such a stream and for a state of another schema or of other settings; FileNotFoundError for one
        in no folder; RuntimeError while another stream runs.
        """
        return self._stream(exchange, symbols, store, state, on_gap, on_health).start()

    async def astart_stream(
        self,
        exchange: Any = "hyperliquid",
        symbols: Sequence[str] | None = None,
        store: str | os.PathLike[str] | None = None,
        state: str | os.PathLike[str] | None = None,
        on_gap: Told | None = None,
        on_health: Told | None = None,
    ) -> Stream:
        """``start_stream`` on the loop that runs; ``await`` the Stream after ``stop_stream``."""
        return self._stream(exchange, symbols, store, state, on_gap, on_health).start_here()

    def stop_stream(self) -> None:
        """End the stream, if one runs: ``Stream.stop``."""
        if self._guard.stream is not None:
            self._guard.stream.stop()

    def rebuild(self, store: str | os.PathLike[str] | None = None, symbols: Sequence[str] | None = None) -> None:
        """Fold anew, from a store's first trade of this coin on, what streams brought; bars before it stay.

        store     None: that of the stream that runs, or ran last
        symbols   the markets, as ccxt names them; None: all of this coin in the store

        What came too late to be applied counts then. Raises ValueError for a store without a trade of this coin, and
        for None where no stream kept one, OSError for a store that cannot be written to, RuntimeError on the loop of a
        stream while another thread rebuilds. A stream that runs goes on meanwhile, and what it brings is applied to
        what was folded anew before that takes the place of what is here. Cost: half a second a million trades.
        """
        stream, guard = self._guard.stream, self._guard
        if store is None and stream is not None:
            store = stream.store
        if store is None:
            raise ValueError("store: found none, and no stream kept one: rebuild(store=...)")
        if stream is None or not stream.running:
            with guard.lock:
                if stream is not None:
                    stream.flush()
                take_over(self, self._folded_anew(store, symbols, Counter()))
            return

        def begin() -> None:
            guard.brought = []

        if not guard.rebuilding.acquire(blocking=not stream.is_on_loop):  # who has it may wait for the loop
            raise RuntimeError("rebuild: another thread rebuilds this Liquidator: await asyncio.to_thread(L.rebuild)")
        try:
            with stream.frozen(begin) as held:
                fresh = self._folded_anew(store, symbols, held)
            self._go_over_to(fresh)
        finally:
            guard.brought = None
            guard.rebuilding.release()

    def _folded_anew(self, store: Any, symbols: Sequence[str] | None, without: Counter[Any]) -> Any:
        """A Liquidator of the bars before a store's, and of what the store holds but for some events."""
        from ..live.playback import markets_of, play

        made: Any = self
        fresh = type(made)(**{name: getattr(made, name) for name in SETTINGS}, params=made.params)
        first, markets = markets_of(store, made.coin, symbols)
        begin = first // made._history.step * made._history.step
        bars = made.bars()
        if len(before := bars[bars["time"] < begin]):
            fresh._history.add_candles(before)
        play(store, dict.fromkeys(markets, Sink(fresh, None)), max(begin, first), None, without=without)
        fresh._events.advance()
        return fresh

    def _go_over_to(self, fresh: Any) -> None:
        """Apply to another one what a stream has brought since, and go on from it."""
        guard, sink = self._guard, Sink(fresh, None)
        while True:
            with guard.lock:
                assert guard.brought is not None
                brought, guard.brought = guard.brought, []
                if is_last := len(brought) <= _AT_LAST:
                    _apply(brought, sink)
                    take_over(self, fresh)
                    guard.brought = None
            if is_last:
                return
            _apply(brought, sink)

    def stream_health(self) -> pd.DataFrame:
        """``Stream.health()`` of the stream that runs, or ran last. Raises RuntimeError if there was none."""
        if self._guard.stream is None:
            raise RuntimeError("no stream was started: start_stream(exchange=...)")
        return self._guard.stream.health()

    def _stream_sink(self, path: str | os.PathLike[str] | None) -> Sink:
        """What ``live.stream`` feeds; a state that is at ``path`` is taken over. Errors as for ``start_stream``."""
        made: Any = self
        if not made._settings.streaming:
            raise ValueError("mode='batch' has no start_stream: Liquidator(mode='streaming')")
        if self._guard.stream is not None and self._guard.stream.running:
            raise RuntimeError("a stream feeds this Liquidator already: stop_stream() first")
        if path is not None and not (folder := Path(path).parent).is_dir():
            raise FileNotFoundError(f"{path}: there is no folder {folder}, make it first")
        if path is not None and Path(path).exists() and made._history.clock == 0:
            _check_same(made, other := type(made).load(path), path)
            take_over(made, other)
        return Sink(self, path)

    def _attach_stream(self, stream: Stream) -> None:
        """Have callbacks called on a stream's thread for them from now on."""
        made: Any = self
        self._guard.stream = stream
        made._events.courier = stream.courier

    def _stream(self, exchange: Any, symbols: Sequence[str] | None, store: Any, state: Any, *told: Any) -> Stream:
        from ..live.running import Stream

        made: Any = self
        wanted = (symbols,) if isinstance(symbols, str) else symbols
        if wanted is None:
            if made.coin is None:
                raise ValueError("symbols: found none, allowed one or more: this Liquidator does not know its coin")
            wanted = (made.coin,)
        if not isinstance(wanted, Iterable):
            raise TypeError(f"symbols must be names of markets, got {type(wanted).__name__}")
        if not wanted:
            raise ValueError("symbols: found none, allowed one or more, or None: the perpetual of this coin")
        stream = Stream({self._stream_sink(state): tuple(wanted)}, exchange, store, *told)
        self._attach_stream(stream)
        return stream
