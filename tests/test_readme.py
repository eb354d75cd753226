"""The README's code runs and prints what stands below it; its commands are those that CI runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
# a Python block directly followed by a block of output
SHOWN = re.findall(r"```python\n((?:(?!```).)*)```\n\n```\n(.*?)```", README, flags=re.DOTALL)


def test_there_is_something_to_check():
    assert len(SHOWN) == 3


@pytest.mark.parametrize(("code", "output"), SHOWN, ids=["first steps", "backtest", "Liquidator"])
def test_code_prints_what_stands_below_it(code, output):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == output


def test_the_first_code_is_the_example():
    example = (ROOT / "examples" / "first_steps.py").read_text(encoding="utf-8")
    assert example.split('"""\n\n', 1)[1] == SHOWN[0][0]


def test_ci_runs_the_test_command():
    command = re.search(r"^python -m pip install -e \"\.\[test\]\" && python -m pytest$", README, flags=re.MULTILINE)
    assert command
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").replace("--quiet ", "").splitlines()
    first, second = command[0].split(" && ")
    assert lines.index(second) == lines.index(first) + 1
