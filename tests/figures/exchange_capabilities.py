"""The tables of docs/exchanges.md: what can be had from which venue, and whether loss can be detected."""

from __future__ import annotations

from places import ROOT

from liquidator_integrations.exchanges import capabilities

PAGE = ROOT / "docs" / "exchanges.md"
BEGIN, END = "<!-- capabilities: made by tests/figures/exchange_capabilities.py -->", "<!-- end of capabilities -->"
KINDS = ("candles", "trades", "funding", "open_interest", "liquidations")


def tables() -> str:
    """The verified venues with what proves each kind, and the others with what ccxt says that they have."""
    known = capabilities()
    verified, others = known[known["verified"]], known[~known["verified"]]
    lines = [f"| venue | {' | '.join(KINDS).replace('_', ' ')} |", f"|---{'|---' * len(KINDS)}|"]
    for venue, rows in verified.groupby("venue", sort=False):
        cells = [_cell(row) for row in rows.itertuples()]
        lines.append(f"| {venue} | {' | '.join(cells)} |")
    lines += ["", "Unverified, by ccxt's unified methods, nothing of it proven:", ""]
    lines += ["| kind | venues |", "|---|---|"]
    for kind in KINDS:
        names = others[(others["kind"] == kind) & others["available"]]["venue"]
        lines.append(f"| {kind.replace('_', ' ')} | {len(names)}: {', '.join(names)} |")
    return "\n".join(lines)


def _cell(row: object) -> str:
    if not row.available:
        return "-"
    said = "unproven" if row.proof == "none" else f"proven by {row.proof}"
    return f"{said}; {row.reach}" if row.reach else said


def page_with(text: str, made: str) -> str:
    """The page with these tables between its marks."""
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{made}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), tables()), encoding="utf-8")
    print(tables())
