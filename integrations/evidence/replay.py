"""Runs of an indicator on candles, each on a frame of its own, in processes that are no one else's.

The process that asks never runs the indicator itself: what it would remember is in its children, which end with them.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib.util
import json
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd

from .values import Values, values_of
from .worlds import Worlds

SECONDS = 60.0  # a run may take
_inside = False  # an audit


@dataclass(frozen=True, eq=False)
class Subject:
    """What is put before the audit.

    ``columns``   called with ``target`` and a frame that it may change; gives a frame or a Series of as many rows. A
                  class is made anew at each call
    ``startup``   rows of warm-up that it states, if it does
    """

    name: str
    target: Any
    columns: Callable[[Any, pd.DataFrame], Any]
    startup: int | None = None


class RunError(ValueError):
    """A run that gave no columns. ``raised`` is whether the indicator itself had raised."""

    def __init__(self, text: str, raised: bool) -> None:
        super().__init__(text)
        self.raised = raised


class Runner:
    """A process in which a subject is run on candles, as often as asked.

    ``apart``   every run in a process of its own, in which the subject, read from its file anew where that can be done,
                has not run before
    """

    def __init__(self, subject: Subject, candles: pd.DataFrame, apart: bool = False) -> None:
        if "fork" not in get_all_start_methods():
            raise OSError("an audit needs a system on which processes can fork: Linux, macOS or WSL")
        context = get_context("fork")
        self._subject, self._rows = subject, len(candles)
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, self._here, subject, candles, apart))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on: that other threads stay behind
            self._process.start()
        there.close()

    def run(self, first: int, end: int, world: Sequence[Any] = ("real",)) -> Values:
        """Values of candles ``first`` to ``end``, in a world that ``Worlds.frame`` knows.

        Raises RunError, with where it happened and on which rows.
        """
        where = _rows_text(first, end, self._rows)
        try:
            self._here.send_bytes(json.dumps([first, end, list(world)]).encode())
            if not self._here.poll(SECONDS):
                self.close()
                raise RunError(f"{self._subject.name} took more than {SECONDS:g} s on {where}: stopped", raised=False)
            head, body = _unpacked(self._here.recv_bytes())
            if "error" in head:
                raise RunError(f"{self._subject.name} {head['error']}, on {where}", head["raised"])
            return Values.from_bytes(head, body)
        except (EOFError, OSError) as error:
            self._process.join(1.0)
            code = self._process.exitcode
            raise RunError(f"{self._subject.name} ended its process (exit code {code}) on {where}", False) from error

    def close(self) -> None:
        """End the process, and what it started."""
        self._here.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.kill()  # where it has not come to lead its group
        self._process.join()

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def refuse_nesting() -> None:
    """Raises RuntimeError within a run: an indicator's file that audits it as it is read would do so for ever."""
    if _inside:
        raise RuntimeError("an audit within an audit: put the call under if __name__ == '__main__'")


def _rows_text(first: int, end: int, rows: int) -> str:
    if end - first == rows:
        return f"all {rows:,} rows"
    return f"the first {end:,} of {rows:,} rows" if first == 0 else f"rows {first:,} to {end - 1:,} of {rows:,}"


# In the child -----------------------------------------------------------------------------------------------------


def _serve(there: Connection, here: Connection, subject: Subject, candles: pd.DataFrame, apart: bool) -> None:
    global _inside
    _inside = True
    gc.freeze()  # a collection would copy what is shared with the parent
    here.close()
    os.setsid()
    warnings.simplefilter("ignore")  # the indicator's own, which would be told once a run
    nowhere = open(os.devnull, "r+")  # noqa: SIM115
    sys.stdin = sys.stdout = sys.stderr = nowhere
    for stream in range(3):
        os.dup2(nowhere.fileno(), stream)
    target = _read_anew(subject.target) if apart else subject.target
    run = functools.partial(_answer, subject, target, Worlds(candles))
    with contextlib.suppress(EOFError, OSError):
        while True:
            request = json.loads(there.recv_bytes())
            there.send_bytes(_in_a_fork(run, request) if apart else run(*request))


def _in_a_fork(run: Callable[..., bytes], request: Sequence[Any]) -> bytes:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(run(*request))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return answer if status == 0 else _refusal(f"ended its process (exit code {status})", raised=False)


def _answer(subject: Subject, target: Any, worlds: Worlds, first: int, end: int, world: Sequence[Any]) -> bytes:
    pristine = worlds.frame(first, end, world)
    given = pristine.copy()
    try:
        result = subject.columns(target, given)
    except (Exception, SystemExit) as error:
        return _refusal(f"raised {type(error).__name__}: {_one_line(error)}{_place_of(error)}", raised=True)
    fault = _fault_of(result, len(pristine))
    if fault:
        return _refusal(fault, raised=False)
    values = values_of(result, given, pristine)
    return _packed(values.to_head(), values.numbers, *values.codes.values())


def _refusal(text: str, raised: bool) -> bytes:
    return _packed({"error": text, "raised": raised})


def _packed(head: dict[str, Any], *arrays: np.ndarray) -> bytes:
    """Arrays, JSON and its length as one message."""
    said = json.dumps(head).encode()
    return b"".join([*(array.tobytes() for array in arrays), said, len(said).to_bytes(8, "little")])


def _unpacked(message: bytes) -> tuple[dict[str, Any], memoryview]:
    begin = len(message) - 8 - int.from_bytes(message[-8:], "little")
    return json.loads(message[begin:-8]), memoryview(message)[:begin]


def _fault_of(result: Any, rows: int) -> str:
    if not isinstance(result, (pd.DataFrame, pd.Series)):
        return f"returned {type(result).__name__}, allowed a frame or a Series"
    if len(result) != rows:
        return f"returned {len(result):,} rows for {rows:,}, allowed one for each"
    if not result.index.equals(pd.RangeIndex(rows)):
        return "returned another index than the given frame's 0, 1, 2 ...: use reset_index(drop=True)"
    if isinstance(result, pd.DataFrame) and not result.columns.is_unique:
        return f"returned two columns named {result.columns[result.columns.duplicated()][0]!r}"
    return ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def _place_of(error: BaseException) -> str:
    """Where in the subject's own file, or else in whatever file, an error arose."""
    frames = traceback.extract_tb(error.__traceback__)
    libraries = tuple({str(Path(place).resolve()) for place in (*sys.path, sys.prefix) if "site-packages" in place})
    own = [
        one for one in frames[1:] if not one.filename.startswith((*libraries, "<", str(Path(__file__).parent.parent)))
    ]
    at = own[-1] if own else frames[-1]
    return f" at {at.filename}:{at.lineno}"


def _read_anew(target: Any) -> Any:
    """The same function or class of its module read from its file once more; itself where that can't be done.

    The main module is left alone: it does more than define things.
    """
    names = getattr(target, "__module__", ""), getattr(target, "__qualname__", "")
    module = sys.modules.get(names[0] or "")
    file = getattr(module, "__file__", None)
    if module is None or file is None or names[0] == "__main__" or hasattr(module, "__path__"):
        return target
    try:
        find = attrgetter(names[1])
        if find(module) is not target:
            return target
        spec = importlib.util.spec_from_file_location(names[0], file)
        if spec is None or spec.loader is None:
            return target
        again = importlib.util.module_from_spec(spec)
        sys.modules[names[0]] = again
        spec.loader.exec_module(again)
        return find(again)
    except BaseException:  # whatever its file does when it is read
        sys.modules[names[0]] = module
        return target


def columns_of_frame(target: Callable[[pd.DataFrame], Any], frame: pd.DataFrame) -> Any:
    """``Subject.columns`` of a function frame -> frame or Series."""
    return target(frame)
