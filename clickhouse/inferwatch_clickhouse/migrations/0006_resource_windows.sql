-- Windows of resource samples: one row for each metric of a host or device that was measured.
-- `metric` is the name of the sample's field, and its unit is in that name.
--
--   SELECT window_start, device, avg, max FROM resources_1m
--   WHERE host = 'gpu-7' AND metric = 'gpu_utilization_ratio'
--
-- Averages of further merges are sum(value_sum) / sum(samples). See 0005 for the parameter.

CREATE OR REPLACE VIEW resources_windows AS
SELECT
    window_start,
    host,
    device,
    metric,
    samples,
    toFloat64(value_sum) / samples AS avg,
    min,
    max,
    value_sum
FROM
(
    SELECT
        toStartOfInterval(rows.window_start, toIntervalSecond({seconds:UInt32})) AS window_start,
        rows.host AS host,
        rows.device AS device,
        rows.metric AS metric,
        sum(rows.samples) AS samples,
        min(rows.value_min) AS min,
        max(rows.value_max) AS max,
        sum(rows.value_sum) AS value_sum
    FROM resource_aggregates AS rows
    WHERE rows.signal = 'resources.v1'
    GROUP BY window_start, host, device, metric
);

CREATE OR REPLACE VIEW resources_10s AS SELECT * FROM resources_windows(seconds = 10);

CREATE OR REPLACE VIEW resources_1m AS SELECT * FROM resources_windows(seconds = 60);

CREATE OR REPLACE VIEW resources_1h AS SELECT * FROM resources_windows(seconds = 3600);
