"""The command line as a user calls it, in a process of its own, or in this one where that is quick enough."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import NamedTuple


class Said(NamedTuple):
    code: int
    stdout: str
    stderr: str


def liquidator(*words: str, cwd: Path, code: int = 0) -> Said:
    """What the command line says into pipes, called in this process; its exit code must be ``code``."""
    said = said_here(*words, cwd=cwd)
    assert said.code == code, said.stdout + said.stderr
    return said


def liquidator_alone(*words: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own, as a user calls it."""
    command = [sys.executable, "-c", "from liquidator_integrations.cli.main import main; main()", *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def said_here(*words: str, cwd: Path, columns: int | None = None) -> Said:
    """What the command line says, called in this process; ``columns`` of a terminal, None: a pipe."""
    from liquidator_integrations.cli.main import main

    out, err = _Stream(columns is not None), io.StringIO()
    before = os.getcwd(), sys.argv, warnings.showwarning, os.environ.get("COLUMNS")
    try:
        os.chdir(cwd)
        sys.argv = ["liquidator", *words]
        if columns is not None:
            os.environ["COLUMNS"] = str(columns)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
    finally:
        os.chdir(before[0])
        sys.argv, warnings.showwarning = before[1:3]
        os.environ.pop("COLUMNS", None)
        if before[3] is not None:
            os.environ["COLUMNS"] = before[3]
    return Said(code, out.getvalue(), err.getvalue())


class _Stream(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal
