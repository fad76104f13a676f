-- Loss, counted: what producers made, and what of it landed, by producer, topic and minute.
--
--   SELECT * FROM producer_gaps_between(since = '2026-01-31 12:00:00', until = '2026-01-31 13:00:00')
--   WHERE missing > 0 ORDER BY minute
--
-- producer_gaps is the same over all time. A producer numbers its events of one topic from 0
-- without gaps, so a number that is in no row is an event that did not land: dropped from a full
-- queue, never acknowledged, refused, or no event at all (then it is among the dead letters).
--
-- Missing numbers count in the minute of the next number that landed: that is when they are known
-- to be missing. `made` is landed and missing; `resent` is how many further records carry a number
-- that was counted, as a producer writes that sends again without idempotence. `sources` are the
-- services or hosts that the minute's events name. `since` and `until` are event times, best whole
-- minutes; numbers of a producer that landed outside of them are looked up, so that none of those
-- is missing.
--
-- What it cannot see: the last events of a producer that died, as nothing comes after them, and a
-- producer of which nothing landed at all. What it sees wrongly: rows that a TTL or a person removed
-- are missing in the minute of the next that is left, and two producers of one producer_id, as
-- where it is kept over restarts, are one whose events were resent.
--
-- How: a minute's numbers are sorted and become runs, of which there is one where nothing is
-- missing, and the few runs of all minutes are compared with those before them. Versions and rank
-- play no part; a record that was inserted twice is one (FINAL), its copies in Kafka are not.

CREATE OR REPLACE VIEW producer_sequences AS
SELECT 'inferwatch.requests' AS topic, producer_id, service_name AS source, sequence, event_time FROM requests
UNION ALL
SELECT 'inferwatch.resources' AS topic, producer_id, host_name AS source, sequence, event_time FROM resources
UNION ALL
SELECT 'inferwatch.exposures' AS topic, producer_id, service_name AS source, sequence, event_time FROM exposures
UNION ALL
SELECT 'inferwatch.conversions' AS topic, producer_id, service_name AS source, sequence, event_time FROM conversions
UNION ALL
SELECT 'inferwatch.logs' AS topic, producer_id, service_name AS source, sequence, event_time FROM logs
UNION ALL
SELECT 'inferwatch.spans' AS topic, producer_id, service_name AS source, sequence, event_time FROM spans
UNION ALL
SELECT 'inferwatch.evaluations' AS topic, producer_id, service_name AS source, sequence, event_time FROM evaluations
UNION ALL
SELECT 'inferwatch.device_events' AS topic, producer_id, host_name AS source, sequence, event_time FROM device_events;

-- The same as often as it was inserted, for what repetition does not change.

CREATE OR REPLACE VIEW producer_sequences_stored AS
SELECT 'inferwatch.requests' AS topic, producer_id, service_name AS source, sequence, event_time FROM requests_stored
UNION ALL
SELECT 'inferwatch.resources' AS topic, producer_id, host_name AS source, sequence, event_time FROM resources_stored
UNION ALL
SELECT 'inferwatch.exposures' AS topic, producer_id, service_name AS source, sequence, event_time FROM exposures_stored
UNION ALL
SELECT 'inferwatch.conversions' AS topic, producer_id, service_name AS source, sequence, event_time FROM conversions_stored
UNION ALL
SELECT 'inferwatch.logs' AS topic, producer_id, service_name AS source, sequence, event_time FROM logs_stored
UNION ALL
SELECT 'inferwatch.spans' AS topic, producer_id, service_name AS source, sequence, event_time FROM spans_stored
UNION ALL
SELECT 'inferwatch.evaluations' AS topic, producer_id, service_name AS source, sequence, event_time FROM evaluations_stored
UNION ALL
SELECT 'inferwatch.device_events' AS topic, producer_id, host_name AS source, sequence, event_time FROM device_events_stored;

CREATE OR REPLACE VIEW producer_gaps_between AS
WITH
    bounds AS
    (
        SELECT topic, producer_id, min(sequence) AS lowest, max(sequence) AS highest
        FROM producer_sequences_stored
        WHERE event_time >= {since:DateTime64(6, 'UTC')} AND event_time < {until:DateTime64(6, 'UTC')}
        GROUP BY topic, producer_id
    ),
    minutes AS
    (
        SELECT
            topic,
            producer_id,
            toStartOfMinute(event_time) AS minute,
            arraySort(groupUniqArray(source)) AS sources,
            count() AS events,
            arrayCompact(arraySort(groupArray(sequence))) AS numbers,
            arrayDifference(numbers) AS steps
        FROM producer_sequences
        WHERE event_time >= {since:DateTime64(6, 'UTC')} AND event_time < {until:DateTime64(6, 'UTC')}
        GROUP BY topic, producer_id, minute
    ),
    elsewhere AS
    (
        SELECT
            rows.topic AS topic,
            rows.producer_id AS producer_id,
            groupUniqArrayIf(rows.sequence, rows.sequence > bounds.lowest) AS among,
            maxIf(rows.sequence + 1, rows.sequence < bounds.lowest) AS before
        FROM producer_sequences_stored AS rows
        INNER JOIN bounds ON bounds.topic = rows.topic AND bounds.producer_id = rows.producer_id
        WHERE (rows.event_time < {since:DateTime64(6, 'UTC')}
                OR rows.event_time >= {until:DateTime64(6, 'UTC')})
            AND rows.sequence < bounds.highest
        GROUP BY topic, producer_id
    ),
    runs AS
    (
        SELECT
            topic,
            producer_id,
            minute,
            sources,
            events,
            true AS inside,
            arrayJoin(arrayZip(
                arrayFilter((number, step) -> step != 1, numbers, steps),
                arrayFilter((number, step) -> step != 1, numbers,
                    arrayPushBack(arrayPopFront(steps), 0))
            )) AS run
        FROM minutes
        UNION ALL
        SELECT
            topic,
            producer_id,
            toDateTime(0, 'UTC'),
            [],
            0,
            false,
            arrayJoin(arrayMap(number -> (number, number),
                if(before > 0, arrayPushBack(among, before - 1), among)))
        FROM elsewhere
    )
SELECT
    topic,
    producer_id,
    sources,
    minute,
    landed + missing AS made,
    landed,
    missing,
    events - landed AS resent
FROM
(
    SELECT
        topic,
        producer_id,
        minute,
        any(sources) AS sources,
        any(events) AS events,
        sum(last - first + 1 - greatest(least(last + 1, next) - first, 0)) AS landed,
        sum(greatest(first - next, 0)) AS missing
    FROM
    (
        SELECT
            topic,
            producer_id,
            minute,
            sources,
            events,
            inside,
            run.1 AS first,
            run.2 AS last,
            -- The number after the highest so far; 0 before the first run.
            max(run.2 + 1) OVER (
                PARTITION BY topic, producer_id ORDER BY run.1, inside, minute, run.2
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS next
        FROM runs
    )
    WHERE inside
    GROUP BY topic, producer_id, minute
);

CREATE OR REPLACE VIEW producer_gaps AS
SELECT *
FROM producer_gaps_between(since = '1970-01-01 00:00:00', until = '2200-01-01 00:00:00');
