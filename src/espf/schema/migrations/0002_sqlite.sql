-- Several instances, search, retention.

-- By handler and status: search walks one handler's rare failures as quickly as its many successes.
DROP INDEX attempt_event;
CREATE INDEX attempt_status ON attempt (i_handler, status, i_event);
-- The same of parked events: 2 in progress, 1 tried already, 0 not yet.
CREATE INDEX parked_standing ON parked (
    i_handler, (CASE WHEN in_progress = 1 THEN 2 WHEN attempts > 0 THEN 1 ELSE 0 END), i_event
);

-- Which instances there are. `beats` moves while one lives; no clock of another machine is trusted.
CREATE TABLE instance (
    token text PRIMARY KEY,
    name text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    service_ip text,
    version text NOT NULL,
    started_us integer NOT NULL,
    beat_us integer NOT NULL,       -- for people
    beats integer NOT NULL DEFAULT 0,
    unable text NOT NULL DEFAULT '[]',      -- JSON: handlers that it could not start
    metrics text NOT NULL DEFAULT '{}'      -- JSON: its counters, for whoever serves /metrics
) WITHOUT ROWID;

-- Tokens given in the last second, [[us, n], …]: in no second more than the burst, fleet-wide.
ALTER TABLE handler_state ADD COLUMN grants text NOT NULL DEFAULT '[]';
-- Moves when an instance claims the next probe of a dead system.
ALTER TABLE handler_state ADD COLUMN probe integer NOT NULL DEFAULT 0;
-- Attempts up to this number are from before a replay: they settle nothing above the cursors.
ALTER TABLE handler_state ADD COLUMN replayed integer NOT NULL DEFAULT 0;

-- When the replay was: what was sent again has waited since then only.
ALTER TABLE handler_state ADD COLUMN replayed_us integer NOT NULL DEFAULT 0;

-- What the numbers of a block of 4,096 events stand for: search skips blocks by time, type, entity.
CREATE TABLE event_block (
    block integer PRIMARY KEY,      -- i_event / 4096, of blocks that are complete and not empty
    low_time text NOT NULL,
    high_time text NOT NULL
);
CREATE TABLE event_block_count (
    field text NOT NULL,            -- event_type or entity
    value text NOT NULL,
    block integer NOT NULL,
    events integer NOT NULL,
    PRIMARY KEY (field, value, block)
) WITHOUT ROWID;
CREATE INDEX event_block_count_block ON event_block_count (block);

-- How far housekeeping is: `blocks` are complete, `swept:DAYS` is the last event looked at.
CREATE TABLE housekeeping_mark (
    name text PRIMARY KEY,
    value integer NOT NULL
) WITHOUT ROWID;
INSERT INTO housekeeping_mark (name, value) VALUES ('blocks', 0);

-- Ranges of events that a handler passed by, and why: nothing vanishes without a word.
CREATE TABLE passed_by (
    i_handler integer NOT NULL REFERENCES handler ON DELETE CASCADE,
    after_event integer NOT NULL,
    upto_event integer NOT NULL,
    events integer NOT NULL,
    at_us integer NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (i_handler, upto_event, after_event)
) WITHOUT ROWID;

-- Moves when a breaker does: the other instances read the handlers' state again.
INSERT INTO espf_meta (name, value) VALUES ('state_version', 1);
UPDATE espf_meta SET value = 2 WHERE name = 'schema_version';

-- What holds for every machine: `key_fingerprint` tells whether one has the key of the others.
CREATE TABLE installation (
    name text PRIMARY KEY,
    value text NOT NULL
) WITHOUT ROWID;
