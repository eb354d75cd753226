"""The decorators that turn a function into a kernel.

Floats are strict: operations are never put in another order, which would make a batch differ from its steps. Compiled
code is cached in a folder named after a digest of every source file of this package, because Numba's own check looks at
one file only and returns stale results when a callee's file has changed; folders of other sources go when nobody used
them for 30 days.
Without a writable folder kernels are compiled anew in each process; without Numba, or with ``NUMBA_DISABLE_JIT=1``,
they run as plain Python with the same results.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

numba: Any
try:
    import numba
    import numba.extending
except ImportError:
    numba = None

KEPT_SECONDS = 30 * 86_400

#: Whether kernels are compiled.
JIT = numba is not None and not numba.config.DISABLE_JIT


def _sources_digest() -> str:
    digest = hashlib.sha256(sys.version.encode())
    if numba is not None:
        digest.update(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _cache_root() -> Path:
    """LIQUIDATOR_CACHE_DIR, else the platform's place for caches."""
    if chosen := os.environ.get("LIQUIDATOR_CACHE_DIR"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser() / "liquidator-core" / "cache"
    if sys.platform == "darwin":
        return Path("~/Library/Caches/liquidator-core").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "liquidator-core"


def _cache_dir() -> str | None:
    try:
        folder = _cache_root() / _sources_digest()
        if not folder.is_absolute():
            return None
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, RuntimeError):
        return None
    _prune(folder)
    return str(folder)


def _prune(folder: Path) -> None:
    """Touch this process's folder, and remove those beside it that were touched 30 days before or earlier.

    A process whose folder is removed all the same makes it again. What Numba did not write there stays.
    """
    with contextlib.suppress(OSError):
        os.utime(folder)
        touched = folder.stat().st_mtime
        for other in folder.parent.iterdir():
            if re.fullmatch("[0-9a-f]{16}", other.name) and other.stat().st_mtime < touched - KEPT_SECONDS:
                _remove_cache(other)


def _remove_cache(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for path in [*folder.rglob("*.nbi"), *folder.rglob("*.nbc")]:
            path.unlink()
        for path in (*folder.iterdir(), folder):
            path.rmdir()


CACHE_DIR = _cache_dir() if JIT else None


def kernel(function: F) -> F:
    """Compile ``function`` on first use, and into each kernel that calls it; see the module for what is guaranteed.

    A call that is not inlined costs about as much as many kernels do themselves.
    """
    return _compiled(function, forceinline=True)


def rare_kernel(function: F) -> F:
    """A kernel that few bars need: it stays out of its callers, whose code loads and runs faster for it."""
    return _compiled(function, forceinline=False)


def _compiled(function: F, **options: bool) -> F:
    if not JIT:
        return np.errstate(all="ignore")(function)  # as silent as compiled code
    compiling = functools.partial(numba.njit, error_model="numpy", nogil=True, **options)
    if CACHE_DIR is None:
        return cast(F, compiling()(function))
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = CACHE_DIR
    try:
        return cast(F, compiling(cache=True)(function))
    finally:
        numba.config.CACHE_DIR = before


def kernel_views(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same memory in the form that kernels take: with fields as attributes where nothing is compiled."""
    return arrays if JIT else tuple(array.view(np.recarray) for array in arrays)


def is_writable(array: np.ndarray) -> bool:
    """Whether an array may be written to; in a kernel that is known when it is compiled and costs nothing."""
    return array.flags.writeable


if JIT:

    @numba.extending.overload(is_writable)
    def _is_writable(array):  # type: ignore[no-untyped-def]  # the signature must be that of the lambda
        writable = bool(array.mutable)
        return lambda array: writable
