"""Adapters between the core and the tools of traders; each third-party library is imported in exactly one of them."""

if __name__ != "liquidator_integrations":  # from a checkout: a second copy of every class would not be the first
    raise ImportError("import liquidator_integrations, not integrations")
