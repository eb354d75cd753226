"""``liquidator stream`` and ``liquidator replay``."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from command import said_here
from live_runs import SHORT, rows, until
from rich.console import Console
from venue_streams import streaming

from liquidator_integrations import Liquidator
from liquidator_integrations.cli.stream import _health, _tell
from liquidator_integrations.exchanges import client
from liquidator_integrations.live import running
from liquidator_integrations.live.alerts import Alerts


@pytest.fixture
def server(monkeypatch):
    with streaming(SHORT) as made:
        monkeypatch.setattr(running, "streaming_instance", lambda name: (made.live(name), None))
        monkeypatch.setattr(client, "_FIRST_WAIT", 0.005)
        yield made


def stopped_after(monkeypatch: Any, when: Any) -> None:
    """Have the stream of a command end, as Ctrl-C would end it, when something has happened."""
    real = Liquidator.start_stream

    def start_stream(self: Any, *arguments: Any, **more: Any) -> Any:
        made = real(self, *arguments, **more)

        def stop() -> None:
            when(made)
            made.request_stop()

        threading.Thread(target=stop, daemon=True).start()
        return made

    monkeypatch.setattr(Liquidator, "start_stream", start_stream)


def tell(server: Any, count: int) -> Any:
    def when(made: Any) -> None:
        server.connected("binance")
        server.send("binance", range(count))
        order = f'"s":"BTCUSDT","S":"SELL","q":"1","p":"1","ap":"50000","X":"FILLED","T":{SHORT.time[count - 1]}'
        server.text("binance", f'{{"e":"forceOrder","E":1,"o":{{{order}}}}}')
        until(lambda: made.health()["liquidations"].sum() == 1)

    return when


def test_jsonl_has_a_line_an_event(server, monkeypatch, tmp_path):
    stopped_after(monkeypatch, tell(server, 500))
    said = said_here("stream", "BTC", "--exchange", "binance", "--store", "store", "--jsonl", cwd=tmp_path)
    assert said.code == 0, said.stderr
    events = [json.loads(line) for line in said.stdout.splitlines()]
    assert {"event": "liquidation", "price": 50000.0, "usd": 50000.0, "side": "long", "venue": "binance"}.items() <= (
        next(one for one in events if one["event"] == "liquidation").items()
    )
    played = said_here("replay", "store", "BTC", cwd=tmp_path)
    assert played.code == 0, played.stderr
    assert played.stdout.startswith("BTC 5")
    assert "Levels" in played.stdout
    none = said_here("replay", "store", "BTC", "--from", "2030-01-01", cwd=tmp_path)
    assert none.stdout.startswith("BTC: no bar has closed yet")
    turned = said_here("replay", "store", "BTC", "--from", "2030-01-02", "--until", "2030-01-01", cwd=tmp_path)
    assert turned.stderr.startswith("liquidator: until: found 2030-01-01T00:00:00")
    assert "Liquidation at risk is known after 648 full hours: there" in played.stdout
    assert " nan" not in played.stdout


def test_every_event_of_a_zone_is_json():
    made = Liquidator("BTC", mode="streaming")
    lines: list[str] = []
    _tell(made, [lambda event: lines.append(json.dumps(event))])
    made.ingest_trades(rows(SHORT, "binance"))
    events = [json.loads(line) for line in lines]
    assert {"zone_formed", "zone_touched", "zone_held", "zone_broken"} == {one["event"] for one in events}
    assert {one["coin"] for one in events} == {"BTC"}
    assert set(events[0]["explanation"][0]) == {"time", "side", "price", "usd", "source"}


def unread(script: str) -> tuple[int, str]:
    """How a script ends, and what it says of that, whose output nobody reads once it has read a line."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], **pipes, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, errors = process.communicate("\n", timeout=60)
    return process.returncode, errors


@pytest.mark.parametrize("where", ["main", "another"])
def test_it_ends_once_nobody_reads(where):
    told = "threading.Thread(target=_print_line, args=[{}]).start(); threading.Event().wait(20)"
    script = "import threading; from liquidator_integrations.cli.stream import _print_line; input(); "
    script += "_print_line({}); threading.Event().wait(20)" if where == "main" else told
    code, errors = unread(script)
    assert (code, "BrokenPipe" in errors) == (0 if where == "main" else -signal.SIGTERM, False)


@pytest.mark.skipif(not hasattr(select, "poll"), reason="a pipe does not say here whether it is read")
def test_a_pipe_that_nobody_reads_ends_what_waits_for_events():
    script = (
        "import threading; from types import SimpleNamespace as Stream; from liquidator_integrations.cli import stream"
    )
    script += "; input(); stream._wait(Stream(wait=threading.Event().wait))"
    assert unread(script) == (0, "")


@pytest.mark.parametrize("out", [">&-", "> file", "> /dev/null"])
@pytest.mark.skipif(os.name != "posix", reason="the shell's words")
def test_what_is_no_pipe_is_not_taken_for_one_that_nobody_reads(out, tmp_path):
    script = "import sys; from liquidator_integrations.cli.stream import _is_unread; sys.exit(_is_unread())"
    subprocess.run(["sh", "-c", f'"$0" -c "$1" {out}', sys.executable, script], check=True, timeout=60, cwd=tmp_path)


@pytest.fixture
def harmless():
    """What SIGTERM does to this process but for a command that takes it: nothing."""

    def handler(*_: Any) -> None: ...

    before = signal.signal(signal.SIGTERM, handler)
    yield handler
    signal.signal(signal.SIGTERM, before)


def test_a_signal_to_terminate_saves_and_closes(server, monkeypatch, tmp_path, harmless):
    real, terminating = Liquidator.start_stream, []

    def start_stream(self: Any, *arguments: Any, **more: Any) -> Any:
        made = real(self, *arguments, **more)

        def terminate() -> None:
            tell(server, 50)(made)
            os.kill(os.getpid(), signal.SIGTERM)

        terminating.append(threading.Thread(target=terminate, daemon=True))
        terminating[0].start()
        return made

    monkeypatch.setattr(Liquidator, "start_stream", start_stream)
    said = said_here("stream", "BTC", "--exchange", "binance", "--state", "state", "--jsonl", cwd=tmp_path)
    for thread in terminating:
        thread.join()
    assert (said.code, (tmp_path / "state").exists()) == (0, True)
    assert signal.getsignal(signal.SIGTERM) is harmless


def test_an_event_of_the_end_that_nobody_reads_does_not_break_that_off(server, monkeypatch, tmp_path, harmless):
    """It sends the signal again: whoever read was ended by the same Ctrl-C, or had gone before."""
    real = Liquidator.start_stream

    def start_stream(self: Any, *arguments: Any, **more: Any) -> Any:
        made = real(self, *arguments, **more)
        stop = made.stop

        def stop_and_terminate() -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            stop()

        made.stop = stop_and_terminate
        return made

    monkeypatch.setattr(Liquidator, "start_stream", start_stream)
    stopped_after(monkeypatch, tell(server, 50))
    said = said_here("stream", "BTC", "--exchange", "binance", "--state", "state", "--jsonl", cwd=tmp_path)
    assert (said.code, (tmp_path / "state").exists()) == (0, True)
    assert signal.getsignal(signal.SIGTERM) is harmless


def test_alerts_that_wait_at_the_end_are_told_and_left_at_another_ctrl_c(server, monkeypatch, tmp_path):
    def interrupted(made: Alerts, seconds: float) -> None:
        assert made.waiting > 0
        raise KeyboardInterrupt

    monkeypatch.setattr(Alerts, "close", interrupted)
    stopped_after(monkeypatch, tell(server, 50))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said = said_here("stream", "BTC", "--exchange", "binance", "--alert-url", url, cwd=tmp_path)
    assert said.code == 0
    assert "alerts are to be posted yet, 60 s at most; Ctrl-C leaves them\n" in said.stderr


@pytest.mark.parametrize("columns", [120, 45])
def test_the_view_of_a_terminal(server, monkeypatch, tmp_path, columns):
    stopped_after(monkeypatch, tell(server, 500))
    said = said_here("stream", "BTC-USDT", "--exchange", "binance", cwd=tmp_path, columns=columns)
    assert said.code == 0, said.stderr
    assert "Health" in said.stdout
    (row,) = [line.split() for line in said.stdout.splitlines() if line.startswith("binance ")][-1:]
    assert row[1] in ("LIVE", "STALE", "DRIFT")
    assert row[2].isdecimal()
    assert ("Too narrow for: liquidations, feed" in said.stdout) == (columns == 45)


def test_the_view_tells_what_each_venue_brings():
    names = ("venue", "symbol", "state", "trades", "liquidations", "liquidation_feed", "gaps", "queue", "store_error")
    rows = [(venue, "BTC", "LIVE", 7, 0, "none", 0, 0, None) for venue in ("binance", "bybit", "okx")]
    shares = pd.DataFrame({"venue": ["binance", "bybit"], "symbol": "BTC", "usd": 1.0, "share": [0.75, 0.25]})
    health = pd.DataFrame(rows, columns=names)
    out = Console(record=True, width=120)
    out.print(_health(out, SimpleNamespace(health=lambda: health, shares=lambda: shares)))
    told = out.export_text()
    assert "of USD traded in an hour" in told
    shown = {line.split()[0]: line for line in told.splitlines() if "LIVE" in line}
    assert ("75%" in shown["binance"], "25%" in shown["bybit"], "%" in shown["okx"]) == (True, True, False)


def test_what_is_wrong_is_a_line(server, tmp_path):
    assert said_here("replay", "nowhere", "BTC", cwd=tmp_path).stderr == "liquidator: nowhere: no trades of BTC in it\n"
    said = said_here("stream", "NONE-USDT", "--exchange", "binance", cwd=tmp_path)
    assert said.code == 2
    assert said.stderr.splitlines()[-1].startswith("liquidator: symbol: found 'NONE-USDT', allowed a market of the")
    said = said_here("stream", "BTC", "--alert-template", "{}", cwd=tmp_path)
    assert said.stderr == "liquidator: --alert-template: found without --alert-url, where it would be posted\n"
    said = said_here("stream", "BTC", "--exchange", "binance", "--alert-url", "ftp://x", cwd=tmp_path)
    assert said.stderr.splitlines()[-1].startswith("liquidator: alert url: found 'ftp' for a scheme")
