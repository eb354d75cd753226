"""Files of arrays that come back to the byte or not at all.

A line that names kind and schema, the SHA-256 of all other bytes, the length of a header, the header as JSON, then the
arrays as they lie in memory. Nothing is compressed and nothing in a file is run: what it takes to read one is its
length.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from liquidator_core._atomic import replacing
from liquidator_core.layout import SCHEMA

_NAME = b"liquidator-core Liquidator, schema "
_TITLE = _NAME + b"%d\n" % SCHEMA
_DIGEST = hashlib.sha256().digest_size
_LENGTH = 8  # bytes of the header's length


class OtherSchemaError(ValueError):
    """The file is of another schema than this version's."""


def write_sealed(path: str | os.PathLike[str], about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write JSON values and (n,) arrays, whole or not at all. No array is copied."""
    lengths = [[name, array.nbytes] for name, array in arrays.items()]
    header = json.dumps({"about": about, "arrays": lengths, "byteorder": sys.byteorder}).encode()
    parts: list[Any] = [len(header).to_bytes(_LENGTH, "little"), header]
    parts += [np.ascontiguousarray(array).view(np.uint8) for array in arrays.values()]
    digest = hashlib.sha256(_TITLE)
    for part in parts:
        digest.update(part)
    with replacing(path) as file:
        file.writelines([_TITLE, digest.digest(), *parts])


def read_sealed(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, memoryview]]:
    """(JSON values, bytes of the arrays) that ``write_sealed`` wrote.

    Raises OtherSchemaError for a file of another schema; ValueError, KeyError or TypeError for any other that it did
    not write or that was changed since.
    """
    with open(path, "rb") as file:
        content = memoryview(file.read())
    _check_title(path, bytes(content[: len(_TITLE)]))
    start = len(_TITLE) + _DIGEST
    digest = hashlib.sha256(_TITLE)
    digest.update(content[start:])
    if digest.digest() != content[len(_TITLE) : start]:
        raise ValueError("damaged")
    header_start = start + _LENGTH
    start = header_start + int.from_bytes(content[start:header_start], "little")
    header = json.loads(bytes(content[header_start:start]))
    if header["byteorder"] != sys.byteorder:
        raise ValueError("of another byte order")
    parts = {}
    for name, length in header["arrays"]:
        if type(length) is not int or not 0 <= length <= len(content) - start or name in parts:
            raise ValueError("arrays")
        parts[name] = content[start : start + length]
        start += length
    if start != len(content):
        raise ValueError("longer than its arrays")
    return header["about"], parts


def array_of(part: memoryview, dtype: np.dtype) -> np.ndarray:
    """Rows of a dtype, a copy; ValueError if they do not fill the part."""
    if len(part) % dtype.itemsize:
        raise ValueError(f"{len(part)} bytes are not rows of {dtype.itemsize}")
    rows = np.zeros(len(part) // dtype.itemsize, dtype)
    rows.view(np.uint8)[:] = np.frombuffer(part, np.uint8) if len(part) else []
    return rows


def _check_title(path: str | os.PathLike[str], start: bytes) -> None:
    if start == _TITLE:
        return
    number = start.removeprefix(_NAME).partition(b"\n")[0]
    if start.startswith(_NAME) and number.isdigit():
        raise OtherSchemaError(f"{path}: of schema {number.decode()}, this version reads schema {SCHEMA}")
    if start.startswith(b"PK\x03\x04"):
        raise OtherSchemaError(
            f"{path}: not a file that Liquidator.save wrote, or of schema 1: this version reads schema {SCHEMA}"
        )
    raise ValueError("of another kind")
