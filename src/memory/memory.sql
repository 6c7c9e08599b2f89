-- ---- memory: tables; the functions are in memory_*.sql ----
--
-- Every table carries tenant, user_id and namespace, their hash scope leads
-- every key and index, and row-level security compares the tenant (and, in a
-- narrowed session, the user).  All statements name the scope.

-- ---- the inverted indexes' keys ----

CREATE FUNCTION memai._item_keys(scope bigint, id uuid, terms bytea) RETURNS bigint[]
	AS 'MODULE_PATHNAME', 'memai_item_keys' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._item_keys(bigint, uuid, bytea) IS
	'private: what the inverted indexes hold an item under: its terms in its scope, and one of 16 samples of the scope';
REVOKE ALL ON FUNCTION memai._item_keys(bigint, uuid, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._item_keys(bigint, uuid, bytea) TO memai_user;

-- ---- tables ----

CREATE TABLE memai.episode (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	id uuid NOT NULL DEFAULT memai.new_id(),
	thread_id uuid,
	document_id uuid,
	source text NOT NULL DEFAULT 'message',
	role text NOT NULL DEFAULT 'user',
	name text,
	content text NOT NULL,
	metadata jsonb NOT NULL DEFAULT '{}',
	occurred_at timestamptz NOT NULL DEFAULT now(),
	created_at timestamptz NOT NULL DEFAULT now(),
	asking real NOT NULL DEFAULT 0,
	about_from date,
	about_until date,
	extract_with text,
	terms bytea NOT NULL,
	CONSTRAINT episode_pkey PRIMARY KEY (scope, id),
	CONSTRAINT episode_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT episode_source_check CHECK (source IN ('message', 'chat', 'document')),
	CONSTRAINT episode_document_id_check CHECK ((source = 'document') = (document_id IS NOT NULL)),
	CONSTRAINT episode_role_check CHECK (role IN ('user', 'assistant', 'system', 'tool', 'document')),
	CONSTRAINT episode_content_check CHECK (content <> ''),
	CONSTRAINT episode_occurred_at_check CHECK (isfinite(occurred_at)),
	CONSTRAINT episode_asking_check CHECK (asking BETWEEN 0 AND 1),
	CONSTRAINT episode_about_check CHECK (about_from < about_until),
	CONSTRAINT episode_metadata_check CHECK (jsonb_typeof(metadata) = 'object')
);
COMMENT ON TABLE memai.episode IS 'what happened, verbatim: the messages of conversations, the chunks of documents';
COMMENT ON COLUMN memai.episode.scope IS 'hash of tenant, user_id and namespace; leads every key';
COMMENT ON COLUMN memai.episode.thread_id IS 'the conversation it belongs to; episodes of one conversation are each other''s context in recall';
COMMENT ON COLUMN memai.episode.document_id IS 'the document it is a chunk of; then its thread_id too';
COMMENT ON COLUMN memai.episode.source IS 'how it came here: message (given by the application), chat (said in memai.chat) or document (a chunk of one)';
COMMENT ON COLUMN memai.episode.name IS 'who spoke, when the role does not say';
COMMENT ON COLUMN memai.episode.occurred_at IS 'when it happened in the world';
COMMENT ON COLUMN memai.episode.asking IS 'share of the text that is questions, 0 to 1; recall prefers statements';
COMMENT ON COLUMN memai.episode.about_from IS 'first of the days that the text speaks of ("last week"), seen from occurred_at; NULL when it names none';
COMMENT ON COLUMN memai.episode.about_until IS 'the day after the last of them';
COMMENT ON COLUMN memai.episode.extract_with IS 'the chat model that a job will ask what of it to remember; NULL when none will, or did';
COMMENT ON COLUMN memai.episode.terms IS 'hashed stems and their frequencies, for BM25';
CREATE INDEX episode_thread_idx ON memai.episode (scope, thread_id, occurred_at, id) WHERE thread_id IS NOT NULL;
COMMENT ON INDEX memai.episode_thread_idx IS 'a conversation in order';
-- every row has a time: the condition keeps the planner from taking these indexes, whose scope may be large, for a look at one id
CREATE INDEX episode_occurred_at_idx ON memai.episode (scope, occurred_at) WHERE occurred_at IS NOT NULL;
COMMENT ON INDEX memai.episode_occurred_at_idx IS 'what happened in the days that a question names';
CREATE INDEX episode_about_idx ON memai.episode (scope, about_until, about_from) WHERE about_until IS NOT NULL;
COMMENT ON INDEX memai.episode_about_idx IS 'what speaks of the days that a question names';
CREATE INDEX episode_words_idx ON memai.episode USING gin (memai._item_keys(scope, id, terms)) WITH (fastupdate = off);
COMMENT ON INDEX memai.episode_words_idx IS 'serves all scopes: which items of one have a word, by keys that begin with half of the scope; without a list of pending entries, which every recall would read';
CREATE INDEX episode_extract_idx ON memai.episode (scope, extract_with, occurred_at, id) WHERE extract_with IS NOT NULL;
COMMENT ON INDEX memai.episode_extract_idx IS 'messages that wait for a chat model';

CREATE TABLE memai.entity (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	id uuid NOT NULL DEFAULT memai.new_id(),
	name text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	merged_into uuid,
	CONSTRAINT entity_pkey PRIMARY KEY (scope, id),
	CONSTRAINT entity_merged_into_fkey FOREIGN KEY (scope, merged_into)
		REFERENCES memai.entity (scope, id) ON DELETE SET NULL (merged_into),
	CONSTRAINT entity_merged_into_check CHECK (merged_into <> id),
	CONSTRAINT entity_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT entity_name_check CHECK (name <> '' AND octet_length(name) <= 1024)
);
COMMENT ON TABLE memai.entity IS 'what memories are about: people, places, things; the subjects and objects of triplets';
COMMENT ON COLUMN memai.entity.merged_into IS 'the entity that this name is an alias of';
CREATE INDEX entity_merged_into_idx ON memai.entity (scope, merged_into) WHERE merged_into IS NOT NULL;
COMMENT ON INDEX memai.entity_merged_into_idx IS 'the aliases of an entity';
CREATE UNIQUE INDEX entity_name_idx ON memai.entity (scope, lower(name));
COMMENT ON INDEX memai.entity_name_idx IS 'a scope knows an entity once, whatever the case of its name';

CREATE TABLE memai.memory (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	id uuid NOT NULL DEFAULT memai.new_id(),
	content text NOT NULL,
	memory_type text NOT NULL DEFAULT 'semantic',
	category text NOT NULL DEFAULT 'fact',
	slot text,
	subject_id uuid,
	predicate text,
	object_id uuid,
	provenance text NOT NULL DEFAULT 'user',
	metadata jsonb NOT NULL DEFAULT '{}',
	importance real NOT NULL DEFAULT 0.5,
	confidence real NOT NULL DEFAULT 1,
	is_pinned boolean NOT NULL DEFAULT false,
	needs_review boolean NOT NULL DEFAULT false,
	valid_at timestamptz NOT NULL DEFAULT now(),
	invalid_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(),
	closed_at timestamptz,
	expired_at timestamptz,
	expires_at timestamptz,
	superseded_by uuid,
	reason text,
	about_from date,
	about_until date,
	content_hash text NOT NULL GENERATED ALWAYS AS (md5(lower(btrim(content)))) STORED,
	terms bytea NOT NULL,
	CONSTRAINT memory_pkey PRIMARY KEY (scope, id),
	CONSTRAINT memory_superseded_by_fkey FOREIGN KEY (scope, superseded_by)
		REFERENCES memai.memory (scope, id) ON DELETE SET NULL (superseded_by) DEFERRABLE INITIALLY DEFERRED,
	CONSTRAINT memory_subject_id_fkey FOREIGN KEY (scope, subject_id)
		REFERENCES memai.entity (scope, id) ON DELETE SET NULL (subject_id),
	CONSTRAINT memory_object_id_fkey FOREIGN KEY (scope, object_id)
		REFERENCES memai.entity (scope, id) ON DELETE SET NULL (object_id),
	CONSTRAINT memory_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT memory_content_check CHECK (content <> ''),
	CONSTRAINT memory_type_check CHECK (memory_type IN ('semantic', 'episodic', 'procedural')),
	CONSTRAINT memory_category_check CHECK (category <> ''),
	CONSTRAINT memory_slot_check CHECK (slot <> ''),
	CONSTRAINT memory_predicate_check CHECK (predicate <> ''),
	CONSTRAINT memory_provenance_check CHECK (provenance IN ('user', 'assistant', 'tool', 'document', 'inference', 'import')),
	CONSTRAINT memory_metadata_check CHECK (jsonb_typeof(metadata) = 'object'),
	CONSTRAINT memory_importance_check CHECK (importance BETWEEN 0 AND 1),
	CONSTRAINT memory_confidence_check CHECK (confidence BETWEEN 0 AND 1),
	CONSTRAINT memory_valid_at_check CHECK (isfinite(valid_at)),
	CONSTRAINT memory_validity_check CHECK (invalid_at >= valid_at),
	CONSTRAINT memory_about_check CHECK (about_from < about_until)
);
COMMENT ON TABLE memai.memory IS 'retrievable statements: facts, preferences, rules';
COMMENT ON COLUMN memai.memory.scope IS 'hash of tenant, user_id and namespace; leads every key';
COMMENT ON COLUMN memai.memory.memory_type IS 'semantic (what is so), episodic (what happened) or procedural (how to do it)';
COMMENT ON COLUMN memai.memory.slot IS 'name of something that has one value at a time, such as home.city';
COMMENT ON COLUMN memai.memory.subject_id IS 'the entity it is about, when it is known as a triplet';
COMMENT ON COLUMN memai.memory.predicate IS 'what it says of the subject, such as works_at';
COMMENT ON COLUMN memai.memory.object_id IS 'the entity that the predicate leads to';
COMMENT ON COLUMN memai.memory.provenance IS 'whose word it is; given once, when the row is written';
COMMENT ON COLUMN memai.memory.importance IS '0 to 1; weighs in recall';
COMMENT ON COLUMN memai.memory.confidence IS '0 to 1; weighs in recall';
COMMENT ON COLUMN memai.memory.is_pinned IS 'never expires, is never proposed for clearing';
COMMENT ON COLUMN memai.memory.needs_review IS 'something it depends on has changed or gone';
COMMENT ON COLUMN memai.memory.valid_at IS 'since when it is true in the world';
COMMENT ON COLUMN memai.memory.invalid_at IS 'when it stopped being true in the world; NULL while it is';
COMMENT ON COLUMN memai.memory.created_at IS 'since when the database believes it';
COMMENT ON COLUMN memai.memory.closed_at IS 'when the database learned of invalid_at; what was believed before knew no end';
COMMENT ON COLUMN memai.memory.expired_at IS 'when the database stopped believing it; NULL while it does';
COMMENT ON COLUMN memai.memory.expires_at IS 'when it is due to be removed; recall leaves it out from then on';
COMMENT ON COLUMN memai.memory.superseded_by IS 'the memory that took its place';
COMMENT ON COLUMN memai.memory.reason IS 'why it was changed last; the history takes it from here';
COMMENT ON COLUMN memai.memory.about_from IS 'first of the days that the text speaks of, seen from valid_at; NULL when it names none';
COMMENT ON COLUMN memai.memory.about_until IS 'the day after the last of them';
COMMENT ON COLUMN memai.memory.terms IS 'hashed stems and their frequencies, for BM25';
CREATE INDEX memory_valid_at_idx ON memai.memory (scope, valid_at) WHERE valid_at IS NOT NULL;
COMMENT ON INDEX memai.memory_valid_at_idx IS 'what is true since the days that a question names';
CREATE INDEX memory_about_idx ON memai.memory (scope, about_until, about_from) WHERE about_until IS NOT NULL;
COMMENT ON INDEX memai.memory_about_idx IS 'what speaks of the days that a question names';
CREATE INDEX memory_words_idx ON memai.memory USING gin (memai._item_keys(scope, id, terms)) WITH (fastupdate = off);
COMMENT ON INDEX memai.memory_words_idx IS 'serves all scopes: which items of one have a word, by keys that begin with half of the scope; without a list of pending entries, which every recall would read';
CREATE UNIQUE INDEX memory_live_content_idx ON memai.memory (scope, content_hash)
	WHERE invalid_at IS NULL AND expired_at IS NULL;
COMMENT ON INDEX memai.memory_live_content_idx IS 'a scope holds a live statement once';
CREATE UNIQUE INDEX memory_live_slot_idx ON memai.memory (scope, slot)
	WHERE slot IS NOT NULL AND invalid_at IS NULL AND expired_at IS NULL;
COMMENT ON INDEX memai.memory_live_slot_idx IS 'a slot has one live value';
CREATE INDEX memory_slot_idx ON memai.memory (scope, slot, valid_at) WHERE slot IS NOT NULL;
COMMENT ON INDEX memai.memory_slot_idx IS 'the values of a slot in the order of time';
CREATE INDEX memory_superseded_by_idx ON memai.memory (scope, superseded_by) WHERE superseded_by IS NOT NULL;
COMMENT ON INDEX memai.memory_superseded_by_idx IS 'the statements that a memory took the place of';
CREATE INDEX memory_subject_idx ON memai.memory (scope, subject_id, valid_at, id) WHERE subject_id IS NOT NULL;
COMMENT ON INDEX memai.memory_subject_idx IS 'what is known of an entity, in the order of time';
CREATE INDEX memory_object_idx ON memai.memory (scope, object_id, valid_at, id) WHERE object_id IS NOT NULL;
COMMENT ON INDEX memai.memory_object_idx IS 'what leads to an entity, in the order of time';
CREATE INDEX memory_expires_at_idx ON memai.memory (scope, expires_at) WHERE expires_at IS NOT NULL;
COMMENT ON INDEX memai.memory_expires_at_idx IS 'what is due to be removed';

CREATE TABLE memai.memory_source (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	memory_id uuid NOT NULL,
	episode_id uuid NOT NULL,
	CONSTRAINT memory_source_pkey PRIMARY KEY (scope, memory_id, episode_id),
	CONSTRAINT memory_source_memory_id_fkey FOREIGN KEY (scope, memory_id)
		REFERENCES memai.memory (scope, id) ON DELETE CASCADE,
	CONSTRAINT memory_source_episode_id_fkey FOREIGN KEY (scope, episode_id)
		REFERENCES memai.episode (scope, id) ON DELETE CASCADE,
	CONSTRAINT memory_source_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace))
);
COMMENT ON TABLE memai.memory_source IS 'the episodes that a memory was taken from; it goes with the last of them';
CREATE INDEX memory_source_episode_id_idx ON memai.memory_source (scope, episode_id);
COMMENT ON INDEX memai.memory_source_episode_id_idx IS 'for the cascade from episode';

CREATE TABLE memai.memory_link (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	from_id uuid NOT NULL,
	to_id uuid NOT NULL,
	kind text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT memory_link_pkey PRIMARY KEY (scope, from_id, to_id, kind),
	CONSTRAINT memory_link_from_id_fkey FOREIGN KEY (scope, from_id)
		REFERENCES memai.memory (scope, id) ON DELETE CASCADE,
	CONSTRAINT memory_link_to_id_fkey FOREIGN KEY (scope, to_id)
		REFERENCES memai.memory (scope, id) ON DELETE CASCADE,
	CONSTRAINT memory_link_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT memory_link_kind_check CHECK (kind IN ('depends_on', 'derives', 'extends', 'contradicts', 'causes')),
	CONSTRAINT memory_link_ends_check CHECK (from_id <> to_id)
);
COMMENT ON TABLE memai.memory_link IS 'how memories rest on each other';
COMMENT ON COLUMN memai.memory_link.kind IS 'depends_on (holds while to_id does) and derives (was concluded from to_id) pass a change on; extends, contradicts and causes inform';
CREATE INDEX memory_link_to_id_idx ON memai.memory_link (scope, to_id, kind);
COMMENT ON INDEX memai.memory_link_to_id_idx IS 'what rests on a memory';

CREATE TABLE memai.memory_stat (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	memory_id uuid NOT NULL,
	uses bigint NOT NULL DEFAULT 0,
	last_used_at timestamptz,
	useful integer NOT NULL DEFAULT 0,
	harmful integer NOT NULL DEFAULT 0,
	CONSTRAINT memory_stat_pkey PRIMARY KEY (scope, memory_id),
	CONSTRAINT memory_stat_memory_id_fkey FOREIGN KEY (scope, memory_id)
		REFERENCES memai.memory (scope, id) ON DELETE CASCADE,
	CONSTRAINT memory_stat_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace))
) WITH (fillfactor = 70);
COMMENT ON TABLE memai.memory_stat IS 'use of memories and what users said of them; apart from memory, whose rows are wide and rarely change';

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
	CONSTRAINT embedding_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT embedding_item_check CHECK (num_nonnulls(episode_id, memory_id) = 1)
) PARTITION BY LIST (model);
COMMENT ON TABLE memai.embedding IS 'vectors of episodes and memories, one partition a model; the triggers of those tables remove them, which costs less than two foreign keys with an index each';
COMMENT ON COLUMN memai.embedding.id IS 'the episode or memory that the vector belongs to';
COMMENT ON COLUMN memai.embedding.model IS 'name of the model that made it; vectors of different models never meet';
CREATE TABLE memai.embedding_local_hash_384 PARTITION OF memai.embedding
	(CONSTRAINT embedding_dimensions_check CHECK (@extschema@.vector_dims(embedding) = 384))
	FOR VALUES IN ('local/hash-384') WITH (toast_tuple_target = 8160);
COMMENT ON TABLE memai.embedding_local_hash_384 IS 'vectors of the built-in model local/hash-384';
CREATE INDEX embedding_local_hash_384_vector ON memai.embedding_local_hash_384
	USING memai (scope, embedding @extschema@.vector_cosine_ops) WITH (dimensions = 384);
COMMENT ON INDEX memai.embedding_local_hash_384_vector IS 'the nearest vectors of a scope';
-- a vector stays in its row while a page holds it: one read instead of several
CREATE TABLE memai.embedding_other PARTITION OF memai.embedding DEFAULT WITH (toast_tuple_target = 8160);
COMMENT ON TABLE memai.embedding_other IS 'vectors of models without a partition of their own';

CREATE TABLE memai.block (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	label text NOT NULL,
	value text NOT NULL,
	description text,
	char_limit integer NOT NULL DEFAULT 10000,
	is_read_only boolean NOT NULL DEFAULT false,
	version integer NOT NULL DEFAULT 1,
	updated_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT block_pkey PRIMARY KEY (scope, label),
	CONSTRAINT block_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT block_label_check CHECK (label <> '' AND length(label) <= 100),
	CONSTRAINT block_char_limit_check CHECK (char_limit BETWEEN 1 AND 10000),
	CONSTRAINT block_value_check CHECK (value <> '' AND length(value) <= char_limit)
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
	related_id uuid,
	before jsonb,
	reason text,
	actor name NOT NULL DEFAULT current_user,
	job_id uuid,
	xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	CONSTRAINT memory_history_pkey PRIMARY KEY (scope, memory_id, id),
	CONSTRAINT memory_history_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT memory_history_event_check CHECK (event IN
		('ADD', 'UPDATE', 'SUPERSEDE', 'INVALIDATE', 'EXPIRE', 'FORGET', 'RESTORE', 'REVIEW', 'CONFIRM', 'PIN', 'UNPIN'))
);
COMMENT ON TABLE memai.memory_history IS 'every change of a memory: what, who, when and why; keeps no text of what was forgotten for good';
COMMENT ON COLUMN memai.memory_history.related_id IS 'the memory that new_content quotes, when it is another one';
COMMENT ON COLUMN memai.memory_history.before IS 'what the row held before the change, for memai.undo; NULL after a hard forget';
COMMENT ON COLUMN memai.memory_history.job_id IS 'the background job that made the change, if one did';
COMMENT ON COLUMN memai.memory_history.xid IS 'the transaction that made the change';
CREATE INDEX memory_history_related_id_idx ON memai.memory_history (scope, related_id) WHERE related_id IS NOT NULL;
COMMENT ON INDEX memai.memory_history_related_id_idx IS 'where a memory is quoted in the history of another';

CREATE TABLE memai.erasure (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	id uuid NOT NULL DEFAULT memai.new_id(),
	removed jsonb NOT NULL,
	reason text,
	actor name NOT NULL DEFAULT current_user,
	xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	CONSTRAINT erasure_pkey PRIMARY KEY (scope, id),
	CONSTRAINT erasure_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace))
);
COMMENT ON TABLE memai.erasure IS 'certificates: what memai.forget_user removed, when and by whom; holds nothing of what was said';

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

ALTER TABLE memai.entity ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.entity FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.entity USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.entity IS 'own tenant only, and own user in a narrowed session';

ALTER TABLE memai.memory_source ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.memory_source FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.memory_source USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.memory_source IS 'own tenant only, and own user in a narrowed session';

ALTER TABLE memai.memory_link ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.memory_link FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.memory_link USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.memory_link IS 'own tenant only, and own user in a narrowed session';

ALTER TABLE memai.memory_stat ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.memory_stat FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.memory_stat USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.memory_stat IS 'own tenant only, and own user in a narrowed session';

ALTER TABLE memai.erasure ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.erasure FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.erasure USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.erasure IS 'own tenant only, and own user in a narrowed session';

-- ---- what follows from a change, in the same statement ----

-- its plans are kept for the session and must fit small and large tables: by index, from the changed rows
CREATE FUNCTION memai._memory_changed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'memai_memory_changed' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;
COMMENT ON FUNCTION memai._memory_changed() IS
	'private: writes the history of changed memories, marks what rests on those that ended, removes what lost its last source';
REVOKE ALL ON FUNCTION memai._memory_changed() FROM PUBLIC;

CREATE TRIGGER memory_updated AFTER UPDATE ON memai.memory
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION memai._memory_changed();
COMMENT ON TRIGGER memory_updated ON memai.memory IS 'history, and review of what rests on the row';
CREATE TRIGGER memory_deleted AFTER DELETE ON memai.memory
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION memai._memory_changed();
COMMENT ON TRIGGER memory_deleted ON memai.memory IS 'removes the vectors, the text from the history, entities without a memory';
CREATE TRIGGER episode_deleted AFTER DELETE ON memai.episode
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION memai._memory_changed();
COMMENT ON TRIGGER episode_deleted ON memai.episode IS 'removes the vectors';
CREATE TRIGGER memory_link_deleted AFTER DELETE ON memai.memory_link
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION memai._memory_changed();
COMMENT ON TRIGGER memory_link_deleted ON memai.memory_link IS 'review of what rested on a memory that is gone';
CREATE TRIGGER memory_source_deleted AFTER DELETE ON memai.memory_source
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION memai._memory_changed();
COMMENT ON TRIGGER memory_source_deleted ON memai.memory_source IS 'a memory goes with the last of its sources';

-- ---- the planner's statistics keep no sample of what users said ----

ALTER TABLE memai.episode ALTER COLUMN content SET STATISTICS 0, ALTER COLUMN metadata SET STATISTICS 0,
	ALTER COLUMN name SET STATISTICS 0, ALTER COLUMN terms SET STATISTICS 0;
ALTER TABLE memai.memory ALTER COLUMN content SET STATISTICS 0, ALTER COLUMN metadata SET STATISTICS 0,
	ALTER COLUMN reason SET STATISTICS 0, ALTER COLUMN terms SET STATISTICS 0, ALTER COLUMN content_hash SET STATISTICS 0,
	ALTER COLUMN slot SET STATISTICS 0, ALTER COLUMN predicate SET STATISTICS 0;
ALTER INDEX memai.episode_words_idx ALTER COLUMN 1 SET STATISTICS 0;
ALTER INDEX memai.memory_words_idx ALTER COLUMN 1 SET STATISTICS 0;
ALTER TABLE memai.entity ALTER COLUMN name SET STATISTICS 0;
ALTER TABLE memai.block ALTER COLUMN label SET STATISTICS 0, ALTER COLUMN value SET STATISTICS 0, ALTER COLUMN description SET STATISTICS 0;
ALTER TABLE memai.memory_history ALTER COLUMN old_content SET STATISTICS 0, ALTER COLUMN new_content SET STATISTICS 0,
	ALTER COLUMN before SET STATISTICS 0, ALTER COLUMN reason SET STATISTICS 0;
ALTER TABLE memai.embedding ALTER COLUMN embedding SET STATISTICS 0;
ALTER TABLE memai.embedding_local_hash_384 ALTER COLUMN embedding SET STATISTICS 0;
ALTER TABLE memai.embedding_other ALTER COLUMN embedding SET STATISTICS 0;

-- ---- rights on the tables ----

-- content has vectors and terms that belong to it, provenance and created_at
-- are given once: they change through functions that know, or not at all
GRANT SELECT, INSERT, DELETE ON memai.episode, memai.memory, memai.embedding, memai.entity,
	memai.memory_source, memai.memory_link TO memai_user;
GRANT UPDATE (metadata, extract_with) ON memai.episode TO memai_user;
GRANT UPDATE (metadata, memory_type, category, slot, importance, confidence, is_pinned, needs_review, valid_at, invalid_at,
	closed_at, expired_at, expires_at, superseded_by, reason) ON memai.memory TO memai_user;
GRANT UPDATE (name, merged_into) ON memai.entity TO memai_user;
GRANT SELECT, INSERT, UPDATE, DELETE ON memai.block, memai.memory_stat TO memai_user;
-- records: memai's functions write them for the caller, nobody else does
GRANT SELECT ON memai.memory_history, memai.erasure TO memai_user;

-- ---- dump and restore: the rows are the user's, the tables the extension's ----

SELECT pg_catalog.pg_extension_config_dump('memai.episode', '');
SELECT pg_catalog.pg_extension_config_dump('memai.entity', '');
SELECT pg_catalog.pg_extension_config_dump('memai.memory', '');
SELECT pg_catalog.pg_extension_config_dump('memai.memory_source', '');
SELECT pg_catalog.pg_extension_config_dump('memai.memory_link', '');
SELECT pg_catalog.pg_extension_config_dump('memai.memory_stat', '');
SELECT pg_catalog.pg_extension_config_dump('memai.embedding_local_hash_384', '');
SELECT pg_catalog.pg_extension_config_dump('memai.embedding_other', '');
SELECT pg_catalog.pg_extension_config_dump('memai.block', '');
SELECT pg_catalog.pg_extension_config_dump('memai.memory_history', '');
SELECT pg_catalog.pg_extension_config_dump('memai.erasure', '');
