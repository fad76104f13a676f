"""Incidents: alerts that belong together, who answers them, and what is done."""
