-- Service features, attributes, access policies, add-ons and plans: tables of the registry alone.
UPDATE espf_meta SET value = 4 WHERE name = 'schema_version';
