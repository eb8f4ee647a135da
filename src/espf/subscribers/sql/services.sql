-- What accounts are given, as it holds in the end: the nearest owner wins, in the order account, site,
-- customer, products; of products the add-on in force with the highest priority, the main one last,
-- and of two alike the one that was made first. All in one answer: `kind` says what a row is.

-- name: services
WITH account AS (
    SELECT i_account, i_customer_site, i_customer, i_product, service_flags, i_access_policy, i_vd_plan
    FROM accounts WHERE i_account IN (:keys[])
), given AS (
    SELECT x.i_account, x.i_product, x.addon_effective_from AS begins, x.addon_effective_to AS ends
    FROM account_addons x
    WHERE x.i_account IN (:keys[]) AND COALESCE(x.addon_effective_from, '') <= :now
        AND (x.addon_effective_to IS NULL OR x.addon_effective_to > :now)
), product AS (
    SELECT g.i_account, p.i_product, p.addon_priority AS priority, p.service_flags, p.i_access_policy,
        p.i_vd_plan
    FROM given g JOIN products p ON p.i_product = g.i_product
    UNION ALL
    SELECT a.i_account, p.i_product, p.addon_priority, p.service_flags, p.i_access_policy, p.i_vd_plan
    FROM account a JOIN products p ON p.i_product = a.i_product
), owner AS (
    SELECT i_account, 0 AS distance, 0 AS priority, 0 AS i_product, service_flags, i_access_policy,
        i_vd_plan
    FROM account
    UNION ALL
    SELECT a.i_account, 1, 0, 0, s.service_flags, NULL, NULL
    FROM account a JOIN customer_sites s ON s.i_customer_site = a.i_customer_site
    UNION ALL
    SELECT a.i_account, 2, 0, 0, c.service_flags, NULL, NULL
    FROM account a JOIN customers c ON c.i_customer = a.i_customer
    UNION ALL
    SELECT i_account, 3, priority, i_product, service_flags, i_access_policy, i_vd_plan FROM product
), flag AS (
    SELECT o.i_account, f.name, substr(o.service_flags, f.i_service_feature, 1) AS letter,
        ROW_NUMBER() OVER (PARTITION BY o.i_account, f.i_service_feature
            ORDER BY o.distance, o.priority DESC, o.i_product) AS place
    FROM owner o JOIN service_features f
        ON substr(o.service_flags, f.i_service_feature, 1) IN ('Y', 'N')
), setting AS (
    SELECT a.i_account, 0 AS distance, 0 AS priority, 0 AS i_product, v.i_service_feature, v.name,
        v.value
    FROM account a JOIN service_attributes v ON v.i_account = a.i_account
    UNION ALL
    SELECT a.i_account, 1, 0, 0, v.i_service_feature, v.name, v.value
    FROM account a JOIN service_attributes v ON v.i_customer_site = a.i_customer_site
    UNION ALL
    SELECT a.i_account, 2, 0, 0, v.i_service_feature, v.name, v.value
    FROM account a JOIN service_attributes v ON v.i_customer = a.i_customer
    UNION ALL
    SELECT p.i_account, 3, p.priority, p.i_product, v.i_service_feature, v.name, v.value
    FROM product p JOIN service_attributes v ON v.i_product = p.i_product
), attribute AS (
    SELECT t.*, ROW_NUMBER() OVER (PARTITION BY t.i_account, t.i_service_feature, t.name
        ORDER BY t.distance, t.priority DESC, t.i_product) AS place
    FROM setting t
), policy AS (
    SELECT i_account, i_access_policy, ROW_NUMBER() OVER (PARTITION BY i_account
        ORDER BY distance, priority DESC, i_product) AS place
    FROM owner WHERE i_access_policy IS NOT NULL
), plan AS (
    SELECT i_account, i_vd_plan, ROW_NUMBER() OVER (PARTITION BY i_account
        ORDER BY distance, priority DESC, i_product) AS place
    FROM owner WHERE i_vd_plan IS NOT NULL
)
SELECT i_account, 'flag' AS kind, name AS a, letter AS b, NULL AS c, NULL AS d FROM flag WHERE place = 1
UNION ALL
SELECT t.i_account, 'attribute', f.name, t.name, t.value, NULL
FROM attribute t JOIN service_features f ON f.i_service_feature = t.i_service_feature
WHERE t.place = 1
UNION ALL
SELECT e.i_account, 'policy', CAST(p.i_access_policy AS text), p.name, NULL, NULL
FROM policy e JOIN access_policies p ON p.i_access_policy = e.i_access_policy WHERE e.place = 1
UNION ALL
SELECT e.i_account, 'policy attribute', t.group_name, t.name, t.value, h.name
FROM policy e JOIN policy_attributes t ON t.i_access_policy = e.i_access_policy
LEFT JOIN policy_phases h ON h.i_access_policy_phase = t.i_access_policy_phase
WHERE e.place = 1
UNION ALL
SELECT i_account, 'plan', CAST(i_vd_plan AS text), NULL, NULL, NULL FROM plan WHERE place = 1
UNION ALL
SELECT g.i_account, 'addon', CAST(p.i_product AS text), p.name, CAST(p.addon_priority AS text), g.ends
FROM given g JOIN products p ON p.i_product = g.i_product
ORDER BY 1, 2, 3, 4, 5, 6;
