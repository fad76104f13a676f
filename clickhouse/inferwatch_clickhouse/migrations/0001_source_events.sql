-- Source events as the producers wrote them, for drill-down and for questions that the aggregates
-- do not answer.
--
-- Every signal has two names here. NAME_stored keeps what arrived, which after a crash or a replay
-- may be the same record twice; NAME, a view, reads it as exactly once. Write to the first, read
-- the second.
--
-- Exactly once: (kafka_topic_id, kafka_partition, kafka_offset) identifies a record of Kafka, and
-- its content never changes. The sorting key may therefore lead with columns of the content, which
-- serve queries by time and service, and still holds one row for each record. For the same reason
-- equal records always share a partition, so FINAL need not look across partitions.
--
-- Partitions are months of event time: a clock that is a year off makes one part, not hundreds.
-- There is no TTL, because replayed traces are older than any sensible one and would be deleted on
-- arrival. To keep 90 days of live data:
--   ALTER TABLE requests_stored MODIFY TTL toDateTime(event_time) + INTERVAL 90 DAY

CREATE TABLE IF NOT EXISTS requests_stored
(
    event_id String CODEC(ZSTD(1)),
    producer_id LowCardinality(String),
    sequence Int64 CODEC(Delta, ZSTD(1)),
    event_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    service_name LowCardinality(String),
    deployment_environment_name LowCardinality(String),
    gen_ai_operation_name LowCardinality(String),
    gen_ai_provider_name LowCardinality(String),
    gen_ai_request_model LowCardinality(Nullable(String)),
    gen_ai_response_model LowCardinality(Nullable(String)),
    endpoint LowCardinality(String),
    http_request_method LowCardinality(Nullable(String)),
    http_response_status_code Nullable(Int32),
    error_type LowCardinality(Nullable(String)),
    duration_seconds Nullable(Float64) CODEC(ZSTD(1)),
    time_to_first_token_seconds Nullable(Float64) CODEC(ZSTD(1)),
    gen_ai_usage_input_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    gen_ai_usage_output_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    gen_ai_usage_cache_read_input_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    gen_ai_usage_reasoning_output_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    cost_usd_micros Nullable(Int64) CODEC(T64, ZSTD(1)),
    user_id Nullable(String) CODEC(ZSTD(1)),
    session_id Nullable(String) CODEC(ZSTD(1)),
    experiments Array(Tuple(experiment LowCardinality(String), variant LowCardinality(String))),
    trace_id Nullable(String) CODEC(ZSTD(1)),
    span_id Nullable(String) CODEC(ZSTD(1)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (toStartOfHour(event_time), service_name, kafka_topic_id, kafka_partition, kafka_offset);

CREATE OR REPLACE VIEW requests AS
SELECT
    *,
    service_name AS service,
    deployment_environment_name AS environment,
    gen_ai_operation_name AS operation,
    gen_ai_provider_name AS provider,
    ifNull(gen_ai_request_model, '') AS model,
    ifNull(gen_ai_response_model, '') AS response_model,
    http_request_method AS method,
    http_response_status_code AS status_code,
    duration_seconds AS duration,
    time_to_first_token_seconds AS time_to_first_token,
    gen_ai_usage_input_tokens AS input_tokens,
    gen_ai_usage_output_tokens AS output_tokens,
    gen_ai_usage_cache_read_input_tokens AS cached_tokens,
    gen_ai_usage_reasoning_output_tokens AS reasoning_tokens,
    cost_usd_micros / 1e6 AS cost_usd
FROM requests_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE TABLE IF NOT EXISTS resources_stored
(
    event_id String CODEC(ZSTD(1)),
    producer_id LowCardinality(String),
    sequence Int64 CODEC(Delta, ZSTD(1)),
    event_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    host_name LowCardinality(String),
    device LowCardinality(String),
    cpu_utilization_ratio Nullable(Float64) CODEC(ZSTD(1)),
    load_average_1m Nullable(Float64) CODEC(ZSTD(1)),
    memory_used_bytes Nullable(Int64) CODEC(T64, ZSTD(1)),
    memory_total_bytes Nullable(Int64) CODEC(T64, ZSTD(1)),
    disk_used_bytes Nullable(Int64) CODEC(T64, ZSTD(1)),
    disk_total_bytes Nullable(Int64) CODEC(T64, ZSTD(1)),
    disk_read_bytes_per_second Nullable(Float64) CODEC(ZSTD(1)),
    disk_write_bytes_per_second Nullable(Float64) CODEC(ZSTD(1)),
    network_receive_bytes_per_second Nullable(Float64) CODEC(ZSTD(1)),
    network_transmit_bytes_per_second Nullable(Float64) CODEC(ZSTD(1)),
    gpu_utilization_ratio Nullable(Float64) CODEC(ZSTD(1)),
    gpu_memory_used_bytes Nullable(Int64) CODEC(T64, ZSTD(1)),
    gpu_memory_total_bytes Nullable(Int64) CODEC(T64, ZSTD(1)),
    gpu_power_watts Nullable(Float64) CODEC(ZSTD(1)),
    gpu_energy_joules Nullable(Float64) CODEC(ZSTD(1)),
    gpu_temperature_celsius Nullable(Float64) CODEC(ZSTD(1)),
    gpu_sm_clock_hertz Nullable(Float64) CODEC(ZSTD(1)),
    gpu_memory_clock_hertz Nullable(Float64) CODEC(ZSTD(1)),
    gpu_throttled_ratio Nullable(Float64) CODEC(ZSTD(1)),
    gpu_ecc_uncorrected_errors Nullable(Int64) CODEC(T64, ZSTD(1)),
    gpu_pcie_receive_bytes_per_second Nullable(Float64) CODEC(ZSTD(1)),
    gpu_pcie_transmit_bytes_per_second Nullable(Float64) CODEC(ZSTD(1)),
    gpu_nvlink_bytes_per_second Nullable(Float64) CODEC(ZSTD(1)),
    queue_size Nullable(Float64) CODEC(ZSTD(1)),
    requests_running Nullable(Float64) CODEC(ZSTD(1)),
    kv_cache_utilization_ratio Nullable(Float64) CODEC(ZSTD(1)),
    active_connections Nullable(Float64) CODEC(ZSTD(1)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (toStartOfHour(event_time), host_name, device, kafka_topic_id, kafka_partition, kafka_offset);

CREATE OR REPLACE VIEW resources AS
SELECT *, host_name AS host
FROM resources_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE TABLE IF NOT EXISTS exposures_stored
(
    event_id String CODEC(ZSTD(1)),
    producer_id LowCardinality(String),
    sequence Int64 CODEC(Delta, ZSTD(1)),
    event_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    service_name LowCardinality(String),
    deployment_environment_name LowCardinality(String),
    experiment LowCardinality(String),
    variant LowCardinality(String),
    user_id String CODEC(ZSTD(1)),
    trace_id Nullable(String) CODEC(ZSTD(1)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (toStartOfHour(event_time), experiment, kafka_topic_id, kafka_partition, kafka_offset);

CREATE OR REPLACE VIEW exposures AS
SELECT *, service_name AS service, deployment_environment_name AS environment
FROM exposures_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE TABLE IF NOT EXISTS conversions_stored
(
    event_id String CODEC(ZSTD(1)),
    producer_id LowCardinality(String),
    sequence Int64 CODEC(Delta, ZSTD(1)),
    event_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    service_name LowCardinality(String),
    deployment_environment_name LowCardinality(String),
    experiment LowCardinality(String),
    variant LowCardinality(String),
    metric LowCardinality(String),
    user_id String CODEC(ZSTD(1)),
    value Float64 CODEC(ZSTD(1)),
    trace_id Nullable(String) CODEC(ZSTD(1)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (toStartOfHour(event_time), experiment, kafka_topic_id, kafka_partition, kafka_offset);

CREATE OR REPLACE VIEW conversions AS
SELECT *, service_name AS service, deployment_environment_name AS environment
FROM conversions_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;
