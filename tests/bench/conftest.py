"""Collects what the benchmarks measured and prints it as ratios at the end of the run."""

from __future__ import annotations

import pytest

LINES: list[str] = []


@pytest.fixture
def tell():
    """Add a line to the summary."""
    return LINES.append


def pytest_terminal_summary(terminalreporter):
    if LINES:
        terminalreporter.section("ratios measured in this run")
        for line in LINES:
            terminalreporter.write_line(line)
