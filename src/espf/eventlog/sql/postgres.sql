-- Statements in PostgreSQL's own words.

-- Two administrators at once take turns.
-- name: lock_configuration
SELECT value FROM espf_meta WHERE name = 'config_version' FOR UPDATE;

-- The horizon, see postgres/horizon.py. The last number drawn (0: none yet) …
-- name: last_drawn
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM event_i_event_seq;

-- … a transaction id drawn after it: everything that appends has a lower one …
-- name: draw_mark
SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint);

-- … and the oldest transaction that has not ended.
-- name: oldest_open
SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint);

-- name: furthest_cursor
SELECT coalesce(max(position), 0) FROM lane_cursor;
