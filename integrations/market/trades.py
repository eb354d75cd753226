"""Public trades of tables, streams and single messages to checked TRADE arrays, by one set of rules.

Everything goes by names (``names.TRADE_NAMES``), compared as ``names.normal_name`` writes them; where a venue uses a
name otherwise than the rest, ``venues.VENUES`` says so. A trade's side is always that of the aggressor: +1 it bought,
-1 it sold.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from liquidator_core import TRADE

from .coins import Identity
from .columns import NO_ID, Events, columns_of, id_column, id_of, number_column, side_column, spelt_number, time_column
from .envelopes import unwrapped, venue_by, venue_in
from .flags import BLOCK_IDS, NO_TRADE, flags_in, ids_in, is_said, left_out, truth
from .messages import fail_row
from .names import BASE_SIZES, MAKER_NAMES, MAKER_SIDES, SIDES, TAKER_NAMES, TRADE_NAMES, needed_name, normal_name
from .sources import (
    SHAPES,
    Convention,
    check_convention,
    filled,
    is_normalised,
    joined,
    markets_in,
    renumbered,
    shape_of,
    text_of,
    venues_in,
)
from .times import check_ms, check_order, ms_of
from .venues import VENUES, Named, checked_venue, counts_quote, find_names, venue_of

_LOG = logging.getLogger("liquidator")
Take: TypeAlias = Callable[[np.ndarray], np.ndarray]  # of (n,) times in ms, (n,) bool
_LARGE_ID = 2**62  # numbers below need no closer look
ROUNDING_MS = 1000  # what repeats an event may give its time rounded
PART = 65_536  # trades that are copied at once; together with what was freed before, they take little new memory


class Trades(NamedTuple):
    """A part of one venue's trades of one call, checked: as they came, in any order of time."""

    venue: str  # its own name, the same for every alias
    trades: np.ndarray  # (n,) TRADE
    ids: np.ndarray | None  # (n,) int64, NO_ID where unknown; None if there are none
    ordered: bool  # whether ids are numbers, so that their order is that of the trades


class Read(NamedTuple):
    """What a call brought."""

    parts: list[Trades]
    identity: Identity  # whose trades they are, with what was known before
    others: int  # rows that say that they are no public trades of their own


@dataclass(frozen=True)
class Fields:
    """How rows with these names are read."""

    named: Named
    names: tuple[str, ...]
    found: Mapping[str, str]
    side: str  # the name of the side; "": it is the sign of the size
    meaning: Mapping[str, int]  # of the words for a side
    coins: bool  # sizes are base units, whatever the venue counts
    flags: Mapping[str, bool]
    blocks: tuple[str, ...]

    def need(self, target: str) -> str:
        return needed_name(self.found, self.names, TRADE_NAMES, target)

    @property
    def markets(self) -> list[str]:
        """The names under which a row says whose it is, the market's before the coin's."""
        return [self.found[target] for target in ("market", "coin") if target in self.found]

    def counts_quote(self, market: str) -> bool:
        """Whether sizes count the quote currency. Raises ValueError where they are contracts."""
        signed = self.side == ""
        return not self.coins and counts_quote(self.named, self.names, self.found["size"], market, signed)


def fields_of(names: Sequence[str], named: Named, convention: Convention, normalised: bool = False) -> Fields:
    """How rows with these names are read. Raises ValueError for names that are missing or mean the same."""
    names = tuple(names)
    found = find_names(names, TRADE_NAMES, named.venue)
    shape = "" if normalised else shape_of(names)
    taker = normalised or convention == "taker"
    if convention is None and not normalised:
        unified = shape == "ccxt" and named.branch in ("coinbaseexchange", "coinbaseinternational")
        taker = unified or shape in ("tardis", "cryptofeed", "aggr")
    for target in ("time", "price", "size"):
        needed_name(found, names, TRADE_NAMES, target)
    side = "" if named.venue.signed and "side" not in found else needed_name(found, names, TRADE_NAMES, "side")
    if normal_name(side) in MAKER_NAMES:
        meaning: Mapping[str, int] = MAKER_SIDES
    elif taker or normal_name(side) in TAKER_NAMES:
        meaning = SIDES
    else:
        meaning = named.venue.sides or SIDES
    flags = flags_in(names, NO_TRADE)
    if shape == "aggr":  # a forced close beside the trade that it was
        flags |= flags_in(names, {"liquidation": True})
    return Fields(named, names, found, side, meaning, normalised or shape == "aggr", flags, ids_in(names))


#: The columns of a file of trades that are of use, as ``normal_name`` writes them, and those of them that are text.
TRADE_COLUMNS = frozenset(
    (
        *(name for names in TRADE_NAMES.values() for name in names),
        *(name for venue in VENUES.values() for names in venue.names.values() for name in names),
        *(*BASE_SIZES, *NO_TRADE, *BLOCK_IDS, "liquidation", *SHAPES),
    )
)
TEXT_COLUMNS = frozenset(
    (*TRADE_NAMES["id"], *TRADE_NAMES["venue"], *TRADE_NAMES["market"], "coin", "side", "type", "direction", "info")
)


# Tables ---------------------------------------------------------------------------------------------------------------


class _Columns(NamedTuple):
    """One venue's trades as columns, checked."""

    venue: str
    fields: dict[str, np.ndarray]  # those of TRADE
    ids: np.ndarray | None
    ordered: bool


def trades_from_table(
    trades: Events, sort: bool = False, venue: str = "", convention: Convention = None, take: Take | None = None
) -> np.ndarray:
    """Translate public trades into a TRADE array, checked: ``read_trades`` for those who need no parts.

    trades      as for ``read_trades``, or a (n,) TRADE array
    sort        order by time, venue and id first, equal ones as they came; otherwise times must not go back. Those of
                several venues are always sorted
    venue, convention   as for ``read_trades``
    take        says by the (n,) times of a ``pyarrow.Table`` which rows are wanted, (n,) bool: of the others nothing
                else is looked at

    Trades with an id that their venue gave before, within a second of that time, are left out, and so are rows that say
    that they are no trades; both are logged as a warning of logger "liquidator". Returns (n,) TRADE. Errors as for
    ``read_trades``, and for no trades. Cost: a few passes.

    >>> trades_from_table({"time": [1672531200000], "price": [16500.0], "size": [0.5], "side": ["sell"]})["side"]
    array([-1], dtype=int8)
    """
    if take is not None and trades.num_rows:
        found = find_names(trades.column_names, {"time": TRADE_NAMES["time"]}, venue_of(checked_venue(venue)).venue)
        time = time_column(trades[needed_name(found, trades.column_names, TRADE_NAMES, "time")])
        wanted = take(time)
        with renumbered(wanted):
            return trades_from_table(trades.filter(pa.array(wanted)), sort, venue, convention)
    if isinstance(trades, np.ndarray) and trades.dtype == TRADE:
        check_ms(trades["time"])
        check_trades(trades)
        read = [_Columns("", {}, None, False)]
        out, others = trades, 0
    else:
        read, _, others = _read(trades, Identity(), venue, convention)
        out = np.zeros(sum(len(part.fields["time"]) for part in read), TRADE)
        start = 0
        for part in read:
            for name, values in part.fields.items():
                out[name][start : start + len(values)] = values
            start += len(part.fields["time"])
    if len(out) == 0:
        raise ValueError("no trades: the table has no rows" if not others else "no trades: every row says it is none")
    new, keys = _new_and_keys(read, out)
    if others or not new.all():
        _LOG.warning("%d rows say that they are no trades, %d repeat an id: left out", others, int((~new).sum()))
    if not new.all():
        out, keys = out[new], [key[new] for key in keys]
    if sort or len(read) > 1:
        order = np.lexsort((*keys, out["time"])) if keys else np.argsort(out["time"], kind="stable")
        return out[order]
    check_order(out["time"], repeats=True)
    return out


def _new_and_keys(read: list[_Columns], out: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """(which trades repeat no id, what orders those of one time: their id, then their venue)."""
    new = np.ones(len(out), np.bool_)
    keys = []
    if any(part.ids is not None for part in read):
        rank = np.zeros(len(out), np.int64)
        start = 0
        for part in read:
            rows = slice(start, start + len(part.fields["time"]))
            if part.ids is not None:
                known = part.ids != NO_ID
                new[rows][known] = firsts(part.fields["time"][known], part.ids[known])
                if part.ordered:
                    rank[rows] = np.where(known, part.ids, 0)
            start = rows.stop
        keys.append(rank)
    if len(read) > 1:
        names = sorted({part.venue for part in read})
        keys.append(np.repeat([names.index(part.venue) for part in read], [len(part.fields["time"]) for part in read]))
    return new, keys


def firsts(times: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Which of many events, in order of arrival, are the first of their id and time, (n,) bool.

    An event has one time, give or take a second: the same id at another time is another event.
    """
    if len(ids) == 0 or (np.diff(ids) > 0).all():
        return np.ones(len(ids), np.bool_)
    order = np.lexsort((times, ids))
    begins = np.r_[True, (np.diff(ids[order]) != 0) | (np.diff(times[order]) > ROUNDING_MS)]
    first = np.zeros(len(ids), np.bool_)
    first[np.minimum.reduceat(order, np.flatnonzero(begins))] = True
    return first


def check_trades(trades: np.ndarray | Mapping[str, np.ndarray]) -> None:
    """Raise ValueError for a price, size or side that is none, in (n,) TRADE or columns of its names."""
    for field in ("price", "size"):
        values = trades[field]
        bad = ~((values > 0.0) & (values < np.inf))
        if bad.any():
            row = int(bad.argmax())
            fail_row(row, int(trades["time"][row]), field, values[row], "a finite number above 0", int(bad.sum()) - 1)
    bad = np.abs(trades["side"]) != 1
    if bad.any():
        row = int(bad.argmax())
        fail_row(row, int(trades["time"][row]), "side", trades["side"][row], "+1 or -1", int(bad.sum()) - 1)


def read_trades(data: Events, identity: Identity | None = None, venue: str = "", convention: Convention = None) -> Read:
    """Translate public trades, checked; a venue at a time; trades without ids in parts of 65,536, as they came.

    data        see ``columns.columns_of``; also one trade alone, what a venue's API returns around it, and, for a venue
                whose trades are lists, these lists
    identity    whose they must be; None: whoever's the first market names
    venue       of all of them, unless a column says it or their form is that of one alone (``envelopes.venue_in``); an
                alias of ccxt, tardis, cryptofeed or aggr will do
    convention  whose words for sides they are: the ``venue``'s own, or of a tool that made all sides the ``taker``'s.
                None: as the names of columns tell where that is certain (tardis, cryptofeed, aggr, ccxt), else the
                venue's

    Sizes are base units. Those of inverse contracts that count units of the quote currency are divided by the price;
    where contracts are counted, whose size no trade says, they are refused unless a column gives them in base units
    (``names.BASE_SIZES``). A table of this project's own (``liquidator: normalised`` in its schema's metadata) has the
    taker's sides and base units. Raises TypeError or ValueError naming row, field, what was found and what is allowed,
    ``TableError`` where no row is at fault. ``data`` is not changed. Cost: a few passes.
    """
    read, identity, others = _read(data, identity or Identity(), venue, convention)
    return Read([part for columns in read for part in _parts(columns)], identity, others)


def _parts(columns: _Columns) -> Iterator[Trades]:
    count = len(columns.fields["time"])
    length = PART if columns.ids is None else count  # ids are compared among all of them
    for start in range(0, count, length or 1):
        rows = slice(start, start + length)
        trades = np.empty(len(columns.fields["time"][rows]), TRADE)
        for name, values in columns.fields.items():
            trades[name] = values[rows]
        yield Trades(columns.venue, trades, None if columns.ids is None else columns.ids[rows], columns.ordered)


def _read(data: Events, identity: Identity, venue: str, convention: Convention) -> tuple[list[_Columns], Identity, int]:
    check_convention(convention)
    said = checked_venue(venue) or venue_in(data)
    named = venue_of(said)
    normalised = is_normalised(data)
    names, column = columns_of(unwrapped(data, named.venue, venue))
    names = filled(names, column, BASE_SIZES)
    if not said and not normalised:
        named = venue_of(venue_by(names))
    found = find_names(names, TRADE_NAMES, named.venue)
    if not names:
        return [], identity, 0
    if venue or "venue" not in found:
        one, identity, others = _read_venue(names, column, identity, named, convention, normalised)
        return [one] if one else [], identity, others
    parts, others = [], 0
    for whose, rows in venues_in(column(found["venue"]), found["venue"]):
        mine = column if rows is None else lambda name, rows=rows: column(name).filter(pa.array(rows))
        with renumbered(rows):
            one, identity, more = _read_venue(names, mine, identity, whose, convention, normalised)
        parts += [one] if one else []
        others += more
    return parts, identity, others


def _read_venue(
    names: Sequence[str],
    column: Callable[[str], Any],
    identity: Identity,
    named: Named,
    convention: Convention,
    normalised: bool,
) -> tuple[_Columns | None, Identity, int]:
    """(one venue's trades, whose they are, how many rows say that they are none)."""
    how = fields_of(names, named, convention, normalised)
    time = column(how.need("time"))
    if len(time) == 0:
        return None, identity, 0
    time = time_column(time)
    markets = markets_in(column(how.found["market"]) if "market" in how.found else None)
    for target in ("market", "coin"):
        if target in how.found:
            said = markets if target == "market" else markets_in(column(how.found["coin"]))
            identity = joined(identity, how.found[target], said)
    price, size = (number_column(column(how.need(name)), name) for name in ("price", "size"))
    if how.side:
        meaning = None if how.meaning in (SIDES, MAKER_SIDES) else how.meaning
        side = side_column(column(how.side), how.side, meaning)
    else:
        side, size = np.sign(size).astype(np.int8), np.abs(size)
    words, codes = markets
    quote = np.array([how.counts_quote(word) for word in words])
    if quote.all():
        size = size / price
    elif quote.any():
        size = np.where(quote[codes], size / price, size)
    fields = {"time": time, "price": price, "size": size, "side": side}
    check_trades(fields)
    ids, ordered = id_column(column(how.found["id"])) if "id" in how.found else (None, False)
    other = np.zeros(len(time) if how.flags or how.blocks else 0, np.bool_)
    for name, value in how.flags.items():
        other |= left_out(column(name), name, value)
    for name in how.blocks:
        other |= np.array([is_said(value) for value in column(name).to_pylist()])
    if other.any():
        fields = {name: values[~other] for name, values in fields.items()}
        ids = None if ids is None else ids[~other]
    return _Columns(named.name, fields, ids, ordered), identity, int(other.sum())


# One by one -----------------------------------------------------------------------------------------------------------


class One(NamedTuple):
    """One trade, checked."""

    time: int
    price: float
    size: float
    side: int
    id: int  # NO_ID if unknown
    ordered: bool


class Reader(NamedTuple):
    """How trades with the same names are read, and where they say their venue, market and coin."""

    read: Callable[[Mapping[str, Any]], One | None]  # None: it says that it is no public trade of its own
    venue: str  # its own name
    venue_name: str  # "" if they do not say it
    market_names: tuple[str, ...]


def reader_of(names: Sequence[str], venue: str, convention: Convention = None) -> Reader:
    """What reads one trade with these names, at a few microseconds a call: for ``Liquidator.push``.

    Arguments and errors as for ``read_trades``.
    """
    check_convention(convention)
    named = venue_of(checked_venue(venue) or venue_by(names))
    how = fields_of(names, named, convention)
    time_name, price_name, size_name = (how.need(name) for name in ("time", "price", "size"))
    side_name, meaning, id_name = how.side, how.meaning, how.found.get("id", "")
    maker = normal_name(side_name) in MAKER_NAMES
    market_name = how.found.get("market", "")
    known: dict[str, bool] = {}  # whether sizes count the quote currency, a market
    allowed = ", ".join(meaning)

    def read(trade: Mapping[str, Any]) -> One | None:
        time = trade[time_name]
        if type(time) is not int or not 1_000_000_000_000 <= time < 9_000_000_000_000:
            time = ms_of(time)
        price = _number(trade[price_name], "price")
        size = _number(trade[size_name], "size")
        if side_name:
            word = trade[side_name]
            side = meaning.get(word, 0) if type(word) is str else 0
            if side == 0 and not (type(word) is bool and not maker):
                side = meaning.get(str(word).strip().lower(), 0)
            if side == 0:
                raise ValueError(f"side: found {word!r}, allowed {allowed}")
        else:
            side = 1 if size > 0.0 else -1
            size = abs(size)
        if not 0.0 < price < math.inf:
            raise ValueError(f"price: found {price!r}, allowed a finite number above 0")
        if not 0.0 < size < math.inf:
            raise ValueError(f"size: found {size!r}, allowed a finite number above 0")
        market = trade[market_name] if market_name else ""
        if type(market) is not str:
            market = text_of(market)
        if market not in known:
            if len(known) > 1000:
                known.clear()
            known[market] = how.counts_quote(market)
        if known[market]:
            size /= price
        if flags and any(truth(trade[name], name) is value for name, value in flags):
            return None
        if how.blocks and any(is_said(trade[name]) for name in how.blocks):
            return None
        ident = trade[id_name] if id_name else None
        if type(ident) is int and -_LARGE_ID < ident < _LARGE_ID:
            return One(time, price, size, side, ident, True)
        return One(time, price, size, side, *id_of(ident))

    flags = tuple(how.flags.items())
    return Reader(read, named.name, how.found.get("venue", ""), tuple(how.markets))


def rows_of(data: Events, venue: str) -> list[Any]:
    """The rows of whatever ``read_trades`` takes, to be read one by one."""
    rows = unwrapped(data, venue_of(checked_venue(venue) or venue_in(data)).venue, venue)
    if hasattr(rows, "iloc"):
        return list(rows.to_dict("records"))
    if isinstance(rows, list):
        return rows
    names, column = columns_of(rows)
    values = [column(name).to_pylist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _number(value: Any, name: str) -> float:
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: found {value!r}, allowed a number")
    try:
        return spelt_number(value) if type(value) is str else float(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name}: found {value!r:.80}, allowed a number") from None
