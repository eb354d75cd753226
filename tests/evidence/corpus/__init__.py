"""Indicators that lie, with what is known of each, and honest ones that look as if they did."""
