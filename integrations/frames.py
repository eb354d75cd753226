"""Every public name of candles in and tables out, in one place: for users, who need not know the rooms behind it."""

from .evidence.outcomes import outcome_column
from .evidence.placebo import placebo_marks
from .market.candles import (
    Candles,
    Columns,
    OnBad,
    Rows,
    bars_from_frame,
    column_ms,
    warn_of_idle_switches,
)
from .market.messages import naming
from .market.observed import observed_bars
from .model.columns import hold_columns
from .tables.alignment import alignment_columns
from .tables.checked import bars_with_marks, marks_params
from .tables.indicators import compute_atr, compute_vwap
from .tables.signals import signal_columns
from .tables.zones import (
    check_zones,
    grid_frame,
    levels_frame,
    levels_to_frame,
    marks_frame,
    zone_dicts,
    zone_rows_to_frame,
    zones_frame,
    zones_to_frame,
)

__all__ = [
    "Candles",
    "Columns",
    "OnBad",
    "Rows",
    "alignment_columns",
    "bars_from_frame",
    "bars_with_marks",
    "check_zones",
    "column_ms",
    "compute_atr",
    "compute_vwap",
    "grid_frame",
    "hold_columns",
    "levels_frame",
    "levels_to_frame",
    "marks_frame",
    "marks_params",
    "naming",
    "observed_bars",
    "outcome_column",
    "placebo_marks",
    "signal_columns",
    "warn_of_idle_switches",
    "zone_dicts",
    "zone_rows_to_frame",
    "zones_frame",
    "zones_to_frame",
]
