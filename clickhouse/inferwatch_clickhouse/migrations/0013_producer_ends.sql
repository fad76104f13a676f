-- The last events of a producer that died, counted: how many it had made is told for it.
--
-- A producer_ends record says that a producer's numbers of a topic are all below events_made. In
-- producer_gaps it stands where the event of that number would: what is missing just below it counts
-- in the minute of its event_time, when the producer was last seen alive, and itself it is neither
-- made nor landed. So a producer of which nothing landed has a row too. Told twice it changes nothing.
--
-- What is still not seen: the last events of a producer of which nobody told, as where the machine
-- or its temporary files went with it.

CREATE TABLE IF NOT EXISTS producer_ends_stored
(
    event_id String CODEC(ZSTD(1)),
    producer_id LowCardinality(String),
    sequence Int64 CODEC(Delta, ZSTD(1)),
    event_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    service_name LowCardinality(String),
    deployment_environment_name LowCardinality(String),
    ended_producer_id String CODEC(ZSTD(1)),
    ended_topic LowCardinality(String),
    events_made Int64 CODEC(T64, ZSTD(1)),
    kafka_topic_id LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64 CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (toStartOfHour(event_time), service_name, kafka_topic_id, kafka_partition, kafka_offset);

CREATE OR REPLACE VIEW producer_ends AS
SELECT *, service_name AS service, deployment_environment_name AS environment
FROM producer_ends_stored FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

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
SELECT 'inferwatch.device_events' AS topic, producer_id, host_name AS source, sequence, event_time FROM device_events
UNION ALL
SELECT 'inferwatch.producer_ends' AS topic, producer_id, service_name AS source, sequence, event_time FROM producer_ends;

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
SELECT 'inferwatch.device_events' AS topic, producer_id, host_name AS source, sequence, event_time FROM device_events_stored
UNION ALL
SELECT 'inferwatch.producer_ends' AS topic, producer_id, service_name AS source, sequence, event_time FROM producer_ends_stored;

-- As in 0010, with a run of no numbers for each end, at the first time it was told of. Ends are few,
-- so those outside of the stretch are read as well.

CREATE OR REPLACE VIEW producer_gaps_between AS
WITH
    ends AS
    (
        SELECT
            ended_topic AS topic,
            ended_producer_id AS producer_id,
            events_made AS made,
            min(event_time) AS seen,
            arraySort(groupUniqArray(service_name)) AS sources,
            seen >= {since:DateTime64(6, 'UTC')} AND seen < {until:DateTime64(6, 'UTC')} AS inside
        FROM producer_ends_stored
        WHERE events_made > 0
        GROUP BY topic, producer_id, made
    ),
    bounds AS
    (
        SELECT topic, producer_id, min(number) AS lowest, max(number) AS highest
        FROM
        (
            SELECT topic, producer_id, sequence AS number
            FROM producer_sequences_stored
            WHERE event_time >= {since:DateTime64(6, 'UTC')} AND event_time < {until:DateTime64(6, 'UTC')}
            UNION ALL
            SELECT topic, producer_id, made AS number FROM ends WHERE inside
        )
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
        UNION ALL
        SELECT topic, producer_id, toStartOfMinute(seen), sources, 0, inside, (made, made - 1) FROM ends
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
        arraySort(groupUniqArrayArray(sources)) AS sources,
        max(events) AS events,
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
