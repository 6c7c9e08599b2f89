-- ---- chat: tables of threads and messages; the functions are in chat_*.sql ----

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
	is_single boolean NOT NULL DEFAULT false,
	parent_id uuid,
	branched_at uuid,
	summary text,
	summary_until uuid,
	summary_replaces boolean NOT NULL DEFAULT false,
	archived_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT thread_pkey PRIMARY KEY (scope, id),
	CONSTRAINT thread_parent_id_fkey FOREIGN KEY (scope, parent_id)
		REFERENCES memai.thread (scope, id) ON DELETE SET NULL (parent_id),
	CONSTRAINT thread_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT thread_metadata_check CHECK (jsonb_typeof(metadata) = 'object'),
	CONSTRAINT thread_summary_check CHECK ((summary IS NULL) = (summary_until IS NULL))
);
COMMENT ON TABLE memai.thread IS 'conversations';
COMMENT ON COLUMN memai.thread.system_prompt IS 'instructions for the model in this thread; NULL: memai''s own';
COMMENT ON COLUMN memai.thread.model IS 'chat model of this thread; NULL: the default';
COMMENT ON COLUMN memai.thread.is_single IS 'opened by a chat that named no thread; listed once it has more than one exchange';
COMMENT ON COLUMN memai.thread.parent_id IS 'the thread that this one was branched from';
COMMENT ON COLUMN memai.thread.branched_at IS 'the last message that both have';
COMMENT ON COLUMN memai.thread.summary IS 'what the messages up to summary_until said, in short; a job goes on with it before older messages leave the model''s window';
COMMENT ON COLUMN memai.thread.summary_until IS 'the last message that summary covers';
COMMENT ON COLUMN memai.thread.summary_replaces IS 'the messages up to summary_until are not shown to the model any more, though there may be room: summarize_thread was called';
COMMENT ON COLUMN memai.thread.archived_at IS 'when it was put away; NULL while it is in use';
CREATE INDEX thread_user_idx ON memai.thread (tenant, user_id, id);
COMMENT ON INDEX memai.thread_user_idx IS 'serves all scopes of a user: the threads of every namespace, and a thread whose namespace is not known';
CREATE INDEX thread_parent_id_idx ON memai.thread (scope, parent_id) WHERE parent_id IS NOT NULL;
COMMENT ON INDEX memai.thread_parent_id_idx IS 'the branches of a thread';

-- What was said is an episode; a message is its place in a thread and what the
-- answer took.  Branches share episodes.  Deleting a thread forgets its order,
-- not its episodes.
CREATE TABLE memai.message (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	id uuid NOT NULL,
	thread_id uuid NOT NULL,
	is_single boolean NOT NULL DEFAULT false,
	model text,
	prompt_tokens integer,
	completion_tokens integer,
	cost numeric,
	finish_reason text,
	intent text,
	memory_ids uuid[] NOT NULL DEFAULT '{}',
	tools_invoked jsonb NOT NULL DEFAULT '[]',
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	CONSTRAINT message_pkey PRIMARY KEY (scope, thread_id, id),
	CONSTRAINT message_id_fkey FOREIGN KEY (scope, id) REFERENCES memai.episode (scope, id) ON DELETE CASCADE,
	CONSTRAINT message_thread_id_fkey FOREIGN KEY (scope, thread_id) REFERENCES memai.thread (scope, id) ON DELETE CASCADE,
	CONSTRAINT message_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT message_tools_invoked_check CHECK (jsonb_typeof(tools_invoked) = 'array')
);
COMMENT ON TABLE memai.message IS 'the messages of threads in order; their texts are in memai.episode';
COMMENT ON COLUMN memai.message.id IS 'the episode that holds role and content';
COMMENT ON COLUMN memai.message.is_single IS 'said in a chat that named no thread; the newest of these are the context of the next such chat';
COMMENT ON COLUMN memai.message.model IS 'the model that answered; NULL of what the user said';
COMMENT ON COLUMN memai.message.cost IS 'of the answer, in the currency of the model''s prices; NULL when they are not known';
COMMENT ON COLUMN memai.message.finish_reason IS 'why the answer ended; cancelled: the caller stopped reading it';
COMMENT ON COLUMN memai.message.memory_ids IS 'the memories and episodes that the model was shown for this answer';
COMMENT ON COLUMN memai.message.tools_invoked IS 'the tools that the model called for this answer, with what became of each';
CREATE INDEX message_id_idx ON memai.message (scope, id);
COMMENT ON INDEX memai.message_id_idx IS 'for the cascade from episode';
CREATE INDEX message_single_idx ON memai.message (scope, id) WHERE is_single;
COMMENT ON INDEX memai.message_single_idx IS 'what was said outside of threads, in order';

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

CREATE TRIGGER thread_pii_policy BEFORE INSERT OR UPDATE OF title, metadata, summary ON memai.thread
	FOR EACH ROW WHEN (memai._has_pii_policies()) EXECUTE FUNCTION memai._apply_pii_policy('title', 'metadata', 'summary');
COMMENT ON TRIGGER thread_pii_policy ON memai.thread IS 'what the policy of the tenant says of personal data, however the row is stored';
CREATE TRIGGER message_pii_policy BEFORE INSERT OR UPDATE OF tools_invoked ON memai.message
	FOR EACH ROW WHEN (memai._has_pii_policies()) EXECUTE FUNCTION memai._apply_pii_policy('tools_invoked');
COMMENT ON TRIGGER message_pii_policy ON memai.message IS 'what the policy of the tenant says of personal data, however the row is stored';

GRANT SELECT, INSERT, DELETE ON memai.thread, memai.message TO memai_user;
GRANT UPDATE (title, system_prompt, model, metadata, summary, summary_until, summary_replaces, archived_at) ON memai.thread TO memai_user;

-- its plans are kept for the session and must fit small and large tables: by index, from the removed rows
CREATE FUNCTION memai._messages_removed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'memai_messages_removed' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;
COMMENT ON FUNCTION memai._messages_removed() IS 'private: removes the summaries that a removed message is a part of';
REVOKE ALL ON FUNCTION memai._messages_removed() FROM PUBLIC;
CREATE TRIGGER message_deleted AFTER DELETE ON memai.message
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION memai._messages_removed();
COMMENT ON TRIGGER message_deleted ON memai.message IS 'what is forgotten is in no summary either';

-- the planner's statistics keep no sample of what users wrote
ALTER TABLE memai.thread ALTER COLUMN title SET STATISTICS 0, ALTER COLUMN system_prompt SET STATISTICS 0,
	ALTER COLUMN metadata SET STATISTICS 0, ALTER COLUMN summary SET STATISTICS 0;
ALTER TABLE memai.message ALTER COLUMN tools_invoked SET STATISTICS 0;

SELECT pg_catalog.pg_extension_config_dump('memai.thread', '');
SELECT pg_catalog.pg_extension_config_dump('memai.message', '');
