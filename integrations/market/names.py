"""Names of columns and fields: one table for candles, trades, liquidations, rates and markets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .messages import TableError

#: Column names that mean a candle's time (open of the bar); compared as ``normal_name`` writes them.
CANDLE_TIMES = ("time", "timestamp", "ts", "date", "datetime", "open_time")
#: Accepted column names of each BAR field but time; compared as ``normal_name`` writes them.
CANDLE_NAMES: dict[str, tuple[str, ...]] = {
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume",),
    "taker_buy": (
        "taker_buy",
        "taker_buy_base",
        "taker_buy_volume",
        "taker_buy_base_volume",
        "taker_buy_base_asset_volume",
        "taker_base_vol",
        *("takerbuyvolume", "takerbuybasevolume", "takerbuybaseassetvolume"),
    ),
    "open_interest": ("open_interest", "openinterest", "oi", "sum_open_interest", "sumopeninterest"),
    "funding_rate": ("funding_rate", "fundingrate", "funding", "last_funding_rate", "lastfundingrate"),
    "liq_long_usd": ("liq_long_usd", "long_usd", "longusd"),
    "liq_long_price": ("liq_long_price",),
    "liq_short_usd": ("liq_short_usd", "short_usd", "shortusd"),
    "liq_short_price": ("liq_short_price",),
    "large_sell_usd": ("large_sell_usd",),
    "large_sell_price": ("large_sell_price",),
    "large_buy_usd": ("large_buy_usd",),
    "large_buy_price": ("large_buy_price",),
}
#: Of these, where they are, a candle's time is read before all others: the others are of its arrival.
OPEN_TIMES = ("start", "interval_begin", "timeopen")
#: Times that are read where there are none of ``CANDLE_TIMES``: the first named here that is there.
OTHER_TIMES = (
    *("opentime", "window_start", "start_time", "starttime", "startedat", "unix", "unix_timestamp", "begin", "ticks"),
    *("id", "unnamed:_0"),  # as pandas calls an index that was written without a name
)
#: Names of a volume in base units, in the quote currency, of ticks, and of one whose unit a venue may choose.
BASE_VOLUMES = ("base_volume", "basevolume", "volumefrom", "volume_from", "base_vol", "basetokenvolume")
QUOTE_VOLUMES = (
    *("quote_volume", "quotevolume", "quote_vol", "quote_asset_volume", "quoteassetvolume", "volccyquote"),
    *("turnover", "volumeto", "volume_to", "volume_(currency)", "quote_av", "usdvolume"),
)
TICK_VOLUMES = ("tickvol", "tick_volume")
VOLUMES = ("vol", "amount", "volccy", "vol_ccy", "real_volume")
#: Currencies that a market may be quoted in, as a volume's name has them.
QUOTE_COINS = ("usd", "usdt", "usdc", "busd", "fdusd", "tusd", "dai", "eur", "gbp", "jpy", "krw", "try", "brl", "aud")
#: The single letters of venues' klines, told from other letters by those of the four prices beside them. Where there is
#: an ``a``, one of it and ``v`` is the base volume, and ``w`` (Gate's) is false for a candle that is open.
CANDLE_LETTERS: tuple[dict[str, str], ...] = (
    {"t": "time", "o": "open", "h": "high", "l": "low", "c": "close", "v": "volume", "q": "quote_volume", "x": "closed"}
    | {"V": "taker_buy", "sum": "quote_volume"},  # sum: Gate's futures, whose v counts contracts
    {"t": "time", "o": "open", "h": "high", "l": "low", "c": "close", "v": "vol", "a": "amount", "w": "closed"},
    {"T": "time", "O": "open", "H": "high", "L": "low", "C": "close", "V": "volume"},
)
#: The columns of a kline as Binance sends and publishes it, and of a candle as ccxt returns it.
KLINE_COLUMNS = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
CCXT_COLUMNS = ("time", "open", "high", "low", "close", "volume")
#: The columns of a candle as OKX returns and sends it.
OKX_COLUMNS = (*CCXT_COLUMNS[:5], "vol", "volccy", "volccyquote", "confirm")
MAKER_NAMES = ("is_buyer_maker", "isbuyermaker", "m")
#: Names that say whose side it is: the taker's, whatever the venue's other names mean.
TAKER_NAMES = ("takerside", "taker_side", "aggressor_side", "aggressor")
SIDES = {"b": 1, "buy": 1, "bid": 1, "1": 1, "+1": 1, "1.0": 1, "a": -1, "s": -1, "sell": -1, "ask": -1}
SIDES |= {"-1": -1, "-1.0": -1}
MAKER_SIDES = {"true": -1, "1": -1, "1.0": -1, "false": 1, "0": 1, "0.0": 1}


def normal_name(name: object) -> str:
    """A column name as the tables of names write it: lower case, underscores; single letters keep their case."""
    text = str(name).strip().removeprefix("<").removesuffix(">")  # MetaTrader's
    return text if len(text) == 1 else text.lower().replace(" ", "_").replace("-", "_")


_TIMES = (
    *("timestampms", "timestamp_ms", "create_time_ms", "trade_time_ms", "time_ms", "time", "timestamp", "ts"),
    *("transact_time", "T", "createdat", "created_at", "createtime", "create_time", "created_time", "t", "datetime"),
    "date",
)
_IDS = (
    *("id", "tid", "trade_id", "tradeid", "agg_trade_id", "aggtradeid", "execid", "exec_id", "trdmatchid"),
    *("match_id", "sequence", "sequential_id"),
)
_VENUES = ("venue", "exchange", "exch", "exchange_id", "exchange_name")
_MARKETS = (
    *("symbol", "market", "pair", "instid", "inst_id", "instrument_name", "instrument", "product_id", "contract"),
    *("contract_code", "currency_pair"),
)
#: The names under which a row says its market, or its coin alone.
MARKET_NAMES = (*_MARKETS, "coin")
#: The names under which a size goes before every other: it is in base units, whatever the venue counts.
BASE_SIZE = "base_size"
BASE_SIZES = (
    *(BASE_SIZE, "base_qty", "baseqty", "base_quantity", "base_amount", "baseamount", "basevalue", "base_value"),
    *("homenotional", "home_notional"),
)
#: Accepted names of each field of a trade. Of several times, sides or ids the first named here is read.
TRADE_NAMES: dict[str, tuple[str, ...]] = {
    "time": _TIMES,
    "price": ("price", "px", "p", "rate", "trade_price"),
    "size": ("size", "sz", "amount", "qty", "quantity", "q", "v", "volume", "trade_volume"),
    "side": ("side", *MAKER_NAMES, "direction", *TAKER_NAMES, "S", "s", "ask_bid", "type"),
    "id": _IDS,
    "venue": _VENUES,
    "coin": ("coin",),
    "market": _MARKETS,
}
#: Accepted names of each field of an observed liquidation.
LIQUIDATION_NAMES: dict[str, tuple[str, ...]] = {
    "time": (*_TIMES, "updatedtime"),
    "price": ("price", "px", "p", "ap", "bkpx", "bankruptcy_price"),
    "side": ("side", "posside", "pos_side", "S", "direction", "dir"),
    "usd": ("value_usd", "usd_value", "usd", "usdvalue", "value", "notional", "quotevalue", "quote_value"),
    "size": ("size", "sz", "quantity", "qty", "q", "v", "amount", "contracts"),
    "id": _IDS,
    "venue": _VENUES,
    "coin": ("coin",),
    "market": (*_MARKETS, "s"),
}
#: Accepted names of the sums of liquidated USD a bar; its time goes by ``CANDLE_TIMES``.
LIQUIDATION_SUMS = {field: CANDLE_NAMES[field] for field in ("liq_long_usd", "liq_short_usd")}
#: Accepted names of each field of a reading of funding and open interest; the first named here is read.
RATE_NAMES: dict[str, tuple[str, ...]] = {
    "time": (*_TIMES, "fundingtime", "funding_time", "calc_time"),
    "funding_rate": (*CANDLE_NAMES["funding_rate"], "rate"),
    "interval_hours": (
        *("interval_hours", "intervalhours", "funding_interval_hours", "fundingintervalhours"),
        *("funding_interval_hour", "fundingintervalhour", "interval", "funding_interval", "fundinginterval"),
    ),
    "open_interest": (
        *("oiccy", "oi_ccy", "singleopeninterest", "single_open_interest", "open_interest_base"),
        *("open_interest", "openinterest", "openinterestamount", "sumopeninterest", "sum_open_interest", "oi"),
    ),
    "venue": _VENUES,
    "coin": ("coin",),
    "market": _MARKETS,
}


def needed_name(
    found: Mapping[str, str], names: Sequence[str], wanted: Mapping[str, Sequence[str]], target: str
) -> str:
    if target not in found:
        raise TableError(
            f"missing column for {target}: found {', '.join(map(repr, names)) or 'none'}; "
            f"accepted names (any case): {', '.join(wanted[target])}"
        )
    return found[target]
