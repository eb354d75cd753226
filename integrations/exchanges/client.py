"""One exchange, asked through ccxt: its markets and its raw end points, and asking again until it answers.

The only module that imports ccxt. Every request goes where the instance's ``urls`` say, at the pace of its own rate
bucket. What asking again may cure (a time-out, a connection that broke, a page of HTML, JSON that was cut, a limit) is
asked again, as late as the venue's Retry-After says; what it does not cure is an error, never a gap.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import inspect
import re
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from .names import find_exchange

Answer = TypeVar("Answer")

_ATTEMPTS = 8  # once the venue has answered anything; before that it is the network that is missing
_FIRST_ATTEMPTS = 3
_FIRST_WAIT = 0.25  # seconds, doubled with every attempt
_LONGEST_WAIT = 300.0  # seconds of Retry-After that are waited for
_REFUSED = {401, 403, 404, 405, 410, 451}
_STATUS = re.compile(r" ([45]\d\d) ")


class Fault(Exception):  # noqa: N818
    """An answer that asking again may cure.

    wait    seconds to wait first, if the venue said so
    limit   it said that it was asked too often
    heard   it answered, though not what was asked for
    """

    def __init__(self, text: str, wait: float | None = None, limit: bool = False, heard: bool = False) -> None:
        super().__init__(text)
        self.wait = wait
        self.limit = limit
        self.heard = heard


def library() -> ModuleType:
    """ccxt, imported when it is needed: it takes a second."""
    try:
        import ccxt
    except ImportError:
        raise ImportError('ccxt is missing: pip install "liquidator-core[exchange]"') from None
    module: ModuleType = ccxt
    return module


def streaming_instance(name: str) -> tuple[Any, str | None]:
    """(an instance of ccxt.pro of one's own, to be closed, the type of market that the name says, if it says one).

    Raises ValueError as ``shared``. Importing ccxt.pro takes two seconds and 100 MB.
    """
    found, market = find_exchange(name, library().exchanges)
    import ccxt.pro

    if not hasattr(ccxt.pro, found):
        raise ValueError(f"exchange: {found} has no streams in ccxt.pro")
    return getattr(ccxt.pro, found)({"enableRateLimit": True}), market


class _Kept(dict[str, Any]):
    """Caches by market, of which one that is tapped stays: Deribit's handler makes a new one with every frame."""

    def __setitem__(self, symbol: str, cache: Any) -> None:
        if not hasattr(self.get(symbol), "is_tapped"):
            super().__setitem__(symbol, cache)


@contextlib.contextmanager
def tap_trades(instance: Any, symbol: str, heard: Callable[[Any], object]) -> Iterator[None]:
    """Within the block every trade that an instance of ccxt.pro puts into its cache of a market is heard; ``watch_*``
    give not all. The cache is let go of with it. Raises ValueError for a market that is heard already."""
    if hasattr(instance.trades.get(symbol), "is_tapped"):
        raise ValueError(f"symbols: found {symbol} of {instance.id} twice, maybe by another name, allowed once")
    if not isinstance(instance.trades, _Kept):
        instance.trades = _Kept(instance.trades)
    instance.trades[symbol] = _tapped(heard)
    try:
        yield
    finally:
        instance.trades.pop(symbol, None)


@contextlib.contextmanager
def tap_liquidations(instance: Any, heard: Callable[[Any], object]) -> Iterator[None]:
    """``tap_trades`` for the liquidations of all markets of an instance, which have one cache."""
    instance.liquidations = _tapped(heard)
    try:
        yield
    finally:
        instance.liquidations = None


def _tapped(heard: Callable[[Any], object]) -> Any:
    from ccxt.async_support.base.ws.cache import ArrayCache

    class Tapped(ArrayCache):  # type: ignore[misc]
        is_tapped = True

        def append(self, item: Any) -> None:
            heard(item)
            super().append(item)

    return Tapped(1000)


class Frames:
    """Frames that an instance of ccxt.pro reads: ``connection`` is that by which the one that is being read came."""

    def __init__(self, instance: Any) -> None:
        self.connection: Any = instance  # until a frame comes
        self._instance = instance
        self._unanswered: WeakKeyDictionary[Any, int] = WeakKeyDictionary()  # pings; a loop that pauses reads too late

    def read(self, connection: Any) -> None:
        """A frame comes, of any kind."""
        self.connection = connection
        self._unanswered[connection] = 0

    async def ask(self, most: int) -> None:
        """Ping connections, in the venue's words if ccxt has some; those that left ``most`` unanswered have ended."""
        for one in list((self._instance.clients or {}).values()):
            if one.closed():
                continue
            unanswered = self._unanswered.get(one, 0)
            if unanswered >= most:
                one.on_error(TimeoutError(f"silent since {most} pings"))
            else:
                self._unanswered[one] = unanswered + 1
                with contextlib.suppress(Exception):  # of one that ends: who watches it is told
                    words = one.ping(one) if one.ping else None
                    await (one.send(words) if words else one.connection.ping())


@contextlib.contextmanager
def guard_frames(instance: Any, nonsense: Callable[[Exception], object]) -> Iterator[Frames]:
    """Within the block frames that ccxt.pro cannot read are told, instead of ending the loop that reads."""
    make, own = instance.client, vars(instance).get("client")
    frames = Frames(instance)
    guarded: weakref.WeakSet[Any] = weakref.WeakSet()

    def client(url: str) -> Any:
        made = make(url)
        if "handle_message" not in vars(made):
            read = made.handle_message

            def handle_message(message: Any) -> None:
                frames.read(made)
                try:
                    read(message)
                except Exception as error:
                    nonsense(error)

            made.handle_message = handle_message
            guarded.add(made)
        return made

    instance.client = client
    for url in instance.clients or ():  # that stand already
        client(url)
    try:
        yield frames
    finally:
        if own is None:
            del instance.client
        else:
            instance.client = own
        for made in guarded:
            del made.handle_message


class Refusal(ValueError):  # noqa: N818
    """What a venue refuses to do, however often it is asked."""


_SHARED: dict[str, Any] = {}  # one instance and so one rate bucket a venue
_LOCKS: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()  # synchronous instances are asked by one thread at a time
_STRICT_LOCK = threading.Lock()
_LISTENERS: WeakKeyDictionary[Any, _Listener] = WeakKeyDictionary()


def shared(name: str) -> tuple[Any, str | None]:
    """(the instance of a venue that all fetches by name share, the type of market that the name says, if it says one).

    Raises ValueError for a name that means none of ccxt's exchanges.
    """
    ccxt = library()
    found, market = find_exchange(name, ccxt.exchanges)
    if found not in _SHARED:
        _SHARED[found] = getattr(ccxt, found)({"enableRateLimit": True})
    return _SHARED[found], market


class Client:
    """An exchange to ask.

    exchange   a name, or a ccxt instance, synchronous or asynchronous
    inline     whether a synchronous instance is asked where it stands, as ``run`` wants it; else in a thread
    """

    def __init__(self, exchange: Any, inline: bool) -> None:
        self.instance, self.market_type = shared(exchange) if isinstance(exchange, str) else (exchange, None)
        if not all(hasattr(self.instance, name) for name in ("id", "urls", "has", "load_markets", "on_rest_response")):
            raise TypeError(f"exchange must be a name or a ccxt instance, got {type(exchange).__name__}")
        self.is_async = is_async(self.instance)
        self.venue: str = self.instance.id
        self._inline = inline
        self.is_inline = inline and not self.is_async
        self.sleep: Callable[[float], Awaitable[None]] = _sleep_here if self.is_inline else asyncio.sleep
        self._answered = False
        self._listener: _Listener | None = None
        self.clock_ms: int | None = None  # the venue's, as of its last answer

    async def markets(self) -> dict[str, Any]:
        """The venue's markets by unified symbol; asked for once an instance. Raises ConnectionError or ValueError."""

        def check(markets: Any) -> dict[str, Any]:
            if not markets:
                self.forget_markets()
                raise ValueError("no markets")
            return dict(markets)

        return await self.ask("load_markets", (), check)

    def forget_markets(self) -> None:
        """Have the venue asked for its markets anew."""
        self.instance.markets = None
        if self.is_async:
            self.instance.markets_loading = None

    async def get(self, end_point: str, params: dict[str, Any], read: Callable[[Any], Answer]) -> Answer:
        """What ``read`` makes of a raw end point's answer, asked again while it is none. Errors as for ``ask``."""
        return await self.ask(end_point, (params,), read)

    async def ask(self, method: str, arguments: tuple[Any, ...], read: Callable[[Any], Answer]) -> Answer:
        """What ``read`` makes of what a method of the instance gives.

        ``read`` raises KeyError, TypeError, ValueError or IndexError for nonsense, which is asked for again. Raises
        ConnectionError for a venue that does not answer or forbids, ValueError for nonsense or a refusal.
        """
        import tenacity

        def wait(state: tenacity.RetryCallState) -> float:
            fault = state.outcome.exception() if state.outcome else None
            if isinstance(fault, Fault) and fault.wait is not None:
                return fault.wait
            first = _FIRST_WAIT * (4.0 if isinstance(fault, Fault) and fault.limit else 1.0)
            return float(min(30.0, first * 2 ** (state.attempt_number - 1)))

        def enough(state: tenacity.RetryCallState) -> bool:
            return state.attempt_number >= (_ATTEMPTS if self._answered else _FIRST_ATTEMPTS)

        again = tenacity.AsyncRetrying(
            stop=enough,
            wait=wait,
            retry=tenacity.retry_if_exception_type(Fault),
            sleep=self.sleep,
            reraise=True,
        )
        try:
            return await again(self._once, method, arguments, read)
        except Fault as fault:
            if fault.heard:
                raise ValueError(f"{self.venue} answers nonsense to {method}: {fault}") from None
            hint = "" if self._answered else ": is there a network?"
            raise ConnectionError(f"{self.venue} does not answer: {fault}{hint}") from None

    async def _once(self, method: str, arguments: tuple[Any, ...], read: Callable[[Any], Answer]) -> Answer:
        """One request; Fault for what asking again may cure."""
        call = getattr(self.instance, method)
        if self._listener is not None:
            self._listener.status = None
        try:
            if self.is_async:
                answer = await call(*arguments)
            elif self._inline:
                answer = self._locked(call, arguments)
            else:
                answer = await asyncio.to_thread(self._locked, call, arguments)
        except Exception as error:
            raise self._judged(error) from error
        self._answered = True
        self._read_clock()
        try:
            return read(answer)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise Fault(f"found {one_line(answer)}: {one_line(error)}", heard=True) from error

    def _locked(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        with _LOCKS.setdefault(self.instance, threading.Lock()):
            return call(*arguments)

    def _judged(self, error: Exception) -> Exception:
        """What an error of ccxt means: a Fault, or one that ends the fetch."""
        ccxt = library()
        text = one_line(error)
        if not isinstance(error, ccxt.BaseError):
            return Fault(f"its answer cannot be read: {type(error).__name__}: {text}", heard=True)
        status, headers = _status(error), self._headers()
        if status is None and self._listener is not None:
            status = self._listener.status
        limited = status == 429 or isinstance(error, (ccxt.DDoSProtection, ccxt.RateLimitExceeded))
        if status == 418:
            after = _header(headers, "Retry-After")
            until = f", for {after} s" if after else ""
            return ConnectionError(f"{self.venue} has banned this address{until} (HTTP 418): ask no more until then")
        if limited:
            self._answered = True
            return self._limited(text, _header(headers, "Retry-After"))
        if status in _REFUSED:
            where = ": not from where you are" if status == 451 else ""
            return ConnectionError(f"{self.venue} refuses (HTTP {status}){where}: {text}")
        if isinstance(error, ccxt.BadResponse):
            self._answered = True
            return Fault(text, heard=True)
        if isinstance(error, ccxt.OperationFailed) and status != 400:
            return Fault(text)
        if type(error) is ccxt.ExchangeError:  # ccxt's word for what it has no other for: a broken body, a strange one
            return Fault(text, heard=error.__cause__ is None)
        return Refusal(f"{self.venue} refuses: {text}")

    def _limited(self, text: str, after: str | None) -> Exception:
        try:
            seconds = float(after) if after is not None else None
        except ValueError:
            seconds = None
        if seconds is not None and seconds > _LONGEST_WAIT:
            return ConnectionError(f"{self.venue} was asked too often and wants {seconds:g} s of rest: {text}")
        return Fault(text, seconds, limit=True)

    def _headers(self) -> Mapping[str, str]:
        return self._listener.headers if self._listener is not None else {}

    def _read_clock(self) -> None:
        date = _header(self._headers(), "Date")
        with contextlib.suppress(TypeError, ValueError):
            self.clock_ms = int(parsedate_to_datetime(date or "").timestamp() * 1000)

    @contextlib.contextmanager
    def strict(self) -> Iterator[None]:
        """Within the block the instance raises BadResponse for a body that is not JSON, instead of an empty answer."""
        with _STRICT_LOCK:
            listener = _LISTENERS.get(self.instance)
            if listener is None:
                listener = _LISTENERS[self.instance] = _Listener(self.instance)
            listener.users += 1
        self._listener = listener
        try:
            yield
        finally:
            with _STRICT_LOCK:
                listener.users -= 1
                if listener.users == 0:
                    _LISTENERS.pop(self.instance).leave()


class _Listener:
    """What an instance is told by its venue, heard before ccxt makes something of it: status, headers, and nonsense."""

    def __init__(self, instance: Any) -> None:
        self.users = 0
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self._own = {name: vars(instance).get(name) for name in ("on_rest_response", "parse_json")}
        self._instance = weakref.proxy(instance)
        heard, parse, bad_response, venue = (
            instance.on_rest_response,
            instance.parse_json,
            library().BadResponse,
            instance.id,
        )

        def on_rest_response(code: int, reason: str, url: str, method: str, headers: Any, *rest: Any) -> Any:
            self.status, self.headers = code, headers
            return heard(code, reason, url, method, headers, *rest)

        def parse_json(body: Any) -> Any:
            parsed = parse(body)
            if parsed is None and self.status is not None and self.status < 300:
                raise bad_response(f"{venue}: found {one_line(body)!r}, allowed JSON")
            return parsed

        instance.on_rest_response, instance.parse_json = on_rest_response, parse_json

    def leave(self) -> None:
        """Take off what was put on the instance."""
        for name, own in self._own.items():
            if own is None:
                delattr(self._instance, name)
            else:
                setattr(self._instance, name, own)


def is_async(instance: Any) -> bool:
    """Whether a ccxt instance is asynchronous."""
    return inspect.iscoroutinefunction(getattr(type(instance), "fetch", None))


def one_line(value: Any) -> str:
    """A text for a message: in one line, short, without what only ccxt's own errors repeat."""
    text = " ".join(str(value).split())
    return text if len(text) <= 160 else f"{text[:157]}..."


def _status(error: Exception) -> int | None:
    """The HTTP status that an error of ccxt tells of."""
    response = getattr(error.__cause__ or error.__context__, "response", None)
    if response is not None:
        return int(response.status_code)
    said = _STATUS.search(str(error))
    return int(said[1]) if said else None


def _header(headers: Any, name: str) -> str | None:
    return next((str(value) for key, value in headers.items() if str(key).lower() == name.lower()), None)


# Running --------------------------------------------------------------------------------------------------------------

_LOOP_LOCK = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


async def _sleep_here(seconds: float) -> None:
    time.sleep(seconds)


def run(make: Callable[[], Coroutine[Any, Any, Answer]], instance: Any) -> Answer:
    """A coroutine run to its end: without a loop for a synchronous instance, else on the instance's loop or on ours.

    Raises RuntimeError for an asynchronous instance within a running loop.
    """
    if not is_async(instance):
        coroutine = make()
        try:
            coroutine.send(None)
        except StopIteration as end:
            result: Answer = end.value
            return result
        finally:
            coroutine.close()
        raise AssertionError("a synchronous instance never waits")
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError("fetch cannot wait for an asynchronous instance within a running loop: await afetch(...)")
    own = instance.asyncio_loop
    if own is not None and own.is_running():
        return asyncio.run_coroutine_threadsafe(make(), own).result()
    if own is not None and not own.is_closed():
        answer: Answer = own.run_until_complete(make())
        return answer
    with _LOOP_LOCK:
        return _our_loop().run_until_complete(_visiting(make, instance))


def _our_loop() -> asyncio.AbstractEventLoop:
    global _loop
    if _loop is None:
        _loop = asyncio.new_event_loop()
        atexit.register(_loop.close)
    return _loop


async def _visiting(make: Callable[[], Coroutine[Any, Any, Answer]], instance: Any) -> Answer:
    """Run on our loop for an instance that has none, or whose own is closed; then its connections are no loop's."""
    await let_go(instance)
    try:
        return await make()
    finally:
        await let_go(instance)


async def let_go(instance: Any) -> None:
    """Close the connections of an instance that are its own, so that another loop may use it."""
    if instance.own_session and instance.session is not None:
        with contextlib.suppress(RuntimeError):  # of a loop that is closed
            await instance.session.close()
            await asyncio.sleep(0)  # in which its transports close
        instance.session = instance.tcp_connector = None
    with contextlib.suppress(RuntimeError):
        await instance.close_proxy_sessions()
    instance.asyncio_loop = None
