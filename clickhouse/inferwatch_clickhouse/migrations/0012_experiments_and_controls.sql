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

-- Experiments by users, from the events themselves, where `experiments` counts events: a service of
-- several processes tells of a user's exposure once in each, and a user may convert without having
-- seen anything.
--
--   SELECT variant, users, users_converted, conversion_rate FROM experiment_users WHERE metric = 'visit'
--
-- A user counts once, from the first exposure on, and with all conversions since. Who saw two
-- variants of an experiment, as where its weights were changed, is in none of them. value_per_user
-- and value_variance (sample variance) are of the sum of a user's values; 0 for who has none.

CREATE OR REPLACE VIEW experiment_users_between AS
WITH
    exposed AS
    (
        SELECT
            shown.experiment AS experiment,
            shown.user_id AS user_id,
            any(shown.variant) AS variant,
            min(shown.event_time) AS exposed_at
        FROM exposures AS shown
        WHERE shown.event_time >= {since:DateTime64(6, 'UTC')}
            AND shown.event_time < {until:DateTime64(6, 'UTC')}
        GROUP BY experiment, user_id
        HAVING min(shown.variant) = max(shown.variant)
    ),
    valued AS
    (
        SELECT
            exposed.experiment AS experiment,
            exposed.variant AS variant,
            done.metric AS metric,
            exposed.user_id AS user_id,
            sum(done.value) AS value
        FROM conversions AS done
        INNER JOIN exposed ON exposed.experiment = done.experiment AND exposed.user_id = done.user_id
        WHERE done.event_time >= exposed.exposed_at
            AND done.event_time < {until:DateTime64(6, 'UTC')}
        GROUP BY experiment, variant, metric, user_id
    ),
    metrics AS
    (
        SELECT experiment, groupUniqArray(metric) AS names
        FROM valued
        GROUP BY experiment
    ),
    arms AS
    (
        SELECT
            counted.experiment AS experiment,
            counted.variant AS variant,
            counted.users AS users,
            arrayJoin(if(empty(metrics.names), [''], metrics.names)) AS metric
        FROM
        (
            SELECT experiment, variant, count() AS users FROM exposed GROUP BY experiment, variant
        ) AS counted
        LEFT JOIN metrics ON metrics.experiment = counted.experiment
    ),
    totals AS
    (
        SELECT
            experiment,
            variant,
            metric,
            count() AS converted,
            sum(value) AS sum_of_values,
            sum(value * value) AS sum_of_squares
        FROM valued
        GROUP BY experiment, variant, metric
    )
SELECT
    arms.experiment AS experiment,
    arms.variant AS variant,
    arms.metric AS metric,
    arms.users AS users,
    totals.converted AS users_converted,
    totals.converted / arms.users AS conversion_rate,
    totals.sum_of_values / arms.users AS value_per_user,
    if(
        arms.users > 1,
        (totals.sum_of_squares - totals.sum_of_values * totals.sum_of_values / arms.users)
            / (arms.users - 1),
        NULL
    ) AS value_variance
FROM arms
LEFT JOIN totals ON totals.experiment = arms.experiment
    AND totals.variant = arms.variant
    AND totals.metric = arms.metric;

CREATE OR REPLACE VIEW experiment_users AS
SELECT *
FROM experiment_users_between(since = '1970-01-01 00:00:00', until = '2200-01-01 00:00:00');
