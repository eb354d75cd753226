"""The embedded sample as pictures, light and dark, and as a page to look into.

Needs pip install "liquidator-core[backtrader,charts]".
"""

from pathlib import Path

from liquidator_integrations import liquidation_at_risk, sample_bars
from liquidator_integrations.charts import make_scene
from liquidator_integrations.charts.files import write_scene
from liquidator_integrations.charts.picture import picture_bytes
from liquidator_strategies.for_backtrader import run_fade

candles = sample_bars()
risk = liquidation_at_risk(candles, market="spot")
scene = make_scene(candles, result=run_fade(candles), name="BTCUSDT 1h, Binance spot", risk=risk)
for theme in ("light", "dark"):
    Path(f"liquidator-{theme}.png").write_bytes(picture_bytes(scene, theme=theme))
print(write_scene(scene, "liquidator-page.html").name)
print(scene.zones[["side", "touches", "quality", "reason"]].tail(5).round(1))
