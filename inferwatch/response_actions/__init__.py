"""Response actions that need ClickHouse or the SDK: composed here, found by entry point."""
