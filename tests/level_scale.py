"""Prints how far levels keep to the scale law on the embedded sample: ``python tests/level_scale.py``."""

from __future__ import annotations

import numpy as np
from liquidator_integrations.report import sample_bars

from liquidator_core import Params, fold, new_signals, new_state

BIN = np.log(2.0) / 1386


def levels(factor: float) -> dict[str, np.ndarray]:
    """``level_below`` and ``level_above`` of the sample with prices times a factor, divided by it again."""
    bars = sample_bars()
    for name in ("open", "high", "low", "close"):
        bars[name] *= factor
    params = Params()
    record = params.to_record()
    out = new_signals(len(bars))
    fold(new_state(record), record, bars, out)
    return {name: out[name][params.memory - 1 :] / factor for name in ("level_below", "level_above")}


def main() -> None:
    print("prices times   level         within a bin   another cell   appears or disappears")
    true = levels(1.0)
    for factor in (2.0**20, 3.0, 7.123, 1e-7):
        for name, moved in levels(factor).items():
            known = ~np.isnan(true[name])
            one_only = known != ~np.isnan(moved)
            both = known & ~one_only
            near = np.abs(np.log(moved[both] / true[name][both])) <= BIN
            shares = near.sum() / len(known), (~near).sum() / len(known), one_only.mean()
            print(f"{factor:<12.6g}   {name:11}   {shares[0]:12.1%}   {shares[1]:12.1%}   {shares[2]:21.1%}")


if __name__ == "__main__":
    main()
