"""What comes in: one coin's trades, liquidations, rates and candles, read, checked and handed to its history."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from liquidator_core import BAR
from liquidator_core.timeframes import BAR_LENGTHS, step_ms, timeframe_meant, timeframe_ms

from ..market.candles import Candles, OnBad, bars_from_frame, completed
from ..market.coins import Identity, market_of
from ..market.columns import Events, reusable
from ..market.envelopes import is_envelope
from ..market.liquidations import read_liquidations, read_rates
from ..market.messages import TableError, moment
from ..market.sources import Convention, check_convention, joined_by_columns, text_of
from ..market.streams import candles_in, interval_in, is_closed, sent_at, told_by
from ..market.trades import One, Reader, read_trades, reader_of, rows_of
from ..market.venues import checked_venue
from .events import EventCallbacks
from .history import History, pieces
from .settings import Settings
from .streaming import Guard

_LOG = logging.getLogger("liquidator")

_TAKEN_BY = {"liquidations": "ingest_liquidations", "candles": "update_candles"}
_MOST_READERS = 1000
_MOST_MARKETS = 1000


class Incoming:
    """The part of a Liquidator that takes data.

    ``skipped`` counts the bad trades left out, ``not_trades`` the rows that say that they are no trades of their own.
    """

    def __init__(self, settings: Settings, history: History, events: EventCallbacks) -> None:
        self.skipped = 0
        self.not_trades = 0
        self._open_candle = np.zeros(0, BAR)  # the last of a stream that does not say whether it is closed
        self._settings = settings
        self._history = history
        self._events = events
        coin = settings.coin
        self._identity = Identity(coin, "" if coin is None else market_of(coin).currency)
        self._reader = _TradeReader()
        self._guard = Guard()

    @property
    def coin(self) -> str | None:
        """Whose data it takes; None as long as no market has said it."""
        return self._identity.coin

    def ingest_trades(self, data: Events, venue: str = "", *, convention: Convention = None) -> None:
        """Take public trades: all of them or, if one is bad, none.

        data        rows with names (a list or a generator of dicts), columns, a frame, an Arrow table, a structured
                    array, or what a venue's API returned; ``market/names.py`` lists names, ``market/venues.py`` venues
        venue       whose they are, where no column says it; some venues name sides and sizes in their own way.
                    Aliases of ccxt, tardis, cryptofeed and aggr will do; a misspelt one is an error
        convention  "venue": sides are the venue's own words. "taker": a tool has made them the taker's. None: as the
                    names of columns tell where that is certain (tardis, cryptofeed, aggr, ccxt), else the venue's

        Sizes are base units. Those of inverse contracts that count the quote currency (on Bybit, Deribit, Kraken) are
        divided by the price; those of contracts whose size no trade says (swaps of OKX, KuCoin, Gate and others, and
        whatever looks like a derivative of a venue that is not known) are refused unless a field gives them in base
        units (``base_size``, ``homeNotional``, ``baseQty``). Trades with an id that this venue already gave are known
        and left out; without ids every trade counts. So are rows that say that they are no trades of their own: a
        maker's leg, a block trade (``counts``). Trades of one time count in order of venue, id and arrival, so name
        the venues. Raises ValueError or TypeError naming row, field, what was found and what is allowed; with
        ``on_bad="skip"`` only for what no row is to blame for, such as a missing column. Cost: that of the trades
        given.
        """
        self._guard.check_feeding("ingest_trades")
        data = reusable(data)
        _refuse_others(data)
        if _is_one_trade(data):
            self._push_row(data[0], venue, convention)
            return
        try:
            read = read_trades(data, self._identity, venue, convention)
        except TableError:
            raise
        except (ValueError, TypeError):
            if self._settings.on_bad == "raise":
                raise
            for trade in rows_of(data, venue):
                self.push(trade, venue, convention=convention)
            return
        self._identity = read.identity
        self.not_trades += read.others
        for piece in pieces(read.parts, self._history):
            self._history.add_trades(piece)
            if self._history.streaming:
                self._events.advance()

    def _push_row(self, trade: Mapping[str, Any], venue: str, convention: Convention) -> None:
        """``push`` for a table of one row, with errors that name the row."""
        try:
            self._reader.of(trade, venue, convention)
            self.push(trade, venue, convention=convention)
        except TableError:
            raise
        except (ValueError, TypeError) as error:
            raise (TypeError if isinstance(error, TypeError) else ValueError)(f"row 0, {error}") from None

    def push(self, trade: Mapping[str, Any], venue: str = "", *, convention: Convention = None) -> None:
        """Take one trade, as ``ingest_trades`` takes many; no frame is made. Cost: a few microseconds, and where a bar
        closes some 100 more.

        A venue's message is taken as what it tells of: trades in an envelope, liquidations (``ingest_liquidations``),
        closed candles (``update_candles``; one that is open yet is counted in ``not_trades``). Where a stream does not
        say which are closed (Hyperliquid, Kraken, Coinbase, HTX, Bitget), one that had not ended when its message was
        sent, or of which that is not known, waits until one comes that opens later; meanwhile it is nowhere, not in a
        saved state either. One that an outage cut short counts as far as it was told.
        """
        self._guard.check_feeding("push")
        try:
            one, venue, self._identity = self._reader.read(trade, venue, convention, self._identity)
        except (ValueError, TypeError) as error:
            self._take_message(trade, venue, convention, error)
            return
        if one is None:
            self.not_trades += 1
            return
        self._history.push(one, venue)
        if self._history.streaming and self._history.clock >= self._history.due:
            self._events.advance()

    def _take_message(self, message: Any, venue: str, convention: Convention, fault: Exception) -> None:
        """Take what a message tells of; what is none raises ``fault``, or is skipped."""
        try:
            topic = told_by(message)
            if topic == "trades":
                self.ingest_trades([message], venue, convention=convention)
            elif topic == "liquidations":
                self.ingest_liquidations([message], venue, convention=convention)
            elif topic == "candles":
                self._take_candles(message)
            else:
                raise fault
        except (ValueError, TypeError) as error:
            if self._settings.on_bad == "raise":
                raise error from None
            if self.skipped == 0:
                _LOG.warning("trades are skipped, the first: %s", error)
            self.skipped += 1

    def _take_candles(self, message: Mapping[str, Any]) -> None:
        """Take the candles of a message: one that says that it is open is left out, one that may be is held."""
        rows = candles_in([message])
        left = [row for row in rows if is_closed(row) is not False]
        self.not_trades += len(rows) - len(left)
        if left:
            _check_interval([row for row in left if isinstance(row, Mapping)], interval_in(message), self._settings.bar)
            self._add_candles(left, None if all(map(is_closed, left)) else sent_at(message) or 0)

    def ingest_liquidations(self, liquidations: Events, venue: str = "", *, convention: Convention = None) -> None:
        """Take observed liquidations, given like trades: time, price, side, USD or size, and where known id and venue.

        side        "long" or "short": who was liquidated; "buy" or "sell": the closing order, but see
                    ``market.liquidations.read_liquidations``
        convention  "taker": "buy" and "sell" are the closing order's; "venue": as the venue means them

        The bars from a feed's first liquidation on, until ``params.flow_bars`` bars after its last, have what it
        observed in place of what the engine estimates. All venues' are added up. Errors as for ``ingest_trades``.
        """
        data = reusable(liquidations)
        read = read_liquidations(data, self._identity, self._history.tape.code_of, venue, convention)
        some = self._history.add_liquidations(read.events)
        self._identity = read.identity
        self._events.announce_liquidations(some)
        if self._history.streaming:
            self._events.advance()

    ingest_liqs = ingest_liquidations

    def ingest_funding_rates(self, data: Events) -> None:
        """Take readings of the funding rate and of open interest (base units): ``market.liquidations.read_rates``.

        A bar has the last funding rate up to its end, and the last open interest read in it, its end included. Errors
        as for ``ingest_trades``.
        """
        read = read_rates(reusable(data), self._identity)
        self._history.add_rates(read.series)
        self._identity = read.identity

    ingest_open_interest = ingest_funding_rates

    def update_candles(self, df: Candles) -> None:
        """Take closed candles of ``bar``, given as to ``frames.bars_from_frame``; open and volume may be left out.

        A candle's prices and volumes stand in for those of its bar's trades; of one time the last given counts. Raises
        as ``bars_from_frame``, and for candles of another timeframe.
        """
        self._add_candles(candles_in(reusable(df)))

    def _add_candles(self, candles: Candles, now: int | None = None) -> None:
        """Take candles; one that is open at ``now``, ms, waits for a later one, or for itself; None: all are closed."""
        identity = joined_by_columns(self._identity, candles)
        bars = _read_candles(candles, self._settings.bar, self._settings.on_bad)
        if now is not None or len(self._open_candle):
            held = self._open_candle[~np.isin(self._open_candle["time"], bars["time"])]
            bars = np.concatenate([held, bars])
            bars = bars[np.argsort(bars["time"])]
            last = bars["time"][-1:]
            waits = np.isin(last, held["time"]) if now is None else last + timeframe_ms(self._settings.bar) > now
            closed = len(bars) - int(waits.sum())
            bars, self._open_candle = bars[:closed], bars[closed:]
        self._history.add_candles(bars)
        self._identity = identity
        if self._history.streaming:
            self._events.advance()

    @property
    def callback_errors(self) -> int:
        """How often a callback raised."""
        return self._events.errors

    @property
    def counts(self) -> dict[str, int]:
        """What was left out, and why: late events, trades more than a day ahead of all others, repeated ids, bad trades
        skipped, rows that say that they are no trades; and callbacks that raised.
        """
        late = {f"late_{name}": count for name, count in self._history.late.items()}
        return {
            **late,
            "ahead": self._history.ahead,
            "repeated": self._history.repeated,
            "skipped": self.skipped,
            "not_trades": self.not_trades,
            "callback_errors": self.callback_errors,
        }


class _TradeReader:
    """Single trades of one coin, each read by what was worked out for trades of its names."""

    def __init__(self) -> None:
        self._readers: dict[tuple[Any, ...], Reader] = {}
        self._markets: set[str] = set()  # names that were found to be this coin's

    def of(self, trade: Mapping[str, Any], venue: str, convention: Convention) -> Reader:
        """What reads trades of these names. Raises TypeError, and TableError for names that are missing."""
        if type(trade) is not dict and not isinstance(trade, Mapping):
            raise TypeError(f"a trade must be a mapping of names to values, got {type(trade).__name__}")
        names = (venue, convention, *trade)
        try:
            reader = self._readers.get(names)
        except TypeError:  # no name can be a key
            checked_venue(venue)
            check_convention(convention)
            raise TypeError(f"names of a trade must be text, got {list(trade)!r:.80}") from None
        if reader is None:
            _refuse_others(trade)
            if len(self._readers) > _MOST_READERS:
                self._readers.clear()
            reader = self._readers[names] = reader_of(tuple(trade), venue, convention)
        return reader

    def read(
        self, trade: Mapping[str, Any], venue: str, convention: Convention, identity: Identity
    ) -> tuple[One | None, str, Identity]:
        """(a trade, checked, or None if it says that it is none; its venue's name; whose it and those before are).

        Raises TypeError or ValueError naming what is wrong.
        """
        reader = self.of(trade, venue, convention)
        if reader.venue_name and not venue and trade[reader.venue_name]:
            return self.read(trade, text_of(trade[reader.venue_name]), convention, identity)
        known = identity
        for name in reader.market_names:
            market = trade[name]
            if type(market) is not str or market not in self._markets:
                identity = identity.joined(text_of(market), name)
                if identity is known and type(market) is str and len(self._markets) < _MOST_MARKETS:
                    self._markets.add(market)
        return reader.read(trade), reader.venue, identity


def _is_one_trade(data: Any) -> bool:
    """Whether what was given as a table holds one trade, as a mapping."""
    return isinstance(data, list) and len(data) == 1 and isinstance(data[0], Mapping) and not is_envelope(data[0])


def _refuse_others(data: Any) -> None:
    """Raise TableError for rows or a message of anything but trades."""
    first = data[0] if isinstance(data, list) and data else data
    topic = told_by(first)
    if topic in _TAKEN_BY:
        raise TableError(f"found {topic}, allowed trades: {_TAKEN_BY[topic]} takes them, and push() their messages")


def _check_interval(candles: list[Mapping[str, Any]], interval: str, bar: str) -> None:
    """Raise ValueError for a candle of another length than ``bar``, as it or else its message's topic says."""
    for candle in candles:
        said = next((candle[name] for name in ("i", "interval") if name in candle), interval or bar)
        if timeframe_meant(str(said)) != bar:
            raise ValueError(f"candles must be of {bar}, got one of {said}")


def _read_candles(candles: Candles, bar: str, on_bad: OnBad) -> np.ndarray:
    """Closed candles as (n,) BAR; ValueError for those of another length than ``bar``, or beside its grid."""
    bars = bars_from_frame(completed(candles), on_bad)
    step, steps = timeframe_ms(bar), np.diff(bars["time"])
    found = step_ms(bars["time"]) or step
    others = np.count_nonzero(steps < step) > max(2, len(steps) // 100)  # a stretch beside the grid has two such
    if found < step or others or (len(steps) > 1 and steps.min() > step):  # two candles may have a hole between them
        found = int(steps.min()) if others else found
        known = next((name for name in BAR_LENGTHS if timeframe_ms(name) == found), None)
        hint = f": make it Liquidator(bar={known!r})" if known else ""
        raise ValueError(f"candles must be of {bar}, got steps of {found} ms{hint}")
    astray = bars["time"] % step != 0
    if astray.any():
        row = int(astray.argmax())
        text = f"row {row}, time: found {moment(bars['time'][row])}, allowed the opening of a {bar} bar"
        if on_bad == "raise":
            raise ValueError(text)
        _LOG.warning("%d candles beside the grid of bars are skipped, the first: %s", astray.sum(), text)
        bars = bars[~astray]
    return bars
