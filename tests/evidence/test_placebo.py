"""Placebo marks of many seeds: what ``placebo_marks`` gives for each, and what they share worked out once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_bars import small_params

from liquidator_integrations import sample_bars
from liquidator_integrations.evidence import placebo
from liquidator_integrations.evidence.placebo import Placebos
from liquidator_integrations.evidence.report import make_report
from liquidator_integrations.evidence.result import Result
from liquidator_integrations.frames import bars_with_marks, marks_params, placebo_marks

PARAMS = small_params()
BARS = sample_bars()[:1200]
RESULT = Result(1.0, 1.0, 0.0, [], np.zeros(0, np.int64), np.zeros(0), 0.0)


def test_each_seed_gives_what_it_gives_alone():
    before = BARS.tobytes()
    placebos = Placebos(BARS, PARAMS)
    assert placebos.params == marks_params(PARAMS)
    for seed in (3, 0, 3):
        alone = placebo_marks(BARS, PARAMS, seed)
        assert len(alone) > 10
        pd.testing.assert_frame_equal(placebos.marks(seed), alone, check_exact=True)
        assert placebos.marks(seed).attrs == alone.attrs
        assert placebos.bars_of(seed).tobytes() == bars_with_marks(BARS, alone).tobytes()
    assert BARS.tobytes() == before


@pytest.mark.parametrize("seeds", [1, 4])
def test_a_report_works_out_once_what_its_seeds_share(seeds, monkeypatch):
    calls = []

    def noting(name):
        genuine = getattr(placebo, name)

        def call(*given):
            calls.append(name)
            return genuine(*given)

        return call

    for name in ("checked_bars", "every_mark", "average_true_ranges"):
        monkeypatch.setattr(placebo, name, noting(name))
    runs = []

    def run(bars, params):
        runs.append((bars.tobytes(), params))
        return RESULT

    report = make_report(BARS, PARAMS, seeds, run=run)
    assert report.placebos == [RESULT] * seeds
    assert sorted(calls) == ["average_true_ranges", "checked_bars", "every_mark"]
    expected = [
        (bars_with_marks(BARS, placebo_marks(BARS, PARAMS, seed)).tobytes(), marks_params(PARAMS))
        for seed in range(seeds)
    ]
    assert runs == [(BARS.tobytes(), PARAMS), *expected]
