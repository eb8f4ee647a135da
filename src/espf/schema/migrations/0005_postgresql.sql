-- Tables of what accounts and customers have are the registry's: see espf/registry/migrations.
UPDATE espf_meta SET value = 5 WHERE name = 'schema_version';
