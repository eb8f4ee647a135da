-- Tables of the event log, the handlers and their state. Times `…_us` are microseconds since
-- 1970-01-01 UTC. Readers and the one engine writer use plain SQL (espf/eventlog/sql).

CREATE TABLE espf_meta (
    name text PRIMARY KEY,
    value integer NOT NULL
) WITHOUT ROWID;
-- config_version moves with every change of handlers: the engine reads them again when it does.
INSERT INTO espf_meta (name, value) VALUES ('schema_version', 1), ('config_version', 1);

-- Append-only. Written by capture triggers, dispatchers and `espf events emit`.
CREATE TABLE event (
    i_event integer PRIMARY KEY AUTOINCREMENT,
    i_env integer NOT NULL,
    event_type text NOT NULL,
    entity text NOT NULL,
    entity_id integer NOT NULL,
    lane integer NOT NULL CHECK (lane BETWEEN 0 AND 63),
    event_time text NOT NULL DEFAULT (datetime('now')),
    variables text NOT NULL CHECK (typeof(variables) = 'text'),
    has_sim integer NOT NULL DEFAULT 0,
    caused_by integer,
    bulk integer NOT NULL DEFAULT 0,
    -- A shell must not write what no reader can read: it would stop a handler.
    CHECK (typeof(i_env) = 'integer' AND typeof(event_type) = 'text' AND typeof(entity) = 'text'
        AND typeof(entity_id) = 'integer' AND typeof(event_time) = 'text'
        AND typeof(has_sim) = 'integer' AND typeof(caused_by) IN ('integer', 'null'))
);
-- For coalescing and for search by entity. One index only: each costs every captured change.
CREATE INDEX event_entity ON event (entity_id, entity, i_event);
-- Which types the triggers write at all: those with a subscriber. Changed without DDL.
CREATE TABLE capture_gate (
    event_type text PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE handler (
    i_handler integer PRIMARY KEY AUTOINCREMENT,
    name text NOT NULL UNIQUE,
    type text NOT NULL,
    enabled integer NOT NULL DEFAULT 1,
    paused integer NOT NULL DEFAULT 0,
    -- What happens to events while the handler is disabled: 1 they wait for it, 0 they pass it by.
    keep_events integer NOT NULL DEFAULT 0,
    options text NOT NULL,          -- JSON object; secrets as {"encrypted": "…"}
    subscriptions text NOT NULL,    -- JSON array, as the operator wrote it
    created_us integer NOT NULL,
    updated_us integer NOT NULL
);

-- The types a handler's subscriptions stand for.
CREATE TABLE subscription (
    i_handler integer NOT NULL REFERENCES handler ON DELETE CASCADE,
    event_type text NOT NULL,
    PRIMARY KEY (i_handler, event_type)
) WITHOUT ROWID;

-- Lease and cursor in one row. Every event of the lane up to `position` is settled or parked.
CREATE TABLE lane_cursor (
    i_handler integer NOT NULL REFERENCES handler ON DELETE CASCADE,
    bulk integer NOT NULL DEFAULT 0,
    lane integer NOT NULL,
    position integer NOT NULL,
    owner text,
    fence integer NOT NULL DEFAULT 0,
    renewals integer NOT NULL DEFAULT 0,
    PRIMARY KEY (i_handler, bulk, lane)
) WITHOUT ROWID;

-- Events that left their lane unsettled. due_us NULL: waits behind an earlier one of its entity.
CREATE TABLE parked (
    i_handler integer NOT NULL REFERENCES handler ON DELETE CASCADE,
    i_event integer NOT NULL,
    entity text NOT NULL,
    entity_id integer NOT NULL,
    lane integer NOT NULL,
    attempts integer NOT NULL,
    probes integer NOT NULL DEFAULT 0,      -- attempts made while the breaker was open
    in_progress integer NOT NULL DEFAULT 0,
    due_us integer,
    parked_us integer NOT NULL,
    first_attempt_us integer,
    -- The handler's stopped_us when first tried: pauses and outages do not count towards giving up.
    stopped_base_us integer NOT NULL DEFAULT 0,
    coalesced integer NOT NULL DEFAULT 0,   -- skips in a row that this event has inherited
    reason text,
    PRIMARY KEY (i_handler, i_event)
) WITHOUT ROWID;
CREATE INDEX parked_entity ON parked (i_handler, entity_id, entity, i_event);
CREATE INDEX parked_due ON parked (i_handler, due_us) WHERE due_us IS NOT NULL;

-- One row a handler: breaker and bucket, for the whole fleet.
CREATE TABLE handler_state (
    i_handler integer PRIMARY KEY REFERENCES handler ON DELETE CASCADE,
    breaker text NOT NULL DEFAULT 'closed' CHECK (breaker IN ('closed', 'open')),
    breaker_since_us integer,       -- the first failure of the outage
    breaker_reason text,
    stopped_us integer NOT NULL DEFAULT 0,  -- time paused or open so far, the present stop excluded
    stopped_since_us integer,       -- when the present stop began
    tokens real,                    -- NULL: full
    tokens_us integer
);

-- What was tried, what was answered. attempt 0: nothing was sent (skipped, or nothing to send).
CREATE TABLE attempt (
    i_attempt integer PRIMARY KEY,
    i_handler integer NOT NULL,
    i_event integer NOT NULL,
    attempt integer NOT NULL,
    outcome text NOT NULL,          -- delivered, rejected, retry, unknown, skipped
    status text NOT NULL,           -- what the event became: finished, failed, retry, skipped
    started_us integer NOT NULL,
    duration_us integer NOT NULL,
    code integer,
    reason text,
    request text NOT NULL,
    answer text NOT NULL,
    instance text NOT NULL
);
CREATE INDEX attempt_event ON attempt (i_event, i_handler);

-- An operator's wish to skip an event that is still in its lane.
CREATE TABLE skip_request (
    i_handler integer NOT NULL REFERENCES handler ON DELETE CASCADE,
    i_event integer NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (i_handler, i_event)
) WITHOUT ROWID;

-- [provisioning] of the configuration: AlertRecepient, send_options.
CREATE TABLE provisioning (
    name text PRIMARY KEY,
    value text NOT NULL
) WITHOUT ROWID;
