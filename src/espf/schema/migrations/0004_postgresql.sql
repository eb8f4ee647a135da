-- Service features and attributes, access policies, add-on products and discount plans: the columns
-- of tables that were there before. The new tables are made by the migration 0004 of the registry.

ALTER TABLE products ADD COLUMN addon_priority smallint DEFAULT 0 NOT NULL
    CONSTRAINT products_addon_priority CHECK (addon_priority IN (0, 10, 15, 20, 25, 30));
ALTER TABLE products ADD COLUMN i_vd_plan integer NULL
    REFERENCES vd_plans (i_vd_plan) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX products_i_vd_plan ON products (i_vd_plan) WHERE i_vd_plan IS NOT NULL;
ALTER TABLE products ADD COLUMN i_access_policy integer NULL
    REFERENCES access_policies (i_access_policy) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX products_i_access_policy ON products (i_access_policy) WHERE i_access_policy IS NOT NULL;
ALTER TABLE products ADD COLUMN service_flags varchar(64) DEFAULT '' NOT NULL
    CONSTRAINT products_service_flags CHECK (replace(replace(replace(service_flags, 'Y', ''), 'N', ''), '^', '') = '' 
        AND substr(service_flags, length(service_flags), 1) <> '^');

ALTER TABLE customers ADD COLUMN service_flags varchar(64) DEFAULT '' NOT NULL
    CONSTRAINT customers_service_flags CHECK (replace(replace(replace(service_flags, 'Y', ''), 'N', ''), '^', '') = '' 
        AND substr(service_flags, length(service_flags), 1) <> '^');

ALTER TABLE accounts ADD COLUMN i_customer_site integer NULL
    REFERENCES customer_sites (i_customer_site) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX accounts_i_customer_site ON accounts (i_customer_site) WHERE i_customer_site IS NOT NULL;
ALTER TABLE accounts ADD COLUMN i_vd_plan integer NULL
    REFERENCES vd_plans (i_vd_plan) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX accounts_i_vd_plan ON accounts (i_vd_plan) WHERE i_vd_plan IS NOT NULL;
ALTER TABLE accounts ADD COLUMN i_access_policy integer NULL
    REFERENCES access_policies (i_access_policy) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX accounts_i_access_policy ON accounts (i_access_policy) WHERE i_access_policy IS NOT NULL;
ALTER TABLE accounts ADD COLUMN service_flags varchar(64) DEFAULT '' NOT NULL
    CONSTRAINT accounts_service_flags CHECK (replace(replace(replace(service_flags, 'Y', ''), 'N', ''), '^', '') = '' 
        AND substr(service_flags, length(service_flags), 1) <> '^');

-- The one feature that is known by name (domain, 5.2); operators add theirs.
INSERT INTO service_features (name) VALUES ('netaccess_policy');

UPDATE espf_meta SET value = 4 WHERE name = 'schema_version';
