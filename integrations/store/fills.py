"""What a node of Hyperliquid writes, node_fills, node_fills_by_block and node_trades: trades and liquidations.

A line is a block of fills, a fill, or a trade. Of a trade there are two fills, one a side, of which the one that
``crossed`` is the taker's; each says whether somebody was liquidated by it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ..market.messages import first_line
from .vision import Untrusted

#: How far the fills of all markets may lie apart from one file to the next, ms: blocks come several a second.
NEAR_MS = 2000
KINDS = ("trades", "liquidations")
SUFFIXES = (".jsonl", ".lz4")
_FOLDERS = ("node_fills", "node_fills_by_block", "node_trades")
_LONGEST = 1 << 27  # bytes of a line
_SIDES = {"B": True, "A": False}
_TAKEN = ("Na", "LiquidatedMarket")  # trades of the book, by trade_dir_override
_DELEVERAGED = "Auto-Deleveraging"


class Fill(NamedTuple):
    """One side of a trade."""

    bought: bool
    price: float
    size: float
    crossed: bool
    user: str
    liquidated: tuple[str, float] | None  # who was, at which mark price
    transferred: bool  # past the book: to the vault that stands behind it, or by deleveraging
    received: int | None  # when the node had it, ms


class Held(NamedTuple):
    """What a file holds of a market."""

    trades: dict[str, Any]
    liquidations: dict[str, Any] | None  # None: nothing tells who was liquidated
    since: int  # of all markets' first trade, ms
    until: int
    problem: str
    remark: str


def is_fills(path: Path) -> bool:
    """Whether a file's name or folder says that a node wrote it."""
    return path.name.lower().endswith(SUFFIXES) or any(part in _FOLDERS for part in path.parts[:-1])


def read(path: Path, coin: str) -> Held:
    """The trades and liquidations of a perpetual. Cost: reading every line; the market's fills are in memory.

    A liquidation is placed at the mark price by which it was decided; those of one moment, price and side are one.
    Raises Untrusted for a line that is none, and for a market of which there is nothing.
    """
    try:
        import orjson
    except ImportError:
        raise ImportError('orjson is missing: pip install "liquidator-core[store]"') from None
    held = _Fills(coin)
    try:
        for number, line in enumerate(_lines(path)):
            try:
                held.add(orjson.loads(line))
            except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
                told = str(error) if isinstance(error, Untrusted) else f"found {line[:80]!r}, allowed fills"
                raise Untrusted(f"row {number}: {told}") from None
    except (pa.ArrowException, OSError) as error:
        raise Untrusted(f"cannot be read: {first_line(error)}") from None
    return held.finished()


def _lines(path: Path) -> Iterator[bytes]:
    compression = "lz4" if path.suffix.lower() == ".lz4" else None
    with io.BufferedReader(pa.input_stream(str(path), compression=compression), 1 << 20) as stream:
        while line := stream.readline(_LONGEST):
            if len(line) == _LONGEST:
                raise Untrusted(f"has a line of more than {_LONGEST:,} bytes")
            yield line


class _Fills:
    """The fills of one market, a line after the other."""

    def __init__(self, coin: str) -> None:
        self.coin = coin.upper()
        self.since, self.until = 2**62, 0
        self.coins: dict[str, None] = {}
        self.fills: dict[tuple[int, str], dict[bool, Fill]] = {}  # of a trade, by its time and id
        self.has_sides = True
        self.repeated = self.past = 0

    def add(self, line: Any) -> None:
        if isinstance(line, list):
            self._fill(line[0], line[1], None)
        elif "events" in line:
            local = line.get("local_time")
            received = _ms(local) if local else None
            for user, fill in line["events"]:
                self._fill(user, fill, received)
        else:
            self._trade(line)

    def _is_mine(self, one: Mapping[str, Any], time: int) -> bool:
        self.since, self.until = min(self.since, time), max(self.until, time + 1)
        self.coins[one["coin"]] = None
        return bool(one["coin"].upper() == self.coin)

    def _fill(self, user: str, one: Mapping[str, Any], received: int | None) -> None:
        time = int(one["time"])
        if not self._is_mine(one, time):
            return
        said = one.get("liquidation") or {}
        liquidated = (said["liquidatedUser"].lower(), _positive(said["markPx"])) if said else None
        transferred = said.get("method") == "backstop" or one["dir"] == _DELEVERAGED
        fill = Fill(
            _SIDES[one["side"]],
            _positive(one["px"]),
            _positive(one["sz"]),
            bool(one["crossed"]),
            user.lower(),
            liquidated,
            transferred,
            received,
        )
        self._keep(time, str(int(one["tid"])), fill)

    def _trade(self, one: Mapping[str, Any]) -> None:
        """A line of ``node_trades``, which has no id; the two orders meet once."""
        time = _ms(one["time"])
        buyer, seller = one["side_info"]
        if not self._is_mine(one, time):
            return
        self.has_sides = False
        if one["trade_dir_override"] not in _TAKEN:
            self.past += 1
            return
        fill = Fill(_SIDES[one["side"]], _positive(one["px"]), _positive(one["sz"]), True, "", None, False, None)
        self._keep(time, f"{int(buyer['oid'])}-{int(seller['oid'])}", fill)

    def _keep(self, time: int, ident: str, fill: Fill) -> None:
        sides = self.fills.setdefault((time, ident), {})
        for other in sides.values():
            if (other.price, other.size) != (fill.price, fill.size):
                raise Untrusted(f"the fills of trade {ident} differ in price or size")
        self.repeated += fill.bought in sides
        sides.setdefault(fill.bought, fill)

    def finished(self) -> Held:
        if not self.fills:
            some = ", ".join([*self.coins][:5]) or "nothing"
            raise Untrusted(f"has no trade of {self.coin}: found {some}{', ...' if len(self.coins) > 5 else ''}")
        trades: list[tuple[Any, ...]] = []
        forced: dict[tuple[int, float, str], tuple[float, float]] = {}
        alone = 0
        for (time, ident), sides in sorted(self.fills.items(), key=lambda item: item[0][0]):
            fills = list(sides.values())
            alone += self.has_sides and len(fills) == 1
            takers = [fill.bought if fill.crossed else not fill.bought for fill in fills]
            if any(fill.transferred for fill in fills) or len(set(takers)) > 1:
                self.past += 1
            else:
                side = "buy" if takers[0] else "sell"
                trades.append((time, fills[0].price, fills[0].size, side, ident, fills[0].received))
            for mark, side in _liquidated(fills):
                size, usd = forced.get((time, mark, side), (0.0, 0.0))
                forced[time, mark, side] = size + fills[0].size, usd + fills[0].size * fills[0].price
        problems = [f"{alone:,} trades have one of their two fills"] if alone else []
        problems += [f"{self.repeated:,} fills repeat"] if self.repeated else []
        remark = f"{self.past:,} backstops, deleveragings and nettings are no trades" if self.past else ""
        events = _columns(("time", "price", "side", "size", "usd"), [(*key, *sums) for key, sums in forced.items()])
        rows = _columns(("time", "price", "size", "side", "id", "received"), trades)
        if None in rows["received"]:
            del rows["received"]
        liquidations = events if self.has_sides else None
        return Held(rows, liquidations, self.since, self.until, "; ".join(problems), remark)


def _liquidated(fills: list[Fill]) -> set[tuple[float, str]]:
    """(mark price, side) of the positions that a trade closed by force. Both of its fills may say so."""
    found = {}
    for fill in fills:
        if fill.liquidated is not None:
            who, mark = fill.liquidated
            bought = fill.bought if fill.user == who else not fill.bought
            found[who, bought] = mark, "short" if bought else "long"
    return set(found.values())


def _columns(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    numbers = {"time": np.int64, "price": np.float64, "size": np.float64, "usd": np.float64}
    return {
        name: np.array(column, numbers[name]) if name in numbers else list(column) for name, column in columns.items()
    }


def _positive(text: Any) -> float:
    value = float(text)
    if not 0.0 < value < np.inf:
        raise Untrusted(f"found {text!r}, allowed a finite number above 0")
    return value


def _ms(text: str) -> int:
    """A moment in UTC, with or without a fraction, as a node writes it."""
    return int(np.datetime64(text.removesuffix("Z"), "ns").astype(np.int64)) // 1_000_000
