-- Steps reached and resyncs under way.

-- name: parts
SELECT part, digest FROM provisioning_step WHERE i_handler = :i_handler AND identity = :identity;

-- name: note_part
INSERT INTO provisioning_step (i_handler, identity, part, digest)
VALUES (:i_handler, :identity, :part, :digest)
ON CONFLICT (i_handler, identity, part) DO UPDATE SET digest = excluded.digest;

-- name: forget_parts
DELETE FROM provisioning_step WHERE i_handler = :i_handler AND identity = :identity;

-- name: mark
SELECT i_account, done, failed, started_us FROM resync_mark
WHERE i_handler = :i_handler AND scope = :scope;

-- name: set_mark
INSERT INTO resync_mark (i_handler, scope, i_account, done, failed, started_us)
VALUES (:i_handler, :scope, :i_account, :done, :failed, :started_us)
ON CONFLICT (i_handler, scope) DO UPDATE SET i_account = excluded.i_account, done = excluded.done,
    failed = excluded.failed;

-- name: drop_mark
DELETE FROM resync_mark WHERE i_handler = :i_handler AND scope = :scope;
