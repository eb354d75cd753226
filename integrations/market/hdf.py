"""HDF as pandas writes it to Arrow tables.

pandas keeps the names of columns as pickles there, and PyTables runs every pickle that it meets. h5py hands them out as
bytes: the words in them are taken, and nothing is run.
"""

from __future__ import annotations

import pickletools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

_FRAMES = ("frame", "frame_table")
_DATES = re.compile(r"datetime64(?:\[(\w+))?")


def read_hdf(path: Path) -> pa.Table:
    """The one frame of a file, in pandas' format ``table`` (freqtrade's) or ``fixed``.

    A DatetimeIndex becomes the column ``time``. Columns of objects in the format ``fixed`` are pickles and not read.
    Raises ValueError for several frames or none and OSError for what is no HDF; needs h5py
    and hdf5plugin.
    """
    try:
        import h5py
        import hdf5plugin  # noqa: F401  # what freqtrade compressed with
    except ImportError as error:
        raise ImportError(f'{path}: HDF needs h5py and hdf5plugin: pip install "liquidator-core[hdf]"') from error
    frames: dict[str, Any] = {}

    def look_at(name: str, group: Any) -> None:
        if _text(group.attrs.get("pandas_type")) in _FRAMES:
            frames[name] = group

    with h5py.File(path) as file:
        file.visititems(look_at)
        if len(frames) != 1:
            found = (
                f"holds {len(frames)} frames of pandas ({', '.join(frames)})" if frames else "holds no frame of pandas"
            )
            raise ValueError(f"{path}: {found}, allowed one: write a file of it with DataFrame.to_hdf")
        (frame,) = frames.values()
        try:
            columns = _of_table(frame["table"]) if "table" in frame else _of_blocks(frame)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: cannot be read: not as pandas writes a frame: {error}") from None
    return pa.table(columns)


def _of_table(table: Any) -> dict[str, np.ndarray]:
    rows, said = table[:], table.attrs
    columns: dict[str, np.ndarray] = {}
    for name in rows.dtype.names:
        if name == "index":
            columns |= _times_of(rows[name], _text(said["index_kind"]))
            continue
        names = _words_in(said[f"{name}_kind"]) if rows[name].ndim == 2 else [name]
        values = _dated(rows[name].reshape(len(rows), len(names)), _text(said.get(f"{name}_dtype")))
        columns |= {one: _plain(values[:, at]) for at, one in enumerate(names)}
    return columns


def _of_blocks(frame: Any) -> dict[str, np.ndarray]:
    columns = _times_of(frame["axis1"][:], _text(frame["axis1"].attrs["kind"]))
    for at in range(int(frame.attrs["nblocks"])):
        block = frame[f"block{at}_values"]
        if block.dtype == np.dtype(object):
            continue
        values = _dated(block[:], _text(block.attrs.get("value_type")))
        for place, name in enumerate(frame[f"block{at}_items"][:]):
            columns[_text(name)] = _plain(values[:, place])
    return columns


def _times_of(index: np.ndarray, kind: str) -> dict[str, np.ndarray]:
    return {"time": _dated(index, kind)} if _DATES.match(kind) else {}


def _dated(values: np.ndarray, kind: str) -> np.ndarray:
    """Whole numbers that are dates as such."""
    dates = _DATES.match(kind)
    return values.astype(np.int64).view(f"M8[{dates[1] or 'ns'}]") if dates else values


def _plain(values: np.ndarray) -> np.ndarray:
    return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else np.ascontiguousarray(values)


def _words_in(pickled: Any) -> list[str]:
    """The texts in a pickled list of them, read without unpickling it."""
    return [word for _, word, _ in pickletools.genops(bytes(pickled)) if isinstance(word, str)]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
