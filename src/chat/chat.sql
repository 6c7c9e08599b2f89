-- ---- chat: threads, messages, talking with a model that remembers ----

CREATE TABLE memai.thread (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	id uuid NOT NULL DEFAULT memai.new_id(),
	title text,
	system_prompt text,
	model text,
	metadata jsonb NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT thread_pkey PRIMARY KEY (scope, id),
	CONSTRAINT thread_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT thread_metadata_check CHECK (jsonb_typeof(metadata) = 'object')
);
COMMENT ON TABLE memai.thread IS 'conversations';
COMMENT ON COLUMN memai.thread.system_prompt IS 'instructions for the model in this thread; NULL: memai''s own';
COMMENT ON COLUMN memai.thread.model IS 'chat model of this thread; NULL: the default';

-- What was said is an episode; a message is its place in a thread and what the
-- answer took.  Deleting a thread forgets its order, not its episodes.
CREATE TABLE memai.message (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	id uuid NOT NULL,
	thread_id uuid NOT NULL,
	model text,
	prompt_tokens integer,
	completion_tokens integer,
	finish_reason text,
	memory_ids uuid[] NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	CONSTRAINT message_pkey PRIMARY KEY (scope, id),
	CONSTRAINT message_id_fkey FOREIGN KEY (scope, id) REFERENCES memai.episode (scope, id) ON DELETE CASCADE,
	CONSTRAINT message_thread_id_fkey FOREIGN KEY (scope, thread_id) REFERENCES memai.thread (scope, id) ON DELETE CASCADE,
	CONSTRAINT message_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace))
);
COMMENT ON TABLE memai.message IS 'the messages of threads in order; their texts are in memai.episode';
COMMENT ON COLUMN memai.message.id IS 'the episode that holds role and content';
COMMENT ON COLUMN memai.message.model IS 'the model that answered; NULL of what the user said';
COMMENT ON COLUMN memai.message.memory_ids IS 'the memories and episodes that the model was shown for this answer';
CREATE INDEX message_thread_id_idx ON memai.message (scope, thread_id, id);
COMMENT ON INDEX memai.message_thread_id_idx IS 'the messages of a thread in order';

ALTER TABLE memai.thread ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.thread FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.thread USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.thread IS 'own tenant only, and own user in a narrowed session';

ALTER TABLE memai.message ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.message FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.message USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.message IS 'own tenant only, and own user in a narrowed session';

CREATE FUNCTION memai.create_thread(user_id text DEFAULT NULL, namespace text DEFAULT NULL, title text DEFAULT NULL,
		system_prompt text DEFAULT NULL, model text DEFAULT NULL, metadata jsonb DEFAULT NULL) RETURNS uuid
	AS 'MODULE_PATHNAME', 'memai_create_thread' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.create_thread(text, text, text, text, text, jsonb) IS 'open a conversation and return its id';

CREATE FUNCTION memai.messages(thread_id uuid, user_id text DEFAULT NULL, namespace text DEFAULT NULL, max_messages integer DEFAULT NULL)
	RETURNS TABLE (id uuid, role text, content text, model text, created_at timestamptz)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT newest.id, e.role, e.content, newest.model, newest.created_at
	FROM (SELECT m.scope, m.id, m.model, m.created_at
		FROM memai.message m
		WHERE m.scope = memai._scope(messages.user_id, messages.namespace) AND m.thread_id = messages.thread_id
		ORDER BY m.id DESC
		LIMIT messages.max_messages) newest
		JOIN memai.episode e ON e.scope = newest.scope AND e.id = newest.id
	ORDER BY newest.id;
END;
COMMENT ON FUNCTION memai.messages(uuid, text, text, integer) IS 'the messages of a thread in order, or the newest max_messages of them';

CREATE FUNCTION memai.chat(message text, user_id text DEFAULT NULL, thread_id uuid DEFAULT NULL, namespace text DEFAULT NULL,
		model text DEFAULT NULL, system_prompt text DEFAULT NULL, temperature double precision DEFAULT NULL,
		max_tokens integer DEFAULT NULL, k integer DEFAULT 8, max_context_tokens integer DEFAULT 2000,
		filter jsonb DEFAULT NULL, on_error text DEFAULT 'raise',
		OUT content text, OUT thread_id uuid, OUT model text, OUT intent text,
		OUT prompt_tokens integer, OUT completion_tokens integer, OUT total_tokens integer, OUT cost numeric,
		OUT context_used boolean, OUT context_length integer, OUT memory_ids uuid[], OUT persona_included boolean,
		OUT tools_invoked jsonb, OUT finish_reason text, OUT cached boolean, OUT processing_ms double precision,
		OUT error text)
	AS 'MODULE_PATHNAME', 'memai_chat' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.chat(text, text, uuid, text, text, text, double precision, integer, integer, integer, jsonb, text) IS
	'say something: stores the message, recalls, asks the model with the thread and what was recalled, stores the answer; without thread_id it opens a thread; on_error => ''null'' returns a failed call''s error instead of raising it';

REVOKE ALL ON FUNCTION memai.create_thread(text, text, text, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.messages(uuid, text, text, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.chat(text, text, uuid, text, text, text, double precision, integer, integer, integer, jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.create_thread(text, text, text, text, text, jsonb),
	memai.messages(uuid, text, text, integer),
	memai.chat(text, text, uuid, text, text, text, double precision, integer, integer, integer, jsonb, text)
	TO memai_user;
GRANT SELECT, INSERT, UPDATE, DELETE ON memai.thread TO memai_user;
GRANT SELECT, INSERT, DELETE ON memai.message TO memai_user;

-- the planner's statistics keep no sample of what users wrote
ALTER TABLE memai.thread ALTER COLUMN title SET STATISTICS 0, ALTER COLUMN system_prompt SET STATISTICS 0,
	ALTER COLUMN metadata SET STATISTICS 0;

SELECT pg_catalog.pg_extension_config_dump('memai.thread', '');
SELECT pg_catalog.pg_extension_config_dump('memai.message', '');
