"""On random walks the real run is no better than its flipped ones."""

from __future__ import annotations

import pytest
import random_walks


@pytest.mark.slow
def test_the_real_run_is_seldom_first_on_random_walks():
    found = random_walks.ranks(20)
    assert 0 <= (found == 1).sum() <= 4
    assert 6.0 < found.mean() < 16.0
