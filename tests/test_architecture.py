"""The shape of the project: rooms and who may import whom, which library belongs where, what lies at the top."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {
    "liquidator_core": "liquidator_core",
    "liquidator_integrations": "integrations",
    "liquidator_strategies": "strategies",
}
# A room imports from rooms of rows above its own and from itself; those of one row know nothing of each other.
ROWS = [
    {"core"},
    {"market"},
    {"tables", "store"},
    {"exchanges"},
    {"charts"},
    {"evidence"},
    {"model"},
    {"for_backtrader"},
    {"for_freqtrade", "for_tradingview"},
    {"live"},
    {"liquidator"},
    {"frames", "targets"},
    {"strategies"},
    {"page"},
    {"cli"},
]
RANK = {room: rank for rank, row in enumerate(ROWS) for room in row}
# Third-party library: the rooms, or files, that may import it. What is not named here may not be imported at all.
LIBRARIES = {
    "numpy": {"*"},
    "numba": {"liquidator_core/_jit.py"},
    "pandas": {
        "market",
        "tables",
        "store",
        "exchanges",
        "charts",
        "evidence",
        "integrations/model/columns.py",
        "integrations/for_backtrader/audited.py",
        "for_freqtrade",
        "live",
        "liquidator",
        "strategies",
        "cli",
    },
    "pyarrow": {"market", "store", "exchanges"},
    "h5py": {"integrations/market/hdf.py"},
    "hdf5plugin": {"integrations/market/hdf.py"},
    "backtrader": {"integrations/for_backtrader/library.py"},
    "freqtrade": {"integrations/for_freqtrade/library.py", "strategies/for_freqtrade"},
    "talib": {"strategies/for_freqtrade"},
    "plotly": {"integrations/charts/html.py"},
    "lightgbm": {"integrations/model/hold_model.py"},
    "matplotlib": {"integrations/charts/picture.py"},
    "requests": {"integrations/exchanges/download.py", "integrations/exchanges/keyed.py"},
    "ccxt": {"integrations/exchanges/client.py"},
    "aiohttp": {"live"},
    "orjson": {"live", "integrations/store/fills.py"},
    "tenacity": {"exchanges", "integrations/live/alerts.py"},
    "duckdb": {"integrations/store/query.py"},
    "filelock": {"store"},
    "platformdirs": {"integrations/store/store.py"},
    "typer": {"cli"},
    "rich": {"cli"},
}


def sources() -> list[Path]:
    return sorted(path for folder in FOLDERS.values() for path in (ROOT / folder).rglob("*.py"))


def room_of(module: str) -> str:
    """The room of a module's dotted name; the packages' own ``__init__`` are in none."""
    package, _, rest = module.partition(".")
    if package != "liquidator_integrations":
        return {"liquidator_core": "core", "liquidator_strategies": "strategies"}[package]
    return rest.split(".")[0]


def module_of(path: Path) -> str:
    folder, *rest = path.relative_to(ROOT).with_suffix("").parts
    package = next(name for name, where in FOLDERS.items() if where == folder)
    return ".".join([package, *rest]).removesuffix(".__init__")


MODULES = {module_of(path): path for path in sources()}


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name or "") of every import in a file, wherever it stands, and of look-ups by string."""
    module = module_of(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            where = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((where, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            text = node.args[0].value
            if called in ("import_module", "__import__", "find_spec") and isinstance(text, str):
                yield (package + text if text.startswith(".") else text), ""


def ours(path: Path) -> Iterator[str]:
    """The project's modules that a file imports."""
    for where, name in imports(path):
        if where.split(".")[0] in FOLDERS:
            yield f"{where}.{name}" if f"{where}.{name}" in MODULES else where


EVERY = pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))


@EVERY
def test_each_library_is_imported_where_it_may_be(path):
    relative = path.relative_to(ROOT)
    room = room_of(module_of(path))
    for name in {where.split(".")[0] for where, _ in imports(path)} - set(sys.stdlib_module_names) - FOLDERS.keys():
        assert name in LIBRARIES, f"{relative} imports {name}, which has no place yet: add it to the table"
        places = LIBRARIES[name]
        allowed = "*" in places or room in places or any(relative.is_relative_to(place) for place in places)
        assert allowed, f"{relative} may not import {name}"


@EVERY
def test_rooms_import_rooms_before_them(path):
    module = module_of(path)
    if module in FOLDERS:
        return  # a package's own names are loaded on first use, from wherever they are
    room = room_of(module)
    assert room in RANK, f"{room} has no place yet: add it to the rows"
    for other in ours(path):
        if other in FOLDERS:
            assert other == "liquidator_core" or RANK["strategies"] <= RANK[room], f"{module} imports {other}"
            continue
        there = room_of(other)
        assert there == room or RANK[there] < RANK[room], f"{module} imports {other}, which comes after it"


def test_no_import_circles():
    needs = {module: {other for other in ours(path) if other in MODULES} for module, path in MODULES.items()}
    for module, path in MODULES.items():
        needs[module].discard(module)
        if path.name == "__init__.py":
            needs[module] = {other for other in needs[module] if not other.startswith(f"{module}.")}
    while needs:
        free = [module for module, others in needs.items() if not others & needs.keys()]
        assert free, f"a circle among {sorted(needs)}"
        for module in free:
            del needs[module]


@EVERY
def test_no_library_is_taken_from_another_module(path):
    """``from .candles import pd`` would hide from the table above who imports pandas."""
    for where, name in imports(path):
        if where.endswith(".library"):  # made to be taken from: ``for_module`` puts another library in its place
            continue
        if where in MODULES and name and f"{where}.{name}" not in MODULES:
            tree = ast.parse(MODULES[where].read_text(encoding="utf-8"))
            bound = {
                (alias.asname or alias.name).split(".")[0]: alias.name
                for node in ast.walk(tree)
                if isinstance(node, ast.Import)
                for alias in node.names
            }
            assert name not in bound, f"{path.relative_to(ROOT)} takes {bound.get(name)} from {where}"


@EVERY
def test_files_and_classes_are_short(path):
    """Docstrings included: what grows beyond that has parts that want a file or a class of their own."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 500, f"{path.relative_to(ROOT)} is too long"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= 400, f"{node.name} in {path.relative_to(ROOT)} has {lines} lines"


def test_top_level_is_the_agreed_one():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    tops = {name.split("/")[0] for name in tracked}
    assert tops == {
        *{"pyproject.toml", "README.md", "LICENSE", "NOTICE", "CHANGELOG.md", ".gitignore", ".ci", "docs"},
        *{"liquidator_core", "integrations", "strategies", "tests", "examples"},
    }


def test_no_module_hides_a_public_name_of_its_package():
    """A submodule named like a public function would take its place once it is imported, as ``step`` once did."""
    for package, folder in FOLDERS.items():
        tree = ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8"))
        names = next(
            (
                ast.literal_eval(node.value)
                for node in tree.body
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
            ),
            [],
        )
        assert not {f"{package}.{name}" for name in names} & MODULES.keys()


@pytest.mark.parametrize("name", ["integrations", "strategies"])
def test_a_checkout_gives_no_second_identity(name):
    code = f"import liquidator_{name}, {name}.anything"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert f"ImportError: import liquidator_{name}, not {name}" in done.stderr
