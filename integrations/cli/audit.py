"""``liquidator audit``: does an indicator look ahead, repaint, or depend on where it began?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .printing import progress_bar

if TYPE_CHECKING:
    import pandas as pd

SECONDS_UNTOLD = 5.0
PRICES_AND_VOLUME = ("open", "high", "low", "close", "volume")


def audit(
    target: Annotated[
        str, typer.Argument(metavar="PATH.py:NAME", help="A function frame -> frame, a strategy, an indicator.")
    ],
    data: Annotated[Path, typer.Option(help="Candles: CSV or JSON (also .gz, .zip), parquet, feather or HDF.")],
    startup: Annotated[
        int | None, typer.Option(min=0, help="Rows of warm-up. Default: what a strategy states.")
    ] = None,
    pair: Annotated[
        list[str] | None, typer.Option(help="PAIR=FILE: candles of another pair that a strategy reads.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Whether an indicator looks ahead, repaints, depends on where it began or is unstable, on candles of your own.

    The file's code is run: audit what you would run anyway. Exit code 0: none found; 1: found; 2: it could not be run.
    """
    from ..targets import audit as audit_target

    candles = read_frame(data)
    pairs = dict(_pair_of(text) for text in pair or ())
    subject = _load(target)
    with progress_bar(SECONDS_UNTOLD) as tell:
        found = audit_target(subject, candles, startup_candle_count=startup, pairs=pairs or None, tell=tell)
    print(found.to_json() if as_json else found)
    if not found.ok:
        raise typer.Exit(1)


def read_frame(path: Path) -> pd.DataFrame:
    """A file of candles as a frame: ``date``, open, high, low, close and volume by these names, all else as it is.

    Of a CSV, columns that candles don't have are not read; parquet and feather keep theirs.
    """
    import pandas as pd

    from ..market.candles import bars_from_frame
    from ..market.files import read_table
    from ..market.messages import naming
    from ..market.names import CANDLE_TIMES, normal_name

    table = read_table(path)
    with naming(str(path)):
        bars, frame = bars_from_frame(table), table.to_pandas()
    if len(bars) != len(frame):
        raise ValueError(f"{path}: found {len(frame) - len(bars):,} rows that are no closed candle, allowed none")
    normal = {name: normal_name(name) for name in frame.columns}
    times = [name for name, plain in normal.items() if plain in CANDLE_TIMES]
    frame = frame.rename(columns={name: plain for name, plain in normal.items() if plain in PRICES_AND_VOLUME})
    frame = frame.drop(columns=times).reset_index(drop=True)
    frame.insert(0, "date", pd.to_datetime(bars["time"], unit="ms", utc=True))
    return frame


def _pair_of(text: str) -> tuple[str, Path]:
    pair, found, file = text.partition("=")
    if not found:
        raise ValueError(f"--pair must be PAIR=FILE, got {text!r}")
    return pair, Path(file)


def _load(target: str) -> object:
    """What is named; whatever its file does when it is read, an error of it is one line."""
    from ..targets import load_target

    try:
        return load_target(target)
    except (ValueError, TypeError, OSError, ImportError):
        raise
    except (Exception, SystemExit) as error:
        raise ValueError(f"{target}: reading it raised {type(error).__name__}: {error}") from error
