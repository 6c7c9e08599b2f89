-- ---- memory: episodes, memories, embeddings, blocks, history ----
--
-- Every table carries tenant, user_id and namespace, their hash scope leads
-- every key and index, and row-level security compares the tenant (and, in a
-- narrowed session, the user).  All statements name the scope.

-- ---- tables ----

CREATE TABLE memai.episode (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	id uuid NOT NULL DEFAULT memai.new_id(),
	thread_id uuid,
	source text NOT NULL DEFAULT 'message',
	role text NOT NULL DEFAULT 'user',
	name text,
	content text NOT NULL,
	metadata jsonb NOT NULL DEFAULT '{}',
	occurred_at timestamptz NOT NULL DEFAULT now(),
	created_at timestamptz NOT NULL DEFAULT now(),
	asking real NOT NULL DEFAULT 0,
	terms bytea NOT NULL,
	CONSTRAINT episode_pkey PRIMARY KEY (scope, id),
	CONSTRAINT episode_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT episode_source_check CHECK (source IN ('message', 'chat')),
	CONSTRAINT episode_role_check CHECK (role IN ('user', 'assistant', 'system', 'tool')),
	CONSTRAINT episode_content_check CHECK (content <> ''),
	CONSTRAINT episode_asking_check CHECK (asking BETWEEN 0 AND 1),
	CONSTRAINT episode_metadata_check CHECK (jsonb_typeof(metadata) = 'object')
);
COMMENT ON TABLE memai.episode IS 'what happened, verbatim: the messages of conversations';
COMMENT ON COLUMN memai.episode.scope IS 'hash of tenant, user_id and namespace; leads every key';
COMMENT ON COLUMN memai.episode.thread_id IS 'the conversation it belongs to; episodes of one conversation are each other''s context in recall';
COMMENT ON COLUMN memai.episode.source IS 'how it came here: message (given by the application) or chat (said in memai.chat)';
COMMENT ON COLUMN memai.episode.name IS 'who spoke, when the role does not say';
COMMENT ON COLUMN memai.episode.occurred_at IS 'when it happened in the world';
COMMENT ON COLUMN memai.episode.asking IS 'share of the text that is questions, 0 to 1; recall prefers statements';
COMMENT ON COLUMN memai.episode.terms IS 'hashed stems and their frequencies, for BM25';
CREATE INDEX episode_thread_idx ON memai.episode (scope, thread_id, occurred_at, id) WHERE thread_id IS NOT NULL;
COMMENT ON INDEX memai.episode_thread_idx IS 'a conversation in order';

CREATE TABLE memai.memory (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	id uuid NOT NULL DEFAULT memai.new_id(),
	content text NOT NULL,
	category text NOT NULL DEFAULT 'fact',
	slot text,
	metadata jsonb NOT NULL DEFAULT '{}',
	valid_at timestamptz NOT NULL DEFAULT now(),
	invalid_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(),
	expired_at timestamptz,
	superseded_by uuid,
	content_hash text NOT NULL GENERATED ALWAYS AS (md5(lower(btrim(content)))) STORED,
	terms bytea NOT NULL,
	CONSTRAINT memory_pkey PRIMARY KEY (scope, id),
	CONSTRAINT memory_superseded_by_fkey FOREIGN KEY (scope, superseded_by)
		REFERENCES memai.memory (scope, id) ON DELETE SET NULL (superseded_by) DEFERRABLE INITIALLY DEFERRED,
	CONSTRAINT memory_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT memory_content_check CHECK (content <> ''),
	CONSTRAINT memory_category_check CHECK (category <> ''),
	CONSTRAINT memory_slot_check CHECK (slot <> ''),
	CONSTRAINT memory_metadata_check CHECK (jsonb_typeof(metadata) = 'object'),
	CONSTRAINT memory_validity_check CHECK (invalid_at >= valid_at)
);
COMMENT ON TABLE memai.memory IS 'retrievable statements: facts, preferences, rules';
COMMENT ON COLUMN memai.memory.scope IS 'hash of tenant, user_id and namespace; leads every key';
COMMENT ON COLUMN memai.memory.slot IS 'name of something that has one value at a time, such as home.city';
COMMENT ON COLUMN memai.memory.valid_at IS 'since when it is true in the world';
COMMENT ON COLUMN memai.memory.invalid_at IS 'when it stopped being true in the world; NULL while it is';
COMMENT ON COLUMN memai.memory.expired_at IS 'when the database stopped believing it; NULL while it does';
COMMENT ON COLUMN memai.memory.superseded_by IS 'the memory that took its place';
COMMENT ON COLUMN memai.memory.terms IS 'hashed stems and their frequencies, for BM25';
CREATE UNIQUE INDEX memory_live_content_idx ON memai.memory (scope, content_hash)
	WHERE invalid_at IS NULL AND expired_at IS NULL;
COMMENT ON INDEX memai.memory_live_content_idx IS 'a scope holds a live statement once';
CREATE UNIQUE INDEX memory_live_slot_idx ON memai.memory (scope, slot)
	WHERE slot IS NOT NULL AND invalid_at IS NULL AND expired_at IS NULL;
COMMENT ON INDEX memai.memory_live_slot_idx IS 'a slot has one live value';
CREATE INDEX memory_superseded_by_idx ON memai.memory (scope, superseded_by) WHERE superseded_by IS NOT NULL;
COMMENT ON INDEX memai.memory_superseded_by_idx IS 'the statements that a memory took the place of';

CREATE TABLE memai.embedding (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	id uuid NOT NULL GENERATED ALWAYS AS (coalesce(episode_id, memory_id)) STORED,
	model text NOT NULL,
	episode_id uuid,
	memory_id uuid,
	embedding @extschema@.vector NOT NULL,
	CONSTRAINT embedding_pkey PRIMARY KEY (scope, id, model),
	CONSTRAINT embedding_episode_id_fkey FOREIGN KEY (scope, episode_id)
		REFERENCES memai.episode (scope, id) ON DELETE CASCADE,
	CONSTRAINT embedding_memory_id_fkey FOREIGN KEY (scope, memory_id)
		REFERENCES memai.memory (scope, id) ON DELETE CASCADE,
	CONSTRAINT embedding_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT embedding_item_check CHECK (num_nonnulls(episode_id, memory_id) = 1)
) PARTITION BY LIST (model);
COMMENT ON TABLE memai.embedding IS 'vectors of episodes and memories, one partition a model';
COMMENT ON COLUMN memai.embedding.id IS 'the episode or memory that the vector belongs to';
COMMENT ON COLUMN memai.embedding.model IS 'name of the model that made it; vectors of different models never meet';
CREATE INDEX embedding_episode_id_idx ON memai.embedding (scope, episode_id) WHERE episode_id IS NOT NULL;
COMMENT ON INDEX memai.embedding_episode_id_idx IS 'for the cascade from episode';
CREATE INDEX embedding_memory_id_idx ON memai.embedding (scope, memory_id) WHERE memory_id IS NOT NULL;
COMMENT ON INDEX memai.embedding_memory_id_idx IS 'for the cascade from memory';

CREATE TABLE memai.embedding_local_hash_384 PARTITION OF memai.embedding
	(CONSTRAINT embedding_dimensions_check CHECK (@extschema@.vector_dims(embedding) = 384))
	FOR VALUES IN ('local/hash-384');
COMMENT ON TABLE memai.embedding_local_hash_384 IS 'vectors of the built-in model local/hash-384';
CREATE TABLE memai.embedding_other PARTITION OF memai.embedding DEFAULT;
COMMENT ON TABLE memai.embedding_other IS 'vectors of models without a partition of their own';

CREATE TABLE memai.block (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	label text NOT NULL,
	value text NOT NULL,
	version integer NOT NULL DEFAULT 1,
	updated_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT block_pkey PRIMARY KEY (scope, label),
	CONSTRAINT block_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT block_label_check CHECK (label <> '' AND length(label) <= 100),
	CONSTRAINT block_value_check CHECK (value <> '' AND length(value) <= 10000)
);
COMMENT ON TABLE memai.block IS 'short named texts that are always in context, such as a persona';

CREATE TABLE memai.memory_history (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	id uuid NOT NULL DEFAULT memai.new_id(),
	memory_id uuid NOT NULL,
	event text NOT NULL,
	old_content text,
	new_content text,
	reason text,
	actor name NOT NULL DEFAULT current_user,
	xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	CONSTRAINT memory_history_pkey PRIMARY KEY (scope, id),
	CONSTRAINT memory_history_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT memory_history_event_check CHECK (event IN ('ADD', 'SUPERSEDE', 'FORGET'))
);
COMMENT ON TABLE memai.memory_history IS 'every change of a memory: what, who, when and why; keeps no text of what was forgotten for good';
COMMENT ON COLUMN memai.memory_history.xid IS 'the transaction that made the change';
CREATE INDEX memory_history_memory_id_idx ON memai.memory_history (scope, memory_id, id);
COMMENT ON INDEX memai.memory_history_memory_id_idx IS 'the changes of one memory in order';

-- ---- row-level security: enabled and forced, closed unless the tenant matches ----

ALTER TABLE memai.episode ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.episode FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.episode USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.episode IS 'own tenant only, and own user in a narrowed session';

ALTER TABLE memai.memory ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.memory FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.memory USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.memory IS 'own tenant only, and own user in a narrowed session';

ALTER TABLE memai.embedding ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.embedding FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.embedding USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.embedding IS 'own tenant only, and own user in a narrowed session';

ALTER TABLE memai.embedding_local_hash_384 ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.embedding_local_hash_384 FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.embedding_local_hash_384 USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.embedding_local_hash_384 IS 'own tenant only, and own user in a narrowed session';

ALTER TABLE memai.embedding_other ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.embedding_other FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.embedding_other USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.embedding_other IS 'own tenant only, and own user in a narrowed session';

ALTER TABLE memai.block ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.block FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.block USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.block IS 'own tenant only, and own user in a narrowed session';

ALTER TABLE memai.memory_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.memory_history FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.memory_history USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.memory_history IS 'own tenant only, and own user in a narrowed session';

-- ---- writing ----

CREATE FUNCTION memai.remember(content text, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		metadata jsonb DEFAULT NULL, category text DEFAULT 'fact', slot text DEFAULT NULL,
		valid_at timestamptz DEFAULT NULL) RETURNS uuid
	AS 'MODULE_PATHNAME', 'memai_remember' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.remember(text, text, text, jsonb, text, text, timestamptz) IS
	'store one statement and return its id; the id of the live one when it is known already; a new value of a slot supersedes the old one';

CREATE FUNCTION memai.remember_messages(messages jsonb, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		thread_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT NULL, metadata jsonb DEFAULT NULL) RETURNS SETOF uuid
	AS 'MODULE_PATHNAME', 'memai_remember_messages' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.remember_messages(jsonb, text, text, uuid, timestamptz, jsonb) IS
	'store the messages of a conversation as episodes, in order, and return their ids; each message has content and may have role, name, occurred_at, metadata';

CREATE FUNCTION memai.supersede(id uuid, content text, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		reason text DEFAULT NULL, valid_at timestamptz DEFAULT NULL) RETURNS uuid
	AS 'MODULE_PATHNAME', 'memai_supersede' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.supersede(uuid, text, text, text, text, timestamptz) IS
	'replace a memory by a new statement; the old one is kept, marked no longer true, and the new id is returned';

CREATE FUNCTION memai.forget(id uuid, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		mode text DEFAULT 'hard', reason text DEFAULT NULL) RETURNS boolean
	AS 'MODULE_PATHNAME', 'memai_forget' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.forget(uuid, text, text, text, text) IS
	'remove a memory or an episode for good with its vectors and the text in its history; mode ''soft'' keeps a memory''s row and stops recalling it; false when there is no such id';

CREATE FUNCTION memai.history(id uuid, user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (event text, old_content text, new_content text, reason text, actor name, created_at timestamptz)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT h.event, h.old_content, h.new_content, h.reason, h.actor, h.created_at
	FROM memai.memory_history h
	WHERE h.scope = memai._scope(history.user_id, history.namespace) AND h.memory_id = history.id
	ORDER BY h.id;
END;
COMMENT ON FUNCTION memai.history(uuid, text, text) IS 'what happened to a memory, oldest first';

CREATE FUNCTION memai.set_block(label text, value text, user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'memai_set_block' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.set_block(text, text, text, text) IS 'set a block that is always in context and return its version';

CREATE FUNCTION memai.get_block(label text, user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT b.value FROM memai.block b
	WHERE b.scope = memai._scope(get_block.user_id, get_block.namespace) AND b.label = get_block.label;
END;
COMMENT ON FUNCTION memai.get_block(text, text, text) IS 'the value of a block, or NULL';

CREATE FUNCTION memai.drop_block(label text, user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH gone AS (
		DELETE FROM memai.block b
		WHERE b.scope = memai._scope(drop_block.user_id, drop_block.namespace) AND b.label = drop_block.label
		RETURNING 1)
	SELECT count(*) > 0 FROM gone;
END;
COMMENT ON FUNCTION memai.drop_block(text, text, text) IS 'remove a block; false when there is none';

-- ---- finding ----

CREATE FUNCTION memai.recall(query text, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		k integer DEFAULT 10, filter jsonb DEFAULT NULL, min_score double precision DEFAULT 0,
		model text DEFAULT NULL, include_answers boolean DEFAULT false, exclude_thread uuid DEFAULT NULL)
	RETURNS TABLE (id uuid, kind text, content text, score double precision, similarity double precision,
		keyword double precision, role text, name text, occurred_at timestamptz, thread_id uuid, metadata jsonb)
	AS 'MODULE_PATHNAME', 'memai_recall' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000 ROWS 10
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.recall(text, text, text, integer, jsonb, double precision, text, boolean, uuid) IS
	'the k episodes and live memories of a user that match a question best, by keywords and by meaning together; score is 1 for the first of both';

CREATE FUNCTION memai.context(query text, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		max_tokens integer DEFAULT 1000, k integer DEFAULT 20) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_context' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.context(text, text, text, integer, integer) IS
	'blocks and recalled memories as one text for a model''s prompt, marked as data, within a budget of estimated tokens';

-- ---- rights ----

REVOKE ALL ON FUNCTION memai.remember(text, text, text, jsonb, text, text, timestamptz) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.remember_messages(jsonb, text, text, uuid, timestamptz, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.supersede(uuid, text, text, text, text, timestamptz) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.forget(uuid, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.history(uuid, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.set_block(text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.get_block(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.drop_block(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.recall(text, text, text, integer, jsonb, double precision, text, boolean, uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.context(text, text, text, integer, integer) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION memai.remember(text, text, text, jsonb, text, text, timestamptz),
	memai.remember_messages(jsonb, text, text, uuid, timestamptz, jsonb),
	memai.supersede(uuid, text, text, text, text, timestamptz),
	memai.forget(uuid, text, text, text, text),
	memai.history(uuid, text, text),
	memai.set_block(text, text, text, text), memai.get_block(text, text, text), memai.drop_block(text, text, text),
	memai.recall(text, text, text, integer, jsonb, double precision, text, boolean, uuid),
	memai.context(text, text, text, integer, integer)
	TO memai_user;
-- content has vectors and terms that belong to it: it changes through the functions only
GRANT SELECT, INSERT, DELETE ON memai.episode, memai.memory, memai.embedding TO memai_user;
GRANT UPDATE (metadata) ON memai.episode TO memai_user;
GRANT UPDATE (metadata, category, slot, valid_at, invalid_at, expired_at, superseded_by) ON memai.memory TO memai_user;
GRANT SELECT, INSERT, UPDATE, DELETE ON memai.block TO memai_user;
GRANT SELECT, INSERT, UPDATE (old_content, new_content) ON memai.memory_history TO memai_user;

-- ---- dump and restore: the rows are the user's, the tables the extension's ----

SELECT pg_catalog.pg_extension_config_dump('memai.episode', '');
SELECT pg_catalog.pg_extension_config_dump('memai.memory', '');
SELECT pg_catalog.pg_extension_config_dump('memai.embedding_local_hash_384', '');
SELECT pg_catalog.pg_extension_config_dump('memai.embedding_other', '');
SELECT pg_catalog.pg_extension_config_dump('memai.block', '');
SELECT pg_catalog.pg_extension_config_dump('memai.memory_history', '');
