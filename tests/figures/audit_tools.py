"""The corpus before ``audit`` and before other tools: who is convicted, who is accused falsely.

``python tests/figures audit_tools`` prints the tables of docs/audit.md, ``... audit_tools TOOL`` one line of the first
and the cases that the tool judges wrongly, ``... audit_tools smc`` the second. Each tool sees every indicator as it
wants it: freqtrade's analyses a strategy that enters when the column rises, on the sample from March to July 2020;
monte-neo a position, long where the column rises and short where it falls; lookahead-guard an array. A tool convicts
where it names the column, or where it knows no columns, the indicator. Libraries that are not installed are skipped.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from audited_corpus import ROOT, Case, audited, candles, cases, fault_of

from liquidator_integrations import audit
from liquidator_integrations.evidence.values import values_of
from liquidator_integrations.targets import subject_of

ROWS = 3000
RUNS_AT = ("20200301", "20200701")


def column_of(case: Case, frame: pd.DataFrame) -> np.ndarray:
    """(rows,) float: the column that the case is about, or its first, other values than numbers as codes."""
    given = frame.copy()
    subject = subject_of(case.target, frame)
    found = values_of(subject.columns(subject.target, given), given, frame)
    name = case.column if case.column in found.names else found.names[0]
    place = found.names.index(name)
    return found.codes[name] % 1009.0 if name in found.codes else found.numbers[place]


def position_of(case: Case, frame: pd.DataFrame) -> pd.Series:
    """1 where the column rises, -1 where it falls."""
    with np.errstate(invalid="ignore"):
        return pd.Series(np.sign(np.nan_to_num(np.diff(column_of(case, frame), prepend=np.nan))))


def by_audit(case: Case) -> bool:
    found = audited(case, 800 if is_slow(case) else ROWS, cuts=30 if is_slow(case) else 60)
    return fault_of(case, found) == "" if case.kind else not found.ok


def is_slow(case: Case) -> bool:
    """Whether each run of it takes a tenth of a second."""
    return case.target.__module__.endswith(("strategies", "backtrader_indicators"))


def by_monte_neo(case: Case) -> bool:
    from monte_neo.verify.lookahead import probe_determinism, probe_perturbation, probe_truncation

    frame = candles(800 if is_slow(case) else ROWS).set_index("date", drop=False)

    def signal(part: pd.DataFrame) -> pd.Series:
        return position_of(case, part.reset_index(drop=True)).set_axis(part.index)

    probes = (probe_determinism, probe_truncation, probe_perturbation)
    return any(probe(signal, frame)["status"] == "fail" for probe in probes)


def by_lookahead_guard(case: Case) -> bool:
    from lookahead_guard import blind_test

    frame = candles(800 if is_slow(case) else ROWS)
    names = ["open", "high", "low", "close", "volume"]

    def column(prices: np.ndarray) -> np.ndarray:
        return column_of(case, frame.assign(**dict(zip(names, prices.T, strict=True))))

    return not blind_test(column, frame[names].to_numpy(), jitter=1.0).future_blind


# freqtrade ------------------------------------------------------------------------------------------------------------

_STRATEGY = """
    import sys
    sys.path[:0] = {paths!r}
    import pandas as pd
    from {module} import {name}
    from audit_tools import CASES, column_of
    from freqtrade.strategy import IStrategy

    class Judged({base}):
        timeframe = "1h"
        stoploss = -0.5
        minimal_roi = {{"6": 0.0}}
        startup_candle_count = 100

        def populate_indicators(self, dataframe, metadata):
            return {indicators}

        def populate_entry_trend(self, dataframe, metadata):
            if {own}:
                dataframe = super().populate_entry_trend(dataframe, metadata)
            if "enter_long" not in dataframe:
                {rises}
            return dataframe

        def populate_exit_trend(self, dataframe, metadata):
            return super().populate_exit_trend(dataframe, metadata) if {own} else dataframe
"""


def strategy_file(case: Case, folder: Path) -> None:
    """A strategy that trades the case's column; a strategy is itself, and if it never enters, does where it rises."""
    own = case.target.__module__.endswith("strategies")
    column = f"dataframe[{case.column!r}]" if own else "dataframe['judged']"
    rises = f"dataframe['enter_long'] = ({column}.diff() > 0).astype(int)" if case.column or not own else "pass"
    values = f"column_of(CASES[{case.name!r}], dataframe[['date', 'open', 'high', 'low', 'close', 'volume']])"
    text = textwrap.dedent(_STRATEGY).format(
        paths=[str(ROOT / "tests" / part) for part in ("helpers", "evidence", "figures")],
        module=case.target.__module__,
        name=case.name,
        base=case.name if own else "IStrategy",
        indicators="super().populate_indicators(dataframe, metadata)" if own else f"dataframe.assign(judged={values})",
        own=own,
        rises=rises,
    )
    (folder / "Judged.py").write_text(text)


@contextlib.contextmanager
def analysis(case: Case) -> Iterator[dict[str, Any]]:
    """freqtrade's settings for an analysis of a case, with data and an exchange of its own."""
    from freqtrade.configuration import setup_utils_configuration
    from freqtrade.enums import RunMode
    from freqtrade_setup import arguments, config, write_data
    from loopback_exchange import running

    with tempfile.TemporaryDirectory() as folder, running() as exchange:
        userdir = Path(folder)
        write_data(userdir)
        strategy_file(case, userdir / "strategies")
        mode = "futures" if getattr(case.target, "can_short", False) else "spot"
        path = config(mode, exchange, userdir)
        words = {"timerange": "-".join(RUNS_AT), "timeframe": "1h", "startup_candle": [100, 400, 800]}
        words |= {
            "minimum_trade_amount": 3,
            "targeted_trade_amount": 6,
            "pairs": ["BTC/USDT:USDT" if mode == "futures" else "BTC/USDT"],
        }
        words |= {"lookahead_analysis_exportfilename": str(userdir / "found.csv")}
        yield setup_utils_configuration(
            arguments(path, "Judged", userdir / "strategies", **words), RunMode.UTIL_NO_EXCHANGE
        )


def columns_judged(case: Case) -> set[str]:
    return {case.column} if case.target.__module__.endswith("strategies") else {"judged"}


def by_lookahead_analysis(case: Case) -> bool:
    from freqtrade.optimize.analysis.lookahead_helpers import LookaheadAnalysisSubFunctions

    with analysis(case) as settings:
        LookaheadAnalysisSubFunctions.start(settings)
        found = pd.read_csv(settings["lookahead_analysis_exportfilename"]).iloc[0]
    if not case.kind:
        return bool(found["has_bias"])
    named = set(str(found["biased_indicators"]).split(","))
    signals = columns_judged(case) & {"enter_long", "exit_long", "enter_tag"} and bool(found["has_bias"])
    return bool(named & columns_judged(case)) or bool(signals)


def by_recursive_analysis(case: Case) -> bool:
    """Convicted is a column that its look-ahead check names, or that still differs after 800 rows of startup."""
    from freqtrade.optimize.analysis.recursive_helpers import RecursiveAnalysisSubFunctions
    from freqtrade.resolvers import StrategyResolver
    from freqtrade.util import get_progress_tracker

    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("freqtrade.optimize.analysis.recursive")
    with analysis(case) as settings:
        settings = RecursiveAnalysisSubFunctions.calculate_config_overrides(settings)
        strategy = StrategyResolver.search_all_objects(settings, False)[0]
        logging.disable(logging.NOTSET)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)  # only now: settings make logging anew
        try:
            with get_progress_tracker() as progress:
                found = RecursiveAnalysisSubFunctions.initialize_single_recursive_analysis(settings, strategy, progress)
        finally:
            logger.removeHandler(handler)
            logging.disable(logging.CRITICAL)
        found.exchange.close()
    named = {line.rpartition(" ")[2] for line in told if line.startswith("=> found lookahead")}
    named |= {name for name, by in found.dict_recursive.items() if not abs(by.get(800, 0.0)) <= 1e-6}
    return bool(named & columns_judged(case)) if case.kind else bool(named - {"date"})


CASES = cases()
TOOLS: dict[str, tuple[str, Callable[[Case], bool], str]] = {
    "audit": ("audit", by_audit, ""),
    "lookahead-analysis": ("freqtrade lookahead-analysis", by_lookahead_analysis, ""),
    "recursive-analysis": ("freqtrade recursive-analysis", by_recursive_analysis, ""),
    "monte-neo": ("monte-neo, look-ahead probes", by_monte_neo, "monte_neo"),
    "lookahead-guard": ("lookahead-guard, blind test", by_lookahead_guard, "lookahead_guard"),
}


def swings_of_a_library() -> Iterator[str]:
    """What ``audit`` finds in the columns of smartmoneyconcepts as published, a line a function."""
    if importlib.util.find_spec("smartmoneyconcepts") is None:
        yield "smartmoneyconcepts is not installed: pip install smartmoneyconcepts"
        return
    with contextlib.redirect_stdout(io.StringIO()):
        from smartmoneyconcepts import smc

    def swings(frame: pd.DataFrame) -> pd.DataFrame:
        return smc.swing_highs_lows(frame, swing_length=10)

    functions = {
        "swing_highs_lows": swings,
        "fvg": smc.fvg,
        "bos_choch": lambda frame: smc.bos_choch(frame, swings(frame)),
        "ob": lambda frame: smc.ob(frame, swings(frame)),
        "liquidity": lambda frame: smc.liquidity(frame, swings(frame)),
    }
    yield "| function | columns | found | rows ahead at most |"
    yield "|---|---|---|---|"
    for name, function in functions.items():
        found = audit(function, candles(1500)).findings
        for kind, some in found[found["kind"].isin(["look-ahead", "repaint"])].groupby("kind"):
            far = f"{some['ahead'].max():,.0f}" if kind == "look-ahead" else "to the end"
            yield f"| `{name}` | {', '.join(some['column'])} | {kind} | {far} |"


def interval(hits: int, of: int) -> str:
    """Wilson's 95 % interval of a share, as text."""
    z = 1.96
    middle, width = (hits + z * z / 2) / (of + z * z), z * np.sqrt(hits * (of - hits) / of + z * z / 4) / (of + z * z)
    return f"{hits} of {of} [{middle - width:.0%}, {middle + width:.0%}]"


def judge(tool: str, told: bool) -> str:
    """One line of the table; where ``told``, the wrong judgements before it."""
    label, convicts, library = TOOLS[tool]
    if library and importlib.util.find_spec(library) is None:
        return f"| {label} | not installed: pip install {library.replace('_', '-')} | | | |"
    caught = {"look-ahead": 0, "repaint": 0, "history": 0, "unstable": 0}
    accused = failed = 0
    for case in CASES.values():
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                verdict = convicts(case)
        except Exception as error:  # whatever another tool makes of an indicator
            verdict, failed = False, failed + 1
            if told:
                print(f"{case.name}: {type(error).__name__}: {str(error)[:200]}", flush=True)
        if case.kind:
            caught[case.kind] += verdict
        else:
            accused += verdict
        if told and verdict != bool(case.kind):
            print(f"{case.name}: {case.kind or 'honest'}, {'accused' if verdict else 'not convicted'}", flush=True)
    total = {kind: sum(case.kind == kind for case in CASES.values()) for kind in [*caught, ""]}
    futures = interval(caught["look-ahead"] + caught["repaint"], total["look-ahead"] + total["repaint"])
    others = interval(caught["history"] + caught["unstable"], total["history"] + total["unstable"])
    return f"| {label} | {futures} | {others} | {interval(accused, total[''])} | {failed} |"


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    chosen = [name for name in sys.argv[1:] if name != "smc"] if sys.argv[1:] else list(TOOLS)
    if not sys.argv[1:] or "smc" in sys.argv[1:]:
        print(*swings_of_a_library(), "", sep="\n", flush=True)
    print("| tool | look-ahead, repaint convicted | history, unstable convicted | honest ones accused | failed |")
    print("|---|---|---|---|---|")
    for tool in chosen:
        print(judge(tool, told=bool(sys.argv[1:])), flush=True)


if __name__ == "__main__":
    main()
