-- What holds for every writer, a bare shell included: foreign keys (a shell does not check them),
-- one card for one account, and a card's status, which follows its assignment.
-- Each statement ends with a line `END;`. Installed like, and together with, the capture triggers.

CREATE TRIGGER espf_registry_accounts_insert BEFORE INSERT ON accounts BEGIN
  SELECT RAISE(ABORT, 'There is no such customer in this environment.') WHERE NOT EXISTS
    (SELECT 1 FROM customers WHERE i_customer = NEW.i_customer AND i_env = NEW.i_env);
  SELECT RAISE(ABORT, 'There is no such product in this environment, or it is an add-on.') WHERE NEW.i_product IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM products
      WHERE i_product = NEW.i_product AND i_env = NEW.i_env AND addon_priority = 0);
  SELECT RAISE(ABORT, 'Another account of this environment has this id.') WHERE EXISTS
    (SELECT 1 FROM accounts WHERE i_env = NEW.i_env AND id = NEW.id);
  SELECT RAISE(ABORT, 'There is no such SIM card in this environment, or it is disposed of.')
    WHERE NEW.i_sim_card IS NOT NULL AND NOT EXISTS (SELECT 1 FROM sim_cards
      WHERE i_sim_card = NEW.i_sim_card AND i_env = NEW.i_env AND status <> 'disposed');
  SELECT RAISE(ABORT, 'The SIM card is in use by another account.') WHERE NEW.i_sim_card IS NOT NULL
    AND EXISTS (SELECT 1 FROM accounts WHERE i_sim_card = NEW.i_sim_card);
END;

CREATE TRIGGER espf_registry_accounts_owner BEFORE UPDATE OF i_env, i_customer ON accounts
WHEN OLD.i_env IS NOT NEW.i_env OR OLD.i_customer IS NOT NEW.i_customer BEGIN
  SELECT RAISE(ABORT, 'There is no such customer in this environment.') WHERE NOT EXISTS
    (SELECT 1 FROM customers WHERE i_customer = NEW.i_customer AND i_env = NEW.i_env);
  SELECT RAISE(ABORT, 'An account cannot move to another environment.') WHERE OLD.i_env <> NEW.i_env;
END;

CREATE TRIGGER espf_registry_accounts_product BEFORE UPDATE OF i_product ON accounts
WHEN NEW.i_product IS NOT NULL AND OLD.i_product IS NOT NEW.i_product BEGIN
  SELECT RAISE(ABORT, 'There is no such product in this environment, or it is an add-on.') WHERE NOT EXISTS
    (SELECT 1 FROM products
      WHERE i_product = NEW.i_product AND i_env = NEW.i_env AND addon_priority = 0);
END;

CREATE TRIGGER espf_registry_accounts_card BEFORE UPDATE OF i_sim_card ON accounts
WHEN NEW.i_sim_card IS NOT NULL AND OLD.i_sim_card IS NOT NEW.i_sim_card BEGIN
  SELECT RAISE(ABORT, 'There is no such SIM card in this environment, or it is disposed of.')
    WHERE NOT EXISTS (SELECT 1 FROM sim_cards
      WHERE i_sim_card = NEW.i_sim_card AND i_env = NEW.i_env AND status <> 'disposed');
  SELECT RAISE(ABORT, 'The SIM card is in use by another account.') WHERE EXISTS
    (SELECT 1 FROM accounts WHERE i_sim_card = NEW.i_sim_card);
END;

CREATE TRIGGER espf_registry_card_given AFTER INSERT ON accounts
WHEN NEW.i_sim_card IS NOT NULL BEGIN
  UPDATE sim_cards SET status = 'used' WHERE i_sim_card = NEW.i_sim_card;
END;

CREATE TRIGGER espf_registry_card_swapped AFTER UPDATE OF i_sim_card ON accounts
WHEN OLD.i_sim_card IS NOT NEW.i_sim_card BEGIN
  UPDATE sim_cards SET status = 'available' WHERE i_sim_card = OLD.i_sim_card;
  UPDATE sim_cards SET status = 'used' WHERE i_sim_card = NEW.i_sim_card;
END;

CREATE TRIGGER espf_registry_card_freed AFTER DELETE ON accounts
WHEN OLD.i_sim_card IS NOT NULL BEGIN
  UPDATE sim_cards SET status = 'available' WHERE i_sim_card = OLD.i_sim_card;
END;

CREATE TRIGGER espf_registry_sim_cards_insert BEFORE INSERT ON sim_cards BEGIN
  SELECT RAISE(ABORT, 'A new SIM card cannot be in use: give it to an account afterwards.')
    WHERE NEW.status = 'used';
  SELECT RAISE(ABORT, 'Another SIM card of this environment has this IMSI.') WHERE EXISTS
    (SELECT 1 FROM sim_cards WHERE i_env = NEW.i_env AND imsi = NEW.imsi);
  SELECT RAISE(ABORT, 'Another SIM card of this environment has this ICCID.')
    WHERE NEW.iccid IS NOT NULL AND EXISTS
    (SELECT 1 FROM sim_cards WHERE i_env = NEW.i_env AND iccid = NEW.iccid);
  SELECT RAISE(ABORT, 'There is a SIM card with this i_sim_card already.') WHERE EXISTS
    (SELECT 1 FROM sim_cards WHERE i_sim_card = NEW.i_sim_card);
END;

CREATE TRIGGER espf_registry_sim_cards_status BEFORE UPDATE OF status ON sim_cards
WHEN OLD.status IS NOT NEW.status BEGIN
  SELECT RAISE(ABORT, 'The SIM card is in use by an account: take it away there first.')
    WHERE NEW.status <> 'used'
    AND EXISTS (SELECT 1 FROM accounts WHERE i_sim_card = NEW.i_sim_card);
  SELECT RAISE(ABORT, 'No account uses the SIM card: its status becomes used when one does.')
    WHERE NEW.status = 'used'
    AND NOT EXISTS (SELECT 1 FROM accounts WHERE i_sim_card = NEW.i_sim_card);
END;

CREATE TRIGGER espf_registry_sim_cards_key BEFORE UPDATE OF i_sim_card, i_env ON sim_cards
WHEN OLD.i_sim_card <> NEW.i_sim_card OR OLD.i_env <> NEW.i_env BEGIN
  SELECT RAISE(ABORT, 'The SIM card is in use by an account: take it away there first.')
    WHERE EXISTS (SELECT 1 FROM accounts WHERE i_sim_card = OLD.i_sim_card);
  SELECT RAISE(ABORT, 'The key i_sim_card never changes.') WHERE OLD.i_sim_card <> NEW.i_sim_card;
END;

-- The far side knows the account by this IMSI, and no event of the account would tell of another.
CREATE TRIGGER espf_registry_sim_cards_imsi BEFORE UPDATE OF imsi ON sim_cards
WHEN OLD.imsi IS NOT NEW.imsi AND EXISTS
  (SELECT 1 FROM accounts WHERE i_sim_card = OLD.i_sim_card) BEGIN
  SELECT RAISE(ABORT, 'The SIM card is in use by an account: take it away there first.');
END;

-- Events, cursors and receivers know the rows by these keys.
CREATE TRIGGER espf_registry_accounts_key BEFORE UPDATE OF i_account ON accounts
WHEN OLD.i_account <> NEW.i_account BEGIN
  SELECT RAISE(ABORT, 'The key i_account never changes.');
END;

CREATE TRIGGER espf_registry_customers_key BEFORE UPDATE OF i_customer ON customers
WHEN OLD.i_customer <> NEW.i_customer BEGIN
  SELECT RAISE(ABORT, 'The key i_customer never changes.');
END;

CREATE TRIGGER espf_registry_sim_cards_delete BEFORE DELETE ON sim_cards
WHEN EXISTS (SELECT 1 FROM accounts WHERE i_sim_card = OLD.i_sim_card) BEGIN
  SELECT RAISE(ABORT, 'The SIM card is in use by an account: take it away there first.');
END;

CREATE TRIGGER espf_registry_customers_delete BEFORE DELETE ON customers BEGIN
  SELECT RAISE(ABORT, 'The customer still has accounts: remove or move them first.')
    WHERE EXISTS (SELECT 1 FROM accounts WHERE i_customer = OLD.i_customer);
  SELECT RAISE(ABORT, 'The customer still owns SIM cards: give them another owner first.')
    WHERE EXISTS (SELECT 1 FROM sim_cards WHERE i_customer = OLD.i_customer);
END;

CREATE TRIGGER espf_registry_products_delete BEFORE DELETE ON products
WHEN EXISTS (SELECT 1 FROM accounts WHERE i_product = OLD.i_product) BEGIN
  SELECT RAISE(ABORT, 'The product is in use by accounts: give them another product first.');
END;

CREATE TRIGGER espf_registry_environments_delete BEFORE DELETE ON environments
WHEN EXISTS (SELECT 1 FROM customers WHERE i_env = OLD.i_env)
  OR EXISTS (SELECT 1 FROM products WHERE i_env = OLD.i_env)
  OR EXISTS (SELECT 1 FROM sim_cards WHERE i_env = OLD.i_env) BEGIN
  SELECT RAISE(ABORT, 'The environment is not empty: remove what belongs to it first.');
END;
