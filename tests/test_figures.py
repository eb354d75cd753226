"""The one command that runs the scripts behind the figures of README and docs."""

from __future__ import annotations

import os
import subprocess
import sys

from places import ROOT

FIGURES = ROOT / "tests" / "figures"


def figures(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LIQUIDATOR_DATA": os.devnull}
    command = [sys.executable, str(FIGURES), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def test_one_script_runs_by_its_name():
    done = figures("exchange_capabilities")
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    assert first == "== exchange_capabilities"
    assert len(rest) > 10


def test_an_unknown_name_is_refused_with_the_nearest_and_the_list_of_all():
    done = figures("ingredient")
    assert done.returncode == 1
    assert done.stdout == ""
    names = sorted(path.stem for path in FIGURES.glob("[!_]*.py"))
    assert len(names) > 5
    assert done.stderr.strip() == f"no script 'ingredient': did you mean 'ingredients'?; there are {', '.join(names)}"


def test_every_script_has_a_main_and_says_what_it_prints():
    for path in FIGURES.glob("[!_]*.py"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith('"""'), path.name
        assert 'if __name__ == "__main__":' in text, path.name
