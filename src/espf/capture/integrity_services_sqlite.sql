-- Sites, add-on products and phases of policies; see integrity_sqlite.sql for the form.

CREATE TRIGGER espf_registry_accounts_site_given BEFORE INSERT ON accounts
WHEN NEW.i_customer_site IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'The customer has no such site.') WHERE NOT EXISTS (SELECT 1 FROM customer_sites
    WHERE i_customer_site = NEW.i_customer_site AND i_customer = NEW.i_customer);
END;

CREATE TRIGGER espf_registry_accounts_site_changed BEFORE UPDATE OF i_customer_site, i_customer ON accounts
WHEN NEW.i_customer_site IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'The customer has no such site.') WHERE NOT EXISTS (SELECT 1 FROM customer_sites
    WHERE i_customer_site = NEW.i_customer_site AND i_customer = NEW.i_customer);
END;

CREATE TRIGGER espf_registry_account_addons_insert BEFORE INSERT ON account_addons BEGIN
  SELECT RAISE(ABORT, 'There is no such add-on product in the environment of the account.')
    WHERE NOT EXISTS (SELECT 1 FROM products JOIN accounts ON accounts.i_env = products.i_env
      WHERE products.i_product = NEW.i_product AND products.addon_priority <> 0
      AND accounts.i_account = NEW.i_account);
END;

CREATE TRIGGER espf_registry_products_kind BEFORE UPDATE OF addon_priority ON products
WHEN (OLD.addon_priority = 0) <> (NEW.addon_priority = 0) BEGIN
  SELECT RAISE(ABORT, 'Accounts have the product as their main product: it cannot become an add-on.')
    WHERE EXISTS (SELECT 1 FROM accounts WHERE i_product = NEW.i_product);
  SELECT RAISE(ABORT, 'Accounts have the product as an add-on: it cannot become a main product.')
    WHERE EXISTS (SELECT 1 FROM account_addons WHERE i_product = NEW.i_product);
END;

CREATE TRIGGER espf_registry_policy_attributes_insert BEFORE INSERT ON policy_attributes
WHEN NEW.i_access_policy_phase IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'The access policy has no such phase.')
    WHERE NOT EXISTS (SELECT 1 FROM policy_phases
      WHERE i_access_policy_phase = NEW.i_access_policy_phase
      AND i_access_policy = NEW.i_access_policy);
END;
