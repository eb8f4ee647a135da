-- Statements in PostgreSQL's own words.

-- The last number drawn for an attempt.
-- name: last_attempt
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM attempt_i_attempt_seq;

-- Two administrators at once take turns.
-- name: lock_configuration
SELECT value FROM espf_meta WHERE name = 'config_version' FOR UPDATE;

-- No settlement parks what waits behind a row that is about to leave: it would wait for ever.
-- name: lock_lanes
SELECT lane FROM lane_cursor WHERE i_handler = :i_handler AND bulk = 0 ORDER BY lane FOR UPDATE;

-- The horizon, see postgres/horizon.py. The last number drawn (0: none yet) …
-- name: last_drawn
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM event_i_event_seq;

-- … a transaction id drawn after it: everything that appends has a lower one …
-- name: draw_mark
SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint);

-- … and the oldest transaction that has not ended.
-- name: oldest_open
SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint);

-- What holds the horizon back: the lowest id that is not over, in any database of the cluster. Whose
-- it is and how old is told of others' sessions only to members of pg_read_all_stats.
-- name: oldest_writer
SELECT xid, pid, application, age_s FROM (
    SELECT age(backend_xid) AS ids_ago, CAST(backend_xid AS text) AS xid, pid,
        application_name AS application,
        extract(epoch FROM clock_timestamp() - xact_start) AS age_s
    FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
    UNION ALL
    SELECT age(transaction), CAST(transaction AS text), NULL, 'prepared transaction ' || gid,
        extract(epoch FROM clock_timestamp() - prepared)
    FROM pg_prepared_xacts
) AS open ORDER BY ids_ago DESC LIMIT 1;

-- name: furthest_cursor
SELECT coalesce(max(position), 0) FROM lane_cursor;

-- Evaluated in this order: the place in the server's log is from after the number was read.
-- name: poll
SELECT CASE WHEN is_called THEN last_value ELSE 0 END, last_value + log_cnt,
    (SELECT value FROM espf_meta WHERE name = 'config_version'),
    (SELECT value FROM espf_meta WHERE name = 'state_version'),
    CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint),
    CAST(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS bigint),
    CAST(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0') AS bigint)
FROM event_i_event_seq;

-- The snapshot is older than the mark: when it has nothing open below it, nothing is.
-- name: mark_and_oldest
SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint),
    CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint),
    CAST(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0') AS bigint);

-- name: bucket
SELECT tokens, tokens_us, grants,
    CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)
FROM handler_state WHERE i_handler = :i_handler;

-- name: swap_bucket
UPDATE handler_state SET tokens = :tokens, tokens_us = :tokens_us, grants = :grants
WHERE i_handler = :i_handler AND tokens IS NOT DISTINCT FROM CAST(:seen_tokens AS double precision)
  AND tokens_us IS NOT DISTINCT FROM CAST(:seen_us AS bigint) AND grants = :seen_grants
RETURNING 1;

-- name: cut_off
SELECT count(pg_terminate_backend(pid, 1000)) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user
  AND application_name = ANY(CAST(:names AS text[])) AND pid <> pg_backend_pid();

-- Lanes that a transaction holds at this moment have an owner who lives. Bulk lanes go with theirs.
-- name: take_lanes
WITH free AS (
    SELECT c.lane FROM lane_cursor AS c
    JOIN json_to_recordset(CAST(:seen AS json)) AS s (lane bigint, fence bigint, renewals bigint)
        ON s.lane = c.lane AND s.fence = c.fence AND s.renewals = c.renewals
    WHERE c.i_handler = :i_handler AND c.bulk = 0
    ORDER BY c.lane FOR UPDATE OF c SKIP LOCKED
)
UPDATE lane_cursor AS own SET owner = :owner, fence = fence + 1, renewals = renewals + 1
FROM free
WHERE own.i_handler = :i_handler AND own.bulk = 0 AND own.lane IN (free.lane, free.lane + 64)
RETURNING own.lane, own.position, own.fence;

-- A crash left these in the middle of an attempt: whoever takes the lanes tries them again, or,
-- if an operator has an earlier one of the entity sent again, after that one.
-- name: reset_in_progress
UPDATE parked SET in_progress = 0, due_us = CASE WHEN EXISTS (
    SELECT 1 FROM parked AS earlier
    WHERE earlier.i_handler = parked.i_handler AND earlier.entity_id = parked.entity_id
      AND earlier.entity = parked.entity AND earlier.i_event < parked.i_event
) THEN NULL ELSE CAST(:now_us AS bigint) END
WHERE i_handler = :i_handler AND in_progress = 1
  AND lane = ANY(CAST(:lanes AS bigint[]));

-- name: parked_moments
SELECT i_event, parked_us FROM parked
WHERE i_handler = :i_handler AND i_event > :after AND NOT parked_us BETWEEN :since_us AND :now_us
  AND (CAST(:lanes AS bigint[]) IS NULL OR lane = ANY(CAST(:lanes AS bigint[])))
ORDER BY i_event LIMIT :limit;

-- name: shift_clock
UPDATE parked AS p SET due_us = due_us + :by_us, first_attempt_us = first_attempt_us + :by_us,
    parked_us = p.parked_us + :by_us
FROM json_to_recordset(CAST(:seen AS json)) AS s (i_event bigint, parked_us bigint)
WHERE p.i_handler = :i_handler AND p.i_event = s.i_event AND p.parked_us = s.parked_us;

-- name: renew_lanes
UPDATE lane_cursor SET renewals = renewals + 1
WHERE owner = :owner AND bulk = 0 AND lane < 64
RETURNING i_handler, lane, owner, fence, renewals;

-- name: release_lanes
UPDATE lane_cursor AS c SET owner = NULL
FROM json_to_recordset(CAST(:leases AS json)) AS s (lane bigint, fence bigint)
WHERE c.i_handler = :i_handler AND c.bulk = 0 AND c.owner = :owner
  AND c.lane = s.lane AND c.fence = s.fence;

-- ARRAY: a join with the types sorts all that is ahead for each batch; this stops at the limit.
-- name: read
SELECT i_event, i_env, event_type, entity, entity_id, lane, event_time, variables, has_sim, caused_by
FROM event
WHERE bulk = 0 AND i_event > :after AND i_event <= :upto
  AND (CAST(:lanes AS bigint[]) IS NULL OR lane = ANY(CAST(:lanes AS bigint[])))
  AND event_type = ANY(ARRAY(SELECT event_type FROM subscription WHERE i_handler = :i_handler))
ORDER BY i_event LIMIT :limit;

-- The index of bulk events has no others in it, however many are between them.
-- name: read_bulk
SELECT i_event, i_env, event_type, entity, entity_id, lane + 64, event_time, variables, has_sim, caused_by
FROM event
WHERE bulk = 1 AND i_event > :after AND i_event <= :upto
  AND (CAST(:lanes AS bigint[]) IS NULL OR lane = ANY(CAST(:lanes AS bigint[])))
  AND event_type = ANY(ARRAY(SELECT event_type FROM subscription WHERE i_handler = :i_handler))
ORDER BY i_event LIMIT :limit;

-- Which of these events have a bulk event of their entity before them that is not read yet.
-- name: behind_bulk
SELECT k.i_event FROM json_to_recordset(CAST(:asked AS json))
    AS k (i_event bigint, entity text, entity_id bigint, after bigint)
WHERE EXISTS (
    SELECT 1 FROM event AS e
    WHERE e.entity_id = k.entity_id AND e.entity = k.entity
      AND e.i_event > k.after AND e.i_event < k.i_event AND e.bulk = 1
      AND e.event_type IN (SELECT event_type FROM subscription WHERE i_handler = :i_handler)
);

-- What waits for bulk events, a portion of it.
-- name: behind_bulk_next
SELECT i_event FROM parked
WHERE i_handler = :i_handler AND behind_bulk = 1 AND i_event > :after
  AND (CAST(:lanes AS bigint[]) IS NULL OR lane = ANY(CAST(:lanes AS bigint[])))
ORDER BY i_event LIMIT :limit;

-- It is due once its entity has no event before it that a cursor has not passed, or waits behind what
-- is parked before it.
-- name: release_behind_bulk
UPDATE parked SET behind_bulk = 0, due_us = CASE WHEN EXISTS (
    SELECT 1 FROM parked AS earlier
    WHERE earlier.i_handler = parked.i_handler AND earlier.entity_id = parked.entity_id
      AND earlier.entity = parked.entity AND earlier.i_event < parked.i_event
) THEN NULL ELSE CAST(:now_us AS bigint) END
WHERE i_handler = :i_handler AND behind_bulk = 1 AND i_event > :after AND i_event <= :upto
  AND (CAST(:lanes AS bigint[]) IS NULL OR lane = ANY(CAST(:lanes AS bigint[])))
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

-- Which of these entities have something parked. The first parked row of each is looked up in the
-- index's own order, here and below: whatever the statistics say, no plan that reads all that is
-- parked looks cheaper, as it did when 100,000 rows of one entity were most of the table.
-- name: parked_entities
SELECT k.entity, k.entity_id, (
    SELECT min(w.i_event) FROM parked AS w
    WHERE w.i_handler = :i_handler AND w.entity_id = k.entity_id AND w.entity = k.entity
      AND w.behind_bulk = 1
)
FROM unnest(CAST(:entities AS text[]), CAST(:entity_ids AS bigint[])) AS k (entity, entity_id)
CROSS JOIN LATERAL (
    SELECT p.entity FROM parked AS p
    WHERE p.i_handler = :i_handler AND p.entity_id = k.entity_id AND p.entity >= k.entity
    ORDER BY p.entity, p.i_event LIMIT 1
) AS first
WHERE first.entity = k.entity;

-- name: due
SELECT e.i_event, e.i_env, e.event_type, e.entity, e.entity_id, e.lane + 64 * e.bulk, e.event_time, e.variables,
    e.has_sim, e.caused_by, d.attempts, d.probes, d.due_us, d.first_attempt_us, d.stopped_base_us,
    d.coalesced
FROM (
    SELECT i_event, attempts, probes, due_us, first_attempt_us, stopped_base_us, coalesced
    FROM parked
    WHERE i_handler = :i_handler AND due_us <= :upto_us
      AND (CAST(:lanes AS bigint[]) IS NULL OR lane = ANY(CAST(:lanes AS bigint[])))
      AND i_event <> ALL(CAST(:exclude AS bigint[]))
    ORDER BY due_us, i_event LIMIT :limit
) AS d JOIN event AS e ON e.i_event = d.i_event
ORDER BY d.due_us, d.i_event;

-- name: numbers_parked
SELECT i_event FROM parked
WHERE i_handler = :i_handler AND i_event BETWEEN :low AND :high
  AND (CASE WHEN in_progress = 1 THEN 2 WHEN attempts > 0 THEN 1 ELSE 0 END) = :standing;

-- ---- housekeeping ----

-- name: try_housekeeping
SELECT pg_try_advisory_lock(1163087958);

-- name: end_housekeeping
SELECT pg_advisory_unlock(1163087958);

-- Those in place, and what is left of one that was dropped in part.
-- name: partitions
SELECT c.relname, c.relispartition FROM pg_class AS c
WHERE c.relkind = 'r' AND c.relname ~ '^(event|attempt)_p[0-9]+$' AND pg_table_is_visible(c.oid);

-- name: promise
SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = :name);

-- ---- One settlement is one script of these, with literals ----

-- name: move_cursors
UPDATE lane_cursor AS c SET position = m.position
FROM json_to_recordset(CAST(:positions AS json))
    AS m (i_handler bigint, lane bigint, position bigint, fence bigint)
WHERE c.i_handler = m.i_handler AND c.bulk = 0 AND c.lane = m.lane AND c.fence = m.fence
  AND c.owner = :owner;

-- name: record_attempts
COPY attempt (
    i_handler, i_event, attempt, outcome, status, started_us, duration_us, code, reason, request,
    answer, instance
) FROM STDIN;

-- name: unpark_all
DELETE FROM parked AS p
USING json_to_recordset(CAST(:rows AS json)) AS u (i_handler bigint, i_event bigint)
WHERE p.i_handler = u.i_handler AND p.i_event = u.i_event;

-- name: activate_all
UPDATE parked AS p SET due_us = CAST(:now_us AS bigint)
FROM (
    SELECT DISTINCT u.i_handler, n.i_event
    FROM json_to_recordset(CAST(:rows AS json))
        AS u (i_handler bigint, entity text, entity_id bigint)
    CROSS JOIN LATERAL (
        SELECT p.entity, p.i_event FROM parked AS p
        WHERE p.i_handler = u.i_handler AND p.entity_id = u.entity_id AND p.entity >= u.entity
        ORDER BY p.entity, p.i_event LIMIT 1
    ) AS n
    WHERE n.entity = u.entity
) AS first
WHERE p.i_handler = first.i_handler AND p.i_event = first.i_event
  AND p.due_us IS NULL AND p.in_progress = 0 AND p.behind_bulk = 0;

-- An event goes behind an earlier parked one of its entity, in the table or among these rows.
-- name: park_all
INSERT INTO parked (
    i_handler, i_event, entity, entity_id, lane, attempts, probes, in_progress, due_us, parked_us,
    first_attempt_us, stopped_base_us, coalesced, reason, behind_bulk
)
SELECT r.i_handler, r.i_event, r.entity, r.entity_id, r.lane, r.attempts, r.probes, r.in_progress,
    CASE WHEN row_number() OVER (
        PARTITION BY r.i_handler, r.entity, r.entity_id ORDER BY r.i_event
    ) > 1 OR (earlier.entity = r.entity AND earlier.i_event < r.i_event)
    THEN NULL ELSE r.due_us END,
    r.parked_us, r.first_attempt_us, r.stopped_base_us, r.coalesced, r.reason,
    r.behind_bulk
FROM json_to_recordset(CAST(:rows AS json)) AS r (
    i_handler bigint, i_event bigint, entity text, entity_id bigint, lane bigint, attempts bigint,
    probes bigint, in_progress bigint, due_us bigint, parked_us bigint, first_attempt_us bigint,
    stopped_base_us bigint, coalesced bigint, reason text, behind_bulk bigint
)
LEFT JOIN LATERAL (
    SELECT p.entity, p.i_event FROM parked AS p
    WHERE p.i_handler = r.i_handler AND p.entity_id = r.entity_id AND p.entity >= r.entity
    ORDER BY p.entity, p.i_event LIMIT 1
) AS earlier ON true
ON CONFLICT (i_handler, i_event) DO NOTHING;

-- What an operator had sent again before them waits behind them.
-- name: wait_behind_all
UPDATE parked AS p SET due_us = NULL
FROM json_to_recordset(CAST(:rows AS json))
    AS r (i_handler bigint, entity text, entity_id bigint, i_event bigint)
WHERE p.i_handler = r.i_handler AND p.entity_id = r.entity_id AND p.entity = r.entity
  AND p.i_event > r.i_event AND p.due_us IS NOT NULL AND p.in_progress = 0;

-- No row: an operator skipped the event while its attempt was under way.
-- name: repark_all
UPDATE parked AS p SET attempts = r.attempts, probes = r.probes, in_progress = r.in_progress,
    due_us = r.due_us, parked_us = r.parked_us, first_attempt_us = r.first_attempt_us,
    stopped_base_us = r.stopped_base_us, coalesced = r.coalesced, reason = r.reason
FROM json_to_recordset(CAST(:rows AS json)) AS r (
    i_handler bigint, i_event bigint, attempts bigint, probes bigint, in_progress bigint,
    due_us bigint, parked_us bigint, first_attempt_us bigint, stopped_base_us bigint,
    coalesced bigint, reason text
)
WHERE p.i_handler = r.i_handler AND p.i_event = r.i_event;

-- Of an id that a crash took back, and nobody has yet, PostgreSQL says that it is in the future.
-- name: settlement_open
SELECT CASE
    WHEN CAST(CAST(:transaction AS text) AS xid8) < pg_snapshot_xmax(pg_current_snapshot())
    THEN pg_xact_status(CAST(CAST(:transaction AS text) AS xid8)) = 'in progress'
    ELSE false END;

-- name: attempt_stored
SELECT EXISTS (
    SELECT 1 FROM attempt WHERE i_handler = :i_handler AND i_event = :i_event
        AND attempt = :attempt AND started_us = :started_us AND duration_us = :duration_us
);

-- name: parked_stored
SELECT EXISTS (SELECT 1 FROM parked WHERE i_handler = :i_handler AND i_event = :i_event);
