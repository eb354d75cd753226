"""State belongs to the caller: made here, advanced by ``step``, saved and loaded to the byte."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from .layout import PARAMS, SCHEMA, SHORT, SIGNAL, SIZES, state_dtype
from .params import Params


def new_state(params: Params | np.ndarray) -> np.ndarray:
    """The (1,) state of one symbol before its first bar, for these Params (or their record).

    Its size depends on the longest window only, rounded up to one of a few, and never on the history: about 290 kB
    with default Params. For several symbols keep several, or one array and slices ``states[i : i + 1]``.
    """
    record = params.to_record() if isinstance(params, Params) else params
    if not isinstance(record, np.ndarray) or record.dtype != PARAMS or record.shape != (1,):
        raise TypeError(f"params must be Params or Params(...).to_record(), got {type(params).__name__}")
    longest = max(int(record[name][0]) for name in ("zone_bars", "flow_bars", "atr_bars"))
    longest = max(longest, int(record["ledger_bars"][0]) + 1)
    state = np.zeros(1, state_dtype(next(size for size in SIZES if size >= longest)))
    state["schema"] = SCHEMA
    state["digest"] = record["digest"]
    for ring in ("ledger_at", "flow_at", "range_at", "mark_at"):
        state[ring] = -1
    state["close"] = np.nan
    state["open_interest"] = np.nan
    state["true_range"] = np.nan
    state["next_price"][0, SHORT] = np.inf
    state["first_reached"][0, SHORT] = np.inf
    state["lowest_entry"] = np.inf
    state["lots_a_unit"] = 1.0
    return state


def new_signals(length: int) -> np.ndarray:
    """A (length,) SIGNAL array to write into."""
    return np.zeros(length, SIGNAL)


def copy_state(state: np.ndarray) -> np.ndarray:
    """A state that goes its own way from here."""
    return state.copy()


def save_state(state: np.ndarray, path: str | os.PathLike[str]) -> None:
    """Write a state as a ``.npy`` file that describes itself; a file of that name is replaced whole or not at all."""
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, np.asarray(state), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_state(path: str | os.PathLike[str], params: Params | np.ndarray | None = None) -> np.ndarray:
    """Read what ``save_state`` wrote; with ``params``, check that the state was made for them.

    Raises ValueError for a file cut short, of another schema, or made for other Params.
    """
    try:
        with open(path, "rb") as file:
            state = np.load(file, allow_pickle=False)
            surplus = file.read(1)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: not a state file, or cut short: {error}") from None
    if not isinstance(state, np.ndarray) or state.dtype.names is None or "schema" not in state.dtype.names or surplus:
        raise ValueError(f"{path}: not a state file: expected what save_state writes")
    if state.shape != (1,) or int(state["schema"][0]) != SCHEMA:
        raise ValueError(
            f"{path}: the state has schema {np.unique(state['schema']).tolist()}, this version reads schema {SCHEMA}: "
            "fold the last `memory` bars into a new state instead"
        )
    dtype = next((known for known in map(state_dtype, SIZES) if known == state.dtype), None)
    if dtype is None:
        raise ValueError(f"{path}: the state's layout is not this version's, although its schema is {SCHEMA}")
    if params is not None:
        record = params.to_record() if isinstance(params, Params) else params
        if state["digest"][0] != record["digest"][0]:
            raise ValueError(f"{path}: the state was made for other Params")
    return state.view(dtype)
