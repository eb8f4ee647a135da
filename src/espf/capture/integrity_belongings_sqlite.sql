-- What holds between accounts and what they have, beyond references/*.toml.

-- A number's customer is that of its account, also when the account gets another.
CREATE TRIGGER espf_registry_dids_owner_given BEFORE INSERT ON dids WHEN NEW.i_account IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'The account belongs to another customer.') WHERE NOT EXISTS
    (SELECT 1 FROM accounts WHERE i_account = NEW.i_account AND i_customer = NEW.i_customer);
END;

CREATE TRIGGER espf_registry_dids_owner_changed BEFORE UPDATE OF i_customer, i_account ON dids
WHEN NEW.i_account IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'The account belongs to another customer.') WHERE NOT EXISTS
    (SELECT 1 FROM accounts WHERE i_account = NEW.i_account AND i_customer = NEW.i_customer);
END;

CREATE TRIGGER espf_registry_dids_follow AFTER UPDATE OF i_customer ON accounts
WHEN OLD.i_customer IS NOT NEW.i_customer BEGIN
  UPDATE dids SET i_customer = NEW.i_customer WHERE i_account = NEW.i_account;
END;

CREATE TRIGGER espf_registry_custom_field_values_owner BEFORE INSERT ON custom_field_values BEGIN
  SELECT RAISE(ABORT, 'The custom field is of another environment, or of another object.')
    WHERE NOT EXISTS (SELECT 1 FROM custom_fields AS f JOIN accounts AS a ON a.i_env = f.i_env
      WHERE f.i_custom_field = NEW.i_custom_field AND f.object = 'account' AND a.i_account = NEW.i_account)
    AND NOT EXISTS (SELECT 1 FROM custom_fields AS f JOIN customers AS c ON c.i_env = f.i_env
      WHERE f.i_custom_field = NEW.i_custom_field AND f.object = 'customer' AND c.i_customer = NEW.i_customer);
END;

CREATE TRIGGER espf_registry_accounts_alias_given BEFORE INSERT ON accounts
WHEN NEW.i_master_account IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'Only an alias (billing_model 2) has an i_master_account.')
    WHERE NEW.billing_model <> 2;
  SELECT RAISE(ABORT, 'An alias belongs to an account of its own customer that is no alias itself.')
    WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE i_account = NEW.i_master_account
      AND i_customer = NEW.i_customer AND billing_model <> 2);
END;

CREATE TRIGGER espf_registry_accounts_alias_changed BEFORE UPDATE OF i_master_account ON accounts
WHEN OLD.i_master_account IS NOT NEW.i_master_account BEGIN
  SELECT RAISE(ABORT, 'An alias belongs to its account for good: remove it and add another.')
    WHERE OLD.i_master_account IS NOT NULL;
  SELECT RAISE(ABORT, 'An alias belongs to an account of its own customer that is no alias itself.')
    WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE i_account = NEW.i_master_account
      AND i_customer = NEW.i_customer AND billing_model <> 2);
END;

CREATE TRIGGER espf_registry_accounts_alias_kept BEFORE UPDATE OF billing_model, i_master_account ON accounts
WHEN NEW.i_master_account IS NOT NULL AND NEW.billing_model <> 2 BEGIN
  SELECT RAISE(ABORT, 'Only an alias (billing_model 2) has an i_master_account.');
END;

CREATE TRIGGER espf_registry_accounts_alias_follow AFTER UPDATE OF i_customer ON accounts
WHEN OLD.i_customer IS NOT NEW.i_customer BEGIN
  UPDATE accounts SET i_customer = NEW.i_customer WHERE i_master_account = NEW.i_account;
END;
