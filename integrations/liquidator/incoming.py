"""What comes in: one coin's trades, liquidations, rates and candles, read, checked and handed to its history."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from liquidator_core.timeframes import timeframe_ms

from ..market.candles import Candles, OnBad, bars_from_frame
from ..market.columns import Events, held
from ..market.liquidations import read_liquidations, read_rates
from ..market.messages import moment
from ..market.trades import One, Reader, read_trades, reader_of, rows_of
from ..market.venues import ENVELOPES
from .events import EventCallbacks
from .history import History
from .settings import BAR_LENGTHS, Settings

_LOG = logging.getLogger("liquidator")

_MOST_READERS = 1000


class Incoming:
    """The part of a Liquidator that takes data; ``skipped`` counts the bad trades left out."""

    def __init__(self, settings: Settings, history: History, events: EventCallbacks) -> None:
        self.coin = settings.coin
        self.skipped = 0
        self._settings = settings
        self._history = history
        self._events = events
        self._reader = _TradeReader(settings.coin)

    def ingest_trades(self, data: Events, venue: str = "") -> None:
        """Take public trades: all of them or, if one is bad, none.

        data    rows with names (a list or a generator of dicts), columns, a frame, an Arrow table, a structured array,
                or what a venue's API returned; see ``ingest.NAMES`` for names and ``ingest.VENUES`` for venues
        venue   whose they are, where no column says it; some venues name sides and sizes in their own way

        Sizes are base units. Those of inverse contracts that count the quote currency (on Bybit, Deribit, Kraken) are
        divided by the price; those of contracts whose size no trade says (swaps of OKX, KuCoin, Gate and others) are
        refused unless a field ``base_size`` gives them in base units. Trades with an id that this venue already gave
        are known and left out; without ids every trade counts. Trades of one time count in order of venue, id and
        arrival, so name the venues. Raises ValueError or TypeError naming row, field, what was found and what is
        allowed. Cost: that of the trades given.
        """
        data = held(data)
        if _is_one_trade(data):
            self._push_row(data[0], venue)
            return
        try:
            parts = read_trades(data, self.coin, venue)
        except (ValueError, TypeError):
            if self._settings.on_bad == "raise":
                raise
            rows, skipped = rows_of(data, venue), self.skipped
            for trade in rows:
                self.push(trade, venue)
            if self.skipped - skipped == len(rows):  # it is not the rows that are bad
                raise
            return
        self._history.add_trades(parts)
        if self._history.streaming:
            self._events.advance()

    def _push_row(self, trade: Mapping[str, Any], venue: str) -> None:
        """``push`` for a table of one row, with errors that name the row."""
        try:
            self.push(trade, venue)
        except (ValueError, TypeError) as error:
            if str(error).startswith(("missing column", "columns ")):
                raise
            raise (TypeError if isinstance(error, TypeError) else ValueError)(f"row 0, {error}") from None

    def push(self, trade: Mapping[str, Any], venue: str = "") -> None:
        """Take one trade, as ``ingest_trades`` takes many; no frame is made. Cost: a few microseconds, and where a bar
        closes some 100 more.
        """
        try:
            one, venue = self._reader.read(trade, venue)
        except (ValueError, TypeError) as error:
            if self._settings.on_bad == "raise":
                raise
            if self.skipped == 0:
                _LOG.warning("trades are skipped, the first: %s", error)
            self.skipped += 1
            return
        self._history.push(one, venue)
        if self._history.streaming and self._history.clock >= self._history.due:
            self._events.advance()

    def ingest_liquidations(self, data: Events, venue: str = "") -> None:
        """Take observed liquidations, given like trades: time, price, side, USD or size, and where known id and venue.

        side    "long" or "short": who was liquidated; "buy" or "sell": the closing order, but see
                ``ingest.read_liquidations``

        The bars from a feed's first liquidation on, until ``params.flow_bars`` bars after its last, have what it
        observed in place of what the engine estimates. All venues' are added up. Errors as for ``ingest_trades``.
        """
        data = held(data)
        some = self._history.add_liquidations(read_liquidations(data, self.coin, self._history.code_of, venue))
        self._events.announce_liquidations(some)
        if self._history.streaming:
            self._events.advance()

    ingest_liqs = ingest_liquidations

    def ingest_funding_rates(self, data: Events) -> None:
        """Take readings of the funding rate and of open interest (base units), as time series: ``ingest.read_rates``.

        A bar has the last funding rate up to its end, and the last open interest read in it, its end included. Errors
        as for ``ingest_trades``.
        """
        self._history.add_rates(read_rates(data, self.coin))

    ingest_open_interest = ingest_funding_rates

    def update_candles(self, candles: Candles) -> None:
        """Take closed candles of ``bar``, given as to ``frames.bars_from_frame``.

        A candle's prices and volumes stand in for those of its bar's trades; of one time the last given counts. Raises
        as ``bars_from_frame``, and for candles of another timeframe.
        """
        self._history.add_candles(_read_candles(candles, self._settings.bar, self._settings.on_bad))
        if self._history.streaming:
            self._events.advance()

    @property
    def callback_errors(self) -> int:
        """How often a callback raised."""
        return self._events.errors

    @property
    def counts(self) -> dict[str, int]:
        """What was left out, and why: late events, repeated ids, bad trades skipped; and callbacks that raised."""
        late = {f"late_{name}": count for name, count in self._history.late.items()}
        return {
            **late,
            "repeated": self._history.repeated,
            "skipped": self.skipped,
            "callback_errors": self.callback_errors,
        }


class _TradeReader:
    """Single trades of one coin, each read by what was worked out for trades of its names."""

    def __init__(self, coin: str) -> None:
        self._coin = coin
        self._readers: dict[tuple[str, ...], Reader] = {}

    def read(self, trade: Mapping[str, Any], venue: str) -> tuple[One, str]:
        """(a trade checked, its venue in lower case); raises TypeError or ValueError naming what is wrong."""
        if type(trade) is not dict and not isinstance(trade, Mapping):
            raise TypeError(f"a trade must be a mapping of names to values, got {type(trade).__name__}")
        names = (venue, *trade)
        reader = self._readers.get(names)
        if reader is None:
            if len(self._readers) > _MOST_READERS:
                self._readers.clear()
            reader = self._readers[names] = reader_of(names[1:], venue)
        if reader.coin_name and str(trade[reader.coin_name]).upper() != self._coin.upper():
            raise ValueError(f"coin: found {trade[reader.coin_name]!r}, allowed {self._coin!r}: one Liquidator a coin")
        if reader.venue_name and not venue and trade[reader.venue_name]:
            return self.read(trade, str(trade[reader.venue_name]))
        return reader.read(trade), venue.lower()


def _is_one_trade(data: Any) -> bool:
    """Whether what was given as a table holds one trade, as a mapping."""
    return (
        isinstance(data, list)
        and len(data) == 1
        and isinstance(data[0], Mapping)
        and data[0].keys().isdisjoint(ENVELOPES)
    )


def _read_candles(candles: Candles, bar: str, on_bad: OnBad) -> np.ndarray:
    """Closed candles as (n,) BAR; ValueError for those of another length than ``bar``, or beside its grid."""
    bars = bars_from_frame(candles, on_bad)
    step = timeframe_ms(bar)
    found = int(np.diff(bars["time"]).min()) if len(bars) > 1 else step
    if found < step or (found > step and len(bars) > 2):  # two may have a hole between them
        known = next((name for name in BAR_LENGTHS if timeframe_ms(name) == found), None)
        hint = f": make it Liquidator(bar={known!r})" if known else ""
        raise ValueError(f"candles must be of {bar}, got steps of {found} ms{hint}")
    astray = bars["time"] % step != 0
    if astray.any():
        row = int(astray.argmax())
        raise ValueError(f"row {row}, time: found {moment(bars['time'][row])}, allowed the opening of a {bar} bar")
    return bars
