"""A vendor with a key, asked at its pace: the key stays in a header, and in no text that is shown."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from .client import Fault, one_line

Answer = TypeVar("Answer")

_ATTEMPTS = 5
_SECONDS = 30
_MINUTE = 60.0
_LONGEST_WAIT = 300.0
_FIRST_WAIT = 1.0


class Keyed:
    """A vendor to ask.

    name       as people write it
    url        of its API
    header     that carries the key; variable: of the environment, that holds it
    a_minute   how much may be asked in a minute
    refused    what an answer at 200 says instead of data, or None: called with every answer

    Raises ValueError if there is no key.
    """

    def __init__(
        self,
        name: str,
        url: str,
        header: str,
        variable: str,
        a_minute: int,
        refused: Callable[[Any], str | None],
    ) -> None:
        self.name = name
        self._url = url.rstrip("/")
        self._header = header
        self._variable = variable
        self._a_minute = a_minute
        self._refused = refused
        self._asked: deque[float] = deque()
        self.clock_ms: int | None = None  # the vendor's, as of its last answer
        if not self._key():
            raise ValueError(f"{name} wants a key: put yours into the environment as {variable}")

    def _key(self) -> str:
        return os.environ.get(self._variable, "").strip()

    def get(self, path: str, params: Mapping[str, Any], read: Callable[[Any], Answer], cost: int = 1) -> Answer:
        """What ``read`` makes of an answer; what asking again may cure is asked again.

        cost   how much of what may be asked in a minute

        ``read`` raises KeyError, TypeError or ValueError for nonsense. Raises PermissionError for a key that is wrong
        or whose plan does not hold this, ConnectionError for a vendor that does not answer, ValueError for nonsense
        and what it refuses.
        """
        import tenacity

        again = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=self._wait,
            retry=tenacity.retry_if_exception_type(Fault),
            sleep=time.sleep,
            reraise=True,
        )
        try:
            answer: Answer = again(self._once, path, params, read, cost)
            return answer
        except Fault as fault:
            kind = ValueError if fault.heard else ConnectionError
            said = "answers nonsense" if fault.heard else "was asked too often" if fault.limit else "does not answer"
            raise kind(f"{self.name} {said}: {fault}") from None

    def _wait(self, state: Any) -> float:
        fault = state.outcome.exception()
        return float(fault.wait if fault.wait is not None else _FIRST_WAIT * 2 ** (state.attempt_number - 1))

    def _once(self, path: str, params: Mapping[str, Any], read: Callable[[Any], Answer], cost: int) -> Answer:
        import requests

        self._pace(cost)
        try:
            answer = requests.get(
                f"{self._url}{path}",
                params=dict(params),
                headers={self._header: self._key()},
                timeout=_SECONDS,
                allow_redirects=False,  # which would carry the key elsewhere
            )
        except requests.RequestException as error:
            raise Fault(type(error).__name__) from None
        self._check_status(answer)
        try:
            body = answer.json()
        except ValueError:
            raise Fault(f"found {self._shown(answer.text)!r}, allowed JSON", heard=True) from None
        if (said := self._refused(body)) is not None:
            raise self._refusal(said)
        try:
            return read(body)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            shown = self._shown(f"found {body}: {type(error).__name__}: {error}")
            raise Fault(shown, heard=True) from None

    def _check_status(self, answer: Any) -> None:
        try:
            self.clock_ms = int(parsedate_to_datetime(answer.headers.get("Date", "")).timestamp() * 1000)
        except (TypeError, ValueError):
            self.clock_ms = None
        status = answer.status_code
        if status == 429:
            after = answer.headers.get("Retry-After", "")
            wait = float(after) if after.replace(".", "", 1).isdecimal() else _MINUTE
            if wait > _LONGEST_WAIT:
                raise ConnectionError(f"{self.name} was asked too often and wants {wait:g} s of rest")
            raise Fault("HTTP 429", wait, limit=True)
        if status >= 500:
            raise Fault(f"HTTP {status}")
        if status in (401, 402, 403):
            raise PermissionError(f"{self.name} refuses the key in {self._variable} (HTTP {status})")
        if status != 200:
            raise ValueError(f"{self.name} refuses (HTTP {status}): {self._shown(answer.text)}")

    def _refusal(self, said: str) -> Exception:
        text = self._shown(said)
        lower = text.lower()
        if "too many" in lower or "rate limit" in lower:
            return Fault(text, _MINUTE, limit=True)
        if any(word in lower for word in ("key", "plan", "upgrade", "unauthor", "permission", "quota", "expired")):
            return PermissionError(f"{self.name} refuses the key in {self._variable}: {text}")
        return ValueError(f"{self.name} refuses: {text}")

    def _shown(self, text: str) -> str:
        """A text for a message, without the key."""
        key = self._key()
        return one_line(text.replace(key, "***") if key else text)

    def room(self) -> int:
        """How much may be asked at once: what is left of this minute, or a whole minute's where nothing is."""
        now = time.monotonic()
        while self._asked and now - self._asked[0] >= _MINUTE:
            self._asked.popleft()
        return self._a_minute - len(self._asked) or self._a_minute

    def _pace(self, cost: int) -> None:
        """Wait until so much may be asked: no more than ``a_minute`` in any minute."""
        self.room()
        now = time.monotonic()
        over = len(self._asked) + cost - self._a_minute
        if over > 0:
            time.sleep(max(0.0, self._asked[min(over, len(self._asked)) - 1] + _MINUTE - now))
            now = time.monotonic()
        self._asked.extend([now] * cost)
