"""One link: what two of its connections say, how it is read, and when it is connected again."""

from __future__ import annotations

import json
from typing import Any

from liquidator_integrations.live.limits import Limits
from liquidator_integrations.live.raw import Raw
from liquidator_integrations.live.said import Link, Liquidation

T = 1_700_000_000_000
LINK = Link("ws://x", [], "ping", True, {"BTCUSDT": "BTC/USDT:USDT"})


class Listener:
    """Keeps what is told; ``error`` is what it makes of it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.heard: list[Any] = []
        self.unread: list[Exception] = []
        self._error = error

    def said(self, said: Any, receipt: int) -> None:
        self.heard.append(said)
        if self._error is not None:
            raise self._error

    def nonsense(self, error: Exception) -> None:
        self.unread.append(error)

    def up(self) -> None: ...

    def down(self) -> None: ...

    def tried(self, attempt: int, why: str) -> None: ...


def liquidations(*times: int) -> str:
    data = [{"T": T + time, "s": "BTCUSDT", "S": "Buy", "v": "2.5", "p": "50.5"} for time in times]
    return json.dumps({"topic": "allLiquidation.BTCUSDT", "ts": T, "data": data})


def test_a_liquidation_that_both_of_two_connections_tell_counts_once():
    heard = Listener()
    raw = Raw(None, "bybit", LINK, heard, Limits())
    for connection, times in ((1, [0, 1, 1]), (2, [1]), (2, [1, 2]), (1, [2]), (2, [3, 3, 3])):
        raw._take(liquidations(*times), connection)
    assert [said.time - T for said in heard.heard if isinstance(said, Liquidation)] == [0, 1, 1, 2, 3, 3, 3]
