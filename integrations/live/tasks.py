"""The tasks of a stream: what fails in one is told, and they end together."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

_LOG = logging.getLogger("liquidator")


class Tasks:
    """Tasks on the loop that runs. ``faults`` says what went wrong without ending the stream."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.running: set[asyncio.Task[None]] = set()

    def start(self, coroutine: Any, is_awaited: bool = False) -> asyncio.Task[None]:
        """Have a coroutine run until it or the stream ends. ``is_awaited``: who does that may ``tell`` of it."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        if not is_awaited:
            task.add_done_callback(self.tell)
        return task

    def tell(self, task: asyncio.Task[None]) -> None:
        """Tell of what went wrong in a task that has ended, if anything did."""
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("a task of the stream failed", exc_info=task.exception())
            self.faults.append(repr(task.exception()))

    async def end(self) -> None:
        """Cancel all of them, and wait until they have ended."""
        for task in list(self.running):
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
