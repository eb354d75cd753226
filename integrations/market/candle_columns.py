"""Which columns of a frame are a candle's: by names where these say it, of several volumes by what they amount to."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import numpy as np

from .messages import describe_row
from .names import (
    BASE_VOLUMES,
    CANDLE_LETTERS,
    CANDLE_NAMES,
    CANDLE_TIMES,
    OPEN_TIMES,
    OTHER_TIMES,
    QUOTE_COINS,
    QUOTE_VOLUMES,
    TICK_VOLUMES,
    VOLUMES,
    normal_name,
)

_LOG = logging.getLogger("liquidator")
_OF_COIN = re.compile(r"vol(?:ume)?_\(?([a-z0-9]{2,12})\)?")
_PRICES = ("open", "high", "low", "close")
_WRONG = 0.01  # the share of rows that may disagree, and by which part
Values = Callable[[int], np.ndarray]  # the numbers of the column at a place


def candle_names(names: Sequence[object]) -> list[str]:
    """Names of columns as ``CANDLE_NAMES`` write them; letters, as in venues' klines, where prices are such too."""
    normal = [normal_name(name) for name in names]
    for letters in CANDLE_LETTERS:
        if {"o", "h", "l", "c"} <= {letter.lower() for letter in letters if letter in normal} and (
            ("a" in letters) == ("a" in normal)
        ):
            return [letters.get(name, name) for name in normal]
    return normal


def is_volume(normal: str) -> bool:
    """Whether a name may be that of a volume, in whatever unit."""
    known = (*BASE_VOLUMES, *QUOTE_VOLUMES, *TICK_VOLUMES, *VOLUMES, "volume")
    return normal in known or _OF_COIN.fullmatch(normal) is not None


def time_places(normal: Sequence[str], has_index: bool) -> list[int]:
    """The places of the columns that say when a candle opens; all must agree."""
    for known in (OPEN_TIMES, CANDLE_TIMES, () if has_index else OTHER_TIMES):
        places = [at for at, name in enumerate(normal) if name in known]
        if places:
            return places[:1] if known is OTHER_TIMES else places
    return []


def check_names(names: Sequence[object], has_index: bool) -> None:
    """Raise ValueError unless columns of these names, and an index of times, are all that candles need, and once."""
    normal = candle_names(names)
    found = ", ".join(map(repr, names)) or "none"
    missing = [field for field in _PRICES if not {*CANDLE_NAMES[field]} & {*normal}]
    missing += [] if volume_places(normal) else ["volume"]
    known = CANDLE_NAMES | {"volume": ("volume", *BASE_VOLUMES, *VOLUMES)}
    accepted = [f"{field} ({', '.join(known[field])})" for field in missing]
    if not time_places(normal, has_index) and not has_index:
        missing.insert(0, "time")
        accepted.insert(0, f"time (a DatetimeIndex, or {', '.join(CANDLE_TIMES)})")
    if missing:
        raise ValueError(
            f"missing column for {', '.join(missing)}: found columns {found}; "
            f"accepted names (any case): {'; '.join(accepted)}"
        )
    for field, same_names in {**CANDLE_NAMES, **{name: (name,) for name in CANDLE_TIMES}}.items():
        same = [repr(names[at]) for at, name in enumerate(normal) if name in same_names]
        if len(same) > 1:
            raise ValueError(f"columns {' and '.join(same)} both mean {field}: keep one; found columns {found}")


def volume_places(normal: Sequence[str]) -> list[int]:
    """The places of the columns of which one is the volume in base units: one alone where names say it."""
    if "volume" in normal:
        return [at for at, name in enumerate(normal) if name == "volume"]
    of_coin = {at: match[1] for at, name in enumerate(normal) if (match := _OF_COIN.fullmatch(name))}
    base = [at for at, name in enumerate(normal) if name in BASE_VOLUMES]
    base += [at for at, coin in of_coin.items() if coin not in QUOTE_COINS and coin != "currency"]
    if len(base) == 1:
        return base
    plain = [at for at, name in enumerate(normal) if name in VOLUMES]
    return base or plain or [at for at, name in enumerate(normal) if name in TICK_VOLUMES]


def quote_places(normal: Sequence[str]) -> list[int]:
    """The places of the columns that are volumes in the quote currency by their names."""
    of_coin = ((at, match[1]) for at, name in enumerate(normal) if (match := _OF_COIN.fullmatch(name)))
    named = [at for at, name in enumerate(normal) if name in QUOTE_VOLUMES]
    return named + [at for at, coin in of_coin if coin in QUOTE_COINS]


def base_volume(
    names: Sequence[str], normal: Sequence[str], values: Values, prices: Mapping[str, np.ndarray]
) -> tuple[int, np.ndarray]:
    """(the place of the volume in base units, its values).

    Of several columns that may be it, it is the one to which another is a quote volume. Raises ValueError where that
    cannot be told, and where a quote volume says that the volume counts something else.
    """
    places, quotes = volume_places(normal), quote_places(normal)
    ticks = [at for at, name in enumerate(normal) if name in TICK_VOLUMES]
    if len(places) == 1 and ticks and places != ticks and not values(places[0]).any():
        _LOG.warning("column %r is 0 throughout: the volume is that of %r", names[places[0]], names[ticks[0]])
        return ticks[0], values(ticks[0])
    if len(places) > 1:
        others = [*places, *quotes]
        fit = [at for at in places if any(_fits(values(at), values(other), prices) for other in others if other != at)]
        if len(fit) != 1:
            found = " and ".join(repr(names[at]) for at in places)
            raise ValueError(
                f"columns {found} may each be the volume, and it cannot be told which counts base units: name that one "
                "volume, and leave out the others"
            )
        return fit[0], values(fit[0])
    volume = values(places[0])
    for at in quotes:
        quote = values(at)
        is_filler = len(quote) > 1 and (quote == quote[0]).all()  # as exports put 0 or 1 where they know nothing
        if not is_filler and not _fits(volume, quote, prices):
            _fail_contracts(names[places[0]], names[at], volume, quote, prices)
    return places[0], volume


def _fits(base: np.ndarray, quote: np.ndarray, prices: Mapping[str, np.ndarray]) -> bool:
    """Whether one volume is another times the prices, in all rows where both are known but one in a hundred."""
    known = np.isfinite(base) & np.isfinite(quote) & np.isfinite(prices["low"]) & np.isfinite(prices["high"])
    return bool(is_outside(base, quote, prices)[known].sum() <= _WRONG * known.sum())


def is_outside(base: np.ndarray, quote: np.ndarray, prices: Mapping[str, np.ndarray]) -> np.ndarray:
    """The rows whose quote volume is not their volume times a price of theirs, give or take 1 % or a last digit."""
    unit, quote_unit = _last_digit(base), _last_digit(quote)
    least = prices["low"] * (base - unit) * (1.0 - _WRONG) - quote_unit
    most = prices["high"] * (base + unit) * (1.0 + _WRONG) + quote_unit
    outside: np.ndarray = (quote < least) | (quote > most)
    return outside


def _last_digit(values: np.ndarray) -> float:
    """A unit of the last digit that a column has; 0 where it has more than eight."""
    some = values[np.isfinite(values)][:1000]
    for digits in range(9):
        if (np.abs(np.round(some, digits) - some) <= 1e-12 * np.abs(some)).all():
            return float(10.0**-digits)
    return 0.0


def _fail_contracts(
    name: str, quote_name: str, volume: np.ndarray, quote: np.ndarray, prices: Mapping[str, np.ndarray]
) -> NoReturn:
    rows = np.flatnonzero(is_outside(volume, quote, prices))
    row = int(rows[0])
    ratio = quote[row] / volume[row] if volume[row] else np.inf
    allowed = f"a price from the low, {prices['low'][row]:.12g}, to the high, {prices['high'][row]:.12g}"
    text = describe_row(row, int(prices["time"][row]), f"{quote_name} / {name}", float(ratio), allowed, len(rows) - 1)
    raise ValueError(
        f"{text}: {name} seems to count contracts: give it in base units (or leave out {quote_name} if it is no volume)"
    )
