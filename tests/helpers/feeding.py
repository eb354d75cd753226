"""The same rows given to a Liquidator in every form: at once, one by one, in chunks, saved between chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from liquidator_integrations import Liquidator

FORMS = ("at once", "pushed", "chunks", "saved")
CHUNK = 97


def fed(made: Liquidator, rows: list[dict[str, Any]], form: str, folder: Path | None = None) -> Liquidator:
    """A Liquidator after it was given the rows; ``folder`` is where it is saved."""
    if form == "at once":
        made.ingest_trades(rows)
    elif form == "pushed":
        for row in rows:
            made.push(row)
    else:
        for start in range(0, len(rows), CHUNK):
            made.ingest_trades(rows[start : start + CHUNK])
            if form == "saved":
                assert folder is not None
                made.save(folder / "saved")
                made = Liquidator.load(folder / "saved")
    return made
