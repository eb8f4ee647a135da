-- Service groups, and the provisioning status of accounts in them (domain, 5.1).

CREATE TABLE service_group (
    i_group integer PRIMARY KEY AUTOINCREMENT,  -- custom ones from 1001
    name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64)
);
INSERT INTO service_group (i_group, name) VALUES
    (1, 'VoIP'),
    (2, 'HSS'),
    (3, 'PCRF'),
    (4, 'IPTV'),
    (5, 'WiMAX'),
    (6, 'Netaccess'),
    (7, 'NumberPortability'),
    (8, 'LawfulInterception');

-- Custom groups begin at 1001.
UPDATE sqlite_sequence SET seq = 1000 WHERE name = 'service_group';

-- No key into accounts: a late result must not fail for an account that is gone.
CREATE TABLE account_status (
    i_account integer NOT NULL,
    i_group integer NOT NULL REFERENCES service_group,
    status text NOT NULL CHECK (status IN ('OK', 'IN_PROGRESS', 'RETRY', 'FAILED')),
    message text NOT NULL CHECK (length(message) <= 4000),
    i_event integer NOT NULL,           -- whose result it is; set by hand: the last one before
    set_us integer NOT NULL,
    PRIMARY KEY (i_account, i_group)
) WITHOUT ROWID;
CREATE INDEX account_status_group ON account_status (i_group);

UPDATE espf_meta SET value = 6 WHERE name = 'schema_version';
