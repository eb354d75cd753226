"""Where things lie: the checkout, the golden vectors, the embedded sample, data that is not ours to ship."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
SAMPLE = ROOT / "integrations" / "market" / "sample" / "btcusdt_1h.parquet"
#: Real market data for measuring; tests and scripts that read it say so where it is missing.
SHARED = Path(os.environ.get("LIQUIDATOR_DATA", ROOT.parent / "shared" / "data"))
