-- Housekeeping: what search knows of blocks, and what is over its days.

-- name: mark
SELECT value FROM housekeeping_mark WHERE name = :name;

-- name: set_mark
INSERT INTO housekeeping_mark (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

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
