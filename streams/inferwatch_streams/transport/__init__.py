"""Kafka reading as chunks of record batches, as a Faust transport."""
