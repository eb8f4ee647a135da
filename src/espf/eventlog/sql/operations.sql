-- What operators ask of the event log and its handlers. Both engines understand these.

-- name: handler_by_name
SELECT i_handler FROM handler WHERE name = :name;

-- name: add_handler
INSERT INTO handler (name, type, enabled, keep_events, options, subscriptions, created_us, updated_us)
VALUES (:name, :type, :enabled, :keep_events, :options, :subscriptions, :now_us, :now_us)
RETURNING i_handler;

-- name: change_handler
UPDATE handler SET type = :type, keep_events = :keep_events, options = :options,
    subscriptions = :subscriptions, updated_us = :now_us
WHERE i_handler = :i_handler;

-- name: add_state
INSERT INTO handler_state (i_handler) VALUES (:i_handler);

-- name: add_cursor
INSERT INTO lane_cursor (i_handler, lane, position) VALUES (:i_handler, :lane, :position);

-- name: unsubscribe
DELETE FROM subscription WHERE i_handler = :i_handler;

-- name: subscribe
INSERT INTO subscription (i_handler, event_type) VALUES (:i_handler, :event_type);

-- Types of the enabled handlers, and of disabled ones that keep their events.
-- name: clear_gate
DELETE FROM capture_gate;

-- name: open_gate
INSERT INTO capture_gate (event_type)
SELECT DISTINCT s.event_type FROM subscription AS s JOIN handler AS h ON h.i_handler = s.i_handler
WHERE h.enabled = 1 OR h.keep_events = 1;

-- name: gate_is_open
SELECT EXISTS (SELECT 1 FROM capture_gate WHERE event_type = :event_type);

-- name: set_enabled
UPDATE handler SET enabled = :wanted, updated_us = :now_us
WHERE name = :name AND enabled <> :wanted RETURNING i_handler, keep_events;

-- name: set_paused
UPDATE handler SET paused = :wanted, updated_us = :now_us
WHERE name = :name AND paused <> :wanted RETURNING i_handler;

-- name: jump_to_end
UPDATE lane_cursor SET position = :end, fence = fence + 1
WHERE i_handler = :i_handler;

-- name: skip_all_parked
INSERT INTO attempt (i_handler, i_event, attempt, outcome, status, started_us, duration_us, code,
    reason, request, answer, instance)
SELECT i_handler, i_event, 0, 'skipped', 'skipped', :now_us, 0, NULL, :reason, '', '', ''
FROM parked WHERE i_handler = :i_handler;

-- name: drop_all_parked
DELETE FROM parked WHERE i_handler = :i_handler;

-- name: provisioning
SELECT name, value FROM provisioning ORDER BY name;

-- name: set_provisioning
INSERT INTO provisioning (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: emit
INSERT INTO event (i_env, event_type, entity, entity_id, lane, variables, has_sim)
VALUES (:i_env, :event_type, :entity, :entity_id, :lane, :variables, :has_sim)
RETURNING i_event;

-- name: event
SELECT i_event, i_env, event_type, entity, entity_id, lane, event_time, variables, has_sim, caused_by
FROM event WHERE i_event = :i_event;

-- name: attempts_of
SELECT i_handler, i_event, attempt, outcome, status, started_us, duration_us, code, reason, request,
    answer, instance
FROM attempt
WHERE i_handler IN (SELECT i_handler FROM handler)
  AND status IN ('finished', 'failed', 'retry', 'skipped') AND i_event = :i_event
ORDER BY i_attempt;

-- name: newer_attempts
SELECT i_attempt, i_handler, i_event, attempt, outcome, status, started_us, duration_us, code,
    reason, request, answer, instance
FROM attempt WHERE i_attempt > :after ORDER BY i_attempt LIMIT :limit;

-- name: health
SELECT s.breaker, s.breaker_since_us, s.breaker_reason,
    (SELECT count(*) FROM parked AS p WHERE p.i_handler = s.i_handler)
FROM handler_state AS s WHERE s.i_handler = :i_handler;

-- Of each handler that failed among the newest attempts. (+ 0: SQLite would walk the handlers' index.)
-- name: last_failures
SELECT i_handler, reason FROM (
    SELECT i_handler, reason,
        row_number() OVER (PARTITION BY i_handler + 0 ORDER BY i_attempt DESC) AS place
    FROM attempt
    WHERE i_attempt > CAST(:last_attempt AS bigint) - 10000
      AND outcome IN ('rejected', 'retry', 'unknown')
) AS failed WHERE place = 1;

-- ---- replay ----

-- name: types_of
SELECT event_type, count(*) FROM event
WHERE i_event BETWEEN :low AND :high AND event_type IN (:event_types[]) GROUP BY event_type;

-- name: types_in_blocks
SELECT value, CAST(sum(events) AS bigint) FROM event_block_count
WHERE field = 'event_type' AND value IN (:event_types[]) AND block BETWEEN :low AND :high
GROUP BY value;

-- Wishes to skip what is settled: they would meet the replay.
-- name: forget_stale_wishes
DELETE FROM skip_request WHERE i_handler = :i_handler AND i_event > :position AND EXISTS (
    SELECT 1 FROM event AS e
    JOIN lane_cursor AS c ON c.i_handler = :i_handler AND c.bulk = 0 AND c.lane = e.lane + 64 * e.bulk
    WHERE e.i_event = skip_request.i_event AND e.i_event <= c.position
);

-- Those of a type that the handler no longer wants would not be read again: they stay.
-- name: unpark_from
DELETE FROM parked WHERE i_handler = :i_handler AND i_event > :position AND EXISTS (
    SELECT 1 FROM event AS e
    JOIN subscription AS s ON s.i_handler = :i_handler AND s.event_type = e.event_type
    WHERE e.i_event = parked.i_event
);

-- name: activate_left
UPDATE parked SET due_us = :now_us
WHERE i_handler = :i_handler AND i_event > :position AND due_us IS NULL AND in_progress = 0 AND behind_bulk = 0
  AND NOT EXISTS (
    SELECT 1 FROM parked AS earlier
    WHERE earlier.i_handler = :i_handler AND earlier.entity_id = parked.entity_id
      AND earlier.entity = parked.entity AND earlier.i_event < parked.i_event
  );

-- name: set_back
UPDATE lane_cursor SET position = :position
WHERE i_handler = :i_handler AND bulk = 0 AND position > :position;

-- name: mark_replay
UPDATE handler_state SET replayed = :last_attempt, replayed_us = :now_us
WHERE i_handler = :i_handler;

-- name: unpass_whole
DELETE FROM passed_by WHERE i_handler = :i_handler AND after_event >= :position;

-- name: unpass_part
UPDATE passed_by SET upto_event = :position
WHERE i_handler = :i_handler AND upto_event > :position;

-- name: pass_by
INSERT INTO passed_by (i_handler, after_event, upto_event, events, at_us, reason)
VALUES (:i_handler, :after, :upto, :events, :now_us, :reason)
ON CONFLICT (i_handler, upto_event, after_event) DO NOTHING;

-- name: key_fingerprint
SELECT value FROM installation WHERE name = 'key_fingerprint';

-- The first key that is used stays the database's.
-- name: claim_key
INSERT INTO installation (name, value) VALUES ('key_fingerprint', :fingerprint)
ON CONFLICT (name) DO NOTHING;

-- ---- many events at once, of one handler ----

-- Out of their lanes by an operator's wish.
-- name: send_again
INSERT INTO parked (i_handler, i_event, entity, entity_id, lane, attempts, due_us, parked_us, reason)
SELECT :i_handler, i_event, entity, entity_id, lane + 64 * bulk, :attempts, :now_us, :now_us,
    'sent again by hand'
FROM event WHERE i_event IN (:numbers[])
ON CONFLICT (i_handler, i_event) DO NOTHING;

-- Of each entity the first is due, the others wait behind it; from :low on that may have changed.
-- name: queue_up
UPDATE parked SET due_us = NULL
WHERE i_handler = :i_handler AND entity_id IN (:entity_ids[]) AND i_event >= :low
  AND due_us IS NOT NULL AND in_progress = 0 AND EXISTS (
    SELECT 1 FROM parked AS earlier
    WHERE earlier.i_handler = :i_handler AND earlier.entity_id = parked.entity_id
      AND earlier.entity = parked.entity AND earlier.i_event < parked.i_event
);

-- name: due_now
UPDATE parked SET due_us = :now_us
WHERE i_handler = :i_handler AND i_event IN (:numbers[]) AND due_us > :now_us;

-- What is under way stays.
-- name: leave_parked
DELETE FROM parked WHERE i_handler = :i_handler AND i_event IN (:numbers[]) AND in_progress = 0
RETURNING i_event, entity_id;

-- The first of each entity, if it waited behind one that has left.
-- name: activate_first
UPDATE parked SET due_us = :now_us
WHERE i_handler = :i_handler AND due_us IS NULL AND in_progress = 0 AND behind_bulk = 0 AND i_event IN (
    SELECT min(next.i_event) FROM parked AS next
    WHERE next.i_handler = :i_handler AND next.entity_id IN (:entity_ids[])
    GROUP BY next.entity_id, next.entity
  );

-- Ended without being sent.
-- name: record_end
INSERT INTO attempt (i_handler, i_event, attempt, outcome, status, started_us, duration_us, code,
    reason, request, answer, instance)
SELECT :i_handler, i_event, 0, 'skipped', :status, :now_us, 0, NULL, :reason, '', '', ''
FROM event WHERE i_event IN (:numbers[]);

-- name: ask_skip
INSERT INTO skip_request (i_handler, i_event, reason)
SELECT :i_handler, i_event, :reason FROM event
WHERE i_event IN (:numbers[]) AND i_event > (
    SELECT c.position FROM lane_cursor AS c
    WHERE c.i_handler = :i_handler AND c.bulk = 0 AND c.lane = event.lane + 64 * event.bulk
  )
ON CONFLICT (i_handler, i_event) DO NOTHING;

-- ---- Service groups, and the provisioning status of accounts in them ----

-- name: groups
SELECT i_group, name FROM service_group ORDER BY i_group;

-- name: add_group
INSERT INTO service_group (name) VALUES (:name) ON CONFLICT DO NOTHING RETURNING i_group;

-- name: drop_group_statuses
DELETE FROM account_status WHERE i_group = :i_group;

-- name: drop_group
DELETE FROM service_group WHERE i_group = :i_group;

-- name: statuses_of
SELECT s.i_group, g.name, s.status, s.message, s.set_us
FROM account_status s JOIN service_group g ON g.i_group = s.i_group
WHERE s.i_account = :i_account ORDER BY s.i_group;
