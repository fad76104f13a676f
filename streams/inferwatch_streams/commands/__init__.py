"""Commands: what people and tools want done with alerts and incidents."""
