"""Realistic load: services, models and users that exist only in the events they send."""
