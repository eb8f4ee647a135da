-- Search for pairs of event and handler, see operating/search. Numbers come in stretches from :low to
-- :high; the caller adds ORDER BY i_event and LIMIT.

-- name: handlers_to_search
SELECT h.i_handler, h.name, h.enabled, h.keep_events, coalesce(s.replayed, 0),
    coalesce(s.replayed_us, 0)
FROM handler AS h LEFT JOIN handler_state AS s ON s.i_handler = h.i_handler;

-- name: cursors_of
SELECT i_handler, lane, position FROM lane_cursor
WHERE bulk = 0 AND i_handler IN (:handlers[]);

-- name: subscriptions_of
SELECT i_handler, event_type FROM subscription WHERE i_handler IN (:handlers[]);

-- name: passed_by
SELECT i_handler, after_event, upto_event, events, at_us, reason FROM passed_by
WHERE i_handler IN (:handlers[]) ORDER BY i_handler, upto_event, after_event;

-- ---- the numbers ----

-- name: ends_of_log
SELECT (SELECT min(i_event) FROM event), (SELECT max(i_event) FROM event);

-- name: blocks_done
SELECT value FROM housekeeping_mark WHERE name = 'blocks';

-- name: numbers
SELECT i_event FROM event WHERE i_event BETWEEN :low AND :high;

-- name: numbers_of_entity
SELECT i_event FROM event
WHERE entity_id = :entity_id AND entity = :entity AND i_event BETWEEN :low AND :high;

-- name: kinds_of_entity
SELECT DISTINCT entity FROM event WHERE entity_id = :entity_id;

-- The cursor is looked up for each event: a join may begin with the lanes, and read all 64 times.
-- name: numbers_in_lanes
SELECT i_event FROM event
WHERE i_event BETWEEN :low AND :high AND i_event > (
    SELECT c.position FROM lane_cursor AS c
    WHERE c.i_handler = :i_handler AND c.bulk = 0 AND c.lane = event.lane + 64 * event.bulk
  );

-- name: numbers_attempted
SELECT DISTINCT i_event FROM attempt
WHERE i_handler = :i_handler AND status = :status AND i_event BETWEEN :low AND :high;

-- ---- what they are ----

-- name: events_of
SELECT i_event, i_env, event_type, entity, entity_id, lane + 64 * bulk, event_time, variables,
    has_sim, caused_by
FROM event WHERE i_event IN (:numbers[]) ORDER BY i_event;

-- name: parked_of
SELECT i_handler, i_event, in_progress, attempts, due_us, reason FROM parked
WHERE i_handler IN (:handlers[]) AND i_event IN (:numbers[]);

-- name: attempts_at
SELECT i_handler, i_event, i_attempt, attempt, outcome, status, code, reason, started_us
FROM attempt
WHERE i_handler IN (:handlers[]) AND status IN ('finished', 'failed', 'retry', 'skipped')
  AND i_event IN (:numbers[]);

-- name: wishes_of
SELECT i_handler, i_event FROM skip_request
WHERE i_handler IN (:handlers[]) AND i_event IN (:numbers[]);

-- ---- how many wait ----

-- What is settled above a cursor is little, except after a replay.
-- name: waiting_near
SELECT count(*) FROM (
    SELECT e.i_event FROM event AS e
    WHERE e.i_event > :low AND e.i_event <= :high AND e.event_type IN (:event_types[])
      AND e.i_event > (
        SELECT c.position FROM lane_cursor AS c
        WHERE c.i_handler = :i_handler AND c.bulk = 0 AND c.lane = e.lane + 64 * e.bulk)
      AND e.i_event NOT IN (
        SELECT a.i_event FROM attempt AS a
        WHERE a.i_handler = :i_handler AND a.status IN ('finished', 'failed', 'skipped')
          AND a.i_event > :low AND a.i_event <= :high AND a.i_attempt > :replayed)
      AND e.i_event NOT IN (
        SELECT p.i_event FROM parked AS p
        WHERE p.i_handler = :i_handler AND p.i_event > :low AND p.i_event <= :high)
    LIMIT :count_to
) AS waiting;

-- name: counted_in_blocks
SELECT coalesce(sum(events), 0) FROM event_block_count
WHERE field = 'event_type' AND value IN (:event_types[]) AND block BETWEEN :low AND :high;

-- name: waiting_in_tail
SELECT count(*) FROM (
    SELECT 1 FROM event
    WHERE i_event BETWEEN :low AND :high AND event_type IN (:event_types[]) LIMIT :count_to
) AS waiting;
