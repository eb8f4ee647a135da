-- How the installation is doing: asked at each scrape.

-- name: buckets
SELECT i_handler, tokens, tokens_us FROM handler_state;

-- name: parked_due
SELECT i_handler, count(*) FROM parked WHERE due_us <= :now_us GROUP BY i_handler;

-- name: lane_owners
SELECT i_handler, owner, count(*) FROM lane_cursor WHERE bulk = 0 AND lane < 64
GROUP BY i_handler, owner;

-- name: instances
SELECT token, name, host, pid, service_ip, version, started_us, beat_us, unable, metrics, beats
FROM instance ORDER BY name, started_us, token;
