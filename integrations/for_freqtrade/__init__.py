"""freqtrade: columns, feeds, plots, stops, hyperopt parameters, FreqAI features and a base strategy."""

from .base import ZoneStrategy
from .columns import (
    Edge,
    Frame,
    Metadata,
    add_alignment,
    add_informative_zones,
    add_zones,
    market_of,
    startup_candle_count,
)
from .feeds import (
    add_funding_rate,
    add_liquidations,
    add_mark_price,
    add_open_interest,
    add_order_flow,
    read_feed,
    read_forced_orders,
)
from .freqai import add_features, add_targets, add_touch_features
from .hold import add_hold, expected_to_hold
from .hyperopt import parameter, params_of
from .plots import plot_annotations, plot_config
from .risk import add_risk
from .stops import entry_price, zone_stoploss

__all__ = [
    "Edge",
    "Frame",
    "Metadata",
    "ZoneStrategy",
    "add_alignment",
    "add_features",
    "add_funding_rate",
    "add_hold",
    "add_informative_zones",
    "add_liquidations",
    "add_mark_price",
    "add_open_interest",
    "add_order_flow",
    "add_risk",
    "add_targets",
    "add_touch_features",
    "add_zones",
    "entry_price",
    "expected_to_hold",
    "market_of",
    "parameter",
    "params_of",
    "plot_annotations",
    "plot_config",
    "read_feed",
    "read_forced_orders",
    "startup_candle_count",
    "zone_stoploss",
]
