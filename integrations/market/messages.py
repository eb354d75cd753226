"""How an error reads: which row, which field, what was found, what is allowed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NoReturn

import numpy as np


class TableError(ValueError):
    """A fault of a table as a whole, which no row of it could mend: a missing column, an unknown venue."""


def moment(time_ms: int) -> str:
    """An instant for a message: ``2023-01-01T00:05:00 UTC``, with milliseconds if there are any."""
    unit = "ms" if time_ms % 1000 else "s"
    return f"{np.datetime64(int(time_ms), 'ms').astype(f'M8[{unit}]')} UTC"


def fail_row(row: int, time_ms: int | None, field: str, found: object, allowed: str, more: int = 0) -> NoReturn:
    """Raise the ValueError that every bad row gets: position, time, field, what was found, what is allowed."""
    raise ValueError(describe_row(row, time_ms, field, found, allowed, more))


def describe_row(row: int, time_ms: int | None, field: str, found: object, allowed: str, more: int = 0) -> str:
    """The text of ``fail_row``; ``more`` counts the bad rows after this one."""
    when = "" if time_ms is None else f" ({moment(time_ms)})"
    found = found.item() if isinstance(found, np.generic) else found
    rest = f" ({more} more {'row is' if more == 1 else 'rows are'} bad)" if more else ""
    return f"row {row}{when}, {field}: found {found!r}, allowed {allowed}{rest}"


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextlib.contextmanager
def naming(market: str) -> Iterator[None]:
    """A context that puts the name of a market, if there is one, before a ValueError or TypeError raised inside.

    >>> with naming("BTC/USDT"):
    ...     raise ValueError("no candles")
    Traceback (most recent call last):
        ...
    ValueError: BTC/USDT: no candles
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        if not market:
            raise
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"{market}: {error}") from None


def iso(time_ms: int) -> str:
    """A time in ms as ISO 8601 in UTC, to the second."""
    return moment(time_ms - time_ms % 1000).replace(" UTC", "Z")
