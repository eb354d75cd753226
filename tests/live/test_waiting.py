"""What waits for a gap is applied in the order of a stream without one."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from liquidator_integrations.live.channel import Channel, Mark
from liquidator_integrations.live.said import Row
from liquidator_integrations.live.waiting import Placed, Waiting

T = 1_700_000_000_000


def row(ident: str, time: int = 0) -> Row:
    return Row(T + time, 1.0, 1.0, 1, ident)


@pytest.fixture
def markets() -> tuple[list[str], Channel, Channel]:
    """(the ids that were applied, two markets of one engine)."""
    applied: list[str] = []

    def trades(venue: str, rows: Sequence[Row]) -> None:
        applied.extend(one.id for one in rows)

    sink = SimpleNamespace(trades=trades)
    one, other = (Channel(name, {"symbol": "BTC/USDT:USDT"}, sink, False, False, "none", T) for name in ("a", "b"))
    return applied, one, other


@pytest.mark.parametrize("waits", [True, False])
def test_trades_of_a_gap_stand_behind_the_one_before_it_and_before_the_one_after(markets, waits):
    applied, one, other = markets
    waiting = Waiting()
    waiting.put(other, [row("first of b")])
    if waits:
        waiting.put(one, [row("left")])
    waiting.put(one, [row("right")])
    missed = [row("missed"), row("missed too")]
    waiting.put_behind(one, Mark(T, "left"), missed, [row("left"), *missed, row("right")])
    assert one.queued == (4 if waits else 3)
    waiting.release(None)
    mine: list[Any] = [ident for ident in applied if ident != "first of b"]
    assert mine == [*(["left"] if waits else []), "missed", "missed too", "right"]
    assert one.queued == other.queued == 0


def test_liquidations_that_are_alike_are_counted_among_what_waits(markets):
    _, one, _ = markets
    waiting = Waiting()
    waiting.put(one, [Placed(T, 9.0, 1.0, "long")] * 2)
    assert list(waiting.keys().values()) == [2]


def test_what_is_of_the_moment_of_an_open_gap_waits_for_it(markets):
    applied, one, _ = markets
    waiting = Waiting()
    waiting.put(one, [row("before", -1), row("right")])
    waiting.release(T)
    assert applied == ["before"]
    waiting.put_behind(one, Mark(T, "left"), [row("missed")], [row("missed")])
    waiting.release(None)
    assert applied == ["before", "missed", "right"]
