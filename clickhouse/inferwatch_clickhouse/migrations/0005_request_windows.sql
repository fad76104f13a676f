-- Windows of requests, with versions and blocks resolved: what dashboards and analysts read.
--
--   SELECT window_start, service, model, requests, error_rate, p50, p95, p99
--   FROM requests_1m WHERE window_start >= now() - INTERVAL 1 HOUR
--
-- requests_10s, requests_1m and requests_1h are requests_windows(seconds = ...), which takes any
-- multiple of the base window of 10 seconds. Only rows of requests.v1 are read: rows of two
-- versions of a signal never mix.
--
-- Times are seconds. p50 to p99 are of the duration, NULL when none was measured; duration_bins
-- and first_token_bins are the histograms behind them, to be merged further (see 0004). cost_usd
-- sums the priced calls and is NULL when there is none. tokens_per_second is output tokens over the
-- length of the window.

CREATE OR REPLACE VIEW requests_windows AS
SELECT
    window_start,
    service,
    environment,
    provider,
    model,
    endpoint,
    requests,
    errors,
    errors / requests AS error_rate,
    requests / {seconds:UInt32} AS requests_per_second,
    inferwatchQuantile(0.5, duration_bins) AS p50,
    inferwatchQuantile(0.95, duration_bins) AS p95,
    inferwatchQuantile(0.99, duration_bins) AS p99,
    duration_micros / nullIf(durations, 0) / 1e6 AS duration_mean,
    inferwatchQuantile(0.5, first_token_bins) AS first_token_p50,
    inferwatchQuantile(0.95, first_token_bins) AS first_token_p95,
    inferwatchQuantile(0.99, first_token_bins) AS first_token_p99,
    first_token_micros / nullIf(first_tokens, 0) / 1e6 AS first_token_mean,
    input_tokens,
    output_tokens,
    cached_tokens,
    reasoning_tokens,
    output_tokens / {seconds:UInt32} AS tokens_per_second,
    if(priced_requests = 0, NULL, cost_usd_micros / 1e6) AS cost_usd,
    priced_requests,
    cost_usd_micros,
    durations,
    duration_micros,
    duration_bins,
    first_tokens,
    first_token_micros,
    first_token_bins
FROM
(
    SELECT
        toStartOfInterval(rows.window_start, toIntervalSecond({seconds:UInt32})) AS window_start,
        rows.service AS service,
        rows.environment AS environment,
        rows.provider AS provider,
        rows.model AS model,
        rows.endpoint AS endpoint,
        sum(rows.requests) AS requests,
        sum(rows.errors) AS errors,
        sum(rows.input_tokens) AS input_tokens,
        sum(rows.output_tokens) AS output_tokens,
        sum(rows.cached_tokens) AS cached_tokens,
        sum(rows.reasoning_tokens) AS reasoning_tokens,
        sum(rows.cost_usd_micros) AS cost_usd_micros,
        sum(rows.priced_requests) AS priced_requests,
        sum(rows.durations) AS durations,
        sum(rows.duration_micros) AS duration_micros,
        sumMap(rows.duration_bin_indexes, rows.duration_bin_counts) AS duration_bins,
        sum(rows.first_tokens) AS first_tokens,
        sum(rows.first_token_micros) AS first_token_micros,
        sumMap(rows.first_token_bin_indexes, rows.first_token_bin_counts) AS first_token_bins
    FROM request_aggregates AS rows
    WHERE rows.signal = 'requests.v1'
    GROUP BY window_start, service, environment, provider, model, endpoint
);

CREATE OR REPLACE VIEW requests_10s AS SELECT * FROM requests_windows(seconds = 10);

CREATE OR REPLACE VIEW requests_1m AS SELECT * FROM requests_windows(seconds = 60);

CREATE OR REPLACE VIEW requests_1h AS SELECT * FROM requests_windows(seconds = 3600);

-- Errors by type: one row for each type that occurred in a window.

CREATE OR REPLACE VIEW requests_errors_windows AS
SELECT
    toStartOfInterval(rows.window_start, toIntervalSecond({seconds:UInt32})) AS window_start,
    rows.service AS service,
    rows.environment AS environment,
    rows.provider AS provider,
    rows.model AS model,
    rows.endpoint AS endpoint,
    error_type,
    sum(error_type_count) AS errors
FROM request_aggregates AS rows
ARRAY JOIN rows.error_types AS error_type, rows.error_type_counts AS error_type_count
WHERE rows.signal = 'requests.v1'
GROUP BY window_start, service, environment, provider, model, endpoint, error_type;

CREATE OR REPLACE VIEW requests_errors_10s AS SELECT * FROM requests_errors_windows(seconds = 10);

CREATE OR REPLACE VIEW requests_errors_1m AS SELECT * FROM requests_errors_windows(seconds = 60);

CREATE OR REPLACE VIEW requests_errors_1h AS SELECT * FROM requests_errors_windows(seconds = 3600);
