"""A stream's waits in hundredths of a second, its clock that of the tape."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from live_runs import SHORT
from venue_streams import Streams, streaming

from liquidator_integrations.exchanges import client
from liquidator_integrations.live import interrupts, limits


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets limits; those of the tests unless told otherwise."""
    monkeypatch.setattr(client, "_FIRST_WAIT", 0.005)

    def set_limits(**changes: Any) -> None:
        usual: dict[str, Any] = {"hold_s": 15.0, "first_wait": 0.01, "quiet_s": 0.0, "flush_s": 0.05, "overlap_s": 0.05}
        usual |= {"steady_s": 0.0, "now": lambda: int(SHORT.time[-1]) + 5}
        monkeypatch.setattr(limits, "LIMITS", replace(limits.Limits(), **{**usual, **changes}))

    set_limits()
    return set_limits


@pytest.fixture(autouse=True)
def all_streams_end() -> Iterator[None]:
    yield
    for running in list(interrupts._RUNNING):
        with contextlib.suppress(Exception):
            running.stop()


@pytest.fixture
def server(quick: Any) -> Iterator[Streams]:
    with streaming(SHORT) as made:
        yield made
