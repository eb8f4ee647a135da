-- Statements in SQLite's own words: lists travel as JSON texts.

-- name: standing
SELECT (SELECT coalesce(max(i_event), 0) FROM event),
    (SELECT value FROM espf_meta WHERE name = 'config_version');

-- name: horizon
SELECT coalesce(max(i_event), 0) FROM event;

-- Every change is alone from its beginning.
-- name: lock_configuration
SELECT 1;

-- name: read
SELECT i_event, i_env, event_type, entity, entity_id, lane, event_time, variables, has_sim, caused_by
FROM event
WHERE i_event > :after AND i_event <= :upto
  AND event_type IN (SELECT event_type FROM subscription WHERE i_handler = :i_handler)
ORDER BY i_event LIMIT :limit;

-- name: parked_keys
SELECT DISTINCT entity, entity_id FROM parked
WHERE i_handler = :i_handler AND entity_id IN (SELECT value FROM json_each(:entity_ids));

-- name: due
SELECT e.i_event, e.i_env, e.event_type, e.entity, e.entity_id, e.lane, e.event_time, e.variables,
    e.has_sim, e.caused_by, d.attempts, d.probes, d.due_us, d.first_attempt_us, d.stopped_base_us,
    d.coalesced
FROM (
    SELECT i_event, attempts, probes, due_us, first_attempt_us, stopped_base_us, coalesced
    FROM parked
    WHERE i_handler = :i_handler AND due_us <= :upto_us
      AND i_event NOT IN (SELECT value FROM json_each(:exclude))
    ORDER BY due_us, i_event LIMIT :limit
) AS d JOIN event AS e ON e.i_event = d.i_event;

-- name: move_cursors
UPDATE lane_cursor SET position = moved.position
FROM (
    SELECT value ->> 0 AS i_handler, value ->> 1 AS lane, value ->> 2 AS position,
        value ->> 3 AS fence
    FROM json_each(:positions)
) AS moved
WHERE lane_cursor.i_handler = moved.i_handler AND lane_cursor.bulk = 0
  AND lane_cursor.lane = moved.lane AND lane_cursor.fence = moved.fence
  AND lane_cursor.owner = :instance;

-- name: record_attempts
INSERT INTO attempt (
    i_handler, i_event, attempt, outcome, status, started_us, duration_us, code, reason, request,
    answer, instance
) VALUES
