-- ---- chat: threads ----

CREATE FUNCTION memai.create_thread(user_id text DEFAULT NULL, namespace text DEFAULT NULL, title text DEFAULT NULL,
		system_prompt text DEFAULT NULL, initial_message text DEFAULT NULL, model text DEFAULT NULL, metadata jsonb DEFAULT NULL) RETURNS uuid
	AS 'MODULE_PATHNAME', 'memai_create_thread' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.create_thread(text, text, text, text, text, text, jsonb) IS
	'open a conversation and return its id; initial_message is the assistant''s first, such as a greeting';

CREATE FUNCTION memai.threads(user_id text DEFAULT NULL, namespace text DEFAULT NULL, include_archived boolean DEFAULT false,
		max_threads integer DEFAULT 100, before timestamptz DEFAULT NULL)
	RETURNS TABLE (id uuid, namespace text, title text, message_count bigint, last_message text, last_message_at timestamptz,
		model text, metadata jsonb, parent_id uuid, archived_at timestamptz, created_at timestamptz)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT t.id, t.namespace, t.title, count.messages, last.content, coalesce(last.created_at, t.created_at) AS last_at,
		t.model, t.metadata, t.parent_id, t.archived_at, t.created_at
	FROM memai.thread t
		CROSS JOIN LATERAL (SELECT count(*) AS messages FROM memai.message m WHERE m.scope = t.scope AND m.thread_id = t.id) count
		LEFT JOIN LATERAL (SELECT e.content, m.created_at
			FROM memai.message m JOIN memai.episode e ON e.scope = m.scope AND e.id = m.id
			WHERE m.scope = t.scope AND m.thread_id = t.id ORDER BY m.id DESC LIMIT 1) last ON true
	WHERE t.tenant = memai.current_tenant() AND t.user_id = memai._user(threads.user_id)
		AND t.namespace = coalesce(threads.namespace, t.namespace)
		AND (NOT t.is_single OR count.messages > 2)
		AND (threads.include_archived OR t.archived_at IS NULL)
		AND (threads.before IS NULL OR coalesce(last.created_at, t.created_at) < threads.before)
	ORDER BY last_at DESC, t.id DESC
	LIMIT memai._check_range('max_threads', threads.max_threads, 0);
END;
COMMENT ON FUNCTION memai.threads(text, text, boolean, integer, timestamptz) IS
	'a user''s conversations in one namespace or (NULL) all of them, the last used first; before pages back by last_message_at';

CREATE FUNCTION memai.thread(thread_id uuid, user_id text DEFAULT NULL) RETURNS SETOF memai.thread
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT t.* FROM memai.thread t
	WHERE t.tenant = memai.current_tenant() AND t.user_id = memai._user(thread.user_id) AND t.id = thread.thread_id;
END;
COMMENT ON FUNCTION memai.thread(uuid, text) IS 'one conversation, or no row';

CREATE FUNCTION memai.messages(thread_id uuid, user_id text DEFAULT NULL, max_messages integer DEFAULT NULL, before uuid DEFAULT NULL)
	RETURNS TABLE (id uuid, role text, content text, model text, prompt_tokens integer, completion_tokens integer, cost numeric,
		finish_reason text, intent text, memory_ids uuid[], tools_invoked jsonb, created_at timestamptz)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT newest.id, e.role, e.content, newest.model, newest.prompt_tokens, newest.completion_tokens, newest.cost,
		newest.finish_reason, newest.intent, newest.memory_ids, newest.tools_invoked, newest.created_at
	FROM (SELECT m.*
		FROM memai.thread t JOIN memai.message m ON m.scope = t.scope AND m.thread_id = t.id
		WHERE t.tenant = memai.current_tenant() AND t.user_id = memai._user(messages.user_id) AND t.id = messages.thread_id
			AND (messages.before IS NULL OR m.id < messages.before)
		ORDER BY m.id DESC
		LIMIT memai._check_range('max_messages', messages.max_messages, 0)) newest
		JOIN memai.episode e ON e.scope = newest.scope AND e.id = newest.id
	ORDER BY newest.id;
END;
COMMENT ON FUNCTION memai.messages(uuid, text, integer, uuid) IS
	'the messages of a thread in order, or the newest max_messages of them; before (a message''s id) pages back';

CREATE FUNCTION memai.rename_thread(thread_id uuid, title text, user_id text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH renamed AS (
		UPDATE memai.thread t SET title = nullif(rename_thread.title, '')
		WHERE t.tenant = memai.current_tenant() AND t.user_id = memai._user(rename_thread.user_id) AND t.id = rename_thread.thread_id
		RETURNING 1
	)
	SELECT EXISTS (SELECT FROM renamed);
END;
COMMENT ON FUNCTION memai.rename_thread(uuid, text, text) IS 'give a conversation another title; false when the user has no such thread';

CREATE FUNCTION memai.archive_thread(thread_id uuid, archived boolean DEFAULT true, user_id text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH changed AS (
		UPDATE memai.thread t SET archived_at = CASE WHEN archive_thread.archived THEN coalesce(t.archived_at, now()) END
		WHERE t.tenant = memai.current_tenant() AND t.user_id = memai._user(archive_thread.user_id) AND t.id = archive_thread.thread_id
		RETURNING 1
	)
	SELECT EXISTS (SELECT FROM changed);
END;
COMMENT ON FUNCTION memai.archive_thread(uuid, boolean, text) IS
	'put a conversation away, or (archived => false) take it back; false when the user has no such thread';

CREATE FUNCTION memai.delete_thread(thread_id uuid, user_id text DEFAULT NULL, forget boolean DEFAULT false) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH gone AS (
		DELETE FROM memai.thread t
		WHERE t.tenant = memai.current_tenant() AND t.user_id = memai._user(delete_thread.user_id) AND t.id = delete_thread.thread_id
		RETURNING t.scope, t.id
	), forgotten AS (
		DELETE FROM memai.episode e USING gone WHERE delete_thread.forget AND e.scope = gone.scope AND e.thread_id = gone.id
		RETURNING 1
	)
	SELECT EXISTS (SELECT FROM gone) OR EXISTS (SELECT FROM forgotten);
END;
COMMENT ON FUNCTION memai.delete_thread(uuid, text, boolean) IS
	'remove a conversation; what was said in it stays in memory unless forget is true; false when the user has no such thread';

CREATE FUNCTION memai.branch_thread(thread_id uuid, message_id uuid, title text DEFAULT NULL, user_id text DEFAULT NULL) RETURNS uuid
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH parent AS (
		SELECT t.* FROM memai.thread t
		WHERE t.tenant = memai.current_tenant() AND t.user_id = memai._user(branch_thread.user_id) AND t.id = branch_thread.thread_id
			AND EXISTS (SELECT FROM memai.message m WHERE m.scope = t.scope AND m.thread_id = t.id AND m.id = branch_thread.message_id)
	), branch AS (
		INSERT INTO memai.thread (tenant, user_id, namespace, scope, title, system_prompt, model, metadata, parent_id, branched_at,
			summary, summary_until, summary_replaces)
		SELECT p.tenant, p.user_id, p.namespace, p.scope, coalesce(branch_thread.title, p.title), p.system_prompt, p.model, p.metadata,
			p.id, branch_thread.message_id,
			CASE WHEN p.summary_until <= branch_thread.message_id THEN p.summary END,
			CASE WHEN p.summary_until <= branch_thread.message_id THEN p.summary_until END,
			p.summary_replaces AND p.summary_until <= branch_thread.message_id
		FROM parent p
		RETURNING scope, id
	), copied AS (
		INSERT INTO memai.message (tenant, user_id, namespace, scope, id, thread_id, model, prompt_tokens, completion_tokens, cost,
			finish_reason, intent, memory_ids, tools_invoked, created_at)
		SELECT m.tenant, m.user_id, m.namespace, m.scope, m.id, b.id, m.model, m.prompt_tokens, m.completion_tokens, m.cost,
			m.finish_reason, m.intent, m.memory_ids, m.tools_invoked, m.created_at
		FROM branch b JOIN memai.message m ON m.scope = b.scope AND m.thread_id = branch_thread.thread_id AND m.id <= branch_thread.message_id
	)
	SELECT b.id FROM branch b;
END;
COMMENT ON FUNCTION memai.branch_thread(uuid, uuid, text, text) IS
	'open a conversation that begins as another one did, up to and with a message of it; NULL when the user has no such message';

CREATE FUNCTION memai.summarize_thread(thread_id uuid, keep integer DEFAULT 20, max_words integer DEFAULT 200,
		model text DEFAULT NULL, user_id text DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_summarize_thread' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.summarize_thread(uuid, integer, integer, text, text) IS
	'have a model sum up all but the last keep messages of a thread now; chat shows the summary in their place; returns it, NULL when there is none';

REVOKE ALL ON FUNCTION memai.create_thread(text, text, text, text, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.threads(text, text, boolean, integer, timestamptz) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.thread(uuid, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.messages(uuid, text, integer, uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.rename_thread(uuid, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.archive_thread(uuid, boolean, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.delete_thread(uuid, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.branch_thread(uuid, uuid, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.summarize_thread(uuid, integer, integer, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.create_thread(text, text, text, text, text, text, jsonb),
	memai.threads(text, text, boolean, integer, timestamptz),
	memai.thread(uuid, text),
	memai.messages(uuid, text, integer, uuid),
	memai.rename_thread(uuid, text, text),
	memai.archive_thread(uuid, boolean, text),
	memai.delete_thread(uuid, text, boolean),
	memai.branch_thread(uuid, uuid, text, text),
	memai.summarize_thread(uuid, integer, integer, text, text)
	TO memai_user;
