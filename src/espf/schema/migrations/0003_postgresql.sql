-- Handlers that carry state (espf/handlers/contract).

-- What a far side that cannot be read was given: of each part a keyed digest, never the text.
CREATE TABLE provisioning_step (
    i_handler bigint NOT NULL REFERENCES handler ON DELETE CASCADE,
    identity text NOT NULL,         -- on the far side: an IMSI, a user name
    part text NOT NULL,             -- card, subscriber, …: the handler's own words
    digest text NOT NULL,
    PRIMARY KEY (i_handler, identity, part)
);

-- How far a resync came, so that one that was stopped goes on.
CREATE TABLE resync_mark (
    i_handler bigint NOT NULL REFERENCES handler ON DELETE CASCADE,
    scope text NOT NULL,            -- all, or product N
    i_account bigint NOT NULL,     -- accounts up to this one are through
    done bigint NOT NULL,
    failed bigint NOT NULL,
    started_us bigint NOT NULL,
    PRIMARY KEY (i_handler, scope)
);

UPDATE espf_meta SET value = 3 WHERE name = 'schema_version';
