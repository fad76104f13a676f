"""Aggregate rows on their way out: columns to Avro, records and record batches."""
