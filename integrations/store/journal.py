"""What is captured second by second: appended to a journal beside a day's file, and folded into it now and then.

A journal is Arrow's stream format, a batch a flush, each with the spans that are covered by then. Of a process that was
killed all whole batches are there; the next journal of that folder folds them first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from . import parquet
from .layout import Span, merged, within

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
        self._lock = filelock.FileLock(place / ".live.lock", timeout=0, thread_local=False)
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise TimeoutError(f"{place}: another stream captures this") from None
        recover(place, self._key)
        self._file: pa.NativeFile | None = None
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._schema: pa.Schema | None = None
        self.rows = 0  # that are not in the day's file yet

    def append(self, table: pa.Table, spans: Sequence[Span]) -> None:
        """Write rows, and what is covered by now. Raises OSError; what was written before is as it was."""
        if self._writer is None or self._schema != table.schema:
            self.rotate()
            self._file = open(self._path(), "wb", buffering=0)  # noqa: SIM115
            self._writer = pa.ipc.new_stream(self._file, table.schema)
            self._schema = table.schema
        assert self._file is not None
        whole = self._file.tell()
        said = json.dumps([list(span) for span in spans])
        try:
            for batch in table.to_batches():
                self._writer.write_batch(batch, custom_metadata={_SPANS: said.encode()})
        except OSError:
            self._file.truncate(whole)
            self._file.seek(whole)
            raise
        self.rows += len(table)

    def rotate(self) -> Path | None:
        """End the file that is written to; what folds it is ``fold``. None if there is none."""
        if self._writer is None or self._file is None:
            return None
        self._writer.close()
        self._file.close()
        self._writer = self._file = None
        self.rows = 0
        done = self._place / f"folding-{time.time_ns()}.arrows"
        self._path().replace(done)
        return done

    def close(self) -> None:
        """Fold what is there, and leave the folder to others."""
        done = self.rotate()
        if done is not None:
            fold(done, self._key)
        self._lock.release()

    def _path(self) -> Path:
        return self._place / _NAME


def recover(place: Path, key: Sequence[str]) -> None:
    """Fold what an earlier process left. Errors as for ``parquet.add``."""
    left = [*sorted(place.glob("folding-*.arrows")), place / _NAME]
    for path in left:
        if path.exists():
            fold(path, key)


def fold(path: Path, key: Sequence[str]) -> None:
    """Put a journal's rows into the files of their days; then the journal goes. Twice is the same as once."""
    table, spans = _read(path)
    if table is not None:
        parquet.add(path.parent, table, covering(table, spans), key)
    path.unlink()


def covering(table: pa.Table, spans: Sequence[Span]) -> list[Span]:
    """These spans, and one without a proof for each moment of a row outside of them."""
    spans = merged(list(spans))
    moments = np.unique(table["time"].to_numpy()).tolist()
    loose = [Span(one, one + 1, "none") for one in moments if not within(spans, one, one + 1)]
    return merged([*spans, *loose])


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
