"""Runs of rows with one zone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from liquidator_integrations.tables.zones import zone_runs

NAN = float("nan")


def naive_runs(edges: list[tuple[float, float]]) -> list[tuple[int, int]]:
    runs = []
    for pair, rows in itertools.groupby(range(len(edges)), key=lambda row: edges[row]):
        rows = list(rows)
        if pair[0] == pair[0]:
            runs.append((rows[0], rows[-1] + 1))
    return runs


@pytest.mark.parametrize("choices", [[(1.0, 2.0)], [(NAN, NAN)], [(1.0, 2.0), (NAN, NAN), (1.0, 3.0), (0.5, 2.0)]])
@pytest.mark.parametrize("rows", [0, 1, 2, 60])
def test_runs(choices, rows):
    rng = np.random.default_rng(rows)
    edges = [choices[at] for at in rng.integers(0, len(choices), rows)]
    low, high = np.array(edges).reshape(-1, 2).T
    assert zone_runs(low, high) == naive_runs(edges)
