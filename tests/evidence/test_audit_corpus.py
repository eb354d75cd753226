"""The corpus: those that lie are convicted, by column, kind and distance, and nobody else is accused."""

from __future__ import annotations

import pytest
from audited_corpus import audited, cases, fault_of

FRAMES = cases("lying_frames", "honest_frames")
NEIGHBOURS = cases("further_frames")
QUICK = (
    "words",
    "on_mondays",
    "rounded",
    "over_its_maximum",
    "volume_so_far",
    "smooths_the_given_close",
    "keeps_a_cache",
)


@pytest.mark.parametrize("name", QUICK)
def test_functions(name):
    assert fault_of(FRAMES[name], audited(FRAMES[name], 800, cuts=20)) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", NEIGHBOURS)
def test_neighbours(name):
    assert fault_of(NEIGHBOURS[name], audited(NEIGHBOURS[name], 2500, cuts=40)) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FRAMES if name not in QUICK])
def test_more_functions(name):
    assert fault_of(FRAMES[name], audited(FRAMES[name], 2500, cuts=40)) == ""
