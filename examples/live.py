"""One closed bar at a time, with the state saved after each: what a live bot does."""

import tempfile
from pathlib import Path

from liquidator_core import Params, load_state, new_signals, new_state, save_state, step, warm_up
from liquidator_integrations import sample_bars

warm_up()  # load the compiled kernels before the first bar arrives
params = Params().to_record()
state = new_state(params)
signal = new_signals(1)
bars = sample_bars()

with tempfile.TemporaryDirectory() as folder:
    saved = Path(folder) / "btcusdt.npy"
    for i in range(len(bars)):
        step(state, params, bars[i : i + 1], signal)
        if i % 1000 == 0:  # a restart loses nothing
            save_state(state, saved)
            state = load_state(saved, Params())

print(f"support {signal['support'][0]:.2f}, resistance {signal['resistance'][0]:.2f}")
