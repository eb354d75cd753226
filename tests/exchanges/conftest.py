"""A loopback server a test, and backoff that takes milliseconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from venue_server import Loopback, serving

from liquidator_integrations.exchanges import client


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serving() as made:
        yield made


@pytest.fixture(autouse=True)
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_FIRST_WAIT", 0.005)
