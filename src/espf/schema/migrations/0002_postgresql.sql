-- Several instances, search, retention.

-- By handler first: search walks one handler's attempts from the newest, an event's are few.

CREATE INDEX attempt_handler ON attempt (i_handler, i_event);
-- The rare ends, for who looks for them among millions of good ones.
CREATE INDEX attempt_unsent ON attempt (i_handler, status, i_event)
    WHERE status IN ('failed', 'skipped');

-- Which instances there are. `beats` moves while one lives; no clock of another machine is trusted.
CREATE TABLE instance (
    token text PRIMARY KEY,
    name text NOT NULL,
    host text NOT NULL,
    pid bigint NOT NULL,
    service_ip text,
    version text NOT NULL,
    started_us bigint NOT NULL,
    beat_us bigint NOT NULL,       -- for people
    beats bigint NOT NULL DEFAULT 0,
    unable text NOT NULL DEFAULT '[]',      -- JSON: handlers that it could not start
    metrics text NOT NULL DEFAULT '{}'      -- JSON: its counters, for whoever serves /metrics
);

-- Tokens given in the last second, [[us, n], …]: in no second more than the burst, fleet-wide.
ALTER TABLE handler_state ADD COLUMN grants text NOT NULL DEFAULT '[]';
-- Moves when an instance claims the next probe of a dead system.
ALTER TABLE handler_state ADD COLUMN probe bigint NOT NULL DEFAULT 0;
-- Attempts up to this number are from before a replay: they settle nothing above the cursors.
ALTER TABLE handler_state ADD COLUMN replayed bigint NOT NULL DEFAULT 0;

-- What the numbers of a block of 4,096 events stand for: search skips blocks by type and by time.
CREATE TABLE event_block (
    block bigint PRIMARY KEY,      -- i_event / 4096, of blocks that are complete
    low_time text NOT NULL,
    high_time text NOT NULL
);
CREATE TABLE event_block_type (
    event_type text NOT NULL,
    block bigint NOT NULL,
    PRIMARY KEY (event_type, block)
);

-- How far retention has swept, by status.
CREATE TABLE retention_mark (
    status text PRIMARY KEY,
    swept bigint NOT NULL
);

-- Moves when a breaker does: the other instances read the handlers' state again.
INSERT INTO espf_meta (name, value) VALUES ('state_version', 1);
UPDATE espf_meta SET value = 2 WHERE name = 'schema_version';

-- `tail` follows the newest numbers; they lie together, so a summary of each range of pages does.
CREATE INDEX attempt_number ON attempt USING brin (i_attempt)
    WITH (pages_per_range = 16, autosummarize = on);

-- Numbers up to 64 million have a place from the start; instances make more ahead of need, and what
-- comes after the last of them without any is kept all the same.
CREATE TABLE event_default PARTITION OF event DEFAULT;
CREATE TABLE attempt_default PARTITION OF attempt DEFAULT;
