-- Statements that both engines understand. Parameters are :name.

-- name: schema_version
SELECT value FROM espf_meta WHERE name = 'schema_version';

-- name: bump_config_version
UPDATE espf_meta SET value = value + 1 WHERE name = 'config_version';

-- name: handlers
SELECT i_handler, name, type, enabled, paused, keep_events, options, subscriptions
FROM handler ORDER BY name;

-- name: subscriptions
SELECT event_type FROM subscription WHERE i_handler = :i_handler;

-- name: state
SELECT breaker, breaker_since_us, breaker_reason, stopped_us, stopped_since_us
FROM handler_state WHERE i_handler = :i_handler;

-- name: take_lanes
UPDATE lane_cursor SET owner = :instance, fence = fence + 1, renewals = renewals + 1
WHERE i_handler = :i_handler AND bulk = 0
RETURNING lane, position, fence;

-- A crash left these in the middle of an attempt: whoever takes the lanes tries them again, or,
-- if an operator has an earlier one of the entity sent again, after that one.
-- name: reset_in_progress
UPDATE parked SET in_progress = 0, due_us = CASE WHEN EXISTS (
    SELECT 1 FROM parked AS earlier
    WHERE earlier.i_handler = parked.i_handler AND earlier.entity_id = parked.entity_id
      AND earlier.entity = parked.entity AND earlier.i_event < parked.i_event
) THEN NULL ELSE CAST(:now_us AS bigint) END
WHERE i_handler = :i_handler AND in_progress = 1;

-- Reading never runs further ahead of the lowest cursor than this; without the bound a handler
-- far behind would look at every attempt of the others.
-- name: settled_above
SELECT DISTINCT i_event FROM attempt
WHERE i_event > :position AND i_event <= :position + 65536 AND i_handler = :i_handler
  AND status IN ('finished', 'failed', 'skipped');

-- name: parked_above
SELECT i_event FROM parked
WHERE i_handler = :i_handler AND i_event > :position AND i_event <= :position + 65536;

-- name: has_parked
SELECT EXISTS (SELECT 1 FROM parked WHERE i_handler = :i_handler);

-- name: skips
SELECT i_event, reason FROM skip_request
WHERE i_handler = :i_handler AND i_event > :after AND i_event <= :upto;

-- name: next_due
SELECT min(due_us) FROM parked WHERE i_handler = :i_handler AND due_us > :now_us;

-- Among the next thousand events of the entity; an event with none there is sent, which is no harm.
-- name: successor
SELECT min(i_event) FROM (
    SELECT i_event, event_type FROM event
    WHERE entity_id = :entity_id AND entity = :entity AND i_event > :i_event AND i_event <= :upto
    ORDER BY i_event LIMIT 1000
) AS later WHERE event_type = :event_type;

-- The event goes behind an earlier parked one of its entity, whatever its own due time.
-- name: park
INSERT INTO parked (
    i_handler, i_event, entity, entity_id, lane, attempts, probes, in_progress, due_us, parked_us,
    first_attempt_us, stopped_base_us, coalesced, reason
)
SELECT :i_handler, :i_event, :entity, :entity_id, :lane, :attempts, :probes, :in_progress,
    CASE WHEN EXISTS (
        SELECT 1 FROM parked AS earlier
        WHERE earlier.i_handler = :i_handler AND earlier.entity_id = :entity_id
          AND earlier.entity = :entity AND earlier.i_event < :i_event
    ) THEN NULL ELSE CAST(:due_us AS bigint) END,
    :parked_us, :first_attempt_us, :stopped_base_us, :coalesced, :reason;

-- No row: an operator skipped the event while its attempt was under way.
-- name: repark
UPDATE parked SET attempts = :attempts, probes = :probes, in_progress = :in_progress,
    due_us = :due_us, parked_us = :parked_us, first_attempt_us = :first_attempt_us,
    stopped_base_us = :stopped_base_us, coalesced = :coalesced, reason = :reason
WHERE i_handler = :i_handler AND i_event = :i_event;

-- name: unpark
DELETE FROM parked WHERE i_handler = :i_handler AND i_event = :i_event;

-- name: activate_next
UPDATE parked SET due_us = :now_us
WHERE i_handler = :i_handler AND due_us IS NULL AND in_progress = 0 AND i_event = (
    SELECT min(next.i_event) FROM parked AS next
    WHERE next.i_handler = :i_handler AND next.entity_id = :entity_id AND next.entity = :entity
);

-- name: set_state
UPDATE handler_state SET breaker = :breaker, breaker_since_us = :since_us,
    breaker_reason = :reason, stopped_us = :stopped_us, stopped_since_us = :stopped_since_us
WHERE i_handler = :i_handler;

-- name: release
UPDATE parked SET due_us = :now_us
WHERE i_handler = :i_handler AND due_us > :now_us AND parked_us >= :since_us;

-- name: bucket
SELECT tokens, tokens_us FROM handler_state WHERE i_handler = :i_handler;

-- name: set_bucket
UPDATE handler_state SET tokens = :tokens, tokens_us = :now_us WHERE i_handler = :i_handler;

-- name: skip_done
DELETE FROM skip_request WHERE i_handler = :i_handler AND i_event = :i_event;
