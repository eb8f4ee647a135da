-- Housekeeping: what search knows of blocks, and what is over its days.

-- name: mark
SELECT value FROM housekeeping_mark WHERE name = :name;

-- name: set_mark
INSERT INTO housekeeping_mark (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: remove_mark
DELETE FROM housekeeping_mark WHERE name = :name;

-- ---- blocks ----

-- Whoever moves the mark does the block.
-- name: next_block
UPDATE housekeeping_mark SET value = value + 1 WHERE name = 'blocks' AND value = :block;

-- name: note_block_times
INSERT INTO event_block (block, low_time, high_time)
SELECT :block, times.low, times.high FROM (
    SELECT min(event_time) AS low, max(event_time) AS high FROM event
    WHERE i_event BETWEEN :low AND :high
) AS times WHERE times.low IS NOT NULL;

-- name: note_block_counts
INSERT INTO event_block_count (field, value, block, events)
SELECT 'event_type', event_type, :block, count(*) FROM event
WHERE i_event BETWEEN :low AND :high GROUP BY event_type
UNION ALL
SELECT 'entity', entity, :block, count(*) FROM event
WHERE i_event BETWEEN :low AND :high GROUP BY entity;

-- name: forget_block_times
DELETE FROM event_block WHERE block BETWEEN :low AND :high;

-- name: forget_block_counts
DELETE FROM event_block_count WHERE block BETWEEN :low AND :high;

-- ---- what is over its days ----

-- name: forget_sweeps
DELETE FROM housekeeping_mark WHERE name LIKE 'swept:%';

-- Handlers that there are attempts of, those that are gone included: one step of the index each.
-- name: handlers_attempted
WITH RECURSIVE seen (i_handler) AS (
    SELECT min(i_handler) FROM attempt
    UNION ALL
    SELECT (SELECT min(a.i_handler) FROM attempt AS a WHERE a.i_handler > seen.i_handler)
    FROM seen WHERE seen.i_handler IS NOT NULL
)
SELECT i_handler FROM seen WHERE i_handler IS NOT NULL;

-- name: remove_attempts
DELETE FROM attempt
WHERE i_handler = :i_handler AND status IN ('finished', 'failed', 'retry', 'skipped')
  AND i_event IN (:numbers[]);

-- name: remove_events
DELETE FROM event WHERE i_event IN (:numbers[]);

-- name: remove_parked
DELETE FROM parked WHERE i_handler IN (:handlers[]) AND i_event IN (:numbers[]);

-- name: remove_wishes
DELETE FROM skip_request WHERE i_handler IN (:handlers[]) AND i_event IN (:numbers[]);

-- Numbers of attempts may be given again once the newest are gone.
-- name: forget_replays
UPDATE handler_state SET replayed = :last_attempt WHERE replayed > :last_attempt;

-- name: forget_passed
DELETE FROM passed_by WHERE upto_event < (SELECT coalesce(min(i_event), 0) FROM event);

-- name: forget_fanouts
DELETE FROM fanout WHERE i_event < (SELECT coalesce(min(i_event), 0) FROM event);

-- ---- what waited too long ----

-- Whoever owns the lanes can no longer settle, and starts over.
-- name: void_fences
UPDATE lane_cursor SET fence = fence + 1 WHERE i_handler = :i_handler AND bulk = 0;

-- name: pass_lanes
UPDATE lane_cursor SET position = :position
WHERE i_handler = :i_handler AND bulk = 0 AND position < :position;

-- name: parked_since
SELECT i_event, coalesce(first_attempt_us, parked_us) FROM parked
WHERE i_handler = :i_handler AND in_progress = 0 AND i_event IN (:numbers[]);

-- ---- partitions ----

-- name: newest_in_blocks
SELECT max(high_time) FROM event_block WHERE block BETWEEN :low AND :high;

-- name: remove_parked_between
DELETE FROM parked WHERE i_event BETWEEN :low AND :high;

-- name: remove_wishes_between
DELETE FROM skip_request WHERE i_event BETWEEN :low AND :high;
