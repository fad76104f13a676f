"""The sink: every topic's records into its table, each exactly once as read."""
