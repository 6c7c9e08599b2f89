-- ---- ingest: what is done again and again ----
--
-- A schedule is a chain of jobs of kind schedule: see schedule_run.c.

CREATE TABLE memai.schedule (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	name text NOT NULL,
	task text NOT NULL,
	every text NOT NULL,
	time_zone text NOT NULL,
	target text,
	query text,
	prompt text,
	notify text,
	model text NOT NULL DEFAULT '',
	search_path text NOT NULL DEFAULT 'pg_catalog',
	paused boolean NOT NULL DEFAULT false,
	is_met boolean NOT NULL DEFAULT false,
	next_run timestamptz NOT NULL,
	last_run timestamptz,
	last_result text,
	created_by name NOT NULL DEFAULT current_user,
	created_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT schedule_pkey PRIMARY KEY (scope, name),
	CONSTRAINT schedule_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT schedule_name_check CHECK (length(name) BETWEEN 1 AND 100),
	CONSTRAINT schedule_task_check CHECK (task IN ('insight', 'alert', 'expire', 'consolidate', 'persona', 'vectorizer')),
	CONSTRAINT schedule_query_check CHECK (task NOT IN ('insight', 'alert') OR query IS NOT NULL OR (task = 'insight' AND prompt IS NOT NULL)),
	CONSTRAINT schedule_target_check CHECK ((task = 'vectorizer') = (target IS NOT NULL)),
	CONSTRAINT schedule_notify_check CHECK (octet_length(notify) BETWEEN 1 AND 63)
);
COMMENT ON TABLE memai.schedule IS 'what is done at intervals or at the times of a cron expression, with the rights of who made it';
COMMENT ON COLUMN memai.schedule.every IS 'a cron expression on the wall clock of time_zone, or an interval since created_at';
COMMENT ON COLUMN memai.schedule.query IS 'of an insight: what it reports; of an alert: its condition';
COMMENT ON COLUMN memai.schedule.prompt IS 'of an insight: what the model is asked; of an alert: what it says';
COMMENT ON COLUMN memai.schedule.search_path IS 'under which the query was written';
COMMENT ON COLUMN memai.schedule.is_met IS 'of an alert: its condition was true when it was looked at last';
ALTER TABLE memai.schedule ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.schedule FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.schedule USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.schedule IS 'own tenant only, and own user in a narrowed session';

CREATE FUNCTION memai.next_run(every text, after timestamptz DEFAULT now(), time_zone text DEFAULT NULL, base timestamptz DEFAULT NULL)
	RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'memai_next_run' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION memai.next_run(text, timestamptz, text, timestamptz) IS
	'the first time after another that a cron expression names on the wall clock of a time zone, or an interval counted from base reaches';

CREATE FUNCTION memai._check_query(query text, search_path text, is_condition boolean) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_check_query' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai._check_query(text, text, boolean) IS 'private: the query, when it is one SELECT, and with is_condition its first column boolean';

CREATE FUNCTION memai._add_schedule(name text, task text, every text, target text, query text, prompt text, notify text, model text,
		user_id text, namespace text, time_zone text) RETURNS timestamptz
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH added AS (
		INSERT INTO memai.schedule (tenant, user_id, namespace, scope, name, task, every, time_zone, target, query, prompt, notify, model,
			search_path, next_run)
		SELECT memai.current_tenant(), coalesce(_add_schedule.user_id, memai.current_user_id()), coalesce(_add_schedule.namespace, 'default'),
			memai._scope(_add_schedule.user_id, _add_schedule.namespace), memai._check_length('name', _add_schedule.name, 100),
			memai._check_word('task', _add_schedule.task, 'insight', 'alert', 'expire', 'consolidate', 'persona', 'vectorizer'), _add_schedule.every,
			coalesce(_add_schedule.time_zone, current_setting('TimeZone')), _add_schedule.target,
			memai._check_query(_add_schedule.query, current_setting('search_path'), _add_schedule.task = 'alert'),
			_add_schedule.prompt, _add_schedule.notify, coalesce(_add_schedule.model, ''), current_setting('search_path'),
			memai.next_run(_add_schedule.every, now(), coalesce(_add_schedule.time_zone, current_setting('TimeZone')))
		WHERE memai._check(_add_schedule.task IS NOT NULL, '22004', 'task must not be null', NULL)
			AND memai._check(_add_schedule.query IS NOT NULL OR _add_schedule.task NOT IN ('insight', 'alert')
				OR (_add_schedule.task = 'insight' AND _add_schedule.prompt IS NOT NULL), '22004',
				CASE _add_schedule.task WHEN 'alert' THEN 'condition must not be null' ELSE 'query and prompt must not both be null' END, NULL)
			AND memai._check((_add_schedule.task IS NOT DISTINCT FROM 'vectorizer') = (_add_schedule.target IS NOT NULL), '22023',
				'target does not fit the task', 'The task vectorizer has the name of one as its target, other tasks have none.')
			AND memai._check(_add_schedule.notify IS NULL OR octet_length(_add_schedule.notify) BETWEEN 1 AND 63, '22023',
				'notify must have 1 to 63 bytes', 'It is the name of a channel.')
			AND memai._check(NOT EXISTS (SELECT FROM memai.schedule s WHERE s.scope = memai._scope(_add_schedule.user_id, _add_schedule.namespace)
				AND s.name = _add_schedule.name), '42710', format('schedule "%s" exists already', _add_schedule.name), 'memai.drop_schedule ends it.')
		RETURNING name, user_id, namespace, model, next_run),
	submitted AS (
		SELECT a.next_run, memai.submit_job('schedule', jsonb_build_object('schedule', a.name), a.user_id, a.namespace, a.model, 1,
			a.next_run, 3, 'schedule ' || a.name) AS id
		FROM added a)
	SELECT s.next_run FROM submitted s WHERE s.id IS NOT NULL;
END;
COMMENT ON FUNCTION memai._add_schedule(text, text, text, text, text, text, text, text, text, text, text) IS 'private: stores a schedule and submits its first job';

CREATE FUNCTION memai.schedule_insight(name text, every text, query text DEFAULT NULL, prompt text DEFAULT NULL, notify text DEFAULT NULL,
		user_id text DEFAULT NULL, namespace text DEFAULT NULL, model text DEFAULT NULL, time_zone text DEFAULT NULL) RETURNS timestamptz
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
	RETURN memai._add_schedule(name, 'insight', every, NULL, query, prompt, notify, model, user_id, namespace, time_zone);
COMMENT ON FUNCTION memai.schedule_insight(text, text, text, text, text, text, text, text, text) IS
	'store what a query finds, or what a model answers to a prompt about its rows (without a query: about the user''s memories), as a memory, again and again, and NOTIFY a channel; returns the first time';

CREATE FUNCTION memai.schedule_alert(name text, every text, condition text, notify text DEFAULT NULL, message text DEFAULT NULL,
		user_id text DEFAULT NULL, namespace text DEFAULT NULL, time_zone text DEFAULT NULL) RETURNS timestamptz
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
	RETURN memai._add_schedule(name, 'alert', every, NULL, condition, message, notify, NULL, user_id, namespace, time_zone);
COMMENT ON FUNCTION memai.schedule_alert(text, text, text, text, text, text, text, text) IS
	'look again and again at a query whose first column is boolean, and store a memory and NOTIFY a channel each time it becomes true; returns the first time';

CREATE FUNCTION memai.schedule_task(name text, every text, task text, target text DEFAULT NULL,
		user_id text DEFAULT NULL, namespace text DEFAULT NULL, time_zone text DEFAULT NULL) RETURNS timestamptz
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
	RETURN memai._add_schedule(name, task, every, target, NULL, NULL, NULL, NULL, user_id, namespace, time_zone);
COMMENT ON FUNCTION memai.schedule_task(text, text, text, text, text, text, text) IS
	'expire or consolidate the memories of a user, build his persona, or start a vectorizer (target), again and again; returns the first time';

CREATE FUNCTION memai.pause_schedule(name text, paused boolean DEFAULT true, user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH changed AS (
		UPDATE memai.schedule s SET paused = pause_schedule.paused
		WHERE s.scope = memai._scope(pause_schedule.user_id, pause_schedule.namespace) AND s.name = pause_schedule.name
		RETURNING 1)
	SELECT count(*) > 0 FROM changed;
END;
COMMENT ON FUNCTION memai.pause_schedule(text, boolean, text, text) IS 'let a schedule do nothing at its times, or with paused => false its work again; false when there is none';

CREATE FUNCTION memai.drop_schedule(name text, user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH gone AS (
		DELETE FROM memai.schedule s
		WHERE s.scope = memai._scope(drop_schedule.user_id, drop_schedule.namespace) AND s.name = drop_schedule.name
		RETURNING s.scope, s.name),
	job AS (
		DELETE FROM memai.job j USING gone g
		WHERE j.scope = g.scope AND j.kind = 'schedule' AND j.status = 'waiting' AND j.dedupe_key = 'schedule ' || g.name
		RETURNING 1)
	SELECT count(*) > 0 FROM gone;
END;
COMMENT ON FUNCTION memai.drop_schedule(text, text, text) IS 'end a schedule; what it stored stays; false when there is none';

REVOKE ALL ON FUNCTION memai._check_query(text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai._add_schedule(text, text, text, text, text, text, text, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.schedule_insight(text, text, text, text, text, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.schedule_alert(text, text, text, text, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.schedule_task(text, text, text, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.pause_schedule(text, boolean, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.drop_schedule(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	memai._check_query(text, text, boolean),
	memai._add_schedule(text, text, text, text, text, text, text, text, text, text, text),
	memai.schedule_insight(text, text, text, text, text, text, text, text, text),
	memai.schedule_alert(text, text, text, text, text, text, text, text),
	memai.schedule_task(text, text, text, text, text, text, text),
	memai.pause_schedule(text, boolean, text, text), memai.drop_schedule(text, text, text)
	TO memai_user;
GRANT SELECT, DELETE ON memai.schedule TO memai_user;
-- not created_by: whose rights a schedule has is not for anybody to write
GRANT INSERT (tenant, user_id, namespace, scope, name, task, every, time_zone, target, query, prompt, notify, model, search_path, next_run)
	ON memai.schedule TO memai_user;
GRANT UPDATE (paused, is_met, next_run, last_run, last_result) ON memai.schedule TO memai_user;

SELECT pg_catalog.pg_extension_config_dump('memai.schedule', '');
