-- Subscribers as they are now. `subscriber` is the beginning of a statement, `of_…` are its ends.
-- Money and dates travel as text: the engines give them in types of their own.

-- name: subscriber
SELECT a.i_env, a.i_account, a.i_customer, a.i_product, a.id, a.role, p.name,
    CAST(a.activation_date AS text), CAST(a.expiration_date AS text), a.password, a.h323_password,
    s.i_sim_card, s.imsi, s.iccid, s.amf, s.hlr_name,
    s.ki, s.opc, s.pin, s.puk1, s.puk2, s.activation_code,
    a.bill_status, a.blocked, a.billing_model, a.balance_control,
    CAST(a.balance AS text), CAST(a.credit_limit AS text),
    c.bill_status, c.blocked, c.limited, CAST(c.balance AS text), CAST(c.credit_limit AS text)
FROM accounts a
JOIN customers c ON c.i_customer = a.i_customer
LEFT JOIN products p ON p.i_product = a.i_product
LEFT JOIN sim_cards s ON s.i_sim_card = a.i_sim_card;

-- name: of_account
WHERE a.i_account = :i_account;

-- The unique keys begin with the environment, of which there are few: one look into each. A CROSS
-- JOIN keeps SQLite from turning that round.
-- name: of_imsi
WHERE a.i_sim_card IN (
    SELECT x.i_sim_card FROM environments e CROSS JOIN sim_cards x
    WHERE x.i_env = e.i_env AND x.imsi = :imsi
)
ORDER BY a.i_account;

-- name: of_id
WHERE a.i_account IN (
    SELECT x.i_account FROM environments e CROSS JOIN accounts x
    WHERE x.i_env = e.i_env AND x.id = :id
)
ORDER BY a.i_account;

-- name: of_page
WHERE a.i_account > :after ORDER BY a.i_account LIMIT :limit;

-- name: of_page_of_product
WHERE a.i_account > :after AND a.i_product = :i_product ORDER BY a.i_account LIMIT :limit;

-- name: has_card
SELECT 1 FROM environments e CROSS JOIN sim_cards x
WHERE x.i_env = e.i_env AND x.imsi = :imsi LIMIT 1;

-- name: count_all
SELECT COUNT(*) FROM accounts;

-- name: count_of_product
SELECT COUNT(*) FROM accounts WHERE i_product = :i_product;

-- What applications are told of accounts, customers and cards: no column here is a secret.
-- name: details_of_accounts
SELECT a.i_env, a.i_account, a.i_customer, a.i_product, a.i_master_account, a.i_vd_plan, a.id, a.role,
    a.billing_model, a.balance_control, a.bill_status, a.blocked, CAST(a.balance AS text),
    CAST(a.credit_limit AS text), CAST(a.activation_date AS text),
    CAST(a.expiration_date AS text), a.firstname, a.lastname, a.email, a.phone1, a.zip,
    a.time_zone_name, p.name, p.description, p.i_vd_plan, p.addon_priority,
    s.i_sim_card, s.imsi, s.iccid, s.status,
    c.name, c.bill_status, c.blocked, c.limited, CAST(c.balance AS text),
    CAST(c.credit_limit AS text)
FROM accounts a
JOIN customers c ON c.i_customer = a.i_customer
LEFT JOIN products p ON p.i_product = a.i_product
LEFT JOIN sim_cards s ON s.i_sim_card = a.i_sim_card
WHERE a.i_account IN (:keys[]);

-- name: details_of_customers
SELECT i_customer, name, bill_status, blocked, limited, CAST(balance AS text),
    CAST(credit_limit AS text)
FROM customers WHERE i_customer IN (:keys[]);

-- name: details_of_cards
SELECT s.i_sim_card, a.i_account, s.imsi, s.iccid, a.id, s.status
FROM sim_cards s
LEFT JOIN accounts a ON a.i_sim_card = s.i_sim_card
WHERE s.i_sim_card IN (:keys[]);

-- Those that are not over; one that is yet to begin is assigned all the same.
-- name: details_of_addons
SELECT x.i_account, p.i_product, p.name, p.description, p.addon_priority, x.addon_effective_from,
    x.addon_effective_to, p.i_vd_plan
FROM account_addons x
JOIN products p ON p.i_product = x.i_product
WHERE x.i_account IN (:keys[]) AND (x.addon_effective_to IS NULL OR x.addon_effective_to > :now)
ORDER BY x.i_account, p.addon_priority DESC, p.i_product;
