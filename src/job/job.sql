-- ---- job: the queue of background work ----
--
-- Rights (src/job/README.md tells why): a role sees and claims the jobs of its
-- tenant; a member of memai_admin those of every tenant.  Who submitted a job
-- is filled by its default and no role but the owner can write that column.

CREATE FUNCTION memai._job_kinds() RETURNS text[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ARRAY['embed', 'extract', 'consolidate', 'review', 'summarise', 'reembed', 'expire', 'ingest', 'vectorize', 'schedule',
		'insight', 'persona', 'chat', 'tool', 'call', 'custom'];
COMMENT ON FUNCTION memai._job_kinds() IS 'private: the kinds of jobs';
REVOKE ALL ON FUNCTION memai._job_kinds() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._job_kinds() TO memai_user;

CREATE TABLE memai.job (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	id uuid NOT NULL DEFAULT memai.new_id(),
	kind text COLLATE "C" NOT NULL,
	model text COLLATE "C" NOT NULL DEFAULT '',
	status text NOT NULL DEFAULT 'waiting',
	priority smallint NOT NULL DEFAULT 1,
	run_after timestamptz NOT NULL DEFAULT now(),
	attempts integer NOT NULL DEFAULT 0,
	max_attempts integer NOT NULL DEFAULT 5,
	payload jsonb NOT NULL DEFAULT '{}',
	dedupe_key text,
	lease uuid,
	cancel_requested boolean NOT NULL DEFAULT false,
	done bigint,
	total bigint,
	result jsonb,
	error text,
	sqlstate text,
	submitted_by name NOT NULL DEFAULT current_user,
	submitted_at timestamptz NOT NULL DEFAULT now(),
	started_at timestamptz,
	finished_at timestamptz,
	CONSTRAINT job_pkey PRIMARY KEY (scope, id),
	CONSTRAINT job_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT job_kind_check CHECK (kind = ANY (memai._job_kinds())),
	CONSTRAINT job_status_check CHECK (status IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
	CONSTRAINT job_lease_check CHECK ((status = 'running') = (lease IS NOT NULL)),
	CONSTRAINT job_finished_at_check CHECK ((status IN ('waiting', 'running')) = (finished_at IS NULL)),
	CONSTRAINT job_priority_check CHECK (priority BETWEEN 0 AND 2),
	CONSTRAINT job_attempts_check CHECK (attempts BETWEEN 0 AND max_attempts),
	CONSTRAINT job_max_attempts_check CHECK (max_attempts BETWEEN 1 AND 100),
	CONSTRAINT job_payload_check CHECK (jsonb_typeof(payload) = 'object')
);
COMMENT ON TABLE memai.job IS 'units of background work: waiting, running and finished';
COMMENT ON COLUMN memai.job.scope IS 'hash of tenant, user_id and namespace; leads the key';
COMMENT ON COLUMN memai.job.kind IS 'what is to be done; kinds without a handler in memai are for clients that claim them';
COMMENT ON COLUMN memai.job.model IS 'the model it calls, so that a resting model holds back its own jobs only; empty for none';
COMMENT ON COLUMN memai.job.status IS 'waiting, running, done, failed (dead letter: see error) or cancelled';
COMMENT ON COLUMN memai.job.priority IS '0 first, 1 usual, 2 last';
COMMENT ON COLUMN memai.job.run_after IS 'when it may be claimed next: of a running job the end of its lease';
COMMENT ON COLUMN memai.job.attempts IS 'how often it was claimed';
COMMENT ON COLUMN memai.job.dedupe_key IS 'at most one waiting job of a scope and kind has it; dropped when the job is claimed';
COMMENT ON COLUMN memai.job.lease IS 'who has it: only the holder of this value can finish the job';
COMMENT ON COLUMN memai.job.done IS 'progress in units of the kind, out of total';
COMMENT ON COLUMN memai.job.submitted_by IS 'the role that submitted it and whose rights it runs with';
CREATE INDEX job_claim_idx ON memai.job (kind, model, priority, run_after) WHERE finished_at IS NULL;
COMMENT ON INDEX memai.job_claim_idx IS 'serves all scopes: what a worker of every tenant may claim next';
CREATE INDEX job_tenant_claim_idx ON memai.job (tenant, kind, model, priority, run_after) WHERE finished_at IS NULL;
COMMENT ON INDEX memai.job_tenant_claim_idx IS 'serves all scopes of a tenant: what a worker of one tenant may claim next';
CREATE UNIQUE INDEX job_dedupe_idx ON memai.job (scope, kind, dedupe_key) WHERE dedupe_key IS NOT NULL AND finished_at IS NULL;
COMMENT ON INDEX memai.job_dedupe_idx IS 'a piece of work waits once';
CREATE INDEX job_finished_idx ON memai.job (finished_at) WHERE finished_at IS NOT NULL;
COMMENT ON INDEX memai.job_finished_idx IS 'serves all scopes: what may be removed';

CREATE TABLE memai._job_cooldown (
	model text COLLATE "C" PRIMARY KEY,
	until timestamptz NOT NULL
);
COMMENT ON TABLE memai._job_cooldown IS 'private: models whose jobs are not claimed before a time; not dumped';

CREATE TABLE memai._worker (
	pid integer PRIMARY KEY,
	started_at timestamptz NOT NULL,
	model text COLLATE "C",
	scope bigint,
	job_id uuid,
	lease uuid,
	more_scopes bigint[],
	more_ids uuid[],
	more_leases uuid[],
	done bigint NOT NULL DEFAULT 0,
	failed bigint NOT NULL DEFAULT 0,
	last_finished_at timestamptz
);
COMMENT ON COLUMN memai._worker.more_ids IS 'jobs that shared requests with the last one, finished or not';
COMMENT ON TABLE memai._worker IS 'private: processes to wake when a job is submitted, and the job that each has; not dumped';

ALTER TABLE memai.job ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.job FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.job USING (
	(tenant = (SELECT memai.current_tenant()) AND user_id = coalesce((SELECT memai.current_user_id()), user_id))
	OR (SELECT pg_has_role(current_user, 'memai_admin', 'USAGE')));
COMMENT ON POLICY isolation ON memai.job IS 'own tenant only, and own user in a narrowed session; administrators see every tenant';
CREATE POLICY submission ON memai.job AS RESTRICTIVE FOR INSERT WITH CHECK (tenant = (SELECT memai.current_tenant()));
COMMENT ON POLICY submission ON memai.job IS 'jobs are submitted for the own tenant only, by administrators too';

-- ---- submitting ----

CREATE FUNCTION memai._job_submitted() RETURNS trigger
	AS 'MODULE_PATHNAME', 'memai_job_submitted' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai._job_submitted() IS 'private: wakes workers when the transaction commits';
REVOKE ALL ON FUNCTION memai._job_submitted() FROM PUBLIC;
CREATE TRIGGER submitted AFTER INSERT ON memai.job FOR EACH STATEMENT EXECUTE FUNCTION memai._job_submitted();
COMMENT ON TRIGGER submitted ON memai.job IS 'wakes workers at commit';
CREATE TRIGGER retried AFTER UPDATE OF cancel_requested ON memai.job FOR EACH STATEMENT EXECUTE FUNCTION memai._job_submitted();
COMMENT ON TRIGGER retried ON memai.job IS 'wakes workers at commit of retry_jobs';

CREATE FUNCTION memai._job_replicated() RETURNS trigger
	AS 'MODULE_PATHNAME', 'memai_job_replicated' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION memai._job_replicated() IS 'private: holds back the jobs that logical replication brings';
REVOKE ALL ON FUNCTION memai._job_replicated() FROM PUBLIC;
CREATE TRIGGER replicated BEFORE INSERT OR UPDATE ON memai.job FOR EACH ROW EXECUTE FUNCTION memai._job_replicated();
ALTER TABLE memai.job ENABLE REPLICA TRIGGER replicated;
COMMENT ON TRIGGER replicated ON memai.job IS 'on a subscriber: the publisher does this job';

CREATE FUNCTION memai.submit_job(kind text, payload jsonb DEFAULT '{}', user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		model text DEFAULT NULL, priority integer DEFAULT 1, run_after timestamptz DEFAULT NULL,
		max_attempts integer DEFAULT 5, dedupe_key text DEFAULT NULL) RETURNS uuid
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	INSERT INTO memai.job (tenant, user_id, namespace, scope, kind, model, payload, priority, run_after, max_attempts, dedupe_key)
	VALUES (memai.current_tenant(), coalesce(submit_job.user_id, memai.current_user_id()),
		coalesce(submit_job.namespace, 'default'), memai._scope(submit_job.user_id, submit_job.namespace),
		memai._check_word('kind', submit_job.kind, VARIADIC memai._job_kinds()), coalesce(submit_job.model, ''),
		CASE WHEN memai._check(jsonb_typeof(submit_job.payload) = 'object', '22023', 'payload must be a JSON object', NULL) THEN submit_job.payload END,
		memai._check_range('priority', submit_job.priority, 0, 2)::smallint, coalesce(submit_job.run_after, now()),
		memai._check_range('max_attempts', submit_job.max_attempts, 1, 100), submit_job.dedupe_key)
	ON CONFLICT (scope, kind, dedupe_key) WHERE dedupe_key IS NOT NULL AND finished_at IS NULL
		DO UPDATE SET run_after = least(job.run_after, excluded.run_after),
			priority = least(job.priority, excluded.priority)
	RETURNING id;
END;
COMMENT ON FUNCTION memai.submit_job(text, jsonb, text, text, text, integer, timestamptz, integer, text) IS
	'submit a job and return its id; with a dedupe_key, the id of the job that waits under it already';

CREATE FUNCTION memai.cancel_job(id uuid, user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS text
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	UPDATE memai.job j SET cancel_requested = true,
		status = CASE WHEN j.status = 'waiting' THEN 'cancelled' ELSE j.status END,
		finished_at = CASE WHEN j.status = 'waiting' THEN now() END
	WHERE j.scope = memai._scope(cancel_job.user_id, cancel_job.namespace) AND j.id = cancel_job.id AND j.finished_at IS NULL
	RETURNING j.status;
END;
COMMENT ON FUNCTION memai.cancel_job(uuid, text, text) IS
	'cancel a job: at once when it waits, at its next checkpoint when it runs; the status it has now, NULL when it was finished or is unknown';

CREATE FUNCTION memai.retry_jobs(kind text DEFAULT NULL, user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS bigint
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH again AS (
		UPDATE memai.job j SET status = 'waiting', attempts = 0, run_after = now(), finished_at = NULL,
			lease = NULL, error = NULL, sqlstate = NULL, cancel_requested = false
		WHERE (j.status = 'failed' OR (j.finished_at IS NULL AND j.run_after = 'infinity')) AND j.tenant = memai.current_tenant()
			AND (retry_jobs.kind IS NULL OR j.kind = retry_jobs.kind)
			AND (retry_jobs.user_id IS NULL OR j.user_id = retry_jobs.user_id)
			AND (retry_jobs.namespace IS NULL OR j.namespace = retry_jobs.namespace)
		RETURNING 1)
	SELECT count(*) FROM again;
END;
COMMENT ON FUNCTION memai.retry_jobs(text, text, text) IS 'let the failed jobs of the tenant (of a kind, user, namespace), and those held back on a subscriber, wait again with all their attempts, and return how many';

-- ---- working: any client can be a worker ----

CREATE FUNCTION memai.claim(kinds text[], max_jobs integer DEFAULT 1, lease_time interval DEFAULT '5 min')
	RETURNS TABLE (scope bigint, id uuid, lease uuid, kind text, model text, tenant text, user_id text, namespace text,
		payload jsonb, attempts integer, max_attempts integer, submitted_by name)
	AS 'MODULE_PATHNAME', 'memai_claim' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 10
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.claim(text[], integer, interval) IS
	'take jobs of some kinds that are due, for a time; finish each with complete_job or fail_job and the lease that comes with it';

CREATE FUNCTION memai.renew_lease(scope bigint, id uuid, lease uuid, lease_time interval DEFAULT '5 min',
		done bigint DEFAULT NULL, total bigint DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH renewed AS (
		UPDATE memai.job j SET run_after = now() + renew_lease.lease_time,
			done = coalesce(renew_lease.done, j.done), total = coalesce(renew_lease.total, j.total)
		WHERE j.scope = renew_lease.scope AND j.id = renew_lease.id AND j.lease = renew_lease.lease
		RETURNING j.cancel_requested)
	SELECT coalesce(bool_and(NOT cancel_requested), false) FROM renewed;
END;
COMMENT ON FUNCTION memai.renew_lease(bigint, uuid, uuid, interval, bigint, bigint) IS
	'keep a claimed job and report progress; false when the job is not yours any more or should stop';

CREATE FUNCTION memai.complete_job(scope bigint, id uuid, lease uuid, result jsonb DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH finished AS (
		UPDATE memai.job j SET status = 'done', lease = NULL, result = complete_job.result, error = NULL, sqlstate = NULL,
			finished_at = now()
		WHERE j.scope = complete_job.scope AND j.id = complete_job.id AND j.lease = complete_job.lease
		RETURNING 1)
	SELECT count(*) > 0 FROM finished;
END;
COMMENT ON FUNCTION memai.complete_job(bigint, uuid, uuid, jsonb) IS 'finish a claimed job with its result; false, and nothing is stored, when it is not yours any more';

CREATE FUNCTION memai._job_is_hopeless(sqlstate text) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN sqlstate IS NOT NULL AND (left(sqlstate, 2) IN ('0A', '22', '23', '42')
		OR sqlstate IN ('MA001', 'MA002', 'MA006', 'MA007', 'MA009'));
COMMENT ON FUNCTION memai._job_is_hopeless(text) IS 'private: true for errors that another attempt meets again';
REVOKE ALL ON FUNCTION memai._job_is_hopeless(text) FROM PUBLIC;

CREATE FUNCTION memai.fail_job(scope bigint, id uuid, lease uuid, error text, sqlstate text DEFAULT NULL,
		retry_after interval DEFAULT NULL) RETURNS text
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	UPDATE memai.job j SET lease = NULL, error = fail_job.error, sqlstate = fail_job.sqlstate,
		status = f.status, finished_at = CASE WHEN f.status <> 'waiting' THEN now() END,
		run_after = now() + coalesce(fail_job.retry_after,
			least(300, power(2, least(j.attempts, 10) - 1)) * (0.5 + random() / 2) * interval '1 second')
	FROM (SELECT o.scope, o.id, CASE WHEN o.cancel_requested THEN 'cancelled'
			WHEN o.attempts >= o.max_attempts OR memai._job_is_hopeless(fail_job.sqlstate) THEN 'failed' ELSE 'waiting' END AS status
		FROM memai.job o WHERE o.scope = fail_job.scope AND o.id = fail_job.id AND o.lease = fail_job.lease FOR UPDATE) AS f
	WHERE j.scope = f.scope AND j.id = f.id
	RETURNING j.status;
END;
COMMENT ON FUNCTION memai.fail_job(bigint, uuid, uuid, text, text, interval) IS
	'give a claimed job back with an error: it waits for its next attempt (1, 2, 4 ... 300 seconds, less up to half of that by chance), or fails when it had its last or another would meet the same error; the status it has now, NULL when it is not yours any more';

CREATE PROCEDURE memai.run_jobs(max_jobs integer DEFAULT NULL, max_time interval DEFAULT NULL)
	LANGUAGE C AS 'MODULE_PATHNAME', 'memai_run_jobs';
COMMENT ON PROCEDURE memai.run_jobs(integer, interval) IS
	'do the jobs that are due in this session, committing as it goes: all of them, or up to a number or time; an administrator does everyone''s, others their own';

CREATE FUNCTION memai.wait_for(id uuid, user_id text DEFAULT NULL, namespace text DEFAULT NULL, timeout interval DEFAULT '1 min') RETURNS text
	AS 'MODULE_PATHNAME', 'memai_job_wait_for' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.wait_for(uuid, text, text, interval) IS 'wait until a job that was committed is finished and return its status, or the status it has after timeout';

CREATE FUNCTION memai.flush(timeout interval DEFAULT '1 min') RETURNS boolean
	AS 'MODULE_PATHNAME', 'memai_job_flush' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.flush(interval) IS 'wait until no job of the tenant is unfinished that memai does itself; false when there are some after timeout';

-- ---- looking ----

CREATE VIEW memai.job_status WITH (security_invoker = true) AS
	SELECT tenant, kind, model,
		count(*) FILTER (WHERE status = 'waiting') AS waiting,
		count(*) FILTER (WHERE status = 'running') AS running,
		count(*) FILTER (WHERE status = 'done') AS done,
		count(*) FILTER (WHERE status = 'failed') AS failed,
		count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
		min(submitted_at) FILTER (WHERE finished_at IS NULL) AS oldest_unfinished,
		min(run_after) FILTER (WHERE status = 'waiting') AS next_run,
		(SELECT c.until FROM memai._job_cooldown c WHERE c.model = j.model AND c.until > now()) AS cooldown_until
	FROM memai.job j GROUP BY tenant, kind, model;
COMMENT ON VIEW memai.job_status IS 'jobs by tenant, kind and model: how many in each status, the oldest that is not finished';

CREATE VIEW memai.job_progress WITH (security_invoker = true) AS
	SELECT j.tenant, j.user_id, j.namespace, j.id, j.kind, j.model, j.submitted_by, j.attempts, j.done, j.total,
		CASE WHEN j.total > 0 THEN round(100.0 * j.done / j.total, 1) END AS percent,
		now() - j.started_at AS running_for,
		CASE WHEN j.done > 0 THEN j.done / nullif(extract(epoch FROM now() - j.started_at), 0)::double precision END AS per_second,
		CASE WHEN j.done > 0 THEN (now() - j.started_at) * (greatest(j.total - j.done, 0)::double precision / j.done) END AS time_left
	FROM memai.job j WHERE j.status = 'running';
COMMENT ON VIEW memai.job_progress IS 'running jobs: how much of each is done, how fast, and how long the rest takes at that speed';

-- ---- rights ----

REVOKE ALL ON FUNCTION memai.submit_job(text, jsonb, text, text, text, integer, timestamptz, integer, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.cancel_job(uuid, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.retry_jobs(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.claim(text[], integer, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.renew_lease(bigint, uuid, uuid, interval, bigint, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.complete_job(bigint, uuid, uuid, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.fail_job(bigint, uuid, uuid, text, text, interval) FROM PUBLIC;
REVOKE ALL ON PROCEDURE memai.run_jobs(integer, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.wait_for(uuid, text, text, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.flush(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	memai.submit_job(text, jsonb, text, text, text, integer, timestamptz, integer, text),
	memai.cancel_job(uuid, text, text), memai.retry_jobs(text, text, text),
	memai.claim(text[], integer, interval), memai.renew_lease(bigint, uuid, uuid, interval, bigint, bigint),
	memai.complete_job(bigint, uuid, uuid, jsonb), memai._job_is_hopeless(text),
	memai.fail_job(bigint, uuid, uuid, text, text, interval),
	memai.wait_for(uuid, text, text, interval), memai.flush(interval)
	TO memai_user;
GRANT EXECUTE ON PROCEDURE memai.run_jobs(integer, interval) TO memai_user;
GRANT SELECT, DELETE ON memai.job TO memai_user;
-- not submitted_by: whose rights a job has is not for anybody to write
GRANT INSERT (tenant, user_id, namespace, scope, id, kind, model, priority, run_after, max_attempts, payload, dedupe_key, total)
	ON memai.job TO memai_user;
GRANT UPDATE (status, priority, run_after, attempts, max_attempts, dedupe_key, lease, cancel_requested, done, total, result, error,
	sqlstate, started_at, finished_at) ON memai.job TO memai_user;
GRANT SELECT ON memai.job_status, memai.job_progress, memai._job_cooldown TO memai_user;
GRANT SELECT (pid) ON memai._worker TO memai_user;
GRANT INSERT, UPDATE, DELETE ON memai._job_cooldown TO memai_admin;

SELECT pg_catalog.pg_extension_config_dump('memai.job', '');
