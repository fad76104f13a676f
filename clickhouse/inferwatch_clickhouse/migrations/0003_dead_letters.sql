-- Records that could not be read. A reader that starts again finds the same bad record again and
-- publishes it again, so the identity is not the dead letter's own offset but the bad record's
-- place in its source topic, together with the reader: each reader reports a record once. Of two
-- findings the later stands, because a newer reader may know the reason better.
--
-- Not partitioned: record_time is what a producer wrote, and that of a bad record can be anything.

CREATE TABLE IF NOT EXISTS dead_letters_stored
(
    source_topic LowCardinality(String),
    topic_id LowCardinality(String),
    partition Int32,
    offset Int64 CODEC(Delta, ZSTD(1)),
    record_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    reason LowCardinality(String),
    detail String CODEC(ZSTD(1)),
    schema_id Nullable(Int32),
    key Nullable(String) CODEC(ZSTD(1)),
    value Nullable(String) CODEC(ZSTD(1)),
    headers Array(Tuple(key String, value Nullable(String))) CODEC(ZSTD(1)),
    reader LowCardinality(String),
    found_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(found_at)
ORDER BY (source_topic, topic_id, partition, offset, reader);

CREATE OR REPLACE VIEW dead_letters AS
SELECT *
FROM dead_letters_stored FINAL;
