"""The command line as a user calls it, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def liquidator(*words: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from liquidator_integrations.cli.main import main; main()", *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done
