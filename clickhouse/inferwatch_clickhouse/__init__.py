"""Landing in ClickHouse: migrations, sink and queries."""
