"""Files of arrays that come back to the byte or not at all.

A line that names kind and schema, the SHA-256 of all that follows it, the length of a header, the header as JSON, then
the arrays, as they lie in memory. Nothing is compressed and nothing in a file is run: what it takes to read one is its
length.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ._atomic import replacing
from .layout import SCHEMA

_DIGEST = hashlib.sha256().digest_size
_MOST_HEADER = 1 << 24  # bytes


class Sealed(NamedTuple):
    """What a file holds."""

    about: dict[str, Any]  # JSON values
    arrays: dict[str, memoryview]


def write_sealed(
    path: str | os.PathLike[str], kind: str, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Write JSON values and arrays as a file of a kind, whole or not at all."""
    lengths = [[name, array.nbytes] for name, array in arrays.items()]
    header = json.dumps({"about": about, "arrays": lengths, "byteorder": sys.byteorder}).encode()
    parts = [len(header).to_bytes(8, "little"), header]
    parts += [np.ascontiguousarray(array).tobytes() for array in arrays.values()]
    digest = hashlib.sha256(_title(kind))
    for part in parts:
        digest.update(part)
    with replacing(path) as file:
        file.writelines([_title(kind), digest.digest(), *parts])


def read_sealed(path: str | os.PathLike[str], kind: str, wrote: str) -> Sealed:
    """What ``write_sealed`` wrote. Raises ValueError for anything else, for a file that was changed, and for one of
    another schema; ``wrote`` says who writes such files.
    """
    with open(path, "rb") as file:
        content = file.read()
    title = _title(kind)
    if not content.startswith(title):
        raise ValueError(f"{path}: {_why_not(content, kind, wrote)}")
    start = len(title) + _DIGEST
    damaged = f"{path}: the {kind} file is cut short or damaged"
    digest = hashlib.sha256(title)
    digest.update(memoryview(content)[start:])
    if digest.digest() != content[len(title) : start]:
        raise ValueError(damaged)
    length = int.from_bytes(content[start : start + 8], "little")
    if not length <= min(_MOST_HEADER, len(content) - start - 8):
        raise ValueError(damaged)
    start += 8
    try:
        header = json.loads(content[start : start + length])
        about, lengths, byteorder = header["about"], dict(header["arrays"]), header["byteorder"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError(damaged) from None
    if byteorder != sys.byteorder:
        raise ValueError(f"{path}: written on a machine of byte order {byteorder!r}, this one has {sys.byteorder!r}")
    if not isinstance(about, dict) or not all(type(count) is int and count >= 0 for count in lengths.values()):
        raise ValueError(damaged)
    start += length
    if start + sum(lengths.values()) != len(content):
        raise ValueError(damaged)
    arrays = {}
    for name, count in lengths.items():
        arrays[name] = memoryview(content)[start : start + count]
        start += count
    return Sealed(about, arrays)


def array_of(part: memoryview, dtype: np.dtype) -> np.ndarray:
    """Rows of a dtype, writable; ValueError if they do not fill the part."""
    if len(part) % dtype.itemsize:
        raise ValueError(f"{len(part)} bytes are not whole rows of {dtype.itemsize}")
    return np.frombuffer(bytearray(part), dtype)


def _title(kind: str) -> bytes:
    return f"liquidator-core {kind}, schema {SCHEMA}\n".encode()


def _why_not(content: bytes, kind: str, wrote: str) -> str:
    """Why a file with this content cannot be one of a kind."""
    start = _title(kind).rpartition(b" ")[0]
    line = content[:100].partition(b"\n")[0]
    number = line.removeprefix(start).strip()
    if line.startswith(start) and number.isdigit():
        return f"of schema {number.decode()}, this version reads schema {SCHEMA}"
    if content.startswith((np.lib.format.MAGIC_PREFIX, b"PK\x03\x04")):
        return f"not a {kind} file, or of schema 1: this version reads schema {SCHEMA}, as {wrote} writes it"
    return f"not a {kind} file: expected what {wrote} writes"
