"""Tables written for other programs, each whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.feather as pa_feather

from liquidator_core._atomic import replacing

_UTC = pa.timestamp("ms", "UTC")


def to_freqtrade(table: pa.Table, kind: str, folder: Path) -> Path:
    """A feather file below freqtrade's folder of data, under the name that freqtrade gives it.

    Candles, trades and funding. Raises ValueError for other kinds.
    """
    venue, pair = (table[name][0].as_py() for name in ("venue", "symbol"))
    if not re.fullmatch(r"[\w-]+", venue):  # of an imported column, say
        raise ValueError(f"venue: found {venue!r}, allowed letters, digits, _ and -, as it names a folder")
    stem = re.sub(r"[/ .@$:+\\]", "_", pair)
    name, _, timeframe = kind.partition("-")
    of_swap = ":" in pair
    place = folder / venue / "futures" if of_swap else folder / venue
    if name == "candles":
        columns = {"date": table["time"].cast(_UTC)}
        columns |= {field: table[field] for field in ("open", "high", "low", "close", "volume")}
        stem = f"{stem}-{timeframe}{'-futures' if of_swap else ''}"
    elif name == "trades":
        size, price = table["size"], table["price"]
        columns = {"timestamp": table["time"], "id": table["id"], "type": pa.nulls(len(table), pa.string())}
        columns |= {
            "side": table["side"].cast(pa.string()),
            "price": price,
            "amount": size,
            "cost": pc.multiply(price, size),
        }
        stem = f"{stem}-trades"
    elif name == "funding":
        columns = {"date": table["time"].cast(_UTC), "funding_rate": table["funding_rate"]}
        stem = f"{stem}-1h-funding_rate"
    else:
        raise ValueError(f"kind: found {kind!r}, allowed for freqtrade candles-1h and the like, trades, funding")
    place.mkdir(parents=True, exist_ok=True)
    path: Path = place / f"{stem}.feather"
    with replacing(path) as file:
        pa_feather.write_feather(pa.table(columns), file, compression="lz4", compression_level=9)
    return path


def to_backtrader(table: pa.Table, kind: str, path: Path) -> Path:
    """Candles as csv, columns in the order of ``GenericCSVData``: times UTC, open interest 0."""
    if not kind.startswith("candles"):
        raise ValueError(f"kind: found {kind!r}, allowed for backtrader candles-1h and other timeframes")
    seconds = table["time"].cast(pa.timestamp("ms")).cast(pa.timestamp("s"))
    columns = {"datetime": pc.strftime(seconds, "%Y-%m-%d %H:%M:%S")}
    columns |= {field: table[field] for field in ("open", "high", "low", "close", "volume")}
    columns |= {"openinterest": pa.array(np.zeros(len(table), np.int64))}
    with replacing(path) as file:
        pa_csv.write_csv(pa.table(columns), file, pa_csv.WriteOptions(quoting_style="none"))
    return path


WRITERS: dict[str, Callable[[pa.Table, str, Path], Path]] = {"freqtrade": to_freqtrade, "backtrader": to_backtrader}
