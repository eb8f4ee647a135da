-- What holds for every writer, psql included: the rules of integrity_sqlite.sql, in the same words,
-- and under concurrency: what a row refers to is locked until the transaction ends, so nobody takes
-- it away meanwhile. Ids, names, IMSI and ICCID are left to the unique constraints, which wait for
-- one another, and let INSERT … ON CONFLICT be used; one card for one account is kept by both.
-- Each statement ends with a line `END;` and is installed like, and together with, capture's.

CREATE TRIGGER espf_registry_accounts_insert BEFORE INSERT ON accounts FOR EACH ROW
BEGIN
  PERFORM 1 FROM customers WHERE i_customer = NEW.i_customer AND i_env = NEW.i_env FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'There is no such customer in this environment.';
  END IF;
  IF NEW.i_product IS NOT NULL THEN
    PERFORM 1 FROM products WHERE i_product = NEW.i_product AND i_env = NEW.i_env
      AND addon_priority = 0 FOR SHARE;
    IF NOT FOUND THEN
      RAISE integrity_constraint_violation USING MESSAGE = 'There is no such product in this environment, or it is an add-on.';
    END IF;
  END IF;
  IF NEW.i_sim_card IS NOT NULL THEN
    PERFORM 1 FROM sim_cards WHERE i_sim_card = NEW.i_sim_card AND i_env = NEW.i_env
      AND status <> 'disposed' FOR NO KEY UPDATE;
    IF NOT FOUND THEN
      RAISE integrity_constraint_violation USING
        MESSAGE = 'There is no such SIM card in this environment, or it is disposed of.';
    END IF;
    IF EXISTS (SELECT 1 FROM accounts WHERE i_sim_card = NEW.i_sim_card
        AND (i_env <> NEW.i_env OR id <> NEW.id)) THEN
      RAISE integrity_constraint_violation USING MESSAGE = 'The SIM card is in use by another account.';
    END IF;
  END IF;
  RETURN NEW;
END;

CREATE TRIGGER espf_registry_accounts_owner BEFORE UPDATE OF i_env, i_customer ON accounts FOR EACH ROW
BEGIN
  IF OLD.i_env = NEW.i_env AND OLD.i_customer = NEW.i_customer THEN RETURN NEW; END IF;
  PERFORM 1 FROM customers WHERE i_customer = NEW.i_customer AND i_env = NEW.i_env FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'There is no such customer in this environment.';
  END IF;
  IF OLD.i_env <> NEW.i_env THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'An account cannot move to another environment.';
  END IF;
  RETURN NEW;
END;

CREATE TRIGGER espf_registry_accounts_product BEFORE UPDATE OF i_product ON accounts FOR EACH ROW
BEGIN
  IF NEW.i_product IS NULL OR OLD.i_product = NEW.i_product THEN RETURN NEW; END IF;
  PERFORM 1 FROM products WHERE i_product = NEW.i_product AND i_env = NEW.i_env
      AND addon_priority = 0 FOR SHARE;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'There is no such product in this environment, or it is an add-on.';
  END IF;
  RETURN NEW;
END;

-- The mark spares every other update the search for moved cards; it stays until the transaction ends.
CREATE TRIGGER espf_registry_accounts_card BEFORE UPDATE OF i_sim_card ON accounts FOR EACH ROW
BEGIN
  IF OLD.i_sim_card IS NOT DISTINCT FROM NEW.i_sim_card THEN RETURN NEW; END IF;
  PERFORM set_config('espf.cards_moved', 'yes', true);
  IF NEW.i_sim_card IS NULL THEN RETURN NEW; END IF;
  PERFORM 1 FROM sim_cards WHERE i_sim_card = NEW.i_sim_card AND i_env = NEW.i_env
    AND status <> 'disposed' FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'There is no such SIM card in this environment, or it is disposed of.';
  END IF;
  IF EXISTS (SELECT 1 FROM accounts WHERE i_sim_card = NEW.i_sim_card) THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'The SIM card is in use by another account.';
  END IF;
  RETURN NEW;
END;

-- Once for each statement, and named behind capture: the accounts' events come before the cards'.
CREATE TRIGGER espf_registry_card_given AFTER INSERT ON accounts REFERENCING NEW TABLE AS espf_new FOR EACH STATEMENT
DECLARE
  card bigint;
BEGIN
  FOR card IN SELECT i_sim_card FROM espf_new WHERE i_sim_card IS NOT NULL LOOP
    UPDATE sim_cards SET status = 'used' WHERE i_sim_card = card;
  END LOOP;
  RETURN NULL;
END;

-- EXECUTE plans for just these rows, be they one or a million.
CREATE TRIGGER espf_registry_card_swapped AFTER UPDATE ON accounts REFERENCING OLD TABLE AS espf_old NEW TABLE AS espf_new FOR EACH STATEMENT
DECLARE
  taken bigint;
  given bigint;
BEGIN
  IF current_setting('espf.cards_moved', true) IS DISTINCT FROM 'yes' THEN RETURN NULL; END IF;
  FOR taken, given IN EXECUTE 'SELECT o.i_sim_card, n.i_sim_card FROM espf_new AS n JOIN espf_old AS o'
      ' ON o.i_account = n.i_account WHERE o.i_sim_card IS DISTINCT FROM n.i_sim_card' LOOP
    UPDATE sim_cards SET status = 'available' WHERE i_sim_card = taken
      AND NOT EXISTS (SELECT 1 FROM accounts WHERE i_sim_card = taken);
    UPDATE sim_cards SET status = 'used' WHERE i_sim_card = given;
  END LOOP;
  RETURN NULL;
END;

CREATE TRIGGER espf_registry_card_freed AFTER DELETE ON accounts REFERENCING OLD TABLE AS espf_old FOR EACH STATEMENT
DECLARE
  card bigint;
BEGIN
  FOR card IN SELECT i_sim_card FROM espf_old WHERE i_sim_card IS NOT NULL LOOP
    UPDATE sim_cards SET status = 'available' WHERE i_sim_card = card;
  END LOOP;
  RETURN NULL;
END;

CREATE TRIGGER espf_registry_sim_cards_insert BEFORE INSERT ON sim_cards FOR EACH ROW
BEGIN
  IF NEW.status = 'used' THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'A new SIM card cannot be in use: give it to an account afterwards.';
  END IF;
  RETURN NEW;
END;

CREATE TRIGGER espf_registry_sim_cards_status BEFORE UPDATE OF status ON sim_cards FOR EACH ROW
BEGIN
  IF OLD.status = NEW.status THEN RETURN NEW; END IF;
  IF EXISTS (SELECT 1 FROM accounts WHERE i_sim_card = NEW.i_sim_card) THEN
    IF NEW.status <> 'used' THEN
      RAISE integrity_constraint_violation USING
        MESSAGE = 'The SIM card is in use by an account: take it away there first.';
    END IF;
  ELSIF NEW.status = 'used' THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'No account uses the SIM card: its status becomes used when one does.';
  END IF;
  RETURN NEW;
END;

CREATE TRIGGER espf_registry_sim_cards_key BEFORE UPDATE OF i_sim_card, i_env ON sim_cards FOR EACH ROW
BEGIN
  IF OLD.i_sim_card = NEW.i_sim_card AND OLD.i_env = NEW.i_env THEN RETURN NEW; END IF;
  IF EXISTS (SELECT 1 FROM accounts WHERE i_sim_card = OLD.i_sim_card) THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'The SIM card is in use by an account: take it away there first.';
  END IF;
  IF OLD.i_sim_card <> NEW.i_sim_card THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'The key i_sim_card never changes.';
  END IF;
  RETURN NEW;
END;

-- The far side knows the account by this IMSI, and no event of the account would tell of another.
CREATE TRIGGER espf_registry_sim_cards_imsi BEFORE UPDATE OF imsi ON sim_cards FOR EACH ROW
BEGIN
  IF OLD.imsi <> NEW.imsi AND EXISTS (SELECT 1 FROM accounts WHERE i_sim_card = OLD.i_sim_card) THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'The SIM card is in use by an account: take it away there first.';
  END IF;
  RETURN NEW;
END;

-- Events, cursors and receivers know the rows by these keys.
CREATE TRIGGER espf_registry_accounts_key BEFORE UPDATE OF i_account ON accounts FOR EACH ROW
BEGIN
  IF OLD.i_account <> NEW.i_account THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'The key i_account never changes.';
  END IF;
  RETURN NEW;
END;

CREATE TRIGGER espf_registry_customers_key BEFORE UPDATE OF i_customer ON customers FOR EACH ROW
BEGIN
  IF OLD.i_customer <> NEW.i_customer THEN
    RAISE integrity_constraint_violation USING MESSAGE = 'The key i_customer never changes.';
  END IF;
  RETURN NEW;
END;

CREATE TRIGGER espf_registry_sim_cards_delete BEFORE DELETE ON sim_cards FOR EACH ROW
BEGIN
  IF EXISTS (SELECT 1 FROM accounts WHERE i_sim_card = OLD.i_sim_card) THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'The SIM card is in use by an account: take it away there first.';
  END IF;
  RETURN OLD;
END;

CREATE TRIGGER espf_registry_customers_delete BEFORE DELETE ON customers FOR EACH ROW
BEGIN
  IF EXISTS (SELECT 1 FROM accounts WHERE i_customer = OLD.i_customer) THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'The customer still has accounts: remove or move them first.';
  END IF;
  IF EXISTS (SELECT 1 FROM sim_cards WHERE i_customer = OLD.i_customer) THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'The customer still owns SIM cards: give them another owner first.';
  END IF;
  RETURN OLD;
END;

CREATE TRIGGER espf_registry_products_delete BEFORE DELETE ON products FOR EACH ROW
BEGIN
  IF EXISTS (SELECT 1 FROM accounts WHERE i_product = OLD.i_product) THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'The product is in use by accounts: give them another product first.';
  END IF;
  RETURN OLD;
END;

CREATE TRIGGER espf_registry_environments_delete BEFORE DELETE ON environments FOR EACH ROW
BEGIN
  IF EXISTS (SELECT 1 FROM customers WHERE i_env = OLD.i_env)
      OR EXISTS (SELECT 1 FROM products WHERE i_env = OLD.i_env)
      OR EXISTS (SELECT 1 FROM sim_cards WHERE i_env = OLD.i_env) THEN
    RAISE integrity_constraint_violation USING
      MESSAGE = 'The environment is not empty: remove what belongs to it first.';
  END IF;
  RETURN OLD;
END;

-- No row trigger sees a TRUNCATE: nobody would hear that the subscribers are gone.
CREATE TRIGGER espf_registry_accounts_truncate BEFORE TRUNCATE ON accounts FOR EACH STATEMENT
BEGIN
  RAISE integrity_constraint_violation USING MESSAGE = 'TRUNCATE raises no events: use DELETE.';
END;

CREATE TRIGGER espf_registry_customers_truncate BEFORE TRUNCATE ON customers FOR EACH STATEMENT
BEGIN
  RAISE integrity_constraint_violation USING MESSAGE = 'TRUNCATE raises no events: use DELETE.';
END;

CREATE TRIGGER espf_registry_sim_cards_truncate BEFORE TRUNCATE ON sim_cards FOR EACH STATEMENT
BEGIN
  RAISE integrity_constraint_violation USING MESSAGE = 'TRUNCATE raises no events: use DELETE.';
END;
