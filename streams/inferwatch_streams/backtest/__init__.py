"""Backtests: rules evaluated in the past, as they are live, and scored against known incidents."""
