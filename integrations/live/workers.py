"""Threads for a loop that goes on when the main thread has ended: by then Python's own pools take nothing any more."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

_THREADS = 4

_Job: TypeAlias = tuple[Future[Any], Callable[[], Any]]
_Desk: TypeAlias = "queue.SimpleQueue[_Job | None]"  # where a thread that is free waits


class Workers(ThreadPoolExecutor):
    """A pool for ``set_default_executor``: names are resolved, files folded and states saved by it.

    Of the threads that are free the one that was busy last takes a job, so that few of them hold on to the memory of
    a fold.
    """

    def __init__(self) -> None:
        super().__init__(_THREADS)
        self._jobs: deque[_Job | None] = deque()
        self._free: list[_Desk] = []
        self._turn = threading.Lock()
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(_THREADS)]
        for worker in self._workers:
            worker.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a function called by a thread that is free: what becomes of it."""
        future: Future[Any] = Future()
        self._put((future, lambda: fn(*args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Have the threads end after what was submitted."""
        for _ in self._workers:
            self._put(None)
        if wait:
            for worker in self._workers:
                worker.join()

    def _put(self, job: _Job | None) -> None:
        with self._turn:
            if self._free:
                self._free.pop().put(job)
            else:
                self._jobs.append(job)

    def _work(self) -> None:
        desk: _Desk = queue.SimpleQueue()
        while (job := self._next(desk)) is not None:
            future, call = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)

    def _next(self, desk: _Desk) -> _Job | None:
        with self._turn:
            if self._jobs:
                return self._jobs.popleft()
            self._free.append(desk)
        return desk.get()
