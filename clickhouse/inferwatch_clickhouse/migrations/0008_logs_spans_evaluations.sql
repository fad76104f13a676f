-- The other source events: logs, spans, quality scores and what happens to devices. As in 0001,
-- NAME_stored keeps what arrived and NAME, a view, reads it as exactly once.
--
-- A trace is looked for by its id alone, and ids are random, so every granule of a plain table
-- would have to be read. The Bloom filters name the few that may hold it; requests get one too.
-- Pruning by them is safe under FINAL: copies of a record have the same content, so a condition
-- leaves out all of them or none.
--
-- Attributes are pairs of texts: attributes.key and attributes.value are arrays, and `attribute` is
-- the map of them: SELECT attribute['http.route'] FROM spans.

CREATE TABLE IF NOT EXISTS logs_stored
(
    event_id String CODEC(ZSTD(1)),
    producer_id LowCardinality(String),
    sequence Int64 CODEC(Delta, ZSTD(1)),
    event_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    observed_time Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    service_name LowCardinality(String),
    deployment_environment_name LowCardinality(String),
    host_name LowCardinality(Nullable(String)),
    otel_scope_name LowCardinality(Nullable(String)),
    severity_number Nullable(Int32) CODEC(T64, ZSTD(1)),
    severity_text LowCardinality(Nullable(String)),
    body String CODEC(ZSTD(1)),
    event_name LowCardinality(Nullable(String)),
    trace_id Nullable(String) CODEC(ZSTD(1)),
    span_id Nullable(String) CODEC(ZSTD(1)),
    trace_flags Nullable(Int32) CODEC(T64, ZSTD(1)),
    error_type LowCardinality(Nullable(String)),
    exception_type LowCardinality(Nullable(String)),
    exception_message Nullable(String) CODEC(ZSTD(1)),
    exception_stacktrace Nullable(String) CODEC(ZSTD(1)),
    attributes Array(Tuple(key LowCardinality(String), value String)) CODEC(ZSTD(1)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1,
    INDEX by_trace_id trace_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (toStartOfHour(event_time), service_name, kafka_topic_id, kafka_partition, kafka_offset);

CREATE OR REPLACE VIEW logs AS
SELECT
    *,
    service_name AS service,
    deployment_environment_name AS environment,
    otel_scope_name AS logger,
    mapFromArrays(attributes.key, attributes.value) AS attribute
FROM logs_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;

CREATE TABLE IF NOT EXISTS spans_stored
(
    event_id String CODEC(ZSTD(1)),
    producer_id LowCardinality(String),
    sequence Int64 CODEC(Delta, ZSTD(1)),
    event_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    start_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    service_name LowCardinality(String),
    deployment_environment_name LowCardinality(String),
    host_name LowCardinality(Nullable(String)),
    otel_scope_name LowCardinality(Nullable(String)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_span_id Nullable(String) CODEC(ZSTD(1)),
    trace_state Nullable(String) CODEC(ZSTD(1)),
    trace_flags Nullable(Int32) CODEC(T64, ZSTD(1)),
    name LowCardinality(String),
    kind LowCardinality(String),
    status_code LowCardinality(String),
    status_message Nullable(String) CODEC(ZSTD(1)),
    error_type LowCardinality(Nullable(String)),
    gen_ai_operation_name LowCardinality(Nullable(String)),
    gen_ai_provider_name LowCardinality(Nullable(String)),
    gen_ai_request_model LowCardinality(Nullable(String)),
    gen_ai_response_model LowCardinality(Nullable(String)),
    gen_ai_usage_input_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    gen_ai_usage_output_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    gen_ai_usage_cache_read_input_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    gen_ai_usage_reasoning_output_tokens Nullable(Int64) CODEC(T64, ZSTD(1)),
    attributes Array(Tuple(key LowCardinality(String), value String)) CODEC(ZSTD(1)),
    events Array(Tuple(time DateTime64(6, 'UTC'), name LowCardinality(String), attributes String))
        CODEC(ZSTD(1)),
    links Array(Tuple(trace_id String, span_id String, attributes String)) CODEC(ZSTD(1)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1,
    INDEX by_trace_id trace_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (toStartOfHour(event_time), service_name, kafka_topic_id, kafka_partition, kafka_offset);

CREATE OR REPLACE VIEW spans AS
SELECT
    *,
    service_name AS service,
    deployment_environment_name AS environment,
    (toUnixTimestamp64Micro(event_time) - toUnixTimestamp64Micro(start_time)) / 1e6 AS duration,
    gen_ai_operation_name AS operation,
    gen_ai_provider_name AS provider,
    ifNull(gen_ai_request_model, '') AS model,
    ifNull(gen_ai_response_model, '') AS response_model,
    gen_ai_usage_input_tokens AS input_tokens,
    gen_ai_usage_output_tokens AS output_tokens,
    gen_ai_usage_cache_read_input_tokens AS cached_tokens,
    gen_ai_usage_reasoning_output_tokens AS reasoning_tokens,
    mapFromArrays(attributes.key, attributes.value) AS attribute
FROM spans_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;

CREATE TABLE IF NOT EXISTS evaluations_stored
(
    event_id String CODEC(ZSTD(1)),
    producer_id LowCardinality(String),
    sequence Int64 CODEC(Delta, ZSTD(1)),
    event_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    service_name LowCardinality(String),
    deployment_environment_name LowCardinality(String),
    kind LowCardinality(String),
    gen_ai_provider_name LowCardinality(Nullable(String)),
    gen_ai_request_model LowCardinality(String),
    gen_ai_evaluation_name LowCardinality(String),
    gen_ai_evaluation_score_value Nullable(Float64) CODEC(ZSTD(1)),
    gen_ai_evaluation_score_label LowCardinality(Nullable(String)),
    passed Nullable(Bool),
    error_type LowCardinality(Nullable(String)),
    test_set LowCardinality(Nullable(String)),
    question_id Nullable(String) CODEC(ZSTD(1)),
    turn Nullable(Int32) CODEC(T64, ZSTD(1)),
    judge LowCardinality(Nullable(String)),
    duration_seconds Nullable(Float64) CODEC(ZSTD(1)),
    gen_ai_evaluation_explanation Nullable(String) CODEC(ZSTD(1)),
    user_id Nullable(String) CODEC(ZSTD(1)),
    session_id Nullable(String) CODEC(ZSTD(1)),
    trace_id Nullable(String) CODEC(ZSTD(1)),
    span_id Nullable(String) CODEC(ZSTD(1)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1,
    INDEX by_trace_id trace_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (toStartOfHour(event_time), gen_ai_request_model,
          kafka_topic_id, kafka_partition, kafka_offset);

CREATE OR REPLACE VIEW evaluations AS
SELECT
    *,
    service_name AS service,
    deployment_environment_name AS environment,
    gen_ai_provider_name AS provider,
    gen_ai_request_model AS model,
    gen_ai_evaluation_name AS metric,
    gen_ai_evaluation_score_value AS score,
    gen_ai_evaluation_score_label AS label,
    gen_ai_evaluation_explanation AS explanation,
    duration_seconds AS duration
FROM evaluations_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;

CREATE TABLE IF NOT EXISTS device_events_stored
(
    event_id String CODEC(ZSTD(1)),
    producer_id LowCardinality(String),
    sequence Int64 CODEC(Delta, ZSTD(1)),
    event_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    host_name LowCardinality(String),
    device LowCardinality(String),
    gpu_index Nullable(Int32) CODEC(T64, ZSTD(1)),
    pci_bus_id LowCardinality(Nullable(String)),
    kind LowCardinality(String),
    code Nullable(Int64) CODEC(T64, ZSTD(1)),
    severity LowCardinality(String),
    text String CODEC(ZSTD(1)),
    state_before Nullable(String) CODEC(ZSTD(1)),
    state_after Nullable(String) CODEC(ZSTD(1)),
    process_pid Nullable(Int64) CODEC(T64, ZSTD(1)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (toStartOfHour(event_time), host_name, device, kafka_topic_id, kafka_partition, kafka_offset);

CREATE OR REPLACE VIEW device_events AS
SELECT *, host_name AS host
FROM device_events_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;
