"""Alerts: posted once, signed, tried again."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from liquidator_integrations.live import alerts

tenacity = pytest.importorskip("tenacity")
FORMED = {"event": "zone_formed", "kind": "support", "entry_low": 60000.0, "entry_high": 60100.0, "zone_id": 7}

BROKEN_OFF = 0  # an answer that ends in its first line


class Receiver:
    """What was posted, and which statuses to answer before 200."""

    def __init__(self) -> None:
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.headers: dict[str, str] = {}  # of every answer
        self.body = b""  # of every answer
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posted.append((dict(self.headers), body))
                self.answer(receiver.answers.pop(0) if receiver.answers else 200)

            def do_GET(self) -> None:
                self.answer(200)

            def answer(self, status: int) -> None:
                if status == BROKEN_OFF:
                    self.wfile.write(b"HTTP/1.1 2")
                    return
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(receiver.body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"


@pytest.fixture
def receiver(monkeypatch: Any) -> Iterator[Receiver]:
    monkeypatch.setattr(alerts, "_FIRST_WAIT", 0.001)
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_it_is_signed_and_posted_once(receiver, tmp_path):
    for _ in range(2):  # the second after a restart
        made = alerts.Alerts(receiver.url, secret="s3cret", path=tmp_path / "sent")
        made(FORMED)
        made(FORMED)
        made.close(10.0)
    ((headers, body),) = receiver.posted
    assert json.loads(body) == FORMED
    assert headers["X-Signature-256"] == "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()


def test_it_is_tried_again(receiver):
    receiver.answers = [503, 429, BROKEN_OFF]
    made = alerts.Alerts(receiver.url)
    made(FORMED)
    made.close(10.0)
    assert len(receiver.posted) == 4
    assert made.failed == 0


@pytest.fixture
def waits(monkeypatch: Any) -> list[float]:
    """The seconds between attempts, which take none."""
    made: list[float] = []
    monkeypatch.setattr(tenacity.nap, "time", SimpleNamespace(sleep=made.append))
    return made


@pytest.mark.parametrize("status", [429, 503])
def test_it_is_tried_again_no_earlier_than_the_server_allows(receiver, waits, status):
    receiver.answers, receiver.headers = [status, status, status], {"Retry-After": "7"}
    made = alerts.Alerts(receiver.url)
    made(FORMED)
    made.close(10.0)
    assert (len(receiver.posted), made.failed) == (4, 0)
    assert waits == [7.0, 7.0, 7.0]


@pytest.mark.parametrize("said", ["soon", "nan", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "86400"])
def test_a_wait_that_is_none_or_too_long_is_not_kept(receiver, waits, said):
    receiver.answers, receiver.headers = [429], {"Retry-After": said}
    made = alerts.Alerts(receiver.url)
    made(FORMED)
    made.close(10.0)
    assert (len(receiver.posted), made.failed) == (2, 0)
    assert waits == [60.0 if said == "86400" else 0.001]


@pytest.mark.parametrize(
    ("path", "said", "told"),
    [
        ("/bot77:to-ken/send", "chat not found", ": chat not found"),
        ("/bot77:to-ken/send", "no " * 2000, f": {'no ' * 66}no"),
        ("/bot77:to-ken/send", "nothing at /bot77:to-ken/send", ""),
        ("/bot77:to-ken/send", f"{'x' * 190} /bot77:to-ken/send", ""),
        ("/bot77:to-ken/send", f"x{' ' * 4085}/bot77:to-ken/send", ": x"),
        ("/bot77%3Ato-ken/send", "nothing of bot77:to-ken", ""),
        ("/bot77:to-ken/send", "nothing of bot77%3Ato-ken", ""),
    ],
    ids=["told", "long", "the url", "beyond what is told", "cut by what is read", "decoded", "encoded"],
)
def test_what_a_server_says_is_told_but_for_the_url(receiver, caplog, path, said, told):
    receiver.answers, receiver.body = [400], said.encode()
    made = alerts.Alerts(receiver.url.replace("/hook", path))
    made(FORMED)
    made.close(10.0)
    (message,) = caplog.messages
    assert message == f"an alert could not be delivered: HTTP 400{told}"


def test_a_redirect_would_lose_the_body_and_is_told(receiver, caplog):
    receiver.answers, receiver.headers = [301], {"Location": receiver.url}
    made = alerts.Alerts(receiver.url)
    made(FORMED)
    made.close(10.0)
    assert made.failed == 1
    assert "an alert could not be delivered: HTTP 301" in caplog.text


def test_it_says_who_posts(receiver):
    """Discord answers 403 to the name that Python's own client goes by."""
    made = alerts.Alerts(receiver.url)
    made(FORMED)
    made.close(10.0)
    ((headers, _),) = receiver.posted
    assert headers["User-Agent"].startswith("liquidator/")


def test_what_cannot_be_delivered_is_counted_and_the_next_goes_on(receiver, caplog):
    receiver.answers = [404, 200]
    made = alerts.Alerts(receiver.url)
    made(FORMED)
    made({**FORMED, "zone_id": 8})
    made.close(10.0)
    assert made.failed == 1
    assert len(receiver.posted) == 2
    assert "an alert could not be delivered: HTTP 404" in caplog.text


@pytest.mark.parametrize(
    ("template", "want"),
    [
        ('{"chat_id": "1", "text": "$text"}', {"chat_id": "1", "text": "zone_formed support 60000 to 60100"}),
        ('{"content": "$kind $entry_low"}', {"content": "support 60000.0"}),
    ],
)
def test_a_template(receiver, template, want):
    made = alerts.Alerts(receiver.url, template)
    made(FORMED)
    made.close(10.0)
    assert json.loads(receiver.posted[0][1]) == want


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"event": "zone_broken", "coin": "BTC", "kind": "support", "state": "touched", "entry_low": 60013.13335855569,
            "entry_high": 60019.626215698554}, "zone_broken BTC support touched 60013.133 to 60019.626"),
        ({"event": "liquidation", "coin": "BTC", "venue": "okx", "side": "long", "price": 0.0078310, "usd": 1234.5},
            "liquidation BTC okx long 1234 USD at 0.007831"),
        ({"event": "health", "coin": "BTC", "venue": "okx", "symbol": "BTC/USDT:USDT", "state": "STALE"},
            "health BTC okx BTC/USDT:USDT STALE"),
        ({"event": "gap", "coin": "BTC", "venue": "okx", "symbol": "BTC/USDT:USDT", "kind": "trades",
            "since": 1_700_000_000_000, "until": 1_700_000_060_999, "missing": None, "filled": False},
            "gap BTC okx BTC/USDT:USDT trades missing 2023-11-14 22:13:20 to 2023-11-14 22:14:20 UTC, filled: False"),
    ],
)  # fmt: skip
def test_an_event_in_one_line(event, text):
    assert alerts.text_of(event) == text


def test_what_is_none_is_refused():
    with pytest.raises(ValueError, match="alert url: found 'ftp' for a scheme, allowed http or https"):
        alerts.Alerts("ftp://x/bot-token")
    with pytest.raises(ValueError, match="alert url: found 'none' for a scheme"):
        alerts.Alerts("x/bot-token")
    with pytest.raises(ValueError, match="alert template: found"):
        alerts.Alerts("http://127.0.0.1:1", "{text}")


def test_a_url_is_in_no_message(caplog):
    made = alerts.Alerts("http://127.0.0.1:1/bot to-ken")
    made(FORMED)
    made.close(10.0)
    assert made.failed == 1
    assert "an alert could not be delivered: InvalidURL" in caplog.text
    assert "to-ken" not in caplog.text


def test_what_cannot_be_kept_is_told_and_the_next_goes_on(receiver, tmp_path, caplog):
    made = alerts.Alerts(receiver.url, path=tmp_path / "missing" / "sent")
    made(FORMED)
    made({**FORMED, "zone_id": 8})
    made.close(10.0)
    assert len(receiver.posted) == 2
    assert "a restart may repeat it" in caplog.text


def test_a_line_that_was_cut_takes_no_other_with_it(receiver, tmp_path):
    (tmp_path / "sent").write_text("56ad66d3")  # a disk was full
    for _ in range(2):
        made = alerts.Alerts(receiver.url, path=tmp_path / "sent")
        made(FORMED)
        made.close(10.0)
    assert len(receiver.posted) == 1


def test_a_line_that_is_cut_while_it_runs_takes_no_other_with_it(receiver, tmp_path, caplog):
    resource = pytest.importorskip("resource")
    path, (_, most) = tmp_path / "sent", resource.getrlimit(resource.RLIMIT_FSIZE)
    made = alerts.Alerts(receiver.url, path=path)
    try:
        for number, room in enumerate((most, 100, most)):  # bytes that a file may have; a line has 65
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))
            made({**FORMED, "zone_id": number})
            made._waiting.join()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    made.close(10.0)
    assert "a restart may repeat it" in caplog.text
    assert [len(line) for line in path.read_text().split("\n")] == [64, 64, 0]


def test_the_newest_are_remembered(receiver, tmp_path, monkeypatch):
    monkeypatch.setattr(alerts, "_REMEMBERED", 3)
    for _ in range(2):
        made = alerts.Alerts(receiver.url, path=tmp_path / "sent")
        for zone in range(6):
            made({**FORMED, "zone_id": zone})
        made.close(10.0)
        assert len(made._sent) == 3
    assert len((tmp_path / "sent").read_text().split()) == 9
    alerts.Alerts(receiver.url, path=tmp_path / "sent").close(10.0)
    assert len((tmp_path / "sent").read_text().split()) == 3


def test_a_queue_that_is_full_does_not_hold_up_an_exit(receiver, monkeypatch, caplog):
    monkeypatch.setattr(alerts, "_MOST", 1)
    answered = threading.Event()
    monkeypatch.setattr(alerts.Alerts, "_deliver", lambda *_: answered.wait(10.0))
    made = alerts.Alerts(receiver.url)
    for zone in range(20):
        made({**FORMED, "zone_id": zone})
    made.close(0.01)
    answered.set()
    assert made.failed >= 18
    assert caplog.text.count("alerts are too slow: 1 wait") == 1


def test_alerts_are_closed_after_a_stream_that_fails_to_stop(monkeypatch):
    from liquidator_integrations import Liquidator
    from liquidator_integrations.cli import stream

    closed: list[float] = []

    class Failing:
        def wait(self) -> None:
            raise KeyboardInterrupt

        def stop(self) -> None:
            raise OSError("the disk is full")

    class Recorded(alerts.Alerts):
        def close(self, seconds: float) -> None:
            closed.append(seconds)
            super().close(seconds)

    monkeypatch.setattr(stream, "Alerts", Recorded)
    monkeypatch.setattr(Liquidator, "start_stream", lambda *_, **__: Failing())
    with pytest.raises(OSError, match="the disk is full"):
        stream.stream("BTC", None, "1m", None, None, True, "http://127.0.0.1:1", None, None)
    assert closed == [60.0]
