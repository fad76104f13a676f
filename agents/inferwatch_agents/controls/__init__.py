"""Controls: what a service is told not to do for a while, and how it obeys."""
