"""Ctrl-C while streams run: they save and close, whatever the main thread does with it."""

from __future__ import annotations

import signal
import threading
import weakref
from types import FrameType
from typing import Any

_RUNNING: weakref.WeakSet[Any] = weakref.WeakSet()
_before: Any = None


def watch(stream: Any) -> None:
    """Have a stream closed at Ctrl-C. Outside of the main thread it is left to whoever runs there."""
    global _before
    _RUNNING.add(stream)
    if threading.current_thread() is not threading.main_thread():
        return
    current = signal.getsignal(signal.SIGINT)
    if current is not _interrupted and callable(current):
        _before = current
        signal.signal(signal.SIGINT, _interrupted)


def forget(stream: Any) -> None:
    """A stream has ended; with the last of them Ctrl-C means what it meant before."""
    _RUNNING.discard(stream)
    if _RUNNING or threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is _interrupted:
        signal.signal(signal.SIGINT, _before)


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Close streams; a main thread that still runs is interrupted as ever, one that only waits for them waits on."""
    for stream in list(_RUNNING):
        stream.request_stop()
    if threading.main_thread().is_alive() or not _RUNNING:
        _before(number, frame)
