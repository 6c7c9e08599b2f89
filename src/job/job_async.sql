-- ---- job: calls of models in the background ----

ALTER TABLE memai.job ADD CONSTRAINT job_call_check CHECK (kind <> 'call'
	OR coalesce(payload ->> 'call', '') IN ('complete', 'generate', 'embed', 'rerank'));

CREATE FUNCTION memai._call_user(user_id text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN coalesce(user_id, memai.current_user_id(), current_user::text);
COMMENT ON FUNCTION memai._call_user(text) IS 'private: whom a submitted call is about when nobody says: the role that submits it';
REVOKE ALL ON FUNCTION memai._call_user(text) FROM PUBLIC;

CREATE FUNCTION memai.submit(kind text, payload jsonb, model text DEFAULT NULL, user_id text DEFAULT NULL, keep interval DEFAULT '7 days') RETURNS uuid
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	DELETE FROM memai.job j WHERE j.scope = memai._scope(memai._call_user(submit.user_id), NULL) AND j.kind = 'call'
		AND j.finished_at < now() - (j.payload ->> 'keep')::interval;
	SELECT memai.submit_job('call', submit.payload || jsonb_build_object('call', memai._check_word('kind', submit.kind, 'complete', 'generate', 'embed', 'rerank'), 'keep', submit.keep),
		user_id => memai._call_user(submit.user_id), model => submit.model);
END;
COMMENT ON FUNCTION memai.submit(text, jsonb, text, text, interval) IS
	'call a model in the background and return an id for await and cancel; kind is complete, generate, embed or rerank and payload its arguments; the result is kept for a time after it came';

CREATE FUNCTION memai._await(id uuid, user_id text, timeout interval) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'memai_job_await' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai._await(uuid, text, interval) IS 'private: wait until a job is finished and return its result or raise its error';
REVOKE ALL ON FUNCTION memai._await(uuid, text, interval) FROM PUBLIC;

CREATE FUNCTION memai.await(id uuid, timeout interval DEFAULT '1 min', user_id text DEFAULT NULL) RETURNS jsonb
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
	RETURN memai._await(id, memai._call_user(user_id), timeout);
COMMENT ON FUNCTION memai.await(uuid, interval, text) IS
	'the result of a submitted call, waiting for it if need be; NULL when it is not there after timeout; a call that failed raises its error';

CREATE FUNCTION memai.cancel(id uuid, user_id text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
	RETURN memai.cancel_job(id, memai._call_user(user_id), NULL) IS NOT NULL;
COMMENT ON FUNCTION memai.cancel(uuid, text) IS
	'cancel a submitted call: it is not made, or when it is under way its result is dropped; false when it was finished already';

REVOKE ALL ON FUNCTION memai.submit(text, jsonb, text, text, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.await(uuid, interval, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.cancel(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.submit(text, jsonb, text, text, interval), memai.await(uuid, interval, text), memai.cancel(uuid, text),
	memai._await(uuid, text, interval), memai._call_user(text) TO memai_user;
