-- The rules of integrity_belongings_sqlite.sql, in the same words. What must stay as it is until the
-- transaction ends is locked: an account's customer, the other end of an alias.

CREATE TRIGGER espf_registry_dids_owner_given BEFORE INSERT ON dids FOR EACH ROW WHEN (NEW.i_account IS NOT NULL)
BEGIN
  PERFORM 1 FROM accounts WHERE i_account = NEW.i_account AND i_customer = NEW.i_customer FOR SHARE;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'The account belongs to another customer.';
  END IF;
  RETURN NEW;
END;

CREATE TRIGGER espf_registry_dids_owner_changed BEFORE UPDATE OF i_customer, i_account ON dids FOR EACH ROW WHEN (NEW.i_account IS NOT NULL)
BEGIN
  PERFORM 1 FROM accounts WHERE i_account = NEW.i_account AND i_customer = NEW.i_customer FOR SHARE;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'The account belongs to another customer.';
  END IF;
  RETURN NEW;
END;

CREATE TRIGGER espf_registry_dids_follow AFTER UPDATE OF i_customer ON accounts FOR EACH ROW WHEN (OLD.i_customer IS DISTINCT FROM NEW.i_customer)
BEGIN
  IF EXISTS (SELECT 1 FROM dids WHERE i_account = NEW.i_account) THEN
    UPDATE dids SET i_customer = NEW.i_customer WHERE i_account = NEW.i_account;
  END IF;
  RETURN NULL;
END;

CREATE TRIGGER espf_registry_custom_field_values_owner BEFORE INSERT ON custom_field_values FOR EACH ROW
BEGIN
  IF NOT EXISTS (SELECT 1 FROM custom_fields AS f JOIN accounts AS a ON a.i_env = f.i_env
      WHERE f.i_custom_field = NEW.i_custom_field AND f.object = 'account' AND a.i_account = NEW.i_account)
    AND NOT EXISTS (SELECT 1 FROM custom_fields AS f JOIN customers AS c ON c.i_env = f.i_env
      WHERE f.i_custom_field = NEW.i_custom_field AND f.object = 'customer' AND c.i_customer = NEW.i_customer) THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'The custom field is of another environment, or of another object.';
  END IF;
  RETURN NEW;
END;

CREATE TRIGGER espf_registry_accounts_alias_given BEFORE INSERT ON accounts FOR EACH ROW WHEN (NEW.i_master_account IS NOT NULL)
BEGIN
  IF NEW.billing_model <> 2 THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'Only an alias (billing_model 2) has an i_master_account.';
  END IF;
  PERFORM 1 FROM accounts WHERE i_account = NEW.i_master_account AND i_customer = NEW.i_customer
    AND billing_model <> 2 FOR SHARE;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'An alias belongs to an account of its own customer that is no alias itself.';
  END IF;
  RETURN NEW;
END;

CREATE TRIGGER espf_registry_accounts_alias_changed BEFORE UPDATE OF i_master_account ON accounts FOR EACH ROW WHEN (OLD.i_master_account IS DISTINCT FROM NEW.i_master_account)
BEGIN
  IF OLD.i_master_account IS NOT NULL THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'An alias belongs to its account for good: remove it and add another.';
  END IF;
  PERFORM 1 FROM accounts WHERE i_account = NEW.i_master_account AND i_customer = NEW.i_customer
    AND billing_model <> 2 FOR SHARE;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'An alias belongs to an account of its own customer that is no alias itself.';
  END IF;
  RETURN NEW;
END;

CREATE TRIGGER espf_registry_accounts_alias_kept BEFORE UPDATE OF billing_model, i_master_account ON accounts FOR EACH ROW WHEN (NEW.i_master_account IS NOT NULL AND NEW.billing_model <> 2)
BEGIN
  RAISE integrity_constraint_violation USING
    MESSAGE = 'Only an alias (billing_model 2) has an i_master_account.';
END;

CREATE TRIGGER espf_registry_accounts_alias_follow AFTER UPDATE OF i_customer ON accounts FOR EACH ROW WHEN (OLD.i_customer IS DISTINCT FROM NEW.i_customer)
BEGIN
  IF EXISTS (SELECT 1 FROM accounts WHERE i_master_account = NEW.i_account) THEN
    UPDATE accounts SET i_customer = NEW.i_customer WHERE i_master_account = NEW.i_account;
  END IF;
  RETURN NULL;
END;
