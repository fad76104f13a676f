"""Public traces as events: a module a format, and the registry of them."""
