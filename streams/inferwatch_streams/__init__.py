"""Faust stream processors: from events to block aggregates."""
