"""Events of a stream posted to a URL: signed, tried again, and none twice, not even after a restart."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import http.client
import json
import logging
import queue
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import unquote

from liquidator_core._atomic import replacing
from liquidator_core.layout import VERSION

_LOG = logging.getLogger("liquidator")
_ATTEMPTS = 6
_FIRST_WAIT = 1.0  # seconds, doubled with every attempt
_LONGEST_WAIT = 60.0  # that a server may ask for
_TIMEOUT = 10.0
_READ = 4096  # bytes of an answer
_SAID = 200  # characters of it that are told
_MOST = 10_000  # that wait
_REMEMBERED = 100_000  # that were delivered
_NAMED = ("coin", "venue", "symbol", "kind", "side", "state")  # what of an event its text names


class _Again(Exception):  # noqa: N818
    """An answer that another attempt may cure, no earlier than so many seconds later."""

    def __init__(self, why: str, seconds: float = 0.0):
        super().__init__(why)
        self.seconds = seconds


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: what was posted would become a request without a body."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Alerts:
    """Posts what it is called with, on a thread of its own. ``failed`` counts what could not be delivered.

    url       http or https
    template  JSON with $names of an event's fields, ``$event`` and ``$text``, one line that says it; None: all fields
    secret    signs the body: ``X-Signature-256: sha256=<HMAC-SHA256 in hex>``; None: nothing is signed
    path      a file that keeps what was delivered; None: only as long as it runs

    Raises ValueError for a URL or a template that is none.
    """

    def __init__(self, url: str, template: str | None = None, secret: str | None = None, path: Path | None = None):
        if not url.startswith(("http://", "https://")):
            scheme, found, _ = url.partition("://")  # what follows may hold a token
            raise ValueError(f"alert url: found {scheme if found else 'none'!r} for a scheme, allowed http or https")
        self.failed = 0
        self._url = url
        self._template = None if template is None else Template(template)
        self._secret = None if secret is None else secret.encode()
        self._path = path
        self._sent = {} if path is None else _newest(path)
        if template is not None:
            self._body({"event": "zone_formed"})
        self._waiting: queue.Queue[tuple[str, bytes] | None] = queue.Queue(_MOST)
        self._thread = threading.Thread(target=self._run, name="liquidator-alerts", daemon=True)
        self._thread.start()

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Have an event, of JSON values with a name under ``event``, posted."""
        key = hashlib.sha256(json.dumps(dict(event), sort_keys=True).encode()).hexdigest()
        try:
            self._waiting.put_nowait((key, self._body(event)))
        except queue.Full:
            if self.failed == 0:
                _LOG.error("alerts are too slow: %d wait, and what comes is not posted", _MOST)
            self.failed += 1

    @property
    def waiting(self) -> int:
        """How many are to be posted yet."""
        return self._waiting.unfinished_tasks

    def close(self, seconds: float) -> None:
        """Post what waits, for so long."""
        end = time.monotonic() + seconds
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=seconds)
        self._thread.join(max(0.0, end - time.monotonic()))

    def _body(self, event: Mapping[str, Any]) -> bytes:
        if self._template is None:
            return json.dumps(dict(event)).encode()
        words = {name: json.dumps(str(value))[1:-1] for name, value in {**event, "text": text_of(event)}.items()}
        body = self._template.safe_substitute(words)
        try:
            json.loads(body)
        except ValueError:
            raise ValueError(
                f"alert template: found {body!r:.80}, allowed JSON with $text or names of fields"
            ) from None
        return body.encode()

    def _run(self) -> None:
        while (one := self._waiting.get()) is not None:
            key, body = one
            try:
                if key not in self._sent:
                    self._deliver(key, body)
                    self._keep(key)
            except Exception as error:
                self.failed += 1
                _LOG.error("an alert could not be delivered: %s", error)
            finally:
                self._waiting.task_done()

    def _keep(self, key: str) -> None:
        """Remember what was delivered."""
        self._sent[key] = None
        if len(self._sent) > _REMEMBERED:
            del self._sent[next(iter(self._sent))]
        if self._path is None:
            return
        try:
            with open(self._path, "ab", buffering=0) as file:
                end, line = file.tell(), f"{key}\n".encode()
                if file.write(line) < len(line):
                    file.truncate(end)
                    raise OSError(errno.ENOSPC, "a line was cut")
        except OSError as error:
            _LOG.error("that an alert was delivered cannot be kept, a restart may repeat it: %s", error)

    def _deliver(self, key: str, body: bytes) -> None:
        import tenacity

        again = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=_wait,
            retry=tenacity.retry_if_exception_type(_Again),
            reraise=True,
        )
        again(self._post, key, body)

    def _post(self, key: str, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key, "User-Agent": f"liquidator/{VERSION}"}
        if self._secret is not None:
            headers["X-Signature-256"] = f"sha256={hmac.new(self._secret, body, hashlib.sha256).hexdigest()}"
        try:
            request = urllib.request.Request(self._url, body, headers)
            with urllib.request.build_opener(_Straight).open(request, timeout=_TIMEOUT):
                pass
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 429 or error.code >= 500:
                    raise _Again(f"HTTP {error.code}", _seconds(error.headers.get("Retry-After"))) from None
                raise ValueError(f"HTTP {error.code}{self._said(error)}") from None
        except OSError as error:
            raise _Again(str(error)) from None
        except (http.client.InvalidURL, ValueError) as error:  # whose words may hold the URL
            raise ValueError(type(error).__name__) from None
        except http.client.HTTPException as error:  # an answer that broke off
            raise _Again(type(error).__name__) from None

    def _said(self, error: urllib.error.HTTPError) -> str:
        """What a server answers to what it refuses; nothing where that repeats a part of the URL, encoded or not."""
        try:
            said = error.read(_READ).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            return ""
        parts = re.split(r"[/?&=]", self._url.partition("://")[2])
        secrets = [one for part in parts for one in (part, unquote(part)) if len(one) > 3]
        if any(one in text for one in secrets for text in (said, unquote(said))):
            return ""
        told = " ".join(said[:_SAID].split())
        return f": {told}" if told else ""


def _wait(attempt: Any) -> float:
    """Seconds until the next attempt."""
    return float(max(_FIRST_WAIT * 2 ** (attempt.attempt_number - 1), attempt.outcome.exception().seconds))


def _seconds(said: str | None) -> float:
    """Those that a server asks to wait for; 0 where it names none."""
    return min(float(said), _LONGEST_WAIT) if said is not None and said.strip().isdecimal() else 0.0


def _newest(path: Path) -> dict[str, None]:
    """What was delivered last; the file keeps no more than that, and no line that was cut."""
    there = path.read_text(encoding="utf-8").split("\n") if path.exists() else [""]
    kept = there[:-1][-_REMEMBERED:]
    if kept != there[:-1] or there[-1]:
        with replacing(path) as file:
            file.write("".join(f"{key}\n" for key in kept).encode())
    return dict.fromkeys(kept)


def text_of(event: Mapping[str, Any]) -> str:
    """An event in one line.

    >>> text_of({"event": "zone_formed", "coin": "BTC", "kind": "support", "entry_low": 60000.0, "entry_high": 60100.5})
    'zone_formed BTC support 60000 to 60100.5'
    """
    words = [str(event["event"])]
    words += [str(event[name]) for name in _NAMED if event.get(name) is not None]
    if event.get("entry_low") is not None:
        words.append(f"{event['entry_low']:.8g} to {event['entry_high']:.8g}")
    elif event.get("price") is not None:
        words.append(f"{event['usd']:.0f} USD at {event['price']:.8g}")
    elif event.get("since") is not None:
        since, until = (datetime.fromtimestamp(event[name] / 1000, UTC) for name in ("since", "until"))
        words.append(f"missing {since:%Y-%m-%d %H:%M:%S} to {until:%Y-%m-%d %H:%M:%S} UTC, filled: {event['filled']}")
    return " ".join(words)
