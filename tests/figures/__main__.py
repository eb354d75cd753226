"""The scripts that print the figures of README and docs: ``python tests/figures`` runs all, ``... NAME [ARGS]`` one.

A script that needs data which is not there says so and prints nothing else.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from liquidator_core._suggest import suggestion

FOLDER = Path(__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def run(name: str, arguments: list[str]) -> None:
    """Run one script as if it had been called with these arguments."""
    print(f"== {name}", flush=True)
    sys.argv = [name, *arguments]
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")


if __name__ == "__main__":
    sys.path[1:1] = [str(FOLDER.parent / "helpers"), str(FOLDER.parent / "evidence")]
    chosen, *arguments = sys.argv[1:] or [""]
    if chosen and chosen not in NAMES:
        raise SystemExit(f"no script {chosen!r}{suggestion(chosen, NAMES)}; there are {', '.join(NAMES)}")
    for each in [chosen] if chosen else NAMES:
        run(each, arguments)
