"""``liquidator train FILE``: does anything tell whether zones hold?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ..market.bars import read_bars
from .options import FromOption, LastOption, ParamsOption, check_target, read_params, since_of
from .printing import console_for, make_table, print_table, progress_bar


def train(
    file: Annotated[Path, typer.Argument(help="Candles: CSV or JSON (also .gz, .zip), parquet or feather.")],
    out: Annotated[
        Path | None, typer.Option(help="Where the model goes, .json. A model that is there counts as an attempt.")
    ] = None,
    params: ParamsOption = None,
    last: LastOption = None,
    begin: FromOption = None,
) -> None:
    """Train the model of hold and break, and say what it is worth on touches that it never saw.

    Where its skill beyond the best rival is not above zero it abstains: probabilities are the geometric rate.
    """
    from ..model.columns import timeframe_of
    from ..model.hold_model import HoldModel
    from ..model.training import train as train_model

    check_target("--out", out, ".json")
    settings = read_params(params)
    before = HoldModel.load(out).attempts if out is not None and out.exists() else 0
    bars = read_bars(file, settings, last=last, since_ms=since_of(begin))
    timeframe = timeframe_of(bars)
    if timeframe is None:
        raise ValueError(f"{file}: its {len(bars)} candles are of no timeframe, such as 5m or 1h")
    with progress_bar() as tell:
        model = train_model(bars, settings, timeframe, before + 1, tell)
    console = console_for()
    console.print(f"{file.name}: {len(bars):,} candles of {timeframe}, {model.span[0]} to {model.span[1]}.")
    _print_metrics(console, model.metrics)
    if out is not None:
        model.save(out)
        console.print(f"Model: {out}", soft_wrap=True)


def _print_metrics(out: Console, told: dict[str, Any]) -> None:
    left_out = ", ".join(f"{count:,} {why}" for why, count in told["left_out"].items() if count)
    out.print(
        f"{told['train_touches']:,} touches taught, {told['calibration_touches']:,} calibrated, {told['touches']:,} "
        f"were looked at once; {told['purged']:,} purged between. Left out: {left_out or 'none'}.",
        soft_wrap=True,
    )
    out.print()
    table = make_table(out, "Brier score of the last slice", "by", "lower is better")
    for name, score in {"model": told["brier"], **told["rivals"]}.items():
        rival = " *" if name == told["rival"] else ""
        table.add_row(name.replace("_", " ") + rival, f"{score:.5f}")
    print_table(out, table)
    out.print()
    skill, slope, intercept, next_skill = (
        f"{told[name]:+.3f} ({told[f'{name}_low']:+.3f} to {told[f'{name}_high']:+.3f})"
        for name in ("skill", "slope", "intercept", "next_skill")
    )
    out.print(
        f"Skill beyond the best rival (*) {skill}, a {told['level']:.4g} interval after {told['attempts']} attempts. "
        f"Slope {slope}, intercept {intercept}. {told['win_rate']:.1f} % of the touches held.",
        soft_wrap=True,
    )
    touches = told["next_touches"]
    worth = f"{next_skill}, {touches:,} touches" if touches else "nothing is known, too few of them were seen"
    out.print(f"Of the next touch of a zone that stands {worth}.", soft_wrap=True)
    verdict = f"it abstains: {told['reason']}" if told["abstains"] else "it is used"
    out.print(f"Verdict: {verdict}.", soft_wrap=True)
