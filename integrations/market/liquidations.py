"""Observed liquidations, as single events and as sums a bar, funding rates and open interest to checked arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from liquidator_core.layout import LONG, SHORT

from .coins import Identity, market_of
from .columns import NO_ID, Events, columns_of, id_column, number_column, plain, time_column
from .envelopes import is_column, unwrapped, venue_in
from .flags import LIQUIDATION_FLAGS, left_out, liquidated
from .funding import UNIT_HOURS, hours_between, hours_of, intervals, per_unit
from .messages import TableError, fail_row
from .names import (
    BASE_SIZES,
    CANDLE_TIMES,
    LIQUIDATION_NAMES,
    LIQUIDATION_SUMS,
    RATE_NAMES,
    SIDES,
    needed_name,
    normal_name,
)
from .sources import (
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
from .times import check_order
from .venues import DISPUTED, POSITION_SIDED, Named, checked_venue, counts_quote, find_names, venue_of

LIQUIDATION = np.dtype(
    [("time", "i8"), ("price", "f8"), ("usd", "f8"), ("side", "i8"), ("venue", "i8"), ("id", "i8")], align=True
)


_BYBIT = {"T", "s", "S", "v", "p"}  # rows of its allLiquidation, without their topic
_CONTRACT_SIZES = ("contractsize", "contract_size", "ctval")  # coins, or dollars of an inverse contract


class Observed(NamedTuple):
    """What a call brought."""

    events: np.ndarray  # (n,) LIQUIDATION, as they came
    identity: Identity  # whose they are, with what was known before


def read_liquidations(
    data: Events,
    identity: Identity | None,
    code_of: Callable[[str], int],
    venue: str = "",
    convention: Convention = None,
) -> Observed:
    """Translate observed liquidations into (n,) LIQUIDATION, as they came, checked.

    data        as for ``read_trades``: time, price, side, and its USD or its size, as there; venue, id. Of trades with
                a flag ``liquidation`` those that bear it
    code_of     gives the number that stands for a venue's name
    convention  ``taker``: "buy" and "sell" are the closing order's. ``venue``: as the venue means them. None: as the
                names of columns tell where that is certain (tardis, aggr), else the venue's

    ``side``: ``long`` or ``short`` is who was liquidated. ``buy``, ``sell``, ``A`` and ``B`` are the closing order's,
    but for bybit, which gives the position's; gate's and bitfinex's are disputed and refused, and so are bybit's as
    cryptofeed has them: say long or short, or the convention. Errors as for ``read_trades``.
    """
    check_convention(convention)
    identity = identity or Identity()
    named = venue_of(checked_venue(venue) or venue_in(data))
    normalised = is_normalised(data)
    names, column = columns_of(unwrapped(data, named.venue, venue))
    if not names:
        return Observed(np.zeros(0, LIQUIDATION), identity)
    if not venue and set(names) == _BYBIT:
        named = venue_of("bybit")
    names = filled(names, column, (*LIQUIDATION_NAMES["usd"], *BASE_SIZES, *_CONTRACT_SIZES))
    if {"p", "ap"} <= set(names):  # Binance: that of the order, and that at which it was filled
        names = [name for name in names if name != "p"]
    found = find_names(names, LIQUIDATION_NAMES)
    groups: list[tuple[Named, np.ndarray | None]] = [(named, None)]
    if not venue and "venue" in found:
        groups = venues_in(column(found["venue"]), found["venue"], every=False) or groups
    parts, places = [], []
    for whose, rows in groups:
        how = _Events(names, column, rows, whose, convention, normalised)
        with renumbered(rows):
            some, kept, identity = how.read(identity, code_of)
        parts.append(some)
        places.append(np.flatnonzero(kept) if rows is None else np.flatnonzero(rows)[kept])
    return Observed(np.concatenate(parts)[np.argsort(np.concatenate(places), kind="stable")], identity)


class _Events:
    """One venue's rows of a table of liquidations."""

    def __init__(
        self,
        names: Sequence[str],
        column: Callable[[str], pa.Array],
        rows: np.ndarray | None,
        named: Named,
        convention: Convention,
        normalised: bool,
    ) -> None:
        self.names = tuple(names)
        self.column = column if rows is None else lambda name: column(name).filter(pa.array(rows))
        self.named = named
        self.found = find_names(names, LIQUIDATION_NAMES)
        shape = "" if normalised else shape_of(names)
        self.coins = normalised or shape == "aggr"
        self.closing = normalised or convention == "taker" or (convention is None and shape in ("tardis", "aggr"))
        self.unsure = convention is None and shape == "cryptofeed" and named.name in POSITION_SIDED

    def read(self, identity: Identity, code_of: Callable[[str], int]) -> tuple[np.ndarray, np.ndarray, Identity]:
        """((n,) LIQUIDATION, which rows are liquidations, whose they are)."""
        markets = markets_in(self._of("market") if "market" in self.found else None)
        for target in ("market", "coin"):
            if target in self.found:
                said = markets if target == "market" else markets_in(self._of(target))
                identity = joined(identity, self.found[target], said)
        time = time_column(self._of("time"))
        out = np.zeros(len(time), LIQUIDATION)
        out["time"] = time
        out["price"] = number_column(self._of("price"), "price")
        out["usd"] = self._usd(out["price"], markets)
        for name in ("price", "usd"):
            _check_positive(name, out[name], time)
        kept, turned = self._flags(len(out))
        words = self._of("side").to_pylist()
        who = np.array([self._who(word, row) if kept[row] else LONG for row, word in enumerate(words)], np.int64)
        out["side"] = np.where(turned, LONG + SHORT - who, who)
        out["venue"] = code_of(self.named.name)
        out["id"] = id_column(self._of("id"))[0] if "id" in self.found else NO_ID
        return out[kept], kept, identity

    def _of(self, target: str) -> pa.Array:
        return self.column(needed_name(self.found, self.names, LIQUIDATION_NAMES, target))

    def _usd(self, price: np.ndarray, markets: tuple[list[str], np.ndarray]) -> np.ndarray:
        if "usd" in self.found:
            return number_column(self._of("usd"), "usd")
        base = next((name for name in self.names if normal_name(name) in BASE_SIZES), None)
        if base is not None:
            return np.asarray(number_column(self.column(base), "size") * price)
        size = number_column(self._of("size"), "size")
        if self.coins:
            return np.asarray(size * price)
        words, codes = markets
        contract = next((name for name in self.names if normal_name(name) in _CONTRACT_SIZES), None)
        if contract is not None:  # ccxt
            size = size * number_column(self.column(contract), contract)
            inverse = np.array([market_of(word).kind == "inverse" for word in words])
            return np.asarray(size * np.where(inverse[codes], 1.0, price))
        quote = np.array([counts_quote(self.named, self.names, self.found["size"], word) for word in words])
        return np.asarray(size * np.where(quote[codes], 1.0, price))

    def _flags(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """(which rows are liquidations, in which of them it was the maker's order that was forced)."""
        kept, turned = np.ones(count, np.bool_), np.zeros(count, np.bool_)
        for name in self.names:
            if normal_name(name) in LIQUIDATION_FLAGS:
                whose = liquidated(self.column(name))
                kept, turned = kept & (whose != 0), whose < 0
            elif normal_name(name) == "crossed":
                kept &= ~left_out(self.column(name), name, False)
        return kept, turned

    def _who(self, word: Any, row: int) -> int:
        """LONG or SHORT: who was liquidated."""
        text = str(word).strip().lower()
        if text in ("long", "short"):
            return LONG if text == "long" else SHORT
        sign = SIDES.get(text, 0) if not isinstance(word, bool) else 0
        if sign == 0:
            fail_row(row, None, "side", word, "long or short (who was liquidated), or buy or sell (the closing order)")
        venue = self.named.name
        if not self.closing and (venue in DISPUTED or self.unsure):
            why = "is disputed" if venue in DISPUTED else "changed in cryptofeed"
            say = "convention='taker' if they are the closing order's"
            fail_row(row, None, "side", word, f"long or short: what {venue} means by its sides {why}; or {say}")
        return LONG if (sign > 0) == (venue in POSITION_SIDED and not self.closing) else SHORT


def _check_positive(name: str, values: np.ndarray, time: np.ndarray) -> None:
    bad = ~((values > 0.0) & (values < np.inf))
    if bad.any():
        row = int(bad.argmax())
        fail_row(row, int(time[row]), name, values[row], "a finite number above 0", int(bad.sum()) - 1)


class Rates(NamedTuple):
    """What a call brought."""

    series: dict[str, tuple[np.ndarray, np.ndarray]]  # field -> (times in ms, values), in order of time
    identity: Identity  # whose they are, with what was known before
    hours_told: bool = False  # of what interval the funding rates were


def read_rates(data: Events, identity: Identity | None = None) -> Rates:
    """Funding rates and open interest as time series.

    data   rows, columns or a frame with a time and ``funding_rate``, ``open_interest`` (base units) or both; NaN is
           unknown. Also ``{coin: {"funding_rate": ..., "open_interest": ..., "timestamp": ...}}``, of which this coin's
           is taken. Of several readings of one time the last given counts. Funding rates are those of eight hours,
           or are made that where ``interval_hours`` or a name like it (``fundingIntervalHours``, ccxt's ``interval``)
           says of how many they are, or OKX's ``fundingTime`` and ``nextFundingTime`` do.

    Errors as for ``read_trades``: a reading without a time is one, since its time decides which bars it belongs to.
    """
    identity = identity or Identity()
    if isinstance(data, Mapping) and data and all(isinstance(value, Mapping) for value in data.values()):
        data, identity = _mine(data, identity)
    elif isinstance(data, Mapping) and not any(is_column(value) for value in data.values()):
        data = [data]
    names, column = columns_of(data)
    if not names:
        return Rates({}, identity)
    names = filled(names, column, RATE_NAMES["open_interest"])
    found = find_names(names, RATE_NAMES)
    if not found.keys() & {"funding_rate", "open_interest"}:
        raise TableError(
            f"neither funding_rate nor open_interest: found {', '.join(map(repr, names))}; accepted names (any case): "
            f"{', '.join((*RATE_NAMES['funding_rate'], *RATE_NAMES['open_interest']))}"
        )
    if {"insttype", "instid"} & set(map(normal_name, names)) and normal_name(found.get("open_interest", "")) == "oi":
        raise ValueError("oi: okx counts it in contracts, and nothing says how large one is: give oiCcy, in coins")
    for target in ("market", "coin"):
        if target in found:
            identity = joined(identity, found[target], markets_in(column(found[target])))
    time = time_column(column(needed_name(found, names, RATE_NAMES, "time")))
    order = np.argsort(time, kind="stable")
    series: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name in ("funding_rate", "open_interest"):
        if name not in found:
            continue
        values = number_column(column(found[name]), name)
        bad = np.isinf(values) | ((values < 0.0) if name == "open_interest" else False)
        if bad.any():
            row = int(bad.argmax())
            allowed = "a finite number" if name == "funding_rate" else "a finite number not below 0"
            fail_row(row, int(time[row]), name, values[row], f"{allowed}, or NaN (unknown)", int(bad.sum()) - 1)
        known = order[~np.isnan(values[order])]
        series[name] = time[known], values[known]
    hours = _hours(names, found, column) if "funding_rate" in series else None
    if hours is not None:
        known = order[~np.isnan(number_column(column(found["funding_rate"]), "funding_rate")[order])]
        when, rate = series["funding_rate"]
        told = intervals(when, hours[known], UNIT_HOURS)
        series["funding_rate"] = when, per_unit(rate, told)
    return Rates(series, identity, hours is not None)


def _hours(names: Sequence[str], found: Mapping[str, str], column: Callable[[str], pa.Array]) -> np.ndarray | None:
    """(n,) hours that each funding rate is for, NaN where nothing says it; None: no column does."""
    if "interval_hours" in found:
        name = found["interval_hours"]
        said = plain(column(name)).to_pylist()
        hours = np.array([hours_of(value, name) for value in said], np.float64)
        bad = [row for row in np.flatnonzero(np.isnan(hours)).tolist() if text_of(said[row]).strip()]
        if bad:
            allowed = "hours, a day at most, as a number or text such as 8h, or nothing (unknown)"
            fail_row(bad[0], None, name, said[bad[0]], allowed, len(bad) - 1)
        return hours
    ends = {normal_name(name): name for name in names if normal_name(name) in ("fundingtime", "nextfundingtime")}
    if len(ends) < 2:
        return None
    this, following = (time_column(column(ends[name])) for name in ("fundingtime", "nextfundingtime"))
    apart = map(hours_between, this.tolist(), following.tolist())
    return np.array([np.nan if one is None else one for one in apart], np.float64)


def _mine(data: Mapping[Any, Mapping[str, Any]], identity: Identity) -> tuple[list[Mapping[str, Any]], Identity]:
    """The readings of this coin, of ``{coin: reading}``; of the only one there is, if none is known yet."""
    mine = []
    joint = identity
    for name, value in data.items():
        with contextlib.suppress(ValueError):
            if identity.coin is not None or len(data) == 1:
                joint = joint.joined(str(name))
                mine.append(value)
    if not mine:
        raise ValueError(f"no reading of {identity.coin!r}: found {', '.join(map(repr, data))}")
    return mine, joint


def read_sums(data: Events) -> tuple[np.ndarray, np.ndarray]:
    """(times of the bars' opens in ms, (2, n) USD of longs and shorts) of a table of liquidated USD a bar.

    Columns go by ``CANDLE_TIMES`` and ``LIQUIDATION_SUMS``; times rise. Errors as for ``read_trades``.
    """
    names, column = columns_of(data)
    found = find_sums(names)
    time = time_column(column(found["time"]))
    check_order(time, repeats=False)
    usd = np.stack([number_column(column(found[field]), field) for field in LIQUIDATION_SUMS])
    for field, values in zip(LIQUIDATION_SUMS, usd, strict=True):
        bad = np.flatnonzero(~((values >= 0.0) & (values < np.inf)))
        if len(bad):
            row = int(bad[0])
            fail_row(row, int(time[row]), field, values[row], "a finite number not below 0", len(bad) - 1)
    return time, usd


def find_sums(names: Sequence[str]) -> dict[str, str]:
    """The column of the time and of each sum. Raises ValueError for one that is missing or there twice."""
    columns = {}
    for field, accepted in {"time": CANDLE_TIMES, **LIQUIDATION_SUMS}.items():
        matches = [name for name in names if normal_name(name) in accepted]
        if len(matches) != 1:
            said = " and ".join(map(repr, matches)) + " all mean it" if matches else "no such column"
            raise TableError(
                f"{field} (accepted names: {', '.join(accepted)}): {said}; found columns {', '.join(map(repr, names))}"
            )
        columns[field] = matches[0]
    return columns


def why_thin(long_usd: np.ndarray, short_usd: np.ndarray, flow_bars: int) -> str:
    """Why (n,) USD of observed liquidations a bar are too thin a feed, as a sentence; "" if they are not.

    flow_bars   bars that a flow is measured against: so many must hold a liquidation, and half of those observed

    >>> some = np.array([0.0, 5e4, 0.0, 0.0, np.nan])
    >>> why_thin(some, np.zeros(5) + some, 96)[:58]
    'A thin feed of liquidations: 1 of 4 observed bars hold any'
    """
    observed = int((~(np.isnan(long_usd) & np.isnan(short_usd))).sum())
    filled = int(((long_usd > 0.0) | (short_usd > 0.0)).sum())
    if observed == 0 or (filled >= flow_bars and 2 * filled >= observed):
        return ""
    return (
        f"A thin feed of liquidations: {filled:,} of {observed:,} observed bars hold any, where flow is measured "
        f"against {flow_bars} bars: too few to learn from or to take the estimate's place; take longer bars, more "
        "venues or a longer time"
    )
