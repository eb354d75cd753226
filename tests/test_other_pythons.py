"""The backtrader side on the other versions of Python that this machine has, in environments of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
VERSIONS = ("3.11", "3.12", "3.13")


def interpreter(version: str) -> str | None:
    """A Python of this version that runs: of the path, or of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in (shutil.which(f"python{version}"), *sorted(map(str, pyenv.glob(f"{version}.*/bin/python")))):
        if candidate and not subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode:
            return candidate
    return None


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_backtrader_on_another_python(tmp_path, version):
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        pytest.skip("the tests run on this one already")
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    own = tmp_path / "venv" / "bin" / "python"
    needs = [
        "backtrader-next>=2.3.7",
        "matplotlib>=3.9",
        "hypothesis>=6.130",
        "pytest>=8.3",
        "pytest-benchmark>=5.1",
        "pytest-xdist>=3.6",
    ]
    subprocess.run([own, "-m", "pip", "install", "--quiet", "-e", ".[backtrader]", *needs], check=True, cwd=ROOT)
    core = [f"tests/core/test_{name}.py" for name in ("golden", "timeframes", "state_files")]
    folders = [*core, "tests/for_backtrader/test_backtrader.py", "tests/market/test_times.py"]
    done = subprocess.run([own, "-m", "pytest", "-p", "no:cacheprovider", *folders], check=False, cwd=ROOT)
    assert done.returncode == 0
