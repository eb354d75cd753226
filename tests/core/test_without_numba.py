"""The engine without Numba, without a home, from a read-only place; and what an import brings along."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from golden_vectors import read_params
from places import GOLDEN, ROOT

import liquidator_core
from liquidator_core import Params, fold, layout, new_signals, new_state, tape
from liquidator_core.zones import marks_of, zones_of

PACKAGE = Path(liquidator_core.__file__).parent
PARAMS = Params(ledger_bars=60, flow_bars=30, zone_bars=48)  # memory 139

RUN = """
import sys
import numpy as np
{first}
from liquidator_core import Params, _jit, fold, levels_of, new_signals, new_state, step, zones_of
bars = np.load(sys.argv[1])
params = Params(ledger_bars=60, flow_bars=30, zone_bars=48).to_record()
state, out = new_state(params), new_signals(len(bars))
half = len(bars) // 2
fold(state, params, bars[:half], out[:half])
for i in range(half, len(bars)):
    step(state, params, bars[i : i + 1], out[i : i + 1])
print(_jit.JIT, _jit.CACHE_DIR, _jit.__file__, len(zones_of(state, params)), len(levels_of(state, params)))
np.save(sys.argv[2], out)
"""


@pytest.fixture(scope="module")
def short_series(real_bars):
    """600 hours with a row that is skipped, rows without volume, open interest and observed flow in the middle."""
    bars = real_bars[3000:3600].copy()
    bars["close"][200] = np.nan
    bars["volume"][210:220] = np.nan
    bars["open_interest"][300:400] = 1e5 + np.cumsum(bars["volume"][300:400] * np.sin(np.arange(100)))
    bars["liq_long_usd"][350:360] = 1e7
    return bars


@pytest.fixture(scope="module")
def expected(short_series):
    record = PARAMS.to_record()
    state, out = new_state(record), new_signals(len(short_series))
    fold(state, record, short_series, out)
    assert len(zones_of(state, record)) > 0
    assert len(marks_of(state, record)) > 0
    assert np.abs(out["touch"]).sum() > 10
    return out


def run(folder: Path, bars: np.ndarray, first: str = "", **environment: str | None) -> tuple[list[str], np.ndarray]:
    """Run the series in a process of its own; (what it says of itself, signals)."""
    np.save(folder / "bars.npy", bars)
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **{k: v for k, v in environment.items() if v is not None}}
    env = {name: value for name, value in env.items() if environment.get(name, "") is not None}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN.format(first=first), folder / "bars.npy", folder / "out.npy"],
        env=env, capture_output=True, text=True, cwd=folder, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.split(), np.load(folder / "out.npy")


def test_without_numba_the_bytes_are_the_same(tmp_path, short_series, expected):
    said, out = run(tmp_path, short_series, first="sys.modules['numba'] = None")
    assert said[0] == "False"
    assert out.tobytes() == expected.tobytes()


def test_with_the_jit_disabled_the_bytes_are_the_same(tmp_path, short_series, expected):
    said, out = run(tmp_path, short_series, NUMBA_DISABLE_JIT="1")
    assert said[0] == "False"
    assert out.tobytes() == expected.tobytes()


@pytest.mark.parametrize("extreme", ["no volume for longer than a cohort lives", "volumes beyond reason"])
def test_without_numba_nothing_raises_where_compiled_code_would_not(tmp_path, short_series, extreme):
    bars = short_series[:300].copy()
    if extreme == "no volume for longer than a cohort lives":
        bars["volume"][100:200] = 0.0
        bars["close"][120:125] = np.nan
    else:
        bars["volume"][::3] = 1e-310
        bars["volume"][1::3] = 1e300
        bars["volume"][150:] = 1e-305
    record = PARAMS.to_record()
    compiled = new_signals(len(bars))
    fold(new_state(record), record, bars, compiled)
    _, out = run(tmp_path, bars, NUMBA_DISABLE_JIT="1")
    assert out.tobytes() == compiled.tobytes()


def run_tests(*names: str) -> None:
    """Run tests in a process of its own that compiles nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-m", "slow or not slow", *names],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr


def test_the_golden_vectors_of_the_shortest_memory_hold_without_numba():
    shortest = min(read_params(path.parent).memory for path in GOLDEN.glob("*/rows.csv"))
    names = [path.parent.name for path in GOLDEN.glob("*/rows.csv") if read_params(path.parent).memory == shortest]
    assert len(names) >= 3
    file = "tests/core/test_golden.py::test_the_"
    run_tests(f"{file}tape_passes", *(f"{file}engine_passes[{name}]" for name in names))


@pytest.mark.slow
@pytest.mark.parametrize("tests", ["core/test_golden.py", "core/test_tape.py", "liquidator"])
def test_whole_suites_pass_without_numba(tests):
    training = "tests/liquidator/test_predicting.py"  # takes hours; its kernel is held by tests/model/test_features.py
    run_tests(f"tests/{tests}", f"--ignore={training}")


def test_no_field_is_read_by_a_name_that_numpy_has_taken():
    """Where nothing is compiled, fields are attributes of NumPy's own classes, whose ``size`` is another."""
    taken = {name for name in dir(np.recarray) + dir(np.record) if not name.startswith("_")}
    dtypes = [value for value in {**vars(layout), **vars(tape)}.values() if isinstance(value, np.dtype)]
    fields = {name for dtype in [*dtypes, layout.state_dtype(256)] for name in dtype.names}
    assert fields & taken == {"size"}
    for source in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Attribute) and node.attr == "size"), f"{source.name}:{node.lineno}"


@pytest.mark.slow
@pytest.mark.parametrize("home", ["unwritable", "unset"])
def test_a_read_only_copy_works_without_a_cache(tmp_path, short_series, expected, home):
    """Permissions do not stop root, so the way to home and cache leads through a file."""
    site = tmp_path / "site"
    shutil.copytree(PACKAGE, site / "liquidator_core", ignore=shutil.ignore_patterns("__pycache__"))
    before = sorted(site.rglob("*"))
    for path in reversed(before):
        path.chmod(0o555 if path.is_dir() else 0o444)
    (tmp_path / "file").write_text("")
    nowhere = str(tmp_path / "file" / "home")
    places = {"HOME": nowhere, "XDG_CACHE_HOME": nowhere, "LIQUIDATOR_CACHE_DIR": None, "NUMBA_CACHE_DIR": None}
    if home == "unset":
        places |= {"HOME": None}
    said, out = run(tmp_path, short_series, PYTHONPATH=str(site), **places)
    assert said[:2] == ["True", "None"]
    assert Path(said[2]).is_relative_to(site)
    assert sorted(site.rglob("*")) == before
    assert out.tobytes() == expected.tobytes()


def test_the_cache_is_where_it_was_told_to_be(tmp_path):
    code = "from liquidator_core import _jit; print(_jit.CACHE_DIR)"
    env = {**os.environ, "LIQUIDATOR_CACHE_DIR": str(tmp_path / "here")}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert Path(said.strip()).parent == tmp_path / "here"
    assert Path(said.strip()).is_dir()


def cache_folder(root: Path, code: str = "") -> Path:
    """The cache folder of a process that imports the kernels, then runs more code."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"from liquidator_core import _jit; print(_jit.CACHE_DIR)\n{code}"],
        env={**os.environ, "LIQUIDATOR_CACHE_DIR": str(root)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return Path(done.stdout.split()[0])


def test_caches_that_nobody_used_for_a_month_are_removed(tmp_path):
    own = cache_folder(tmp_path)
    others = {"0123456789abcdef": 31, "fedcba9876543210": 29, "aaaaaaaaaaaaaaaa": 31, "0123456789abcde": 31, "mine": 31}
    for name, days in [*others.items(), (own.name, 31)]:
        (tmp_path / name / "package").mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "package" / "step.py311.1.nbc").write_bytes(b"kernel")
        (tmp_path / name / "package" / "step.py311.nbi").write_bytes(b"index")
        past = (tmp_path / name).stat().st_mtime - 86_400 * days
        os.utime(tmp_path / name, (past, past))
    theirs = tmp_path / "aaaaaaaaaaaaaaaa" / "package" / "letter.txt"
    theirs.write_text("not a kernel")
    assert cache_folder(tmp_path) == own
    left = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*.nbc")}
    assert left == {own.name, "fedcba9876543210", "0123456789abcde", "mine"}
    assert not (tmp_path / "0123456789abcdef").exists()
    assert theirs.read_text() == "not a kernel"
    assert own.stat().st_mtime > (tmp_path / "fedcba9876543210").stat().st_mtime + 86_400  # touched, so that it is kept


def test_a_process_goes_on_when_its_cache_is_removed(tmp_path):
    code = """
import shutil
from numpy import ones
from liquidator_core.windows import trailing_means, trailing_quantiles
trailing_means(ones(3), 2)
shutil.rmtree(_jit.CACHE_DIR)
trailing_quantiles(ones(3), 2, (0.5,))
"""
    own = cache_folder(tmp_path, code)
    assert any(own.rglob("*.nbc"))


@pytest.mark.parametrize("names", ["BAR, Params, new_state, load_state, save_state", "VERSION"])
def test_an_import_is_light_and_quiet(names):
    """Neither Numba nor pandas nor anything else that is not needed yet."""
    module = "liquidator_core.layout" if names == "VERSION" else "liquidator_core"
    code = f"import sys; from {module} import {names}; print(*(m.split('.')[0] for m in sys.modules), sep='\\n')"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    loaded = set(done.stdout.split())
    assert "numpy" in loaded
    assert not loaded & {"numba", "llvmlite", "pandas", "pyarrow", "scipy", "backtrader", "liquidator_integrations"}
