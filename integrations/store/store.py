"""A folder of market data: what it holds, what it lacks, and roads in and out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from liquidator_core.timeframes import BAR_LENGTHS, check_timeframe, timeframe_ms

from ..market.coins import market_of
from ..market.messages import moment
from ..market.times import ms_of
from ..market.venues import venue_of
from . import candles, coverage, exports, imports, layout, parquet, query
from .kinds import KINDS, finished, key_of
from .layout import Span

_ISSUES = ("venue", "symbol", "kind", "since", "until", "file", "problem")
_IMPORTED = ("file", "venue", "symbol", "kind", "rows", "kept", "since", "until", "problem", "remark")
_CONTENTS = ("venue", "symbol", "kind", "since", "until", "rows", "files", "bytes")
_CANDLES = "candles-"
_WHOLE = ("candles", "trades")  # kinds of which something is always there; of others it takes a proof


class Place(NamedTuple):
    """One kind of one market's data."""

    venue: str
    symbol: str
    kind: str  # of candles with their timeframe, candles-1m
    path: Path


class Store:
    """A folder of market data as parquet, that grows by fetches, streams and files and can tell what it lacks.

    path   the folder; None: that of this user's data. It is made if it is not there

    Wherever ``store=`` is taken a Store will do. Several processes may read and write at once. Symbols are written in
    any way that means one market of the store (BTC, BTC-USDT, BTC/USDT:USDT); ``venue`` may be left out where one venue
    has it; times are ms, datetimes or ISO text, since <= time < until. Raises ValueError for a folder that is no store
    or of a newer layout, for what it does not hold, and for files that cannot be read; OSError for a disk that is full
    or not to be written to, and then every file is as it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "trades.csv"
    ...     _ = file.write_text("time,price,size,side,id\\n1672531200000,16500,2,sell,1\\n1672531201000,16501,1,buy,2")
    ...     store = Store(Path(folder) / "store")
    ...     kept = store.import_(file, venue="okx", symbol="BTC/USDT:USDT")
    ...     store.read("trades", "BTC")["price"].to_pylist()
    [16500.0, 16501.0]
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = layout.open_root(_default() if path is None else Path(path))

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"<Store {self.path}>"

    # Reading ----------------------------------------------------------------------------------------------------------

    def places(self) -> Iterator[Place]:
        """What lies where, in order of venue, symbol and kind."""
        for path in sorted(path for path in self.path.glob("*/*/*") if path.is_dir()):
            *_, venue, symbol, kind = path.parts
            if parquet.files(path):
                yield Place(layout.named_by(venue), layout.named_by(symbol), layout.named_by(kind), path)

    def read(self, kind: str, symbol: str, venue: str | None = None, since: Any = None, until: Any = None) -> pa.Table:
        """The rows of a kind, in order of time and each once: a table as of ``exchanges.fetch``.

        kind   trades, candles-1m, funding, open_interest, liquidations; candles alone, where one timeframe is there;
               trades-single are Binance's that are not aggregated, trades alone where there are no others

        ``time`` is the venue's, ``written`` when a row was kept first, and ``received`` when it came, where that was
        seen: ms. Cost: that of reading the files of the span.
        """
        return self._rows(self._place(kind, symbol, venue), since, until)

    def candles(
        self, symbol: str, timeframe: str, venue: str | None = None, since: Any = None, until: Any = None
    ) -> pa.Table:
        """The closed candles of a timeframe, 1m to 1d: as they are kept, else made of shorter ones, else of trades.

        Those that are made lack what touches a gap.
        """
        check_timeframe(timeframe, BAR_LENGTHS)
        step = timeframe_ms(timeframe)
        there = {place.kind: place for place in self._market(symbol, venue)}
        shorter = [kind.removeprefix(_CANDLES) for kind in there if kind.startswith(_CANDLES)]
        fits = [name for name in shorter if step % timeframe_ms(name) == 0]
        traded = "trades" if "trades" in there else "trades-single"
        source = there.get(_CANDLES + max(fits, key=timeframe_ms) if fits else traded)
        if source is None:
            raise ValueError(
                f"timeframe: found {timeframe!r}, and {symbol} has {', '.join(there)}: allowed what a kept timeframe "
                "divides, or any where trades are kept"
            )
        begin, end = _bounds(source, since, until)
        rows = self._rows(source, begin, end)
        if fits and timeframe_ms(source.kind.removeprefix(_CANDLES)) == step:
            return rows
        known = _known(source, rows, begin, end)
        return finished(
            candles.made(rows, known.gaps, timeframe, source.venue, source.symbol, _spans(source, begin, end))
        )

    def query(self, sql: str) -> pa.Table:
        """What a SQL query of DuckDB gives; each kind is a view by its name, ``trades``, ``candles_1m``.

        Rows have ``venue`` and ``symbol`` beside their columns, and come in no order unless the query says one. Cost:
        a look at every file's end, then the columns and rows that the query needs. Needs
        ``pip install "liquidator-core[store]"``.
        """
        return query.ask(sql, [(place.kind, place.path) for place in self.places()])

    def contents(self) -> pd.DataFrame:
        """What lies there, a row a kind: venue, symbol, kind, since, until, rows, files, bytes. No row is read."""
        rows = []
        for place in self.places():
            files = parquet.files(place.path)
            spans = layout.merged([span for path in files for span in parquet.spans_in(path)])
            sizes = sum(map(parquet.count, files)), len(files), sum(path.stat().st_size for path in files)
            if spans:
                rows.append((*place[:3], spans[0].since, spans[-1].until, *sizes))
        return pd.DataFrame(rows, columns=list(_CONTENTS))

    # What is there ----------------------------------------------------------------------------------------------------

    def coverage(self) -> pd.DataFrame:
        """What is there and what proves it, a row a kind and UTC day, as ``exchanges.fetch`` gives it."""
        return self._examined()[0]

    def gaps(self) -> pd.DataFrame:
        """What is missing within what is there: venue, symbol, kind, since, until (UTC ms), missing."""
        return self._examined()[1]

    def check(self) -> pd.DataFrame:
        """What is wrong, a row each: venue, symbol, kind, since, until, file, problem; no rows: nothing is.

        Every file is read whole: its metadata, the order of its rows, that each comes once, its values; then the gaps.
        """
        issues: list[dict[str, Any]] = []
        for place in self.places():
            named = {"venue": place.venue, "symbol": place.symbol, "kind": place.kind}
            broken = False
            for path in parquet.files(place.path):
                for problem in parquet.problems(path, place.kind):
                    issues.append({**named, "file": str(path.relative_to(self.path)), "problem": problem})
                    broken = True
            if broken:
                continue
            begin, end = _bounds(place, None, None)
            if place.kind.partition("-")[0] not in _WHOLE and all(
                span.proof == "none" for span in _spans(place, begin, end)
            ):
                continue
            for gap in _known(place, None, begin, end).gaps:
                count = "rows" if np.isnan(gap.missing) else f"{gap.missing:,.0f} rows"
                issues.append(
                    {**named, "file": "", "since": gap.since, "until": gap.until, "problem": f"{count} are missing"}
                )
        frame = pd.DataFrame(issues, columns=list(_ISSUES))
        return frame.astype({"since": "Int64", "until": "Int64"})

    # In, out, and smaller ---------------------------------------------------------------------------------------------

    def import_(
        self,
        path: str | os.PathLike[str],
        kind: str | None = None,
        venue: str | None = None,
        symbol: str | None = None,
        progress: Any = None,
    ) -> pd.DataFrame:
        """Keep what a file, or every file of a folder, holds: a frame with a row a file and kind, of what was kept.

        path     freqtrade's feather files, tardis' csv.gz, captures of cryptofeed, files of Binance Vision, Kraken's
                 dumps, fills of Hyperliquid's nodes, parquet and other files of candles and trades (docs/files.md)
        kind, venue, symbol   what a file does not say itself, by its columns, its name or its folder's
        progress              is called as progress(file, done, total)

        Of spans that are covered already nothing is kept again, whoever covered them first. Of a folder, files that
        cannot be kept are named in ``problem``; a single one raises ValueError. ``remark`` says where something else
        than a file's rows was made of them. What was kept before an error stays.
        """
        source = Path(path)
        if not source.exists():
            raise FileNotFoundError(f"{source}: there is no such file or folder")
        files = [source] if source.is_file() else imports.files_in(source)
        rows = []
        for done, file in enumerate(files):
            try:
                for found in imports.read(file, kind, venue, symbol):
                    told = {"problem": found.problem, "remark": found.remark}
                    rows.append({"file": str(file), **self._keep(found), **told})
            except ValueError as error:
                if source.is_file():
                    raise
                rows.append({"file": str(file), "rows": 0, "kept": 0, "problem": str(error), "remark": ""})
            if progress is not None:
                progress(file.name, done + 1, len(files))
        return pd.DataFrame(rows, columns=list(_IMPORTED)).astype({"since": "Int64", "until": "Int64"})

    def export(
        self,
        kind: str,
        symbol: str,
        path: str | os.PathLike[str],
        to: str = "freqtrade",
        venue: str | None = None,
        since: Any = None,
        until: Any = None,
    ) -> Path:
        """Write rows of a kind for another program: the file that was written, whole or not at all.

        kind   candles-1h (made of shorter ones where need be), trades, funding
        path   of freqtrade its folder of data, ``user_data/data``; of backtrader the csv file
        to     freqtrade: feather, named and placed as ``freqtrade download-data`` does; backtrader: candles as csv
        """
        if to not in exports.WRITERS:
            raise ValueError(f"to: found {to!r}, allowed {', '.join(exports.WRITERS)}")
        if kind.startswith(_CANDLES):
            table = self.candles(symbol, kind.removeprefix(_CANDLES), venue, since, until)
        else:
            place = self._place(kind, symbol, venue)
            kind, table = place.kind, self._rows(place, since, until)
        if len(table) == 0:
            raise ValueError(f"{symbol}: no {kind} between these times")
        return exports.WRITERS[to](table, kind, Path(path))

    def compact(self) -> list[Path]:
        """Turn days that are covered whole into months: the files that were written; a second time none is."""
        return [path for place in self.places() for path in parquet.compact(place.path, key_of(place.kind))]

    # ------------------------------------------------------------------------------------------------------------------

    def _keep(self, found: imports.Found) -> dict[str, Any]:
        place = layout.folder(self.path, found.venue, found.symbol, found.kind)
        said: dict[str, Any] = {"venue": found.venue, "symbol": found.symbol, "kind": found.kind}
        said |= {"rows": len(found.table), "kept": 0}
        if not found.spans:
            return said
        since, until = found.spans[0].since, found.spans[-1].until
        near = since - found.near_ms, until + found.near_ms
        there = [span for path in parquet.files(place, *near) for span in parquet.spans_in(path)]
        if found.near_ms:  # up to those beside it
            since = max((span.until for span in there if near[0] <= span.until <= since), default=since)
            until = min((span.since for span in there if until <= span.since <= near[1]), default=until)
            found = found._replace(spans=[found.spans[0]._replace(since=since, until=until)])
        new = [
            Span(*part, span.proof)
            for span in found.spans
            for part in layout.without([(span.since, span.until)], there)
        ]
        kept = parquet.add(place, found.table, new, key_of(found.kind)) if new else 0
        return said | {"kept": kept, "since": since, "until": until}

    def _market(self, symbol: str, venue: str | None) -> list[Place]:
        """The places of the one market that is meant. Raises ValueError for none and for several."""
        places = list(self.places())
        own = [place for place in places if venue is None or _is_venue(venue, place.venue)]
        found = [place for place in own if place.symbol == symbol] or [
            place for place in own if _is_symbol(symbol, place.symbol)
        ]
        markets = list(dict.fromkeys((place.venue, place.symbol) for place in found))
        if len(markets) != 1:
            known = list(dict.fromkeys(f"{place.symbol} of {place.venue}" for place in found or places))
            some = ", ".join(known[:6]) + (", ..." if len(known) > 6 else "")
            asked = f"{symbol!r}{f' of {venue!r}' if venue else ''}"
            why = "which is several: say symbol and venue" if markets else "which is none that is kept"
            raise ValueError(f"symbol: found {asked}, {why}; there is {some or 'nothing'}")
        return found

    def _place(self, kind: str, symbol: str, venue: str | None) -> Place:
        places = self._market(symbol, venue)
        found = [place for place in places if place.kind == kind] or [
            place for place in places if place.kind.partition("-")[0] == kind
        ]
        if len(found) != 1:
            there = ", ".join(place.kind for place in places)
            hint = f"allowed {there}: what is kept of {places[0].symbol}"
            known = kind.partition("-")[0] in KINDS
            raise ValueError(f"kind: found {kind!r}, {hint if known else 'allowed ' + ', '.join(KINDS) + '; ' + hint}")
        return found[0]

    def _rows(self, place: Place, since: Any, until: Any) -> pa.Table:
        return parquet.rows(place.path, place.kind, *_bounds(place, since, until))

    def _examined(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        parts = []
        for place in self.places():
            begin, end = _bounds(place, None, None)
            parts.append(coverage.frames(place.venue, place.symbol, {place.kind: _known(place, None, begin, end)}))
        if not parts:
            return coverage.frames("", "", {})
        days, gaps = ([part for part in frames if len(part)] or frames[:1] for frames in zip(*parts, strict=True))
        return pd.concat(days, ignore_index=True), pd.concat(gaps, ignore_index=True)


def _default() -> Path:
    try:
        import platformdirs
    except ImportError:
        raise ImportError('platformdirs is missing: pip install "liquidator-core[store]", or give a folder') from None
    return Path(platformdirs.user_data_dir("liquidator", appauthor=False)) / "store"


def _is_venue(asked: str, name: str) -> bool:
    return name in (asked, venue_of(asked).name)


def _is_symbol(asked: str, name: str) -> bool:
    """Whether a market goes by a symbol as people write it."""
    said, is_ = market_of(asked), market_of(name)
    kinds = {"": (is_.kind,), "derivative": ("linear", "inverse")}.get(said.kind, (said.kind,))
    return said.coin == is_.coin and said.currency in ("", is_.currency) and is_.kind in kinds


def _bounds(place: Place, since: Any, until: Any) -> tuple[int, int]:
    """The times asked for, within the days that a place holds."""
    stems = [path.stem for path in parquet.files(place.path)]
    first, last = min(map(layout.begin_of, stems)), max(map(layout.end_of, stems))
    begin = first if since is None else ms_of(since)
    end = last if until is None else ms_of(until)
    if since is not None and until is not None and begin > end:
        raise ValueError(f"since: found {moment(begin)}, allowed a time up to until, {moment(end)}")
    begin = min(max(begin, first), last)
    return begin, max(min(end, last), begin)


def _spans(place: Place, since: int, until: int) -> list[Span]:
    spans = [span for path in parquet.files(place.path, since, until) for span in parquet.spans_in(path)]
    return layout.within(layout.merged(spans), since, until)


def _known(place: Place, table: pa.Table | None, since: int, until: int) -> coverage.Result:
    """The days and gaps of a place from its first row covered to its last, as its spans say that it is proven."""
    spans = _spans(place, since, until)
    if not spans:
        return coverage.Result([], [])
    kind, _, timeframe = place.kind.partition("-")
    proofs = {span.proof for span in spans}
    if table is None:
        _, table = parquet.read(place.path, since, until, key_of(kind), key_of(kind))
        assert table is not None
    chained = kind == "trades" and "ids" in proofs and pc.all(pc.utf8_is_decimal(table["id"])).as_py() is True
    step = timeframe_ms(timeframe) if kind == "candles" and "count" in proofs else 0
    since, until = spans[0].since, spans[-1].until
    if step:
        since, until = -(-since // step) * step, until // step * step
    return coverage.examine(table, since, until, spans, step, chained)
