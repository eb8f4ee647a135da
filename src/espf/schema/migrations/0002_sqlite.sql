-- Several instances, search, retention.

-- By handler first: search walks one handler's attempts from the newest, an event's are few.
DROP INDEX attempt_event;
CREATE INDEX attempt_handler ON attempt (i_handler, i_event);
-- The rare ends, for who looks for them among millions of good ones.
CREATE INDEX attempt_unsent ON attempt (i_handler, status, i_event)
    WHERE status IN ('failed', 'skipped');

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

-- What the numbers of a block of 4,096 events stand for: search skips blocks by type and by time.
CREATE TABLE event_block (
    block integer PRIMARY KEY,      -- i_event / 4096, of blocks that are complete
    low_time text NOT NULL,
    high_time text NOT NULL
);
CREATE TABLE event_block_type (
    event_type text NOT NULL,
    block integer NOT NULL,
    PRIMARY KEY (event_type, block)
) WITHOUT ROWID;

-- How far retention has swept, by status.
CREATE TABLE retention_mark (
    status text PRIMARY KEY,
    swept integer NOT NULL
) WITHOUT ROWID;

-- Moves when a breaker does: the other instances read the handlers' state again.
INSERT INTO espf_meta (name, value) VALUES ('state_version', 1);
UPDATE espf_meta SET value = 2 WHERE name = 'schema_version';
