-- The rows of block aggregation: a block's share of one window of one signal. The views of the
-- next migrations sum them over blocks; nothing else should read these tables.
--
-- A row is emitted again, whole, each time its block grows, and again when a block is read again.
-- Of all rows of one identity (signal, dimensions, window, topic, partition, block) the one with
-- the highest version wins, and among those the one that read from the lowest first_offset: rows
-- of one version saw the same end of the block, so the one that began earlier saw more of it.
-- ReplacingMergeTree keeps the row of the highest `rank`, and `rank` says just that: the upper 64
-- bits are the version, the lower 64 fall as first_offset rises. 128 bits hold every pair of
-- offsets, so the length of a block does not matter. Rows of equal rank are equal (a row depends
-- only on the log), so it does not matter which of them stays.
--
-- The identity leads with the hour, so that rows of a few hours lie together and the skip index on
-- window_start prunes all others, under FINAL too: it is part of the identity. Partition months
-- and the absence of a TTL are as in 0001.
--
-- kafka_* is where the row itself stood in the topic of aggregates, for tracing; `topic_id` and
-- `partition` are where the events that it counts stand.

CREATE TABLE IF NOT EXISTS request_aggregates_stored
(
    signal LowCardinality(String),
    service LowCardinality(String),
    environment LowCardinality(String),
    provider LowCardinality(String),
    model LowCardinality(String),
    endpoint LowCardinality(String),
    window_start DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    window_seconds Int32,
    topic_id LowCardinality(String),
    partition Int32,
    block Int64 CODEC(Delta, ZSTD(1)),
    first_offset Int64 CODEC(Delta, ZSTD(1)),
    version Int64 CODEC(Delta, ZSTD(1)),
    requests Int64 CODEC(T64, ZSTD(1)),
    errors Int64 CODEC(T64, ZSTD(1)),
    error_types Array(LowCardinality(String)),
    error_type_counts Array(Int64),
    input_tokens Int64 CODEC(T64, ZSTD(1)),
    output_tokens Int64 CODEC(T64, ZSTD(1)),
    cached_tokens Int64 CODEC(T64, ZSTD(1)),
    reasoning_tokens Int64 CODEC(T64, ZSTD(1)),
    cost_usd_micros Int64 CODEC(T64, ZSTD(1)),
    priced_requests Int64 CODEC(T64, ZSTD(1)),
    durations Int64 CODEC(T64, ZSTD(1)),
    duration_micros Int64 CODEC(T64, ZSTD(1)),
    duration_bin_indexes Array(Int32) CODEC(Delta, ZSTD(1)),
    duration_bin_counts Array(Int64) CODEC(T64, ZSTD(1)),
    first_tokens Int64 CODEC(T64, ZSTD(1)),
    first_token_micros Int64 CODEC(T64, ZSTD(1)),
    first_token_bin_indexes Array(Int32) CODEC(Delta, ZSTD(1)),
    first_token_bin_counts Array(Int64) CODEC(T64, ZSTD(1)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    rank UInt128 MATERIALIZED
        bitShiftLeft(toUInt128(version), 64) + toUInt128(9223372036854775807 - first_offset),
    INDEX by_window_start window_start TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(rank)
PARTITION BY toYYYYMM(window_start)
ORDER BY (toStartOfHour(window_start), signal, service, environment, provider, model, endpoint,
          window_start, window_seconds, topic_id, partition, block);

CREATE OR REPLACE VIEW request_aggregates AS
SELECT *
FROM request_aggregates_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;

CREATE TABLE IF NOT EXISTS resource_aggregates_stored
(
    signal LowCardinality(String),
    host LowCardinality(String),
    device LowCardinality(String),
    metric LowCardinality(String),
    window_start DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    window_seconds Int32,
    topic_id LowCardinality(String),
    partition Int32,
    block Int64 CODEC(Delta, ZSTD(1)),
    first_offset Int64 CODEC(Delta, ZSTD(1)),
    version Int64 CODEC(Delta, ZSTD(1)),
    samples Int64 CODEC(T64, ZSTD(1)),
    value_sum Decimal(38, 6) CODEC(ZSTD(1)),
    value_min Float64 CODEC(ZSTD(1)),
    value_max Float64 CODEC(ZSTD(1)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    rank UInt128 MATERIALIZED
        bitShiftLeft(toUInt128(version), 64) + toUInt128(9223372036854775807 - first_offset),
    INDEX by_window_start window_start TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(rank)
PARTITION BY toYYYYMM(window_start)
ORDER BY (toStartOfHour(window_start), signal, host, device, metric,
          window_start, window_seconds, topic_id, partition, block);

CREATE OR REPLACE VIEW resource_aggregates AS
SELECT *
FROM resource_aggregates_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;

CREATE TABLE IF NOT EXISTS exposure_aggregates_stored
(
    signal LowCardinality(String),
    experiment LowCardinality(String),
    variant LowCardinality(String),
    window_start DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    window_seconds Int32,
    topic_id LowCardinality(String),
    partition Int32,
    block Int64 CODEC(Delta, ZSTD(1)),
    first_offset Int64 CODEC(Delta, ZSTD(1)),
    version Int64 CODEC(Delta, ZSTD(1)),
    exposures Int64 CODEC(T64, ZSTD(1)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    rank UInt128 MATERIALIZED
        bitShiftLeft(toUInt128(version), 64) + toUInt128(9223372036854775807 - first_offset),
    INDEX by_window_start window_start TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(rank)
PARTITION BY toYYYYMM(window_start)
ORDER BY (toStartOfHour(window_start), signal, experiment, variant,
          window_start, window_seconds, topic_id, partition, block);

CREATE OR REPLACE VIEW exposure_aggregates AS
SELECT *
FROM exposure_aggregates_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;

CREATE TABLE IF NOT EXISTS conversion_aggregates_stored
(
    signal LowCardinality(String),
    experiment LowCardinality(String),
    variant LowCardinality(String),
    metric LowCardinality(String),
    window_start DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    window_seconds Int32,
    topic_id LowCardinality(String),
    partition Int32,
    block Int64 CODEC(Delta, ZSTD(1)),
    first_offset Int64 CODEC(Delta, ZSTD(1)),
    version Int64 CODEC(Delta, ZSTD(1)),
    conversions Int64 CODEC(T64, ZSTD(1)),
    value_sum Decimal(38, 6) CODEC(ZSTD(1)),
    value_sum_of_squares Decimal(38, 12) CODEC(ZSTD(1)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    rank UInt128 MATERIALIZED
        bitShiftLeft(toUInt128(version), 64) + toUInt128(9223372036854775807 - first_offset),
    INDEX by_window_start window_start TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(rank)
PARTITION BY toYYYYMM(window_start)
ORDER BY (toStartOfHour(window_start), signal, experiment, variant, metric,
          window_start, window_seconds, topic_id, partition, block);

CREATE OR REPLACE VIEW conversion_aggregates AS
SELECT *
FROM conversion_aggregates_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;
