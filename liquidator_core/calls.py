"""The calls of the engine: ``step``, ``fold``, ``warm_up`` and the true ranges of many bars."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._jit import JIT, is_writable, kernel, kernel_views
from .advance import advance, skip, take_places
from .bars import average_true_range, is_good, remember_range, true_range
from .layout import BAR, PARAMS, SIGNAL, SIZES, state_dtype
from .params import Params
from .state import new_signals, new_state

STATES = tuple(state_dtype(size) for size in SIZES)


@kernel
def fits(state: np.ndarray, params: np.ndarray, bars: np.ndarray, out: np.ndarray) -> bool:
    """Whether the arrays belong together and may be written to; ``_explain`` says what is wrong if not."""
    return (
        is_writable(state)
        and is_writable(out)
        and len(state) == 1
        and len(params) == 1
        and len(bars) == len(out)
        and state[0].digest == params[0].digest
    )


@kernel
def _step(state: np.ndarray, params: np.ndarray, bar: np.ndarray, out: np.ndarray) -> bool:
    if not fits(state, params, bar, out) or len(bar) != 1:
        return False
    advance(state[0], params[0], bar[0], out[0])
    return True


_compiled = False  # whether ``_step`` was, and is so for nothing but what ``_attach`` lets pass


def _compile_and_step(state: np.ndarray, params: np.ndarray, bar: np.ndarray, out: np.ndarray) -> bool:
    global _compiled
    dispatcher: Any = _step
    if _compiled:
        dispatcher.disable_compile(False)
    done = bool(_step(state, params, bar, out))
    if JIT:
        dispatcher.disable_compile()
        _compiled = True
    return done


@kernel
def _fold(state: np.ndarray, params: np.ndarray, bars: np.ndarray, out: np.ndarray) -> bool:
    if not fits(state, params, bars, out):
        return False
    s = state[0]
    p = params[0]
    for i in range(len(bars)):
        advance(s, p, bars[i], out[i])
    return True


def step(state: np.ndarray, params: np.ndarray, bar: np.ndarray, out: np.ndarray) -> None:
    """One closed bar into the state of its symbol, and the bar's SIGNAL out.

    state   (1,) from new_state    advanced in place
    params  (1,) PARAMS            read only; ``Params(...).to_record()``
    bar     (1,) BAR               read only; unusable prices make a skipped row
    out     (1,) SIGNAL            overwritten; NaN and 0 until ``memory`` rows were delivered

    Raises TypeError and ValueError for arrays of another kind, before anything is changed.
    Cost: O(blocks of cohorts + positions closed + live marks + bins up to the first level), O(flow_bars) when something
    was swept; no allocation in the kernel.

    >>> params = Params().to_record()
    >>> state, out = new_state(params), new_signals(1)
    >>> for row in range(600):
    ...     step(state, params, bars[row : row + 1], out)
    >>> round(float(out["support"][0]), 1), int(state["rows"][0])
    (8625.7, 600)
    """
    if _compiled:
        try:
            if _step(state, params, bar, out):
                return
        except Exception:  # arrays that it is not compiled for yet, or that it cannot take
            pass
    state, params, bar, out = _attach(state, params, bar, out)
    if not _compile_and_step(state, params, bar, out):
        _explain(state, params, bar, out, 1)


def fold(state: np.ndarray, params: np.ndarray, bars: np.ndarray, out: np.ndarray) -> None:
    """Many closed bars into the state of their symbol, and their SIGNALs out: exactly what ``step`` gives, bar by bar.

    state   (1,) from new_state    advanced in place
    params  (1,) PARAMS            read only
    bars    (n,) BAR               read only
    out     (n,) SIGNAL            overwritten

    Raises as ``step`` does. Cost: n times that of ``step``, without its call.

    >>> params = Params().to_record()
    >>> state, out = new_state(params), new_signals(len(bars))
    >>> fold(state, params, bars, out)
    >>> round(float(out["support"][-1]), 1)
    7268.2
    """
    state, params, bars, out = _attach(state, params, bars, out)
    if not _fold(state, params, bars, out):
        _explain(state, params, bars, out, len(bars))


@kernel
def _true_ranges(state: np.ndarray, params: np.ndarray, bars: np.ndarray, atr: np.ndarray, good: np.ndarray) -> None:
    s = state[0]
    p = params[0]
    for i in range(len(bars)):
        take_places(s, p)
        good[i] = is_good(bars[i])
        if good[i]:
            remember_range(s, p, true_range(s, bars[i]))
            s.close = bars[i].close
            s.close_age = 0
        else:
            skip(s, p)
        atr[i] = average_true_range(s, p, i)


def average_true_ranges(bars: np.ndarray, params: Params) -> tuple[np.ndarray, np.ndarray]:
    """(average true range, whether the row is good) of every row of (n,) BAR, as the engine has them; nan = unknown."""
    record = params.to_record()
    atr = np.zeros(len(bars))
    good = np.zeros(len(bars), np.bool_)
    state, record, bars = kernel_views(new_state(record), record, bars)
    _true_ranges(state, record, bars, atr, good)
    return atr, good


def warm_up() -> None:
    """The kernels compiled, or loaded from the cache, so that a live bot does not wait at its first bar.

    >>> warm_up()
    """
    params = Params().to_record()
    step(new_state(params), params, np.zeros(1, BAR), new_signals(1))
    fold(new_state(params), params, np.zeros(1, BAR), new_signals(1))


def _attach(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same memory under the very dtypes that kernels were compiled for."""
    expected = ("state", None), ("params", PARAMS), ("bars", BAR), ("out", SIGNAL)
    attached = []
    for (name, dtype), array in zip(expected, arrays, strict=True):
        if not isinstance(array, np.ndarray):
            hint = ": pass Params(...).to_record()" if name == "params" else ""
            raise TypeError(f"{name} must be a NumPy array, got {type(array).__name__}{hint}")
        known = STATES if dtype is None else (dtype,)
        same = next((one for one in known if array.dtype is one), None)  # comparing them takes microseconds
        same = next((one for one in known if array.dtype == one), None) if same is None else same
        if same is None or array.ndim != 1 or not array.flags.c_contiguous:
            maker = {"state": "new_state(params)", "params": "Params(...).to_record()"}
            maker |= {"bars": "np.zeros(n, BAR) or bars_from_frame(frame)", "out": "new_signals(n)"}
            raise TypeError(
                f"{name} must be made by {maker[name]}, got an array of {array.dtype} and shape {array.shape}"
            )
        attached.append(array.view(same))
    return kernel_views(*attached)


def _explain(state: np.ndarray, params: np.ndarray, bars: np.ndarray, out: np.ndarray, expected: int) -> None:
    for name, array, length in (
        ("state", state, 1),
        ("params", params, 1),
        ("bars", bars, expected),
        ("out", out, expected),
    ):
        if len(array) != length:
            raise ValueError(f"{name} must have length {length}, got {len(array)}")
    for name, array in (("state", state), ("out", out)):
        if not array.flags.writeable:
            raise ValueError(f"{name} is read-only, and step and fold write to it")
    raise ValueError("state was made for other Params: make it with new_state(params) for these")
