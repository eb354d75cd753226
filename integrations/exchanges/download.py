"""Files by HTTP, whole or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from .client import Client, Fault, one_line

_ATTEMPTS = 4
_WAIT = 0.5  # seconds, doubled with every attempt
_SECONDS = 60
_CHUNK = 1 << 20
_LARGEST = 1 << 34  # bytes


class Refused(ConnectionError):  # noqa: N818
    """An answer that does not say whether there is anything."""


async def download(client: Client, url: str, path: Path, most: int = _LARGEST) -> bool:
    """Write what lies at an address to a file; whether there is anything, of no more bytes than ``most``.

    What asking again may cure is asked again. Raises Refused for HTTP 403, and ConnectionError for a server that does
    not answer or refuses otherwise.
    """
    import tenacity

    again = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=tenacity.wait_exponential(_WAIT),
        retry=tenacity.retry_if_exception_type(Fault),
        sleep=client.sleep,
        reraise=True,
    )
    try:
        return await again(_once, client, url, path, most)
    except Fault as fault:
        raise ConnectionError(f"{url}: {fault}") from None


async def _once(client: Client, url: str, path: Path, most: int) -> bool:
    if client.is_inline:
        return _get(client.instance, url, path, most)
    return await asyncio.to_thread(_get, client.instance, url, path, most)


def _get(instance: Any, url: str, path: Path, most: int) -> bool:
    import requests

    proxies = {scheme: proxy for scheme in ("http", "https") if (proxy := getattr(instance, f"{scheme}Proxy", None))}
    try:
        with requests.get(url, stream=True, timeout=_SECONDS, proxies=proxies) as answer:
            if answer.status_code == 404:
                return False
            if answer.status_code == 403:
                raise Refused(f"{url}: refuses (HTTP 403)")
            if answer.status_code >= 500 or answer.status_code == 429:
                raise Fault(f"HTTP {answer.status_code}")
            if answer.status_code != 200:
                raise ConnectionError(f"{url}: refuses (HTTP {answer.status_code})")
            if int(answer.headers.get("Content-Length", 0)) > most:
                return False
            size = 0
            with path.open("wb") as file:
                for chunk in answer.iter_content(_CHUNK):
                    size += len(chunk)
                    if size > most:
                        break
                    file.write(chunk)
            if size > most:
                path.unlink()
                return False
    except requests.RequestException as error:
        raise Fault(one_line(error)) from None
    return True
