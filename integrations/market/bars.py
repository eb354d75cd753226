"""A file of candles or of trades to checked bars."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np

from liquidator_core import Params
from liquidator_core.timeframes import step_ms

from .messages import moment, naming

if TYPE_CHECKING:
    from .sources import Convention


def read_bars(
    path: str | os.PathLike[str],
    params: Params | None = None,
    bar: str | None = None,
    venue: str = "",
    convention: Convention = None,
    last: int | None = None,
    since_ms: int | None = None,
) -> np.ndarray:
    """The bars of a file of candles, or those that its trades make: (n,) BAR, checked.

    path               CSV, TSV or JSON (also .gz, .zip), parquet, feather or HDF: ``files.read_candles_or_trades``
    params             ``tape_ms`` is the length of bars made from trades, ``large_*`` what a large trade is
    bar                their length instead, 1m to 1d; for trades alone
    venue, convention  of trades whose file does not say it: as for ``Liquidator.ingest_trades``
    last, since_ms     of all that open from a time on only the newest so many; rows that are not taken are not checked,
                       but for their times. Of trades those that made these bars are taken, and the last one before them
                       where the first holds none; none of the first ``params.large_trades`` is a large one

    Raises ValueError or TypeError naming the file, its row, what was found and what is allowed.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "candles.csv"
    ...     _ = file.write_text("date,open,high,low,close,volume\\n2023-01-01,16500,16600,16400,16550,12.5\\n")
    ...     bars = read_bars(file)
    >>> bars[["time", "high", "volume"]].tolist()
    [(1672531200000, 16600.0, 12.5)]
    """
    from dataclasses import replace

    from liquidator_core.tape import bars_from_trades
    from liquidator_core.timeframes import BAR_LENGTHS, check_timeframe, timeframe_ms

    from .candles import bars_of, checked_candles
    from .files import read_candles_or_trades
    from .trades import trades_from_table

    params = params or Params()
    if bar is not None:
        check_timeframe(bar, BAR_LENGTHS, "--bar")
    take = partial(_taken, last=last, since_ms=since_ms)
    is_part = last is not None or since_ms is not None
    kind, table = read_candles_or_trades(path)
    with naming(str(path)):
        if kind == "candles":
            for option, value in (("bar", bar), ("venue", venue), ("convention", convention)):
                if value:
                    raise ValueError(f"--{option} {value} is for trades, and the file holds candles")
            return bars_of(checked_candles(table, "raise", "", True, take))
        if bar is not None:
            params = replace(params, tape_ms=timeframe_ms(bar))
        of_trades = partial(_taken_trades, length=params.tape_ms, last=last, since_ms=since_ms) if is_part else None
        bars = bars_from_trades(trades_from_table(table, True, venue, convention, of_trades), params)
        taken: np.ndarray = bars[take(bars["time"])]
        return taken


def _taken(time: np.ndarray, last: int | None, since_ms: int | None) -> np.ndarray:
    """(n,) bool: of (n,) times those from one on, and of these the latest."""
    taken = np.ones(len(time), np.bool_)
    if since_ms is not None:
        taken = time >= since_ms
        if not taken.any():
            _fail_late(since_ms, time.max())
    if last is not None:
        rows = np.flatnonzero(taken)
        taken[rows[np.argsort(time[rows], kind="stable")[:-last]]] = False
    return taken


def _fail_late(since_ms: int, last_ms: int) -> NoReturn:
    begin, end = moment(since_ms), moment(last_ms)
    raise ValueError(f"found no bar from {begin} on: the file ends before, its last bar is that of {end}")


def _taken_trades(time: np.ndarray, length: int, last: int | None, since_ms: int | None) -> np.ndarray:
    """(n,) bool: of trades at (n,) times those that are needed for the bars that ``_taken`` takes."""
    begin, end = int(time.min()) // length * length, int(time.max()) // length * length  # end opens what is open yet
    if since_ms is not None and begin < end:
        begin = max(begin, -(-since_ms // length) * length)
        if begin >= end:
            _fail_late(since_ms, end - length)
    if last is not None:
        begin = max(begin, end - last * length)
    taken: np.ndarray = time >= begin
    if not taken.all() and time[taken].min() >= begin + length:
        taken |= time == time[~taken].max()
    return taken


class Gaps(NamedTuple):
    """What is missing in a row of bars."""

    missing: int  # bars
    gaps: int  # in so many places
    step_ms: int  # from bar to bar, usually


def gaps_in(time: np.ndarray) -> Gaps:
    """The gaps in (n,) rising times of bars in ms, by their usual step.

    >>> gaps_in(np.array([0, 1, 2, 6, 7, 9]) * 3_600_000)
    Gaps(missing=4, gaps=2, step_ms=3600000)
    """
    step = step_ms(time)
    if step == 0:
        return Gaps(0, 0, 0)
    missing = np.rint(np.diff(time) / step).astype(np.int64) - 1
    return Gaps(int(missing[missing > 0].sum()), int((missing > 0).sum()), step)
