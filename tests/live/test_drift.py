"""DRIFT of markets that trade over real sockets, by a clock that the test holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from live_runs import SHORT, VENUES, until
from venue_streams import FRAMES, Streams

from liquidator_integrations import Liquidator
from liquidator_integrations.live.session import Session

T = int(SHORT.time[0])
TIMES = {"binance": ("T", int), "bybit": ("T", int), "okx": ("ts", str), "hyperliquid": ("time", int)}
PRICES = {"binance": "p", "bybit": "p", "okx": "px", "hyperliquid": "px"}


class Market:
    """Venues that trade once a second of a clock, each told of before it goes on."""

    def __init__(self, server: Streams, quick: Any, monkeypatch: pytest.MonkeyPatch, *venues: str) -> None:
        self.now, self.row, self.looks = T, 0, 0
        self.told: dict[str, list[str]] = {venue: [] for venue in venues}
        real = Session.look

        def look(session: Session) -> None:
            real(session)
            self.looks += 1

        monkeypatch.setattr(Session, "look", look)
        quick(now=lambda: self.now, flush_s=0.001)
        self._server, self._venues = server, venues
        exchanges = [server.live(venue) for venue in venues]
        self.stream = Liquidator("BTC", mode="streaming").start_stream(exchange=exchanges, on_health=self._hear)
        for venue in venues:
            server.connected(venue, 1, "business" if venue == "okx" else "")

    def _hear(self, row: dict[str, Any]) -> None:
        self.told[row["venue"]].append(row["state"])

    def trade(self, seconds: int, lag: int = 0, off: float = 0.0) -> None:
        """Trade for so long: the venue's time ``lag`` ms before receipt, the last venue's price ``off`` the others'."""
        for _ in range(seconds):
            self.now += 1000
            for venue in self._venues:
                frame = json.loads(FRAMES[venue](SHORT, self.row))
                said = frame if venue == "binance" else frame["data"][0]
                name, kind = TIMES[venue]
                said[name] = kind(self.now - lag)
                said[PRICES[venue]] = str(60_000.0 * (1.0 + off * (venue == self._venues[-1])))
                self._server.text(venue, json.dumps(frame), word="business" if venue == "okx" else "")
            self.row += 1
            until(lambda: (self.stream.health()["last_message"] == self.now).all(), "a trade is lost")
            looks = self.looks
            until(lambda looks=looks: self.looks > looks + 1, "nobody looks")

    def states(self) -> list[str]:
        health = self.stream.health()
        assert health["venue"].tolist() == list(self._venues)
        return list(health["state"])


@pytest.mark.parametrize("sign", [1, -1])
def test_receipts_two_seconds_from_the_venues_time_over_a_minute_are_drift(server, quick, monkeypatch, sign):
    market = Market(server, quick, monkeypatch, "binance")
    market.trade(61, lag=1900 * sign)
    assert market.states() == ["LIVE"]
    market.trade(30, lag=2100 * sign)
    assert market.states() == ["LIVE"]
    market.trade(2, lag=2100 * sign)
    assert market.states() == ["DRIFT"]
    until(lambda: market.told["binance"][-1] == "DRIFT", "on_health")
    market.trade(35)
    assert market.states() == ["LIVE"]
    until(lambda: market.told["binance"][-2:] == ["DRIFT", "LIVE"], "on_health")
    market.stream.stop()


@pytest.mark.parametrize("off", [0.0049, 0.0051, -0.0051])
def test_a_price_half_a_percent_from_the_other_venues_for_half_a_minute_is_drift(server, quick, monkeypatch, off):
    market = Market(server, quick, monkeypatch, *VENUES)
    market.trade(5)
    market.trade(30, off=off)
    assert market.states() == ["LIVE"] * 4
    market.trade(1, off=off)
    drifts = abs(off) >= 0.005
    assert market.states() == ["LIVE"] * 3 + ["DRIFT" if drifts else "LIVE"]
    market.trade(1)
    assert market.states() == ["LIVE"] * 4
    market.stream.stop()
    assert [venue for venue, states in market.told.items() if "DRIFT" in states] == [VENUES[-1]] * drifts
