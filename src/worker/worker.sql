-- ---- worker: background workers ----

CREATE FUNCTION memai.start_worker(workers integer DEFAULT 1) RETURNS integer
	AS 'MODULE_PATHNAME', 'memai_start_worker' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION memai.start_worker(integer) IS
	'start background workers for this database and return the process id of their launcher; they run until stop_worker or the end of the server';

CREATE FUNCTION memai.stop_worker() RETURNS boolean
	AS 'MODULE_PATHNAME', 'memai_stop_worker' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION memai.stop_worker() IS 'stop the workers that start_worker started and wait until they are gone; false when there were none';

CREATE VIEW memai.worker_status WITH (security_barrier) AS
	SELECT w.pid, w.started_at, CASE WHEN w.lease IS NULL THEN 'idle' ELSE 'running' END AS state,
		w.job_id, w.done, w.failed, w.last_finished_at
	FROM memai._worker w
	WHERE w.pid IN (SELECT a.pid FROM pg_catalog.pg_stat_get_activity(NULL) a);
COMMENT ON VIEW memai.worker_status IS 'the background workers of this database and what they did since they started; has its owner''s rights';

REVOKE ALL ON FUNCTION memai.start_worker(integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.stop_worker() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.start_worker(integer), memai.stop_worker() TO memai_admin;
GRANT SELECT ON memai.worker_status TO memai_admin;
