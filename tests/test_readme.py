"""The code of the docs prints what stands below it; README is short, links lead somewhere, the commands are CI's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md"))}
# a Python block directly followed by a block of output
SHOWN = [
    pytest.param(name, *found, marks=pytest.mark.slow if name == "backtrader" else ())
    for name in ("python", "backtrader")
    for found in re.findall(r"```python\n((?:(?!```).)*)```\n\n```\n(.*?)```", PAGES[name], flags=re.DOTALL)
]


def test_there_is_something_to_check():
    assert [shown.values[0] for shown in SHOWN] == ["python", "python", "python", "backtrader"]


def test_the_readme_is_short():
    assert len(README.encode()) < 8_000


@pytest.mark.parametrize("page", ["README", *PAGES])
def test_links_lead_somewhere(page):
    text, folder = (README, ROOT) if page == "README" else (PAGES[page], ROOT / "docs")
    for target in re.findall(r"""\]\(([^)#\s]+)|(?:src|srcset)="([^"]+)""", text):
        path = "".join(target)
        assert path.startswith("http") or (folder / path).exists(), path


def test_the_words_stand_in_a_glossary_that_the_readme_links():
    assert "(docs/glossary.md)" in README
    words = re.findall(r"^\| ([^|]+?) \|", PAGES["glossary"], flags=re.MULTILINE)
    defined = {word for cell in words for word in cell.split(", ")}
    assert {"fade", "join", "armed", "held", "touch", "mark", "zone", "level", "flow", "age"} <= defined
    assert "| age | bars since birth" in PAGES["glossary"]


def test_figures_that_wander_are_named():
    assert "says which figures wander" in README
    assert "1/204 to 1/294" in PAGES["speed"]
    assert "4.5 to 16 times" in PAGES["speed"]


@pytest.mark.parametrize(("page", "code", "output"), SHOWN)
def test_code_prints_what_stands_below_it(page, code, output):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == output


def test_the_first_code_is_the_example():
    example = (ROOT / "examples" / "first_steps.py").read_text(encoding="utf-8")
    assert example.split('"""\n\n', 1)[1] == SHOWN[0].values[1]


def test_ci_runs_the_test_command():
    command = re.search(r"^python -m pip install -e \"\.\[test\]\" && python -m pytest$", README, flags=re.MULTILINE)
    assert command
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").replace("--quiet ", "").splitlines()
    first, second = command[0].split(" && ")
    assert lines.index(second) == lines.index(first) + 1
