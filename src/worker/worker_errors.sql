-- ---- worker: the last errors ----

CREATE VIEW memai.error_log WITH (security_barrier) AS
	SELECT e.at, e.source, e.role, e.model, e.operation, e.sqlstate, n.condition, e.attempt, e.job_id, e.status
	FROM (SELECT u.at, 'gateway' AS source, u.role::text AS role, u.model, u.operation, u.sqlstate, u.attempt::integer AS attempt,
			NULL::uuid AS job_id, u.status
		FROM memai.usage u WHERE u.status <> 'ok'
		UNION ALL
		SELECT coalesce(j.finished_at, j.started_at, j.submitted_at), 'job', j.submitted_by, nullif(j.model, ''), j.kind, j.sqlstate, j.attempts, j.id, j.status
		FROM memai.job j WHERE j.error IS NOT NULL) e
		LEFT JOIN (VALUES ('MA000', 'provider_error'), ('MA001', 'auth'), ('MA002', 'quota'), ('MA003', 'rate_limit'), ('MA004', 'overloaded'),
			('MA005', 'timeout'), ('MA006', 'refused'), ('MA007', 'filtered'), ('MA008', 'truncated'), ('MA009', 'context_too_long'),
			('MA010', 'bad_response'), ('MA011', 'breaker_open'), ('MA012', 'budget_spent'), ('MA013', 'limit')) n (sqlstate, condition)
			ON n.sqlstate = e.sqlstate
	WHERE pg_catalog.pg_has_role(CURRENT_USER, 'memai_admin', 'USAGE');
COMMENT ON VIEW memai.error_log IS 'attempts of calls that failed or were cut off, and jobs whose last attempt failed, without any content or message; order by at; has its owner''s rights';
COMMENT ON COLUMN memai.error_log.source IS 'gateway: an attempt of a call, as in memai.usage; job: a job, as in memai.job, at its end or last start';
COMMENT ON COLUMN memai.error_log.operation IS 'embed, complete, stream or rerank, or the kind of the job';
COMMENT ON COLUMN memai.error_log.sqlstate IS 'NULL for a call that was cut off';
COMMENT ON COLUMN memai.error_log.condition IS 'what an SQLSTATE of class MA stands for';
COMMENT ON COLUMN memai.error_log.status IS 'error or unknown for a call; the status of the job';
GRANT SELECT ON memai.error_log TO memai_admin;
