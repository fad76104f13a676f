"""Block aggregation: partitions cut into blocks of offsets, each counted into rows."""
