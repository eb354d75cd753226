"""Adapters between the core and the tools of traders; each third-party library is imported in exactly one of them."""

import sys

sys.modules.setdefault("liquidator_integrations", sys.modules[__name__])
