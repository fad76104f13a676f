-- Alerts and incidents, as they were told: every state that an alert, a silence or an incident had,
-- and every command of a person. As in 0001, NAME_stored keeps what arrived and NAME, a view, reads
-- it as exactly once.
--
-- A state is a row each time something changed. What holds now is the newest of a key:
--
--   SELECT * FROM alerts_now WHERE status IN ('firing', 'acknowledged')
--   SELECT * FROM incidents_now WHERE status != 'resolved'
--
-- Of two processes that wrote at a time, as after a pause of one, the later claim's holds (epoch);
-- what the other wrote after that claim is here too, and in none of the views ..._now. These are of
-- the newest topic alone: what a topic said that was since deleted and created again holds no more.

CREATE TABLE IF NOT EXISTS alerts_stored
(
    fingerprint String,
    event_time DateTime64(6, 'UTC'),
    rule LowCardinality(String),
    kind LowCardinality(String),
    severity LowCardinality(String),
    status LowCardinality(String),
    transition_id String,
    labels Array(Tuple(name LowCardinality(String), value String)),
    value Nullable(Float64),
    threshold Nullable(Float64),
    samples Nullable(Int64),
    summary String,
    description String,
    runbook_url LowCardinality(Nullable(String)),
    details Nullable(String),
    started_at DateTime64(6, 'UTC'),
    fired_at Nullable(DateTime64(6, 'UTC')),
    acknowledged_at Nullable(DateTime64(6, 'UTC')),
    acknowledged_by LowCardinality(Nullable(String)),
    resolved_at Nullable(DateTime64(6, 'UTC')),
    silence_id Nullable(String),
    inhibited_by Nullable(String),
    flapping Bool,
    group_key String,
    epoch Int64,
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (rule, fingerprint, event_time, kafka_topic_id, kafka_partition, kafka_offset);

CREATE OR REPLACE VIEW alerts AS
SELECT *
FROM alerts_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE OR REPLACE VIEW alerts_now AS
SELECT *
FROM alerts
WHERE kafka_topic_id = (SELECT argMax(kafka_topic_id, inserted_at) FROM alerts_stored)
ORDER BY epoch DESC, kafka_offset DESC
LIMIT 1 BY fingerprint;

CREATE TABLE IF NOT EXISTS silences_stored
(
    silence_id String,
    event_time DateTime64(6, 'UTC'),
    matchers Array(Tuple(name LowCardinality(String), operator LowCardinality(String), value String)),
    starts_at DateTime64(6, 'UTC'),
    ends_at DateTime64(6, 'UTC'),
    actor LowCardinality(String),
    reason String,
    epoch Int64,
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (event_time, silence_id, kafka_topic_id, kafka_partition, kafka_offset);

CREATE OR REPLACE VIEW silences AS
SELECT *
FROM silences_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE TABLE IF NOT EXISTS commands_stored
(
    command_id String,
    event_time DateTime64(6, 'UTC'),
    actor LowCardinality(String),
    action LowCardinality(String),
    target String,
    text Nullable(String),
    assignee LowCardinality(Nullable(String)),
    response_action LowCardinality(Nullable(String)),
    starts_at Nullable(DateTime64(6, 'UTC')),
    ends_at Nullable(DateTime64(6, 'UTC')),
    matchers Array(Tuple(name LowCardinality(String), operator LowCardinality(String), value String)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (event_time, command_id, kafka_topic_id, kafka_partition, kafka_offset);

CREATE OR REPLACE VIEW commands AS
SELECT *
FROM commands_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE TABLE IF NOT EXISTS incidents_stored
(
    incident_id String,
    event_time DateTime64(6, 'UTC'),
    title String,
    priority LowCardinality(String),
    status LowCardinality(String),
    transition LowCardinality(String),
    transition_id String,
    services Array(String),
    models Array(String),
    hosts Array(String),
    alerts Array(Tuple(
        fingerprint String,
        rule String,
        severity String,
        status String,
        summary String,
        joined_at DateTime64(6, 'UTC'))),
    probable_cause Nullable(String),
    cause_fingerprint Nullable(String),
    runbook_url LowCardinality(Nullable(String)),
    opened_at DateTime64(6, 'UTC'),
    acknowledge_by DateTime64(6, 'UTC'),
    resolve_by DateTime64(6, 'UTC'),
    acknowledged_at Nullable(DateTime64(6, 'UTC')),
    acknowledged_by LowCardinality(Nullable(String)),
    assignee LowCardinality(Nullable(String)),
    resolved_at Nullable(DateTime64(6, 'UTC')),
    resolved_by LowCardinality(Nullable(String)),
    escalation_level Int32,
    targets Array(String),
    actions Array(Tuple(
        name String,
        status String,
        started_at Nullable(DateTime64(6, 'UTC')),
        finished_at Nullable(DateTime64(6, 'UTC')),
        attempts Int32,
        result Nullable(String),
        value_before Nullable(Float64),
        value_after Nullable(Float64),
        undo Nullable(String))),
    timeline Array(Tuple(
        at DateTime64(6, 'UTC'),
        kind String,
        actor String,
        text String)),
    epoch Int64,
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (incident_id, event_time, kafka_topic_id, kafka_partition, kafka_offset);

CREATE OR REPLACE VIEW incidents AS
SELECT *
FROM incidents_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE OR REPLACE VIEW incidents_now AS
SELECT *
FROM incidents
WHERE kafka_topic_id = (SELECT argMax(kafka_topic_id, inserted_at) FROM incidents_stored)
ORDER BY epoch DESC, kafka_offset DESC
LIMIT 1 BY incident_id;
