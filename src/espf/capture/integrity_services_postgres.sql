-- Sites, add-on products and phases of policies: the rules of integrity_services_sqlite.sql; see
-- integrity_postgres.sql for the form. What is read is locked, so that it holds at the commit too.

CREATE TRIGGER espf_registry_accounts_site_given BEFORE INSERT ON accounts FOR EACH ROW WHEN (NEW.i_customer_site IS NOT NULL)
BEGIN
  PERFORM 1 FROM customer_sites WHERE i_customer_site = NEW.i_customer_site
    AND i_customer = NEW.i_customer FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'The customer has no such site.';
  END IF;
  RETURN NEW;
END;

CREATE TRIGGER espf_registry_accounts_site_changed BEFORE UPDATE OF i_customer_site, i_customer ON accounts FOR EACH ROW WHEN (NEW.i_customer_site IS NOT NULL)
BEGIN
  PERFORM 1 FROM customer_sites WHERE i_customer_site = NEW.i_customer_site
    AND i_customer = NEW.i_customer FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'The customer has no such site.';
  END IF;
  RETURN NEW;
END;

CREATE TRIGGER espf_registry_account_addons_insert BEFORE INSERT ON account_addons FOR EACH ROW
BEGIN
  PERFORM 1 FROM products JOIN accounts ON accounts.i_env = products.i_env
    WHERE products.i_product = NEW.i_product AND products.addon_priority <> 0
    AND accounts.i_account = NEW.i_account FOR SHARE OF products;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'There is no such add-on product in the environment of the account.';
  END IF;
  RETURN NEW;
END;

CREATE TRIGGER espf_registry_products_kind BEFORE UPDATE OF addon_priority ON products FOR EACH ROW WHEN ((OLD.addon_priority = 0) <> (NEW.addon_priority = 0))
BEGIN
  IF EXISTS (SELECT 1 FROM accounts WHERE i_product = NEW.i_product) THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'Accounts have the product as their main product: it cannot become an add-on.';
  END IF;
  IF EXISTS (SELECT 1 FROM account_addons WHERE i_product = NEW.i_product) THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'Accounts have the product as an add-on: it cannot become a main product.';
  END IF;
  RETURN NEW;
END;

CREATE TRIGGER espf_registry_policy_attributes_insert BEFORE INSERT ON policy_attributes FOR EACH ROW WHEN (NEW.i_access_policy_phase IS NOT NULL)
BEGIN
  PERFORM 1 FROM policy_phases WHERE i_access_policy_phase = NEW.i_access_policy_phase
    AND i_access_policy = NEW.i_access_policy FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'The access policy has no such phase.';
  END IF;
  RETURN NEW;
END;
