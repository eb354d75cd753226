"""What README shows of ``liquidator zones BTC-USDT --exchange binance --hours 72``, run against the loopback server."""

from __future__ import annotations

import sys
import time

from venue_server import serving
from venue_tape import HOUR, make

from liquidator_integrations.cli.main import main
from liquidator_integrations.exchanges import client

COMMAND = ("zones", "BTC-USDT", "--exchange", "binance", "--hours", "72")

if __name__ == "__main__":
    start = time.time_ns() // 60_000_000_000 * 60_000 - 72 * HOUR
    with serving(make(60_000, hours=72, start=start)) as server:
        server.now = start + 72 * HOUR + 60_000
        client._SHARED["binance"] = server.instance("binance")
        print("$ liquidator", *COMMAND, flush=True)
        sys.argv = ["liquidator", *COMMAND]
        main()
