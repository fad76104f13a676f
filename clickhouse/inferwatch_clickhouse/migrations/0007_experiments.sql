-- A/B experiments, from two signals: exposures.v1 and conversions.v1.
--
-- exposures_* and conversions_* are windows of each, as in 0005. A conversion rate needs both, and
-- a user converts long after being exposed, so rates are given over a whole stretch of time:
-- `experiments` over everything, experiments_between(since = ..., until = ...) over the windows
-- that start from `since` and before `until`:
--
--   SELECT variant, exposures, conversions, conversion_rate FROM experiments WHERE metric = 'visit'
--
-- A variant without a single conversion has a row of zeros for each metric of its experiment, so
-- that it is not missing from a comparison; an experiment without any has one with an empty metric.
-- conversion_rate counts events, not users, and is NULL without exposures. value_mean and
-- value_variance (sample variance) are of the value of a conversion.

CREATE OR REPLACE VIEW exposures_windows AS
SELECT
    toStartOfInterval(rows.window_start, toIntervalSecond({seconds:UInt32})) AS window_start,
    rows.experiment AS experiment,
    rows.variant AS variant,
    sum(rows.exposures) AS exposures
FROM exposure_aggregates AS rows
WHERE rows.signal = 'exposures.v1'
GROUP BY window_start, experiment, variant;

CREATE OR REPLACE VIEW exposures_10s AS SELECT * FROM exposures_windows(seconds = 10);

CREATE OR REPLACE VIEW exposures_1m AS SELECT * FROM exposures_windows(seconds = 60);

CREATE OR REPLACE VIEW exposures_1h AS SELECT * FROM exposures_windows(seconds = 3600);

CREATE OR REPLACE VIEW conversions_windows AS
SELECT
    window_start,
    experiment,
    variant,
    metric,
    conversions,
    toFloat64(value_sum) / conversions AS value_mean,
    inferwatchVariance(conversions, value_sum, value_sum_of_squares) AS value_variance,
    value_sum,
    value_sum_of_squares
FROM
(
    SELECT
        toStartOfInterval(rows.window_start, toIntervalSecond({seconds:UInt32})) AS window_start,
        rows.experiment AS experiment,
        rows.variant AS variant,
        rows.metric AS metric,
        sum(rows.conversions) AS conversions,
        sum(rows.value_sum) AS value_sum,
        sum(rows.value_sum_of_squares) AS value_sum_of_squares
    FROM conversion_aggregates AS rows
    WHERE rows.signal = 'conversions.v1'
    GROUP BY window_start, experiment, variant, metric
);

CREATE OR REPLACE VIEW conversions_10s AS SELECT * FROM conversions_windows(seconds = 10);

CREATE OR REPLACE VIEW conversions_1m AS SELECT * FROM conversions_windows(seconds = 60);

CREATE OR REPLACE VIEW conversions_1h AS SELECT * FROM conversions_windows(seconds = 3600);

CREATE OR REPLACE VIEW experiments_between AS
WITH
    conversion_totals AS
    (
        SELECT
            experiment,
            variant,
            metric,
            sum(conversions) AS conversions,
            sum(value_sum) AS value_sum,
            sum(value_sum_of_squares) AS value_sum_of_squares
        FROM conversion_aggregates
        WHERE signal = 'conversions.v1'
            AND window_start >= {since:DateTime64(3, 'UTC')}
            AND window_start < {until:DateTime64(3, 'UTC')}
        GROUP BY experiment, variant, metric
    ),
    metrics AS
    (
        SELECT experiment, groupUniqArray(metric) AS names
        FROM conversion_totals
        GROUP BY experiment
    ),
    exposure_totals AS
    (
        SELECT experiment, variant, sum(exposures) AS exposures
        FROM exposure_aggregates
        WHERE signal = 'exposures.v1'
            AND window_start >= {since:DateTime64(3, 'UTC')}
            AND window_start < {until:DateTime64(3, 'UTC')}
        GROUP BY experiment, variant
    )
SELECT
    experiment,
    variant,
    metric,
    exposures,
    conversions,
    conversions / nullIf(exposures, 0) AS conversion_rate,
    value_sum,
    toFloat64(value_sum) / nullIf(exposures, 0) AS value_per_exposure,
    toFloat64(value_sum) / nullIf(conversions, 0) AS value_mean,
    inferwatchVariance(conversions, value_sum, value_sum_of_squares) AS value_variance,
    value_sum_of_squares
FROM
(
    SELECT
        experiment,
        variant,
        metric,
        sum(parts.exposures) AS exposures,
        sum(parts.conversions) AS conversions,
        sum(parts.value_sum) AS value_sum,
        sum(parts.value_sum_of_squares) AS value_sum_of_squares
    FROM
    (
        SELECT
            experiment,
            variant,
            metric,
            toInt64(0) AS exposures,
            conversions,
            value_sum,
            value_sum_of_squares
        FROM conversion_totals
        UNION ALL
        SELECT
            exposure_totals.experiment AS experiment,
            exposure_totals.variant AS variant,
            arrayJoin(if(empty(metrics.names), [''], metrics.names)) AS metric,
            exposure_totals.exposures AS exposures,
            toInt64(0) AS conversions,
            toDecimal128(0, 6) AS value_sum,
            toDecimal128(0, 12) AS value_sum_of_squares
        FROM exposure_totals
        LEFT JOIN metrics ON metrics.experiment = exposure_totals.experiment
    ) AS parts
    GROUP BY experiment, variant, metric
);

CREATE OR REPLACE VIEW experiments AS
SELECT *
FROM experiments_between(since = '1970-01-01 00:00:00', until = '2200-01-01 00:00:00');
