"""A store, and one that holds a tape."""

from __future__ import annotations

import pytest
from kept_tables import DAY, kept, tape_table
from venue_tape import HOUR, make

from liquidator_integrations.store import Store
from liquidator_integrations.store.layout import DAY_MS


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def traded(store):
    tape = make(4000, hours=60, start=DAY + 6 * HOUR, hole=False)
    kept(store, "trades", tape_table(tape), "ids", DAY, DAY + 3 * DAY_MS)
    return store, tape
