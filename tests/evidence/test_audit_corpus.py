"""The corpus: those that lie are convicted, by column, kind and distance, and nobody else is accused."""

from __future__ import annotations

import pytest
from audited_corpus import audited, cases, fault_of

FRAMES = cases("lying_frames", "honest_frames")
QUICK = (
    "shifted_back", "warm_up_filled_backwards", "day_not_over", "words", "switches", "on_mondays", "rounded",
    "standardised", "over_its_maximum", "rolled_over", "remembers_the_longest", "volume_so_far", "dice",
    "smooths_the_given_close", "exponential", "running_sums", "days_that_are_over", "keeps_a_cache",
)  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_functions(name):
    assert fault_of(FRAMES[name], audited(FRAMES[name], 1200, cuts=20)) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FRAMES if name not in QUICK])
def test_more_functions(name):
    assert fault_of(FRAMES[name], audited(FRAMES[name], 2500, cuts=40)) == ""
