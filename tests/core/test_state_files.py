"""State files: the same state, or a ValueError, whatever was done to the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import golden_vectors
import numpy as np
import pytest
from made_bars import small_params
from places import ROOT

from liquidator_core import BAR, fold, load_state, new_signals, new_state, save_state, step
from liquidator_core.layout import BUCKETS, SCHEMA, state_dtype
from liquidator_core.levels import cells_of, levels_of
from liquidator_core.state_check import faults
from liquidator_core.zones import marks_of, zones_of

FOLDER = golden_vectors.FOLDER / "every_signal"
RECORD = golden_vectors.read_params(FOLDER).to_record()
BARS = golden_vectors.read(FOLDER / "bars.csv", BAR)
HALF = 58


@pytest.fixture(scope="module")
def state() -> np.ndarray:
    """A state with open positions, whole and broken marks and zones."""
    made = new_state(RECORD)
    fold(made, RECORD, BARS[:HALF], new_signals(HALF))
    for name in ("whole_count", "broken_count", "zone_count", "open_lots"):
        assert (made[name] > 0).all(), name
    return made


@pytest.fixture
def path(state, tmp_path) -> Path:
    save_state(state, tmp_path / "state.npy")
    return tmp_path / "state.npy"


def refused(path: Path) -> bool:
    try:
        load_state(path)
    except ValueError as error:
        return str(error).startswith(f"{path}: ")
    return False


def use(path: Path, rows: int = 6) -> None:
    """Go on from a file in every way."""
    state = load_state(path)
    for call in (zones_of, levels_of, marks_of, cells_of):
        call(state, RECORD)
    fold(state, RECORD, BARS[HALF : HALF + rows], new_signals(rows))
    for call in (zones_of, levels_of, marks_of, cells_of):
        call(state, RECORD)


@pytest.mark.parametrize("name", sorted(path.parent.name for path in golden_vectors.FOLDER.glob("*/rows.csv")))
def test_every_state_that_the_engine_makes_is_right(name):
    folder = golden_vectors.FOLDER / name
    record, bars = golden_vectors.read_params(folder).to_record(), golden_vectors.read(folder / "bars.csv", BAR)
    state, out = new_state(record), new_signals(1)
    assert list(faults(state)) == []
    for row in range(len(bars)):
        step(state, record, bars[row : row + 1], out)
        assert list(faults(state)) == [], row


def test_states_of_wild_bars_are_right(real_bars):
    bars = real_bars[:600].copy()
    bars["volume"][::3] = 1e-310
    bars["volume"][1::3] = 1e300
    bars["volume"][300:] = 0.0
    record = small_params().to_record()
    state, out = new_state(record), new_signals(1)
    for row in range(len(bars)):
        step(state, record, bars[row : row + 1], out)
        assert list(faults(state)) == [], row


def test_one_flipped_bit_anywhere_is_told(path):
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for place in [*range(128), *rng.integers(0, len(content), 400).tolist(), *range(len(content) - 32, len(content))]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        assert refused(path), place


@pytest.mark.parametrize("kept", [0, 5, 100, 10_000, -33, -32, -1])
def test_a_file_cut_short_is_told(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"not a state file|cut short or damaged"):
        load_state(path)


def test_a_state_of_the_older_schema_is_refused_by_name(path, state):
    older = state.copy()
    older["schema"] = 1
    np.save(path, older)
    with pytest.raises(ValueError, match=f"the state has schema 1, this version reads schema {SCHEMA}"):
        load_state(path)


def test_a_header_that_promises_too_much_is_refused(path, state):
    content = path.read_bytes()
    path.write_bytes(content.replace(b"'shape': (1,)", b"'shape': (9" + b"9" * 11 + b",)", 1)[: len(content)])
    assert refused(path)
    path.write_bytes(b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535)
    assert refused(path)


SIZE = len(new_state(RECORD)["mass"][0])
CRAFTED = {
    **{name: [(0, SIZE), (0, 2**32 - 1)] for name in ("ledger_at", "flow_at", "range_at", "mark_at")},
    "rows": [(0, -1), (0, 2**62)],
    "skipped": [(0, -1), (0, 10**6)],
    "close_age": [(0, -1), (0, 10**6)],
    "ranges_missing": [(0, -1), (0, SIZE + 1)],
    "close": [(0, 0.0), (0, -1.0), (0, np.inf)],
    "open_interest": [(0, 0.0), (0, -1.0), (0, np.inf)],
    "day_row": [(0, -1), (0, 10**6)],
    "day_observed": [((0, 3), -1.0), ((1, 3), np.nan)],
    "day_estimated": [((0, 3), -1.0), ((1, 3), np.nan)],
    "open_positions": [((0, 3), -1), ((1, 3), 9), ((0, 3), 2**62), ((0, 200), 1)],
    "mass": [(3, -1.0), (3, np.nan), (3, np.inf), (200, 1.0)],
    "entry": [(3, 0.0), (3, np.nan), (3, np.inf)],
    "log_entry": [(3, np.nan), (3, np.inf), (3, 1e18)],
    "next_price": [((0, 3), np.inf), ((1, 3), 0.0), ((0, 200), 1.0), ((1, 200), 1.0), ((0, 3), np.nan)],
    "bound": [((0, 0), 0.0), ((1, 0), np.inf), ((0, 0), np.nan)],
    "lowest_entry": [(None, np.inf), (None, np.nan), (None, -1.0)],
    "highest_entry": [(None, 0.0), (None, np.nan), (None, np.inf)],
    "lots": [((0, 0), -1), ((1, 9), 2**62), ((0, 5), 12345)],
    "open_lots": [(0, -1), (1, 2**62)],
    "lots_a_unit": [(None, 0.0), (None, np.nan), (None, 3.0)],
    "buckets": [(0, 1), (BUCKETS - 1, -1)],
    "top_bucket": [(None, -1), (None, BUCKETS), (None, 2**40)],
    "whole": [(0, 2 * SIZE), (0, 2**32 - 1), (1, "first")],
    "whole_count": [(None, -1), (None, 2 * SIZE + 1), (None, 2**62)],
    "broken": [(0, 2 * SIZE), (0, "whole")],
    "broken_count": [(None, -1), (None, 2**40)],
    "zones": [(0, 2 * SIZE), (0, "broken")],
    "zone_count": [(None, -1), (None, 0), (None, 2**40)],
    "zone_usd": [(None, 0.0), (None, np.nan)],
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_right_checksum_excuses_no_place_or_counter(state, path, name):
    for place, value in CRAFTED[name]:
        crafted = state.copy()
        if value in ("first", "whole", "broken"):
            value = crafted[{"first": "whole"}.get(value, value)][0, 0]
        field = crafted[name][0]
        assert field.shape == () or place is not None
        if field.shape == ():
            crafted[name] = value
        elif isinstance(place, tuple):
            crafted[name][0][place] = value
        else:
            crafted[name][0, place] = value
        assert crafted.tobytes() != state.tobytes()
        save_state(crafted, path)
        with pytest.raises(ValueError, match="the state is none that the engine could go on from: "):
            load_state(path)


@pytest.mark.parametrize("field", ["side", "armed", "trial", "broken", "birth_row", "touches", "leads", "zone_marks"])
def test_nor_does_it_excuse_a_mark(state, path, field):
    for slot in (int(state["whole"][0, 0]), int(state["zones"][0, 0])):
        for value in (-2, 2, 10**9, 2**62):
            crafted = state.copy()
            crafted["marks"][field][0, slot] = value
            save_state(crafted, path)
            assert refused(path) or value == 2


def craft(state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy with one value, of any field, that may be wrong."""
    crafted = state.copy()
    rows = crafted
    name = str(rng.choice([name for name in state.dtype.names if name not in ("schema", "digest")]))
    if name == "marks":
        rows = crafted["marks"].reshape(-1)[:60]
        name = str(rng.choice(rows.dtype.names))
        values = rows[name]
    else:
        values = rows[name].reshape(-1)
    place = int(rng.integers(min(len(values), 70)))
    whole = values.dtype.kind in "iu"
    limits = np.iinfo(values.dtype if whole else np.int64)
    odd = [limits.min, limits.max, 0, 1, 255, 512, 10**6] if whole else [-1.0, 0.0, np.inf, np.nan, 1e300, 1e-300]
    values[place] = odd[int(rng.integers(len(odd)))]
    return crafted


def go_on_from_crafted(folder: Path, count: int) -> int:
    """Use what is accepted of many crafted states; how many these are."""
    state, rng = new_state(RECORD), np.random.default_rng(1)
    fold(state, RECORD, BARS[:HALF], new_signals(HALF))
    accepted = 0
    for _ in range(count):
        save_state(craft(state, rng), folder / "crafted.npy")
        if not refused(folder / "crafted.npy"):
            accepted += 1
            use(folder / "crafted.npy")
    return accepted


def test_crafted_states_are_refused_or_harmless(tmp_path):
    assert 20 < go_on_from_crafted(tmp_path, 400) < 300


@pytest.mark.slow
def test_crafted_states_reach_no_place_out_of_bounds(tmp_path):
    """Where nothing is compiled, an index beyond its buffer raises."""
    code = "import sys, pathlib, test_state_files as t; print(t.go_on_from_crafted(pathlib.Path(sys.argv[1]), 300))"
    paths = os.pathsep.join(map(str, (ROOT / "tests" / "core", ROOT / "tests" / "helpers", *sys.path)))
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": paths},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def test_the_check_knows_every_field():
    """A field that is added to the state has to be thought of here."""
    told = {*CRAFTED, "schema", "digest", "true_range", "turnover", "flow", "day", "reached", "marks"}
    assert set(state_dtype(256).names) == told
