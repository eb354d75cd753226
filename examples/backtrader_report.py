"""The ready strategies on the last months of the embedded sample, each beside itself on placebo marks.

Needs pip install "liquidator-core[backtrader]".
"""

import backtrader as bt

from liquidator_integrations import sample_bars
from liquidator_integrations.for_backtrader import CandleFeed, ZoneReport
from liquidator_strategies.for_backtrader import ZoneExit, ZoneFade, ZoneJoin, ZoneScale

for strategy in (ZoneFade, ZoneJoin, ZoneScale, ZoneExit):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=sample_bars()[-3000:]))
    cerebro.broker.setcommission(commission=0.0004, leverage=10.0)
    cerebro.addstrategy(strategy)
    cerebro.addanalyzer(ZoneReport, placebo_runs=2)
    print(strategy.__name__)
    print(cerebro.run()[0].analyzers.zonereport.summary(), end="\n\n")
