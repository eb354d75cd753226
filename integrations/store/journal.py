"""What is captured second by second: appended to a journal beside a day's file, and folded into it now and then.

A journal is Arrow's stream format, a batch a flush, each with the spans that are covered by then. Of a process that was
killed all whole batches are there; the next journal of that folder folds them first.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from . import parquet
from .layout import Span, merged, without

if TYPE_CHECKING:
    import filelock

_NAME = "live.arrows"
_SPANS = b"spans"


class Journal:
    """One kind of one market while it is captured.

    place   from ``layout.folder``
    key     the columns that tell rows apart

    Raises TimeoutError where another process captures the same. Cost of an append: some 50 us and its bytes.
    """

    def __init__(self, place: Path, key: Sequence[str]) -> None:
        import filelock

        place.mkdir(parents=True, exist_ok=True)
        self._place = place
        self._key = tuple(key)
        self._lock = _lock(place)
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise TimeoutError(f"{place}: another stream captures this") from None
        try:
            _fold_all(place, self._key)
        except BaseException:
            self._lock.release()
            raise
        self._file: pa.NativeFile | None = None
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._schema: pa.Schema | None = None
        self._head = 0  # bytes before the first batch
        self.rows = 0  # that are not in the day's file yet

    def append(self, table: pa.Table, spans: Sequence[Span]) -> None:
        """Write rows, and what is covered by now. Raises OSError; what was written before is as it was."""
        if self._writer is None or self._schema != table.schema:
            self.rotate()
            self._begin(table.schema)
        assert self._file is not None
        assert self._writer is not None
        whole = self._file.tell()
        said = json.dumps([list(span) for span in spans])
        try:
            for batch in table.to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]:
                self._writer.write_batch(batch, custom_metadata={_SPANS: said.encode()})
        except OSError:  # to this writer the batch's dictionaries are written: the next begins a file of its own
            self._end(whole)
            raise
        self.rows += len(table)

    def rotate(self) -> list[Path]:
        """End the file that is written to: all that are ended and wait for ``fold``."""
        if self._file is not None:
            self._end(self._file.tell())
        elif self._path().exists():  # what ended it failed
            self._set_aside()
        return _ended(self._place)

    def fold(self) -> None:
        """Put all that was written into the files of its days."""
        self.rotate()
        _fold_all(self._place, self._key)

    def close(self) -> None:
        """Fold what is there, and leave the folder to others, whether or not it can be folded."""
        try:
            self.fold()
        finally:
            self._lock.release()

    def _begin(self, schema: pa.Schema) -> None:
        file = pa.OSFile(str(self._path()), "wb")
        try:
            self._writer = pa.ipc.new_stream(file, schema)
        except OSError:
            file.close()
            self._path().unlink()
            raise
        self._file, self._schema, self._head = file, schema, file.tell()

    def _end(self, size: int) -> None:
        """Let go of the file after so many bytes; without a batch it goes."""
        assert self._file is not None
        self._file.close()
        self._writer = self._file = None
        self.rows = 0
        if size == self._head:
            self._path().unlink()
            return
        os.truncate(self._path(), size)
        self._set_aside()

    def _set_aside(self) -> None:
        self._path().replace(self._place / f"folding-{time.time_ns()}.arrows")

    def _path(self) -> Path:
        return self._place / _NAME


def recover(place: Path, key: Sequence[str]) -> None:
    """Fold what an earlier process left; nothing where one captures. Errors as for ``parquet.add``."""
    import filelock

    if next(place.glob("*.arrows"), None) is None:
        return
    with contextlib.suppress(filelock.Timeout), _lock(place):
        _fold_all(place, key)


def _lock(place: Path) -> filelock.FileLock:
    """Held by who captures."""
    import filelock

    return filelock.FileLock(place / ".live.lock", timeout=0, thread_local=False)


def _ended(place: Path) -> list[Path]:
    return sorted(place.glob("folding-*.arrows"))


def _fold_all(place: Path, key: Sequence[str]) -> None:
    for path in (*_ended(place), place / _NAME):
        fold(path, key)


def fold(path: Path, key: Sequence[str]) -> None:
    """Put a journal's rows into the files of their days; then the journal goes. Twice is the same as once."""
    with contextlib.suppress(FileNotFoundError):  # another thread has folded it
        table, spans = _read(path)
        if table is not None:
            parquet.add(path.parent, table, covering(table, spans), key)
        path.unlink()
        pa.default_memory_pool().release_unused()  # it would keep ever more of it


def covering(table: pa.Table, spans: Sequence[Span]) -> list[Span]:
    """These spans, and one without a proof for each moment of a row outside of them."""
    moments = np.unique(table["time"].to_numpy()).tolist()
    loose = without([(one, one + 1) for one in moments], list(spans))
    return merged([*spans, *(Span(*one, "none") for one in loose)])


def _read(path: Path) -> tuple[pa.Table | None, list[Span]]:
    """The whole batches of a journal and the spans that they say are covered."""
    batches, spans = [], []
    with pa.OSFile(str(path), "rb") as file:
        try:
            reader = pa.ipc.open_stream(file)
            while True:
                batch, said = reader.read_next_batch_with_custom_metadata()
                batches.append(batch)
                spans += [Span(*one) for one in json.loads(dict(said or {}).get(_SPANS, b"[]"))]
        except (StopIteration, pa.ArrowInvalid, OSError):  # its end, or where a process was killed
            pass
    if not batches:
        return None, []
    return pa.Table.from_batches(batches), merged(spans)
