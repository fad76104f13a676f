-- All that is known of one trace, in the order of time: the requests, spans, logs and scores that
-- carry its id.
--
--   SELECT * FROM trace(id = '4bf92f3577b34da6a3ce929d0e0e4736')
--
-- `time` is when a thing began: of requests and spans the start, of logs and scores the moment.
-- `duration` is in seconds. `status` is what went wrong or how grave it is, `text` what was said.
--
-- Requests had no index on trace_id. Adding one does not touch the parts that are there; the second
-- statement builds it for them, in the background.

ALTER TABLE requests_stored
    ADD INDEX IF NOT EXISTS by_trace_id trace_id TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE requests_stored MATERIALIZE INDEX by_trace_id;

CREATE OR REPLACE VIEW trace AS
SELECT time, what, service, name, span_id, parent_span_id, duration, status, text
FROM
(
    SELECT
        event_time - toIntervalMicrosecond(toInt64(round(ifNull(duration_seconds, 0) * 1e6)))
            AS time,
        'request' AS what,
        toString(service_name) AS service,
        concat(gen_ai_operation_name, ' ', ifNull(gen_ai_request_model, '')) AS name,
        ifNull(span_id, '') AS span_id,
        '' AS parent_span_id,
        duration_seconds AS duration,
        ifNull(error_type, '') AS status,
        endpoint AS text
    FROM requests
    WHERE trace_id = {id:String}
    UNION ALL
    SELECT
        start_time,
        'span',
        toString(service_name),
        name,
        span_id,
        ifNull(parent_span_id, ''),
        duration,
        if(status_code = 'error', ifNull(error_type, 'error'), ''),
        ifNull(status_message, '')
    FROM spans
    WHERE trace_id = {id:String}
    UNION ALL
    SELECT
        event_time,
        'log',
        toString(service_name),
        ifNull(event_name, ifNull(otel_scope_name, '')),
        ifNull(span_id, ''),
        '',
        NULL,
        ifNull(severity_text, ifNull(toString(severity_number), '')),
        body
    FROM logs
    WHERE trace_id = {id:String}
    UNION ALL
    SELECT
        event_time,
        'evaluation',
        toString(service_name),
        concat(kind, ' ', gen_ai_evaluation_name),
        ifNull(span_id, ''),
        '',
        NULL,
        ifNull(error_type, ''),
        ifNull(gen_ai_evaluation_explanation,
            ifNull(gen_ai_evaluation_score_label,
                ifNull(toString(gen_ai_evaluation_score_value), '')))
    FROM evaluations
    WHERE trace_id = {id:String}
)
ORDER BY time, what, span_id;
