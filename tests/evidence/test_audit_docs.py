"""docs/audit.md: its code prints what stands below it, and the corpus is as large as it says."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from audited_corpus import ROOT, cases

TEXT = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_code_prints_what_stands_below_it():
    ((code, output),) = re.findall(r"```python\n((?:(?!```).)*)```\n\n```\n(.*?)```", TEXT, flags=re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == output


def test_the_corpus_is_as_large_as_is_said():
    every = cases().values()
    lying, honest = sum(bool(case.kind) for case in every), sum(not case.kind for case in every)
    assert f"a corpus of {lying} that lie and {honest} that do not" in TEXT
    assert lying >= 50
    assert honest >= 25
