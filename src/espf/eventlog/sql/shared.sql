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
SELECT breaker, breaker_since_us, breaker_reason, stopped_us, stopped_since_us, probe
FROM handler_state WHERE i_handler = :i_handler;

-- name: lanes
SELECT i_handler, lane, owner, fence, renewals FROM lane_cursor
WHERE bulk = 0 AND lane < 64;

-- name: forget_instance
DELETE FROM instance WHERE token = :token;

-- name: free_lanes
UPDATE lane_cursor SET owner = NULL WHERE owner = :token;

-- name: beat
INSERT INTO instance (token, name, host, pid, service_ip, version, started_us, beat_us, beats,
    unable, metrics)
VALUES (:token, :name, :host, :pid, :service_ip, :version, :started_us, :beat_us, 1, :unable,
    :metrics)
ON CONFLICT (token) DO UPDATE SET beat_us = excluded.beat_us, beats = instance.beats + 1,
    unable = excluded.unable, metrics = excluded.metrics;

-- name: beats
SELECT token, beats, unable FROM instance ORDER BY token;

-- Those that nobody heard of for a day, by the clock of whoever asks.
-- name: forget_the_dead
DELETE FROM instance WHERE beat_us < :before_us;

-- name: bump_state_version
UPDATE espf_meta SET value = value + 1 WHERE name = 'state_version';

-- name: claim_probe
UPDATE handler_state SET probe = probe + 1 WHERE i_handler = :i_handler AND probe = :seen
RETURNING probe;

-- name: settled_between
SELECT DISTINCT i_event FROM attempt
WHERE i_handler = :i_handler AND i_event > :after AND i_event <= :upto
  AND status IN ('finished', 'failed', 'skipped')
  AND i_attempt > (SELECT replayed FROM handler_state WHERE i_handler = :i_handler);

-- name: parked_between
SELECT i_event FROM parked
WHERE i_handler = :i_handler AND i_event > :after AND i_event <= :upto;

-- Bulk events that are not read yet, and nearer than what is read now.
-- name: has_bulk
SELECT EXISTS (SELECT 1 FROM event WHERE bulk = 1 AND i_event > :bulk_after AND i_event <= :upto);

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

-- name: activate_next
UPDATE parked SET due_us = :now_us
WHERE i_handler = :i_handler AND due_us IS NULL AND in_progress = 0 AND behind_bulk = 0 AND i_event = (
    SELECT min(next.i_event) FROM parked AS next
    WHERE next.i_handler = :i_handler AND next.entity_id = :entity_id AND next.entity = :entity
);

-- name: open_breaker
UPDATE handler_state SET breaker = 'open', breaker_since_us = :since_us, breaker_reason = :reason,
    stopped_since_us = coalesce(stopped_since_us, CAST(:now_us AS bigint))
WHERE i_handler = :i_handler AND breaker = 'closed';

-- The time stopped is over, unless an operator paused the handler.
-- name: close_breaker
UPDATE handler_state SET breaker = 'closed', breaker_since_us = NULL, breaker_reason = NULL
WHERE i_handler = :i_handler AND breaker = 'open';

-- name: stop_counting
UPDATE handler_state
SET stopped_us = stopped_us + CASE WHEN stopped_since_us < CAST(:now_us AS bigint)
        THEN CAST(:now_us AS bigint) - stopped_since_us ELSE 0 END,
    stopped_since_us = NULL
WHERE i_handler = :i_handler AND breaker = 'closed' AND stopped_since_us IS NOT NULL
  AND NOT EXISTS (
    SELECT 1 FROM handler WHERE handler.i_handler = handler_state.i_handler AND handler.paused = 1
  );

-- name: start_counting
UPDATE handler_state SET stopped_since_us = coalesce(stopped_since_us, CAST(:now_us AS bigint))
WHERE i_handler = :i_handler;

-- name: release
UPDATE parked SET due_us = :now_us
WHERE i_handler = :i_handler AND due_us > :now_us AND parked_us >= :since_us;

-- name: set_bucket
UPDATE handler_state SET tokens = :tokens, tokens_us = :tokens_us, grants = :grants
WHERE i_handler = :i_handler;

-- name: skip_done
DELETE FROM skip_request WHERE i_handler = :i_handler AND i_event = :i_event;

-- A result of an earlier event does not replace a later one's. No group of that name: nothing.
-- name: set_status
INSERT INTO account_status (i_account, i_group, status, message, i_event, set_us)
SELECT CAST(:i_account AS bigint), i_group, CAST(:status AS text), CAST(:message AS text),
    CAST(:i_event AS bigint), CAST(:set_us AS bigint)
FROM service_group WHERE name = CAST(:group_name AS text)
ON CONFLICT (i_account, i_group) DO UPDATE SET status = excluded.status,
    message = excluded.message, i_event = excluded.i_event, set_us = excluded.set_us
WHERE excluded.i_event >= account_status.i_event;
