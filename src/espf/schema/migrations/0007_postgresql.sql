-- Dispatchers: bulk events have lanes of their own, 64 above the ordinary ones of their entities.

CREATE INDEX event_bulk ON event (i_event) WHERE bulk = 1;

-- An ordinary event that waits for bulk events of its entity before it.
ALTER TABLE parked ADD COLUMN behind_bulk bigint NOT NULL DEFAULT 0;
CREATE INDEX parked_behind_bulk ON parked (i_handler, i_event) WHERE behind_bulk = 1;
CREATE INDEX parked_waiters ON parked (i_handler, entity_id, entity, i_event)
    WHERE behind_bulk = 1;

INSERT INTO lane_cursor (i_handler, bulk, lane, position)
SELECT i_handler, 0, lane + 64, position FROM lane_cursor WHERE bulk = 0 AND lane < 64;

-- How often an event was derived from a derived one: bounded, so that a cycle ends.
ALTER TABLE event ADD COLUMN depth bigint NOT NULL DEFAULT 0;

-- How far the derivation of events from another came. It stays as long as its cause does, so that
-- nothing is derived twice.
CREATE TABLE fanout (
    i_event bigint NOT NULL,
    output text NOT NULL,
    after_key bigint NOT NULL,         -- entities up to this one have theirs
    bulk bigint NOT NULL,
    derived bigint NOT NULL,
    done bigint NOT NULL,
    PRIMARY KEY (i_event, output)
);

UPDATE espf_meta SET value = 7 WHERE name = 'schema_version';
