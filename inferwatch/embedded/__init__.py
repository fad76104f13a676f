"""The embedded default: broker, ClickHouse and registry as child processes."""
