"""A naive twin of the engine, written from docs/formula.md alone: lists, dataclasses and everything computed anew.

It shares no kernel with ``liquidator_core``: only the names LONG and SHORT, and the values of ``Params``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

from liquidator_core.layout import LONG, SHORT

NAN = math.nan
SIDES = (LONG, SHORT)
ZONE_FIELDS = ("", "_low", "_high", "_usd", "_quality", "_touches", "_age")
FLOATS = (
    *(name + field for name in ("support", "resistance") for field in ZONE_FIELDS),
    *("level_below", "level_below_usd", "level_above", "level_above_usd", "long_flow_usd", "short_flow_usd"),
    *("atr", "fade_low", "fade_high", "join_low", "join_high"),
)
COUNTS = ("touch", "broke", "fade", "join", "exit_long", "exit_short")


@dataclass
class Position:
    side: int
    leverage: float
    weight: float
    price: float  # where it is liquidated


@dataclass
class Cohort:
    row: int
    entry: float
    mass: float
    positions: list[Position]


@dataclass
class Mark:
    row: int
    birth: int
    side: int
    price: float
    half_width: float
    usd: float
    atr: float
    armed: int = 0  # +1 from above, -1 from below
    trial: int = 0  # +1 from above, -1 from below
    trial_age: int = 0
    trial_atr: float = 0.0
    broken: int = 0  # +1 upwards, -1 downwards
    broken_row: int = -1
    over: bool = False  # broken, and touched since
    touches: int = 0
    holds: int = 0
    ambiguous: int = 0
    unresolved: int = 0

    @property
    def low(self) -> float:
        return self.price - self.half_width

    @property
    def high(self) -> float:
        return self.price + self.half_width


@dataclass
class Zone:
    members: list[Mark]
    low: float
    high: float
    price: float
    usd: float
    lead: Mark
    quality: float
    age: int

    @property
    def zone_id(self) -> int:
        return 2 * self.lead.birth + self.lead.side


@dataclass
class Level:
    side: int
    price: float
    usd: float
    share: float


@dataclass
class Row:
    """What is remembered of a row."""

    day: int = -1
    observed: list[float] = field(default_factory=lambda: [NAN, NAN])  # USD a feed reported, a side
    estimated: list[float] = field(default_factory=lambda: [0.0, 0.0])
    true_range: float = NAN
    turnover: float = 0.0
    flow: tuple[float, float] = (0.0, 0.0)
    open_interest: float = NAN


@dataclass
class State:
    rows: list[Row] = field(default_factory=list)
    cohorts: list[Cohort] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    last_close: float = NAN
    last_good: int = -1
    zones: list[Zone] = field(default_factory=list)


# --- small things -----------------------------------------------------------------------------------------------------


def is_good(bar) -> bool:
    low, high = bar["low"], bar["high"]
    return 0 < low <= bar["open"] <= high < math.inf and low <= bar["close"] <= high


def usable_volume(volume: float) -> float:
    return volume if 0 <= volume < math.inf else 0.0


def usable_open_interest(open_interest: float) -> float:
    return open_interest if 0 < open_interest < math.inf else NAN


def mean(values) -> float:
    return sum(values) / len(values)


def true_range(high: float, low: float, previous_close: float) -> float:
    if math.isnan(previous_close):
        return high - low
    return max(high, previous_close) - min(low, previous_close)


def average_true_range(true_ranges: list[float], atr_bars: int) -> float:
    """Of all the true ranges so far, NaN on skipped rows."""
    known = [value for value in true_ranges[-atr_bars:] if not math.isnan(value)]
    return mean(known) if len(true_ranges) >= atr_bars and known else NAN


# --- ledger -----------------------------------------------------------------------------------------------------------


def liquidation_price(entry: float, side: int, leverage: float, params) -> float:
    m, c = params.margin_rate, params.margin_amount
    if params.margin == "linear" and side == LONG:
        return entry * (1 - 1 / leverage - c) / (1 - m)
    if params.margin == "linear":
        return entry * (1 + 1 / leverage + c) / (1 + m)
    if side == LONG:
        return entry * (1 + m) / (1 + 1 / leverage + c)
    return entry * (1 - m) / (1 - 1 / leverage - c)


def open_cohort(row: int, entry: float, mass: float, params) -> Cohort:
    positions = [
        Position(side, leverage, weight, liquidation_price(entry, side, leverage, params))
        for side in SIDES
        for leverage, weight in zip(params.leverages, params.leverage_weights, strict=True)
    ]
    return Cohort(row, entry, mass, positions)


def is_swept(position: Position, low: float, high: float) -> bool:
    return position.price >= low if position.side == LONG else position.price <= high


def sweep(cohorts: list[Cohort], low: float, high: float) -> list[tuple[float, float]]:
    """Close what the bar reaches; (usd, usd-weighted price) of each side, the price NaN if nothing was swept."""
    swept = []
    for side in SIDES:
        usd = usd_price = 0.0
        for cohort in cohorts:
            for position in cohort.positions:
                if position.side == side and is_swept(position, low, high):
                    closed = cohort.mass * position.weight * position.price
                    usd += closed
                    usd_price += closed * position.price
        swept.append((usd, usd_price / usd if usd > 0 else NAN))
    for cohort in cohorts:
        cohort.positions = [position for position in cohort.positions if not is_swept(position, low, high)]
    return swept


def survival(volume: float, open_interest: float, before: float) -> tuple[float, float]:
    """(what older cohorts' masses are multiplied by, the mass that a side opens)."""
    change = open_interest - before
    if not abs(change) <= volume:  # also where either is unknown
        return 1.0, volume
    return max(0.0, 1 - (volume - change) / (2 * before)), (volume + change) / 2


def leave_behind(cohorts: list[Cohort], close: float) -> None:
    for cohort in cohorts:
        if cohort.entry * 3.3 <= close:
            cohort.positions = [position for position in cohort.positions if position.side != LONG]
        if cohort.entry >= close * 3.3:
            cohort.positions = [position for position in cohort.positions if position.side != SHORT]


# --- flow -------------------------------------------------------------------------------------------------------------


def legs(bar, side: int) -> list[tuple[float, float]]:
    """The (first, last) price of each leg of the bar's path that hurts a side."""
    turns = ("open", "low", "high", "close") if bar["close"] >= bar["open"] else ("open", "high", "low", "close")
    path = [bar[name] for name in turns]
    sign = 1 if side == LONG else -1
    return [(a, b) for a, b in pairwise(path) if sign * (a - b) > 0]


def swept_within(bar, side: int, opened: float, params) -> list[tuple[float, float]]:
    """(usd, price) of each leg and leverage that was opened and swept on the bar."""
    swept = []
    for first, last in legs(bar, side):
        for leverage, weight in zip(params.leverages, params.leverage_weights, strict=True):
            factor = liquidation_price(1.0, side, leverage, params)
            farthest = first * factor
            if (farthest > last) if side == LONG else (farthest < last):
                reached = abs(first - last / factor) / abs(first - last)
                price = (farthest + last) / 2
                swept.append((opened * weight * reached * price, price))
    return swept


def hurt(bar, volume: float) -> int:
    """LONG, SHORT, or -1 for nobody."""
    buy = bar["taker_buy"]
    balance = 2 * buy - volume if 0 <= buy <= volume else bar["close"] - bar["open"]
    return LONG if balance < 0 else SHORT if balance > 0 else -1


def signals_on(bar, side: int, turnovers: list[float], before: float, params) -> list[tuple[float, float]]:
    """(usd, price) of what the switches add."""
    found = []
    extreme = bar["low"] if side == LONG else bar["high"]
    volume = usable_volume(bar["volume"])
    name = "sell" if side == LONG else "buy"
    usd, price = bar[f"large_{name}_usd"], bar[f"large_{name}_price"]
    if params.use_large_trades and 0 < usd < math.inf and 0 < price < math.inf:
        found.append((usd, price))
    if hurt(bar, volume) != side:
        return found
    if params.use_cascades and len(turnovers) >= params.flow_bars:
        usual = mean(turnovers[-params.flow_bars :])
        beyond = bar["close"] * volume - params.cascade_mult * usual
        if usual > 0 and beyond > 0:
            found.append((beyond, extreme))
    drop = before - usable_open_interest(bar["open_interest"])
    if params.use_open_interest_drops and params.open_interest_drop * before <= drop <= volume:
        found.append((drop * bar["close"], extreme))
    return found


def funding_factor(bar, side: int, params) -> float:
    paid = bar["funding_rate"] if side == LONG else -bar["funding_rate"]
    return 1 + params.funding_raise if params.use_funding and params.funding_extreme <= paid < math.inf else 1.0


def observed_usd(bar, side: int) -> float:
    usd = bar["liq_long_usd" if side == LONG else "liq_short_usd"]
    return usd if 0 <= usd < math.inf else NAN


def observed_ratio(rows: list[Row], day: int, side: int, params) -> float:
    """Observed USD / estimated USD on the covered rows of the 30 days before; ``rows`` are all before this one."""
    observed = estimated = 0.0
    known = 0
    for one in range(day - 30, day):
        covered = [t for t, row in enumerate(rows) if row.day == one and not all(map(math.isnan, row.observed))]
        if not covered or len(rows) - covered[0] > params.observed_bars:
            continue
        mine = [t for t in covered if not math.isnan(rows[t].observed[side])]
        observed += sum(rows[t].observed[side] for t in mine)
        estimated += sum(rows[t].estimated[side] for t in mine)
        known += any(rows[t].estimated[side] > 0 for t in mine)
    if known < 7 or not 0 < observed < math.inf or not estimated < math.inf:
        return NAN
    return observed / estimated


def forced_flow(
    bar, side: int, estimates: list[tuple[float, float]], factor: float, observed: str = "unscaled", ratio: float = NAN
) -> tuple[float, float]:
    """(usd, price) from the (usd, price) of everything estimated, or as observed."""
    estimated = sum(usd for usd, _ in estimates) * factor
    if estimated > 0:
        estimated_price = sum(usd * price for usd, price in estimates) / sum(usd for usd, _ in estimates)
    else:
        estimated_price = bar["low"] if side == LONG else bar["high"]
    name = "long" if side == LONG else "short"
    usd, price = bar[f"liq_{name}_usd"], bar[f"liq_{name}_price"]
    if observed == "beside":
        return estimated, estimated_price
    if not 0 <= usd < math.inf:
        return estimated, estimated_price
    if observed == "flow":
        if math.isnan(ratio) or usd / ratio == math.inf:
            return estimated, estimated_price
        usd /= ratio
    return usd, price if 0 < price < math.inf else estimated_price


def is_event(flow: float, flows: list[float], turnovers: list[float], atr: float, params) -> bool:
    """``flows`` and ``turnovers`` are those of all rows before."""
    n = params.flow_bars
    if not flow > 0 or len(flows) < n or not atr > 0:
        return False
    return flow >= params.event_share * mean(turnovers[-n:]) and flow > params.event_mult * mean(flows[-n:])


# --- marks ------------------------------------------------------------------------------------------------------------


def touch(mark: Mark, bar) -> int:
    """+1 touched from above, -1 from below, 0 not. Either way, and after a gap, the mark is disarmed."""
    armed = mark.armed
    gapped = bar["open"] < mark.low if armed == 1 else bar["open"] > mark.high
    entered = bar["low"] <= mark.high if armed == 1 else bar["high"] >= mark.low
    if not armed or (not gapped and not entered):
        return 0
    mark.armed = 0
    return 0 if gapped else armed


def trial(mark: Mark, bar, params) -> None:
    """Decide an open trial, if this bar does."""
    hold, broke = params.hold_atr * mark.trial_atr, params.break_atr * mark.trial_atr
    if mark.trial == 1:
        has_held = bar["high"] >= mark.high + hold
        has_broken = bar["close"] < mark.low - broke
    else:
        has_held = bar["low"] <= mark.low - hold
        has_broken = bar["close"] > mark.high + broke
    has_held = has_held and mark.trial_age > 0
    if has_held and has_broken:
        mark.ambiguous += 1
    elif has_held:
        mark.holds += 1
    elif has_broken:
        mark.broken = -mark.trial
    elif mark.trial_age == params.outcome_bars:
        mark.unresolved += 1
    else:
        mark.trial_age += 1
        return
    mark.trial = 0


def arm(mark: Mark, bar, params) -> None:
    if bar["close"] > mark.high + params.rearm_atr * mark.atr:
        mark.armed = 1
    if bar["close"] < mark.low - params.rearm_atr * mark.atr:
        mark.armed = -1


def meet(mark: Mark, bar, atr: float, params) -> int:
    """An unbroken mark meets a bar: how it was touched."""
    touched = touch(mark, bar)
    if touched:
        mark.touches += 1
        if not mark.trial:
            mark.trial, mark.trial_atr, mark.trial_age = touched, atr, 0
    if mark.trial:
        trial(mark, bar, params)
    arm(mark, bar, params)
    return touched


def meet_broken(mark: Mark, bar, params) -> int:
    """A broken mark meets a bar: the sign of its join. Its first touch, from whichever side, ends it."""
    touched = touch(mark, bar)
    if touched:
        mark.over = True
        return mark.broken if touched == mark.broken else 0
    arm(mark, bar, params)
    return 0


# --- zones ------------------------------------------------------------------------------------------------------------


def cluster(marks: list[Mark], max_width_atr: float) -> list[list[Mark]]:
    clusters: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda mark: (mark.price, mark.birth, mark.side)):
        if clusters:
            members = clusters[-1]
            low = min(member.low for member in [*members, mark])
            high = max(member.high for member in [*members, mark])
            overlaps = mark.low <= max(member.high for member in members)
            if overlaps and high - low <= max_width_atr * members[0].atr + 1e-12 * high:
                members.append(mark)
                continue
        clusters.append([mark])
    return clusters


def lead_of(members: list[Mark]) -> Mark:
    return min(members, key=lambda mark: (-mark.usd, mark.birth, mark.side))


def quality(members: list[Mark], usd_of_all: float, row: int, params) -> float:
    n = len(members)
    touches = lead_of(members).touches
    allowed = params.max_width_atr * members[0].atr
    width = max(mark.high for mark in members) - min(mark.low for mark in members)
    return 100 * (
        0.30 * sum(mark.usd for mark in members) / usd_of_all
        + 0.25 * (1 - min(row - mark.row for mark in members) / params.zone_bars)
        + 0.15 * n / (n + 1)
        + 0.15 * (max(0.0, 1 - width / allowed) if allowed > 0 else 0.0)
        + 0.15 * touches / (touches + 1)
    )


def find_zones(marks: list[Mark], row: int, params) -> list[Zone]:
    whole = [mark for mark in marks if not mark.broken]
    usd_of_all = sum(mark.usd for mark in whole)
    zones = []
    for members in cluster(whole, params.max_width_atr):
        lead = lead_of(members)
        usd = sum(mark.usd for mark in members)
        bottom = members[0].price
        zones.append(
            Zone(
                members=members,
                low=min(mark.low for mark in members),
                high=max(mark.high for mark in members),
                price=bottom + sum(mark.usd * (mark.price - bottom) for mark in members) / usd,
                usd=usd,
                lead=lead,
                quality=quality(members, usd_of_all, row, params),
                age=row - lead.row,
            )
        )
    return zones


def support_of(zones: list[Zone], close: float) -> Zone | None:
    """Of zones with one price the last, in the order in which they were found."""
    return max(reversed([zone for zone in zones if zone.price <= close]), key=lambda zone: zone.price, default=None)


def resistance_of(zones: list[Zone], close: float) -> Zone | None:
    return min((zone for zone in zones if zone.price > close), key=lambda zone: zone.price, default=None)


# --- levels -----------------------------------------------------------------------------------------------------------


def axis_bin(side: int, price: float) -> int:
    bins = math.log(price) * 1386 / math.log(2)
    return math.floor(bins if side == LONG else -bins)


def positions_ahead(cohorts: list[Cohort], side: int) -> list[tuple[int, float]]:
    """(bin, mass) of every open position of a side, in the order in which price would reach them."""
    ahead = [
        (axis_bin(side, position.price), cohort.mass * position.weight)
        for cohort in cohorts
        for position in cohort.positions
        if position.side == side and cohort.mass * position.weight > 0
    ]
    return sorted(ahead, reverse=True)


def find_levels(cohorts: list[Cohort], params) -> list[Level]:
    """Of each side the nearest first."""
    levels = []
    for side in SIDES:
        ahead = positions_ahead(cohorts, side)
        total = sum(mass for _, mass in ahead)
        for n in range(math.ceil(1 / params.level_share - 1e-9) if ahead else 0):
            start, end = n * params.level_share * total, min((n + 1) * params.level_share, 1) * total
            passed = level_mass = moment = 0.0
            for place, mass in ahead:
                part = max(0.0, min(passed + mass, end) - max(passed, start))
                level_mass += part
                moment += part * (place + 0.5)
                passed += mass
            mean = moment / level_mass if side == LONG else -moment / level_mass
            price = math.exp(mean * math.log(2) / 1386)
            levels.append(Level(side, price, level_mass * price, end / total))
    return levels


# --- one row ----------------------------------------------------------------------------------------------------------


def decide(speakers: list[tuple[Zone | Mark, int]]) -> tuple[Zone | Mark | None, int]:
    """The zone with the most USD and its word; of equals the first to speak; 0 if none speaks."""
    return max(speakers, key=lambda speaker: speaker[0].usd, default=(None, 0))


def silent_row() -> dict:
    return {**dict.fromkeys(FLOATS, NAN), **dict.fromkeys(COUNTS, 0)}


def known_close(state: State, params) -> float:
    """The previous close, for the row to come."""
    skipped = len(state.rows) - 1 - state.last_good
    return NAN if skipped > params.ledger_bars + params.flow_bars - params.atr_bars else state.last_close


def step(state: State, params, bar) -> dict:
    t = len(state.rows)

    # 1. what is too old goes
    state.marks = [mark for mark in state.marks if t < mark.row + params.zone_bars]
    state.cohorts = [cohort for cohort in state.cohorts if t <= cohort.row + params.ledger_bars]
    state.zones = find_zones(state.marks, t, params)
    if not is_good(bar):
        state.rows.append(Row())
        return silent_row()

    # 2. true range
    before = known_close(state, params)
    this = Row(int(bar["time"]) // 86_400_000, true_range=true_range(bar["high"], bar["low"], before))
    atr = average_true_range([row.true_range for row in [*state.rows, this]][-params.atr_bars :], params.atr_bars)

    # 3. marks meet the bar
    resistance, support = resistance_of(state.zones, before), support_of(state.zones, before)
    led = {id(zone.lead): zone for zone in state.zones}
    said: dict[str, list[tuple[Zone | Mark, int]]] = {"touch": [], "fade": [], "broke": [], "join": []}
    exit_long = exit_short = 0
    in_order = sorted(state.marks, key=lambda mark: (mark.broken_row, mark.price, mark.row, mark.side))
    for mark in in_order:  # of zones with the same USD: the lower one; of broken marks: who broke first
        if mark.broken:
            if not mark.over and t - mark.broken_row <= params.outcome_bars:
                join = meet_broken(mark, bar, params)
                if join:
                    said["join"].append((mark, join))
            continue
        touched = meet(mark, bar, atr, params)
        zone = led.get(id(mark))
        if mark.broken:
            mark.broken_row = t
        if zone is None:
            continue
        if touched:
            said["touch"].append((zone, touched))
        if (touched == 1 and bar["close"] >= zone.low) or (touched == -1 and bar["close"] <= zone.high):
            said["fade"].append((zone, touched))
        if mark.broken:
            said["broke"].append((zone, mark.broken))
        if zone is resistance and touched == -1:
            exit_long = 1
        if zone is support and touched == 1:
            exit_short = 1

    # 4. forced flow and its events
    swept = sweep(state.cohorts, bar["low"], bar["high"])
    volume = usable_volume(bar["volume"])
    this.open_interest = usable_open_interest(bar["open_interest"])
    interest_before = state.rows[-1].open_interest if state.rows else NAN
    factor, mass = survival(volume, this.open_interest, interest_before)
    turnovers = [row.turnover for row in state.rows]
    flows = []
    for side in SIDES:
        estimates = [swept[side]] if swept[side][0] > 0 else []
        estimates += swept_within(bar, side, mass, params) + signals_on(bar, side, turnovers, interest_before, params)
        raised = funding_factor(bar, side, params)
        this.estimated[side] = forced_flow(bar, side, estimates, raised, "beside")[0]
        this.observed[side] = observed_usd(bar, side)
        ratio = observed_ratio(state.rows, this.day, side, params) if params.observed == "flow" else NAN
        flows.append(forced_flow(bar, side, estimates, raised, params.observed, ratio))
    for side in SIDES:
        usd, price = flows[side]
        if is_event(usd, [row.flow[side] for row in state.rows], turnovers, atr, params):
            state.marks.append(Mark(t, int(bar["time"]), side, price, params.zone_atr * atr, usd, atr))

    # 5. zones
    state.zones = find_zones(state.marks, t, params)

    # 6. memory, survival, left behind, the cohort of this row
    this.flow = (flows[LONG][0], flows[SHORT][0])
    this.turnover = bar["close"] * volume
    for cohort in state.cohorts:
        cohort.mass *= factor
    leave_behind(state.cohorts, bar["close"])
    if mass > 0:
        state.cohorts.append(open_cohort(t, bar["close"], mass, params))
    state.rows.append(this)
    state.last_close, state.last_good = bar["close"], t

    # 7. the signal
    row = silent_row()
    if len(state.rows) < params.memory:
        return row
    levels = find_levels(state.cohorts, params)
    row.update(long_flow_usd=this.flow[LONG], short_flow_usd=this.flow[SHORT])
    row.update(atr=atr, exit_long=exit_long, exit_short=exit_short)
    for name, speakers in said.items():
        speaker, row[name] = decide(speakers)
        if speaker is not None and name in ("fade", "join"):
            row.update({f"{name}_low": speaker.low, f"{name}_high": speaker.high})
    nearest = (
        ("support", support_of(state.zones, bar["close"])),
        ("resistance", resistance_of(state.zones, bar["close"])),
    )
    for name, zone in nearest:
        if zone is not None:
            row.update({
                name: zone.price, f"{name}_low": zone.low, f"{name}_high": zone.high, f"{name}_usd": zone.usd,
                f"{name}_quality": zone.quality, f"{name}_touches": zone.lead.touches, f"{name}_age": zone.age,
            })  # fmt: skip
    for side, name in ((LONG, "level_below"), (SHORT, "level_above")):
        level = next((level for level in levels if level.side == side), None)
        if level is not None:
            row.update({name: level.price, f"{name}_usd": level.usd})
    return row


def fold(bars, params, state: State | None = None) -> tuple[list[dict], State]:
    """The rows and the state after them, with its cohorts, marks and zones."""
    state = State() if state is None else state
    return [step(state, params, bar) for bar in as_dicts(bars)], state


def as_dicts(bars) -> list[dict]:
    return [dict(zip(bars.dtype.names, bar, strict=True)) for bar in bars.tolist()]


# --- tape -------------------------------------------------------------------------------------------------------------


def bars_from_trades(trades: list[dict], params) -> list[dict]:
    """The closed bars of trades in order of time; large trades are compared with those before them."""
    length = params.tape_ms
    places = [trade["time"] // length for trade in trades]
    bars = []
    close = NAN
    for place in range(places[0], places[-1]) if trades else []:
        inside = [i for i in range(len(trades)) if places[i] == place]
        bar = {"time": place * length, "volume": 0.0, "taker_buy": 0.0, "large_sell_usd": 0.0, "large_buy_usd": 0.0}
        bar |= {"large_sell_price": NAN, "large_buy_price": NAN}
        prices = [trades[i]["price"] for i in inside] or [close]
        close = prices[-1]
        bar |= {"open": prices[0], "high": max(prices), "low": min(prices), "close": close}
        for i in inside:
            bar["volume"] += trades[i]["size"]
            bar["taker_buy"] += {1: trades[i]["size"], 0: NAN, -1: 0.0}[trades[i]["side"]]
        for side, name in ((1, "buy"), (-1, "sell")):
            large = [trades[i] for i in inside if trades[i]["side"] == side and is_large(trades, i, params)]
            usd = sum(trade["price"] * trade["size"] for trade in large)
            bar[f"large_{name}_usd"] = usd
            if usd > 0:
                bar[f"large_{name}_price"] = sum(trade["price"] ** 2 * trade["size"] for trade in large) / usd
        bars.append(bar)
    return bars


def is_large(trades: list[dict], i: int, params) -> bool:
    n = params.large_trades
    usd = [trade["price"] * trade["size"] for trade in trades[max(0, i - n) : i + 1]]
    return i >= n and usd[-1] >= params.large_usd and usd[-1] >= params.large_mult * mean(usd[:-1])
