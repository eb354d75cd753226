"""The golden vectors are what the twin says, and the engine passes them as any port should."""

from __future__ import annotations

import golden_vectors
import numpy as np
import pytest

from liquidator_core import BAR, LEVEL, SIGNAL, ZONE, fold, levels_of, new_signals, new_state, zones_of
from liquidator_core.layout import SCHEMA

NAMES = sorted(path.name for path in golden_vectors.FOLDER.iterdir() if path.is_dir())
TOLERANCE = 1e-9
OF_LEVELS = 1e-6  # counted in lots


def agree(got: np.ndarray, wanted: np.ndarray) -> None:
    assert got.dtype == wanted.dtype
    assert len(got) == len(wanted)
    for name in wanted.dtype.names:
        tolerance = OF_LEVELS if "level" in name or wanted.dtype == LEVEL else TOLERANCE
        np.testing.assert_allclose(got[name], wanted[name], rtol=tolerance, atol=0.0, err_msg=name)


@pytest.mark.parametrize("name", NAMES)
def test_the_engine_passes(name):
    folder = golden_vectors.FOLDER / name
    params = golden_vectors.read_params(folder)
    record, bars = params.to_record(), golden_vectors.read(folder / "bars.csv", BAR)
    state, out = new_state(record), new_signals(len(bars))
    fold(state, record, bars, out)
    agree(out, golden_vectors.read(folder / "rows.csv", SIGNAL))
    agree(zones_of(state, record), golden_vectors.read(folder / "zones.csv", ZONE))
    agree(levels_of(state, record), golden_vectors.read(folder / "levels.csv", LEVEL))


def test_the_vectors_speak_of_everything():
    """Every field of a signal takes a value somewhere, every flag both signs it can have."""
    rows = np.concatenate([golden_vectors.read(golden_vectors.FOLDER / name / "rows.csv", SIGNAL) for name in NAMES])
    assert SCHEMA == 1
    for name in SIGNAL.names:
        if SIGNAL[name].kind == "f":
            assert np.isfinite(rows[name]).sum() > 20, name
        else:
            assert set(rows[name]) == ({0, 1} if name.startswith("exit") else {-1, 0, 1}), name


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_twin_says_so(name):
    folder = golden_vectors.FOLDER / name
    case = golden_vectors.cases()[name]
    assert golden_vectors.read_params(folder) == case.params
    assert golden_vectors.read(folder / "bars.csv", BAR).tobytes() == case.bars.tobytes()
    for file, dtype, told in zip(
        ("rows.csv", "zones.csv", "levels.csv"), (SIGNAL, ZONE, LEVEL), golden_vectors.expected(case), strict=True
    ):
        written = golden_vectors.read(folder / file, dtype)
        assert len(written) == len(told)
        for field in dtype.names:
            np.testing.assert_allclose(written[field], [row[field] for row in told], rtol=1e-12, atol=0.0)
