"""Alerts: the state machine from a rule's finding to what people are told."""
