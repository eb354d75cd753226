"""Daily files of trades of Bybit (csv.gz) and OKX (zip): read, and nothing of them trusted. Neither has a checksum."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from ..market.messages import first_line, moment
from .layout import Span
from .vision import Archive, Untrusted, check_rows, check_size, positive, unzipped

_CHUNK = 1 << 20
_LAST_S = 1e11
_BYBIT = {"timestamp": pa.float64(), "price": pa.float64(), "side": pa.string()}
_BYBIT_SWAP = {**_BYBIT, "symbol": pa.string(), "size": pa.float64(), "trdMatchID": pa.string()}
_BYBIT_SPOT = {**_BYBIT, "volume": pa.float64(), "id": pa.string()}
_OKX = {"trade_id": pa.int64(), "side": pa.string(), "price": pa.float64(), "size": pa.float64()}
_OKX |= {"created_time": pa.int64()}


def read_bybit(path: Path, market: str, since: int, until: int, spot: bool) -> Archive:
    """A day of ``market``'s trades; sizes are coins or dollars, as there. Old files begin with the newest."""
    try:
        table = _parse(_gunzipped(path.read_bytes()), _BYBIT_SPOT if spot else _BYBIT_SWAP)
        if spot:
            time, ids, size = table["timestamp"].to_numpy().astype(np.int64), table["id"], table["volume"]
        else:
            check_rows(pc.equal(table["symbol"], market).to_numpy(), "symbol", market)
            seconds = table["timestamp"].to_numpy()
            if not 0.0 <= seconds.min() <= seconds.max() < _LAST_S:
                raise Untrusted(f"found a time of {seconds.max():g}, allowed seconds")
            time = np.rint(seconds * 1e6).astype(np.int64) // 1000
            ids, size = table["trdMatchID"], table["size"]
        if len(time) > 1 and time[0] > time[-1]:
            backwards = pa.array(np.arange(len(time))[::-1])
            table, time, ids, size = table.take(backwards), time[::-1], ids.take(backwards), size.take(backwards)
        if pc.count_distinct(ids).as_py() < len(ids):
            raise Untrusted(f"{len(ids) - pc.count_distinct(ids).as_py():,} ids repeat")
        return _archive(table, time, ids, size, since, until)
    except Untrusted as error:
        return Archive(None, [], str(error))


def read_okx(path: Path, since: int, until: int) -> Archive:
    """A day of trades, from 16:00 UTC on; sizes as the venue counts them, coins or contracts."""
    try:
        table = _parse(unzipped(path.read_bytes(), f"{path.stem}.csv"), _OKX)
        table = table.take(pa.array(np.argsort(table["trade_id"].to_numpy(), kind="stable")))
        ids = table["trade_id"].to_numpy()
        if (np.diff(ids) == 0).any():
            raise Untrusted(f"{int((np.diff(ids) == 0).sum()):,} ids repeat")
        time = table["created_time"].to_numpy()
        return _archive(table, time, table["trade_id"], table["size"], since, until)
    except Untrusted as error:
        return Archive(None, [], str(error))


def _archive(table: pa.Table, time: np.ndarray, ids: Any, size: Any, since: int, until: int) -> Archive:
    if (np.diff(time) < 0).any():
        raise Untrusted(f"row {int((np.diff(time) < 0).argmax()) + 1}: time goes back")
    wrong = np.flatnonzero((time < since) | (time >= until))
    if len(wrong):
        span = f"{moment(since)} to {moment(until)}"
        raise Untrusted(
            f"row {wrong[0]}: found a time of {time[wrong[0]]} ms, allowed {span} ({len(wrong):,} rows are wrong)"
        )
    price, amount = positive(pa.table({"price": table["price"], "size": size}), "price", "size")
    side = pc.utf8_lower(table["side"])
    check_rows(pc.is_in(side, pa.array(["buy", "sell"])).to_numpy(), "side", "buy or sell")
    columns = {"time": time, "price": price, "size": amount, "side": side.combine_chunks()}
    return Archive({**columns, "id": ids.combine_chunks()}, [Span(since, until, "none")], "")


def _gunzipped(data: bytes) -> bytes:
    """What a gzip of any number of members holds, cut off where it grows beyond what market data do."""
    out: list[bytes] = []
    size = 0
    try:
        while data:
            unpacker = zlib.decompressobj(wbits=31)
            rest = data
            while rest and not unpacker.eof:
                out.append(unpacker.decompress(rest, _CHUNK))
                size += len(out[-1])
                check_size(size, len(data))
                rest = unpacker.unconsumed_tail
            if not unpacker.eof:
                raise Untrusted("is no whole archive: it is cut")
            data = unpacker.unused_data
    except zlib.error as error:
        raise Untrusted(f"is no whole archive: {first_line(error)}") from None
    return b"".join(out)


def _parse(text: bytes, types: dict[str, pa.DataType]) -> pa.Table:
    """The columns of these names; names of two languages count by the first, ``trade_id/...``."""
    head, _, rows = text.partition(b"\n")
    if not rows.strip():
        raise Untrusted("holds no rows")
    names = [cell.split(b"/")[0].decode("ascii", "replace").strip().strip('"') for cell in head.split(b",")]
    missing = [name for name in types if name not in names]
    if missing:
        raise Untrusted(f"has no column {missing[0]}: found {', '.join(names)[:200]}")
    options = pa_csv.ReadOptions(column_names=names, skip_rows=1)
    convert = pa_csv.ConvertOptions(column_types=types, include_columns=list(types))
    try:
        table = pa_csv.read_csv(pa.BufferReader(text), options, convert_options=convert)
    except pa.ArrowException as error:
        raise Untrusted(f"cannot be read: {first_line(error)}") from None
    if empty := next((name for name in types if table[name].null_count), None):
        raise Untrusted(f"row {table[empty].is_null().index(True).as_py()}: no {empty}")
    return table
