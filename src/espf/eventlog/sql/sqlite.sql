-- Statements in SQLite's own words: lists travel as JSON texts.

-- name: standing
SELECT (SELECT coalesce(max(i_event), 0) FROM event),
    (SELECT value FROM espf_meta WHERE name = 'config_version'),
    (SELECT value FROM espf_meta WHERE name = 'state_version');

-- name: horizon
SELECT coalesce(max(i_event), 0) FROM event;

-- name: last_attempt
SELECT coalesce(max(i_attempt), 0) FROM attempt;

-- Every change is alone from its beginning.
-- name: lock_configuration
SELECT 1;

-- name: lock_lanes
SELECT :i_handler;

-- Left to itself it walks the key, and looks at each parked event.
-- name: numbers_parked
SELECT i_event FROM parked INDEXED BY parked_standing
WHERE i_handler = :i_handler AND i_event BETWEEN :low AND :high
  AND (CASE WHEN in_progress = 1 THEN 2 WHEN attempts > 0 THEN 1 ELSE 0 END) = :standing;

-- name: last_drawn
SELECT coalesce(max(i_event), 0) FROM event;

-- Two at once take turns, transaction by transaction.
-- name: try_housekeeping
SELECT 1;

-- name: end_housekeeping
SELECT 1;

-- name: bucket
SELECT tokens, tokens_us, grants FROM handler_state WHERE i_handler = :i_handler;

-- Bulk lanes go with the ordinary ones of the same entities.
-- name: take_lanes
UPDATE lane_cursor SET owner = :owner, fence = fence + 1, renewals = renewals + 1
WHERE i_handler = :i_handler AND bulk = 0
  AND lane % 64 IN (
    SELECT c.lane FROM lane_cursor AS c
    JOIN json_each(:seen) AS s ON s.value ->> 0 = c.lane AND s.value ->> 1 = c.fence
        AND s.value ->> 2 = c.renewals
    WHERE c.i_handler = :i_handler AND c.bulk = 0
  )
RETURNING lane, position, fence;

-- A crash left these in the middle of an attempt: whoever takes the lanes tries them again, or,
-- if an operator has an earlier one of the entity sent again, after that one.
-- name: reset_in_progress
UPDATE parked SET in_progress = 0, due_us = CASE WHEN EXISTS (
    SELECT 1 FROM parked AS earlier
    WHERE earlier.i_handler = parked.i_handler AND earlier.entity_id = parked.entity_id
      AND earlier.entity = parked.entity AND earlier.i_event < parked.i_event
) THEN NULL ELSE CAST(:now_us AS bigint) END
WHERE i_handler = :i_handler AND in_progress = 1
  AND lane IN (SELECT value FROM json_each(:lanes));

-- name: parked_moments
SELECT i_event, parked_us FROM parked
WHERE i_handler = :i_handler AND i_event > :after AND NOT parked_us BETWEEN :since_us AND :now_us
  AND (:lanes IS NULL OR lane IN (SELECT value FROM json_each(:lanes)))
ORDER BY i_event LIMIT :limit;

-- name: shift_clock
UPDATE parked SET due_us = due_us + :by_us, first_attempt_us = first_attempt_us + :by_us,
    parked_us = parked_us + :by_us
WHERE i_handler = :i_handler
  AND (i_event, parked_us) IN (SELECT value ->> 0, value ->> 1 FROM json_each(:seen));

-- name: renew_lanes
UPDATE lane_cursor SET renewals = renewals + 1
WHERE owner = :owner AND bulk = 0 AND lane < 64
RETURNING i_handler, lane, owner, fence, renewals;

-- name: release_lanes
UPDATE lane_cursor SET owner = NULL
WHERE i_handler = :i_handler AND bulk = 0 AND owner = :owner
  AND (lane, fence) IN (SELECT value ->> 0, value ->> 1 FROM json_each(:leases));

-- name: read
SELECT i_event, i_env, event_type, entity, entity_id, lane, event_time, variables, has_sim, caused_by
FROM event
WHERE bulk = 0 AND i_event > :after AND i_event <= :upto
  AND (:lanes IS NULL OR lane IN (SELECT value FROM json_each(:lanes)))
  AND event_type IN (SELECT event_type FROM subscription WHERE i_handler = :i_handler)
ORDER BY i_event LIMIT :limit;

-- The index of bulk events has no others in it, however many are between them.
-- name: read_bulk
SELECT i_event, i_env, event_type, entity, entity_id, lane + 64, event_time, variables, has_sim, caused_by
FROM event
WHERE bulk = 1 AND i_event > :after AND i_event <= :upto
  AND (:lanes IS NULL OR lane IN (SELECT value FROM json_each(:lanes)))
  AND event_type IN (SELECT event_type FROM subscription WHERE i_handler = :i_handler)
ORDER BY i_event LIMIT :limit;

-- Which of these events have a bulk event of their entity before them that is not read yet.
-- name: behind_bulk
SELECT k.value ->> 0 FROM json_each(:asked) AS k
WHERE EXISTS (
    SELECT 1 FROM event AS e
    WHERE e.entity_id = k.value ->> 2 AND e.entity = k.value ->> 1
      AND e.i_event > k.value ->> 3 AND e.i_event < k.value ->> 0 AND e.bulk = 1
      AND e.event_type IN (SELECT event_type FROM subscription WHERE i_handler = :i_handler)
);

-- What waits for bulk events, a portion of it.
-- name: behind_bulk_next
SELECT i_event FROM parked INDEXED BY parked_behind_bulk
WHERE i_handler = :i_handler AND behind_bulk = 1 AND i_event > :after
  AND (:lanes IS NULL OR lane IN (SELECT value FROM json_each(:lanes)))
ORDER BY i_event LIMIT :limit;

-- It is due once its entity has no event before it that a cursor has not passed, or waits behind what
-- is parked before it.
-- name: release_behind_bulk
UPDATE parked INDEXED BY parked_behind_bulk SET behind_bulk = 0, due_us = CASE WHEN EXISTS (
    SELECT 1 FROM parked AS earlier
    WHERE earlier.i_handler = parked.i_handler AND earlier.entity_id = parked.entity_id
      AND earlier.entity = parked.entity AND earlier.i_event < parked.i_event
) THEN NULL ELSE CAST(:now_us AS bigint) END
WHERE i_handler = :i_handler AND behind_bulk = 1 AND i_event > :after AND i_event <= :upto
  AND (:lanes IS NULL OR lane IN (SELECT value FROM json_each(:lanes)))
  AND NOT EXISTS (
    SELECT 1 FROM event AS e
    WHERE e.entity_id = parked.entity_id AND e.entity = parked.entity
      AND e.i_event < parked.i_event AND e.i_event > (
        SELECT min(l.position) FROM lane_cursor AS l WHERE l.i_handler = parked.i_handler
          AND l.bulk = 0 AND l.lane IN (parked.lane, parked.lane + 64)
      ) AND e.i_event > (
        SELECT c.position FROM lane_cursor AS c WHERE c.i_handler = parked.i_handler
          AND c.bulk = 0 AND c.lane = e.lane + 64 * e.bulk
      ) AND e.event_type IN (
        SELECT s.event_type FROM subscription AS s WHERE s.i_handler = parked.i_handler
      ) AND NOT EXISTS (
        SELECT 1 FROM parked AS p WHERE p.i_handler = parked.i_handler AND p.i_event = e.i_event
      )
  )
RETURNING 1;

-- name: parked_keys
SELECT entity, entity_id, min(CASE WHEN behind_bulk = 1 THEN i_event END) FROM parked
WHERE i_handler = :i_handler AND entity_id IN (SELECT value FROM json_each(:entity_ids))
GROUP BY entity, entity_id;

-- name: due
SELECT e.i_event, e.i_env, e.event_type, e.entity, e.entity_id, e.lane + 64 * e.bulk, e.event_time, e.variables,
    e.has_sim, e.caused_by, d.attempts, d.probes, d.due_us, d.first_attempt_us, d.stopped_base_us,
    d.coalesced
FROM (
    SELECT i_event, attempts, probes, due_us, first_attempt_us, stopped_base_us, coalesced
    FROM parked
    WHERE i_handler = :i_handler AND due_us <= :upto_us
      AND (:lanes IS NULL OR lane IN (SELECT value FROM json_each(:lanes)))
      AND i_event NOT IN (SELECT value FROM json_each(:exclude))
    ORDER BY due_us, i_event LIMIT :limit
) AS d JOIN event AS e ON e.i_event = d.i_event;

-- The event goes behind an earlier parked one of its entity, whatever its own due time.
-- name: park
INSERT INTO parked (
    i_handler, i_event, entity, entity_id, lane, attempts, probes, in_progress, due_us, parked_us,
    first_attempt_us, stopped_base_us, coalesced, reason, behind_bulk
)
SELECT :i_handler, :i_event, :entity, :entity_id, :lane, :attempts, :probes, :in_progress,
    CASE WHEN EXISTS (
        SELECT 1 FROM parked AS earlier
        WHERE earlier.i_handler = :i_handler AND earlier.entity_id = :entity_id
          AND earlier.entity = :entity AND earlier.i_event < :i_event
    ) THEN NULL ELSE CAST(:due_us AS bigint) END,
    :parked_us, :first_attempt_us, :stopped_base_us, :coalesced, :reason,
    :behind_bulk
WHERE true
ON CONFLICT (i_handler, i_event) DO NOTHING;

-- What an operator had sent again before it waits behind it.
-- name: wait_behind
UPDATE parked INDEXED BY parked_entity SET due_us = NULL
WHERE i_handler = :i_handler AND entity_id = :entity_id AND entity = :entity AND i_event > :i_event
  AND due_us IS NOT NULL AND in_progress = 0;

-- No row: an operator skipped the event while its attempt was under way.
-- name: repark
UPDATE parked SET attempts = :attempts, probes = :probes, in_progress = :in_progress,
    due_us = :due_us, parked_us = :parked_us, first_attempt_us = :first_attempt_us,
    stopped_base_us = :stopped_base_us, coalesced = :coalesced, reason = :reason
WHERE i_handler = :i_handler AND i_event = :i_event;

-- name: unpark
DELETE FROM parked WHERE i_handler = :i_handler AND i_event = :i_event;

-- name: move_cursors
UPDATE lane_cursor SET position = moved.position
FROM (
    SELECT value ->> 0 AS i_handler, value ->> 1 AS lane, value ->> 2 AS position,
        value ->> 3 AS fence
    FROM json_each(:positions)
) AS moved
WHERE lane_cursor.i_handler = moved.i_handler AND lane_cursor.bulk = 0
  AND lane_cursor.lane = moved.lane AND lane_cursor.fence = moved.fence
  AND lane_cursor.owner = :owner;

-- name: record_attempts
INSERT INTO attempt (
    i_handler, i_event, attempt, outcome, status, started_us, duration_us, code, reason, request,
    answer, instance
) VALUES
