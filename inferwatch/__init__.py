"""The command line, which composes schemas, agents, streams and clickhouse."""
