-- FreeRADIUS's own tables (its schema.sql), in words that SQLite and PostgreSQL share. They have no
-- unique keys, so what is there is deleted before it is written.

-- name: checks
SELECT attribute, op, value FROM radcheck
WHERE username = :username AND LOWER(attribute) IN ('cleartext-password', 'expiration')
ORDER BY id;

-- name: groups
SELECT groupname, priority FROM radusergroup WHERE username = :username ORDER BY priority, groupname;

-- Whether there is anything at all of this name.
-- name: anything
SELECT 1 WHERE EXISTS (SELECT 1 FROM radcheck WHERE username = :username)
    OR EXISTS (SELECT 1 FROM radreply WHERE username = :username)
    OR EXISTS (SELECT 1 FROM radusergroup WHERE username = :username);

-- Whether it is said what becomes of a suspended user.
-- name: gate
SELECT 1 WHERE EXISTS (SELECT 1 FROM radgroupcheck WHERE groupname = :groupname)
    OR EXISTS (SELECT 1 FROM radgroupreply WHERE groupname = :groupname);

-- name: sessions
SELECT CAST(nasipaddress AS text), acctsessionid FROM radacct
WHERE username = :username AND acctstoptime IS NULL ORDER BY radacctid;

-- name: nas_secret
SELECT secret FROM nas WHERE nasname = :nas ORDER BY id LIMIT 1;

-- name: users
SELECT username FROM radcheck UNION SELECT username FROM radreply
UNION SELECT username FROM radusergroup;

-- name: drop_checks
DELETE FROM radcheck
WHERE username = :username AND LOWER(attribute) IN ('cleartext-password', 'expiration');

-- name: add_check
INSERT INTO radcheck (username, attribute, op, value) VALUES (:username, :attribute, :op, :value);

-- name: drop_group
DELETE FROM radusergroup WHERE username = :username AND groupname = :groupname;

-- name: add_group
INSERT INTO radusergroup (username, groupname, priority) VALUES (:username, :groupname, :priority);

-- name: make_gate
INSERT INTO radgroupcheck (groupname, attribute, op, value)
SELECT CAST(:groupname AS text), 'Auth-Type', ':=', 'Reject'
WHERE NOT EXISTS (SELECT 1 FROM radgroupcheck WHERE groupname = CAST(:groupname AS text))
    AND NOT EXISTS (SELECT 1 FROM radgroupreply WHERE groupname = CAST(:groupname AS text));

-- name: rename_checks
UPDATE radcheck SET username = :username WHERE username = :old;

-- name: rename_replies
UPDATE radreply SET username = :username WHERE username = :old;

-- name: rename_groups
UPDATE radusergroup SET username = :username WHERE username = :old;

-- name: remove_checks
DELETE FROM radcheck WHERE username = :username;

-- name: remove_replies
DELETE FROM radreply WHERE username = :username;

-- name: remove_groups
DELETE FROM radusergroup WHERE username = :username;
