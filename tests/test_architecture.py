"""The shape of the project: what may import what, what may read a clock, what lies at the top."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = {"liquidator_core": 0, "integrations": 1, "strategies": 2}
IMPORT_NAMES = {
    "liquidator_core": "liquidator_core",
    "liquidator_integrations": "integrations",
    "liquidator_strategies": "strategies",
}
# third-party library: the files that may import it
ALLOWED = {
    "numpy": {"liquidator_core/*", "integrations/*", "integrations/*/*", "strategies/*/*"},
    "numba": {"liquidator_core/_jit.py"},
    "pandas": {"integrations/frames.py", "strategies/for_freqtrade/*"},
    "pyarrow": {"integrations/files.py"},
    "backtrader": {"integrations/for_backtrader/library.py"},
    "freqtrade": {"integrations/freqtrade_helpers.py", "strategies/for_freqtrade/*"},
    "talib": {"strategies/for_freqtrade/*"},
    "plotly": {"integrations/charts.py"},
    "typer": {"integrations/command_line.py", "integrations/freqtrade_command.py"},
    "rich": {"integrations/command_line.py"},
}


def sources() -> list[Path]:
    return sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names of every absolute import in a file, wherever it stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(str(node.module).split(".")[0])
    return names


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_library_is_imported_where_it_may_be(path):
    relative = path.relative_to(ROOT)
    for name in imported(path) - set(sys.stdlib_module_names) - IMPORT_NAMES.keys():
        assert name in ALLOWED, f"{relative} imports {name}, which has no place yet: add it to the table"
        assert any(relative.match(pattern) for pattern in ALLOWED[name]), f"{relative} may not import {name}"


def may_look_up(path: Path) -> bool:
    """The report runs the ready strategy, the one thing above it that an adapter knows."""
    return path.name == "report.py"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way_downwards(path):
    layer = path.relative_to(ROOT).parts[0]
    for name in imported(path) & IMPORT_NAMES.keys():
        above = LAYERS[IMPORT_NAMES[name]] > LAYERS[layer]
        assert not above or may_look_up(path), f"{path.relative_to(ROOT)} imports {name}, which lies above it"


def test_no_import_circles_in_the_core():
    names = {path.stem: path for path in (ROOT / "liquidator_core").glob("*.py") if path.stem != "__init__"}
    needs = {}
    for stem, path in names.items():
        needs[stem] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                modules = [node.module] if node.module else [alias.name for alias in node.names]
                needs[stem] |= {module for module in modules if module in names}
    order = []
    while needs:
        free = sorted(stem for stem, others in needs.items() if not others - set(order))
        assert free, f"a circle among {sorted(needs)}"
        order += free
        for stem in free:
            del needs[stem]


def test_top_level_is_the_agreed_one():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    tops = {name.split("/")[0] for name in tracked}
    assert tops == {
        *{"pyproject.toml", "README.md", "LICENSE", "NOTICE", "CHANGELOG.md", ".gitignore", ".ci", "docs"},
        *{"liquidator_core", "integrations", "strategies", "tests", "examples"},
    }


def test_the_function_step_is_not_hidden_by_its_module():
    code = "import liquidator_core.step, liquidator_core; assert liquidator_core.step.__name__ == 'step'; print('ok')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "ok\n"


@pytest.mark.parametrize("name", ["integrations", "strategies"])
def test_a_checkout_gives_no_second_identity(name):
    code = f"import liquidator_{name}, {name}.anything"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert f"ImportError: import liquidator_{name}, not {name}" in done.stderr
