"""Zones traded without a line of strategy: a signal, a sizer, and bands on the chart.

Needs pip install "liquidator-core[backtrader,charts]".
"""

import backtrader as bt
from matplotlib import pyplot

from liquidator_integrations import sample_bars
from liquidator_integrations.for_backtrader import CandleFeed, LiquidationSignal, QualitySizer, ZoneMap

pyplot.switch_backend("Agg")  # no screen is needed

cerebro = bt.Cerebro()
cerebro.adddata(CandleFeed(dataname=sample_bars()[-1500:]))
cerebro.add_signal(bt.SIGNAL_LONGSHORT, LiquidationSignal)
cerebro.addsizer(QualitySizer, share=0.5)
cerebro.addobserver(ZoneMap)
cerebro.run()
figure = cerebro.plot(iplot=False, volume=False, start=1000)[0][0]
figure.set_size_inches(14, 9)
figure.savefig("liquidator-signal.png")
print(f"{cerebro.broker.getvalue():.2f}")
