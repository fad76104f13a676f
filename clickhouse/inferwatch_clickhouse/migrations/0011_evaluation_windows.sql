-- Quality over time: the rows of evaluations.v1, and their windows. Table and view of the rows are
-- as in 0002, the parameter of evaluations_windows as in 0005.
--
--   SELECT window_start, model, metric, score_mean, pass_rate FROM evaluations_1h
--   WHERE metric = 'accuracy' AND window_start >= now() - INTERVAL 1 DAY
--
-- score_mean, score_min, score_max and score_variance (sample variance) are of the evaluations that
-- have a score: one whose judge failed has none, and counts in `errors` and nowhere else. They are
-- NULL where none has. pass_rate is passed / (passed + failed), of those that were asked to pass;
-- NULL where none was. p50 and p95 are of the judged calls' durations, in seconds.
--
-- Means of further merges are sum(score_sum) / sum(scored).

CREATE TABLE IF NOT EXISTS evaluation_aggregates_stored
(
    signal LowCardinality(String),
    service LowCardinality(String),
    environment LowCardinality(String),
    model LowCardinality(String),
    metric LowCardinality(String),
    kind LowCardinality(String),
    window_start DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    window_seconds Int32,
    topic_id LowCardinality(String),
    partition Int32,
    block Int64 CODEC(Delta, ZSTD(1)),
    first_offset Int64 CODEC(Delta, ZSTD(1)),
    version Int64 CODEC(Delta, ZSTD(1)),
    evaluations Int64 CODEC(T64, ZSTD(1)),
    errors Int64 CODEC(T64, ZSTD(1)),
    scored Int64 CODEC(T64, ZSTD(1)),
    score_micros Int64 CODEC(T64, ZSTD(1)),
    score_sum_of_squares Decimal(38, 12) CODEC(ZSTD(1)),
    score_min Nullable(Float64) CODEC(ZSTD(1)),
    score_max Nullable(Float64) CODEC(ZSTD(1)),
    judged Int64 CODEC(T64, ZSTD(1)),
    passed Int64 CODEC(T64, ZSTD(1)),
    durations Int64 CODEC(T64, ZSTD(1)),
    duration_micros Int64 CODEC(T64, ZSTD(1)),
    duration_bin_indexes Array(Int32) CODEC(Delta, ZSTD(1)),
    duration_bin_counts Array(Int64) CODEC(T64, ZSTD(1)),
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
ORDER BY (toStartOfHour(window_start), signal, service, environment, model, metric, kind,
          window_start, window_seconds, topic_id, partition, block);

CREATE OR REPLACE VIEW evaluation_aggregates AS
SELECT *
FROM evaluation_aggregates_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1;

CREATE OR REPLACE VIEW evaluations_windows AS
SELECT
    window_start,
    service,
    environment,
    model,
    metric,
    kind,
    evaluations,
    errors,
    scored,
    toFloat64(score_sum) / nullIf(scored, 0) AS score_mean,
    score_min,
    score_max,
    inferwatchVariance(scored, score_sum, score_sum_of_squares) AS score_variance,
    passed,
    judged - passed AS failed,
    passed / nullIf(judged, 0) AS pass_rate,
    inferwatchQuantile(0.5, duration_bins) AS p50,
    inferwatchQuantile(0.95, duration_bins) AS p95,
    duration_micros / nullIf(durations, 0) / 1e6 AS duration_mean,
    score_sum,
    score_sum_of_squares,
    durations,
    duration_micros,
    duration_bins
FROM
(
    SELECT
        toStartOfInterval(rows.window_start, toIntervalSecond({seconds:UInt32})) AS window_start,
        rows.service AS service,
        rows.environment AS environment,
        rows.model AS model,
        rows.metric AS metric,
        rows.kind AS kind,
        sum(rows.evaluations) AS evaluations,
        sum(rows.errors) AS errors,
        sum(rows.scored) AS scored,
        sum(toDecimal128(rows.score_micros, 6) / 1000000) AS score_sum,
        sum(rows.score_sum_of_squares) AS score_sum_of_squares,
        min(rows.score_min) AS score_min,
        max(rows.score_max) AS score_max,
        sum(rows.judged) AS judged,
        sum(rows.passed) AS passed,
        sum(rows.durations) AS durations,
        sum(rows.duration_micros) AS duration_micros,
        sumMap(rows.duration_bin_indexes, rows.duration_bin_counts) AS duration_bins
    FROM evaluation_aggregates AS rows
    WHERE rows.signal = 'evaluations.v1'
    GROUP BY window_start, service, environment, model, metric, kind
);

CREATE OR REPLACE VIEW evaluations_10s AS SELECT * FROM evaluations_windows(seconds = 10);

CREATE OR REPLACE VIEW evaluations_1m AS SELECT * FROM evaluations_windows(seconds = 60);

CREATE OR REPLACE VIEW evaluations_1h AS SELECT * FROM evaluations_windows(seconds = 3600);
