"""Callbacks on a thread of their own, in order, off the path on which trades are received."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

_LOG = logging.getLogger("liquidator")
_MOST = 100_000


class Courier:
    """Calls what it is given, one after the other. ``errors`` counts those that raised, ``lost`` those without room."""

    def __init__(self) -> None:
        self.errors = 0
        self.lost = 0
        self.is_open = True
        self._waiting: queue.Queue[tuple[Callable[..., object], tuple[Any, ...]] | None] = queue.Queue(_MOST)
        self._thread = threading.Thread(target=self._run, name="liquidator-callbacks", daemon=True)
        self._thread.start()

    def call(self, callback: Callable[..., object], *what: Any) -> None:
        """Have a callback called."""
        try:
            self._waiting.put_nowait((callback, what))
        except queue.Full:
            if self.lost == 0:
                _LOG.error("callbacks are too slow: %d wait, and what comes is not called", _MOST)
            self.lost += 1

    @property
    def waiting(self) -> int:
        """How many callbacks are to be called yet."""
        return self._waiting.qsize()

    @property
    def is_here(self) -> bool:
        """Whether this is its thread."""
        return threading.current_thread() is self._thread

    def close(self, seconds: float) -> None:
        """Have it end after what waits; what takes longer is left to itself."""
        self.is_open = False
        if self._waiting.full():
            self._waiting.get_nowait()
            self.lost += 1
        self._waiting.put(None)
        if not self.is_here:
            self._thread.join(seconds)
            if self._thread.is_alive():
                _LOG.error("a callback has not returned for %g s: it is left behind", seconds)

    def _run(self) -> None:
        while (one := self._waiting.get()) is not None:
            callback, what = one
            try:
                callback(*what)
            except BaseException:  # one that calls sys.exit, too: the others are to be called
                self.errors += 1
                _LOG.exception("a callback of the stream raised: %r", callback)
