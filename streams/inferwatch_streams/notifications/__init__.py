"""Notifications: which channel is told of which alert or incident, how, and once."""
