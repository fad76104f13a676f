-- What services were told: definitions of experiments, and controls. As in 0001, NAME_stored keeps
-- what arrived and NAME, a view, reads it as exactly once.
--
-- Kafka keeps the newest of each key, here every one stays: which weights an experiment had when,
-- which circuit was open, and who opened it. A record without a value, which removes a definition
-- or ends a control, leaves no row; what services obey now is in Kafka (inferwatch experiments list,
-- inferwatch controls list). The experiments themselves are counted in `experiments` (0007).

CREATE TABLE IF NOT EXISTS experiment_definitions_stored
(
    experiment LowCardinality(String),
    event_time DateTime64(6, 'UTC'),
    status LowCardinality(String),
    variants Array(Tuple(variant LowCardinality(String), weight Float64)),
    coverage Float64,
    seed String,
    starts_at Nullable(DateTime64(6, 'UTC')),
    ends_at Nullable(DateTime64(6, 'UTC')),
    winner LowCardinality(Nullable(String)),
    forced Array(Tuple(user_id String, variant LowCardinality(String))),
    namespace LowCardinality(Nullable(String)),
    namespace_start Nullable(Float64),
    namespace_end Nullable(Float64),
    metrics Array(String),
    description Nullable(String),
    actor LowCardinality(Nullable(String)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (experiment, event_time, kafka_topic_id, kafka_partition, kafka_offset);

CREATE OR REPLACE VIEW experiment_definitions AS
SELECT *
FROM experiment_definitions_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE TABLE IF NOT EXISTS controls_stored
(
    target String,
    event_time DateTime64(6, 'UTC'),
    action LowCardinality(String),
    service_name LowCardinality(Nullable(String)),
    deployment_environment_name LowCardinality(Nullable(String)),
    gen_ai_request_model LowCardinality(Nullable(String)),
    endpoint LowCardinality(Nullable(String)),
    experiment LowCardinality(Nullable(String)),
    variant LowCardinality(Nullable(String)),
    ratio Nullable(Float64),
    expires_at Nullable(DateTime64(6, 'UTC')),
    reason String,
    incident_id Nullable(String),
    actor LowCardinality(Nullable(String)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (event_time, target, kafka_topic_id, kafka_partition, kafka_offset);

CREATE OR REPLACE VIEW controls AS
SELECT
    *,
    service_name AS service,
    deployment_environment_name AS environment,
    gen_ai_request_model AS model
FROM controls_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;
