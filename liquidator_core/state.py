"""State belongs to the caller: made here, advanced by ``step``, saved and loaded to the byte."""

from __future__ import annotations

import hashlib
import io
import os

import numpy as np

from ._atomic import replacing
from .layout import PARAMS, SCHEMA, SHORT, SIGNAL, SIZES, state_dtype
from .params import Params


def new_state(params: Params | np.ndarray) -> np.ndarray:
    """The (1,) state of one symbol before its first bar, for these Params (or their record).

    Its size depends on the longest window only, rounded up to one of a few, and never on the history: about 220 kB
    with default Params. For several symbols keep several, or one array and slices ``states[i : i + 1]``.

    >>> state = new_state(Params())
    >>> state.shape, int(state["rows"][0])
    ((1,), 0)
    """
    record = record_of(params)
    longest = max(int(record[name][0]) for name in ("zone_bars", "flow_bars", "atr_bars"))
    longest = max(longest, int(record["ledger_bars"][0]) + 1)
    state = np.zeros(1, state_dtype(next(size for size in SIZES if size >= longest)))
    state["schema"] = SCHEMA
    state["digest"] = record["digest"]
    state["ledger_at"] = record["ledger_bars"]  # the last place of each ring: the first row takes place 0
    state["flow_at"] = record["flow_bars"] - 1
    state["range_at"] = record["atr_bars"] - 1
    state["mark_at"] = record["zone_bars"] - 1
    state["close"] = np.nan
    state["open_interest"] = np.nan
    state["true_range"] = np.nan
    state["day"] = -1
    state["ranges_missing"] = record["atr_bars"]
    state["next_price"][0, SHORT] = np.inf
    state["bound"][0, SHORT] = np.inf
    state["lowest_entry"] = np.inf
    state["lots_a_unit"] = 1.0
    return state


def new_signals(length: int) -> np.ndarray:
    """A (length,) SIGNAL array to write into.

    >>> new_signals(2)["fade"].tolist()
    [0, 0]
    """
    return np.zeros(length, SIGNAL)


def copy_state(state: np.ndarray) -> np.ndarray:
    """A state that goes its own way from here."""
    of_bytes = state.view(np.uint8).copy()  # field by field, as NumPy copies a structure, it takes far longer
    copy: np.ndarray = of_bytes.view(state.dtype)
    return copy


def save_state(state: np.ndarray, path: str | os.PathLike[str]) -> None:
    """A state to a ``.npy`` file that describes itself, with the SHA-256 of all of it behind.

    A file of that name is replaced whole or not at all.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state(new_state(Params()), f"{folder}/btc.npy")
    ...     load_state(f"{folder}/btc.npy", Params()).shape
    (1,)
    """
    if _known_dtype(state) is None or state.shape != (1,):
        found = f"an array of shape {state.shape}" if isinstance(state, np.ndarray) else type(state).__name__
        raise TypeError(f"state must be one from new_state(params) or load_state(path), got {found}")
    stream = io.BytesIO()
    np.save(stream, np.asarray(state), allow_pickle=False)
    with replacing(path) as file:
        file.write(stream.getvalue())
        file.write(hashlib.sha256(stream.getvalue()).digest())


def load_state(path: str | os.PathLike[str], params: Params | np.ndarray | None = None) -> np.ndarray:
    """The (1,) state in a file that ``save_state`` wrote; with ``params``, checked to be made for them.

    Raises ValueError, and nothing else, for a file that was cut short or changed, of another schema, made for other
    Params, or whose places and counters are none that the engine could go on from. Nothing in a file is run. Cost: that
    of the file's length.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state(new_state(Params()), f"{folder}/btc.npy")
    ...     load_state(f"{folder}/btc.npy", Params(zone_bars=96))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: ...btc.npy: the state was made for other Params
    """
    from .state_check import faults  # not above: it loads what is compiled

    with open(path, "rb") as file:
        content = file.read()
    if not content.startswith(np.lib.format.MAGIC_PREFIX):
        raise ValueError(f"{path}: not a state file: expected what save_state writes")
    dtype, shape, start = _read_header(path, content)
    if dtype.names is None or "schema" not in dtype.names or shape != (1,):
        raise ValueError(f"{path}: not a state file: found an array of {str(dtype)[:60]} and shape {shape}")
    end = start + dtype.itemsize
    if len(content) < end or dtype.hasobject:
        raise ValueError(f"{path}: the state file is cut short or damaged")
    state = np.frombuffer(bytearray(content[start:end]), dtype)
    if int(state["schema"][0]) != SCHEMA:
        raise ValueError(
            f"{path}: the state has schema {int(state['schema'][0])}, this version reads schema {SCHEMA}: "
            "fold the last `memory` bars into a new state instead"
        )
    digest = hashlib.sha256(content[:end]).digest()
    if len(content) > end + len(digest):
        raise ValueError(f"{path}: the state file goes on behind its end")
    if content[end:] != digest:
        raise ValueError(f"{path}: the state file is cut short or damaged: its SHA-256 is another")
    known = _known_dtype(state)
    if known is None:
        raise ValueError(f"{path}: the state's layout is not this version's, although its schema is {SCHEMA}")
    loaded: np.ndarray = state.view(known)
    for fault in faults(loaded):
        raise ValueError(f"{path}: the state is none that the engine could go on from: {fault}")
    if params is not None and loaded["digest"][0] != record_of(params)["digest"][0]:
        raise ValueError(f"{path}: the state was made for other Params")
    return loaded


def _read_header(path: str | os.PathLike[str], content: bytes) -> tuple[np.dtype, tuple[int, ...], int]:
    """(dtype, shape, where the data begins) of a ``.npy`` file."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except Exception as error:  # whatever a reader of damaged text may raise
        raise ValueError(f"{path}: the state file is cut short or damaged: {error!s:.200}") from None
    return dtype, shape, stream.tell()


def attach_state(state: np.ndarray, params: Params | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(state, record) in the forms that kernels know, checked to belong together."""
    dtype = _known_dtype(state)
    if dtype is None or state.shape != (1,):
        raise TypeError(f"state must be one from new_state(params) or load_state(path), got {type(state).__name__}")
    record = record_of(params)
    if state["digest"][0] != record["digest"][0]:
        raise ValueError("state was made for other Params: pass those that it was made with")
    return state.view(dtype), record


def record_of(params: Params | np.ndarray) -> np.ndarray:
    """The (1,) PARAMS record of Params, or of what already is one."""
    record: np.ndarray = params.to_record() if isinstance(params, Params) else params
    if not isinstance(record, np.ndarray) or record.dtype != PARAMS or record.shape != (1,):
        raise TypeError(f"params must be Params or Params(...).to_record(), got {type(params).__name__}")
    return record


def _known_dtype(state: np.ndarray) -> np.dtype | None:
    if not isinstance(state, np.ndarray):
        return None
    return next((known for known in map(state_dtype, SIZES) if known == state.dtype), None)
