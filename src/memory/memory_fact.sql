-- ---- memory: writing ----

CREATE FUNCTION memai._statement_overlap(a_terms bytea, b_terms bytea, a text, b text) RETURNS double precision
	AS 'MODULE_PATHNAME', 'memai_statement_overlap' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION memai._statement_overlap(bytea, bytea, text, text) IS
	'private: Jaccard overlap of the words of two statements, 0 to 1, where words of one root or meaning are one, and words that say little count little; that of their terms where these have little in common';

-- dear: asked last, of the pairs that are near
CREATE FUNCTION memai._same_claim(a text, b text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'memai_same_claim' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION memai._same_claim(text, text) IS
	'private: whether two texts of nearly the same words may say the same: the same numbers, both deny something or neither, no word and its opposite, nothing that has changed places';

-- what memai.find_duplicates takes for the same by default
CREATE FUNCTION memai._similar_memory(scope bigint, content text, terms bytea, slot text, model text, embedding @extschema@.vector) RETURNS uuid
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT m.id
	FROM memai.memory m
		LEFT JOIN memai.embedding v ON v.scope = m.scope AND v.id = m.id AND v.model = _similar_memory.model,
		LATERAL (SELECT coalesce(1 - (v.embedding OPERATOR(@extschema@.<=>) _similar_memory.embedding), -1) AS similarity,
			memai._statement_overlap(m.terms, _similar_memory.terms, m.content, _similar_memory.content) AS overlap) p
	WHERE m.scope = _similar_memory.scope AND m.invalid_at IS NULL AND m.expired_at IS NULL
		AND m.slot IS NOT DISTINCT FROM _similar_memory.slot AND (p.similarity >= 0.95 OR p.overlap >= 0.9)
		AND memai._same_claim(m.content, _similar_memory.content)
	ORDER BY greatest(p.similarity, p.overlap) DESC, m.id
	LIMIT 1;
END;
COMMENT ON FUNCTION memai._similar_memory(bigint, text, bytea, text, text, @extschema@.vector) IS
	'private: the live memory of a scope that says nearly the same as a statement, or NULL; reads all of the scope';

CREATE FUNCTION memai.remember(content text, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		metadata jsonb DEFAULT NULL, category text DEFAULT 'fact', slot text DEFAULT NULL,
		valid_at timestamptz DEFAULT NULL, memory_type text DEFAULT 'semantic', importance double precision DEFAULT 0.5,
		confidence double precision DEFAULT 1, provenance text DEFAULT 'user', expires_at timestamptz DEFAULT NULL,
		sources uuid[] DEFAULT NULL, depends_on uuid[] DEFAULT NULL, or_similar boolean DEFAULT false,
		language text DEFAULT NULL) RETURNS uuid
	AS 'MODULE_PATHNAME', 'memai_remember' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.remember(text, text, text, jsonb, text, text, timestamptz, text, double precision, double precision, text, timestamptz, uuid[], uuid[], boolean, text) IS
	'store one statement and return its id; the id of the live one when it is known already, or (or_similar => true) when one of the scope says nearly the same; a new value of a slot supersedes the old one; language says what its words are stemmed in, NULL: memai.language or what is detected';

CREATE FUNCTION memai.remember_triplet(subject text, predicate text, object text, content text DEFAULT NULL,
		user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		metadata jsonb DEFAULT NULL, category text DEFAULT 'fact', slot text DEFAULT NULL,
		valid_at timestamptz DEFAULT NULL, memory_type text DEFAULT 'semantic', importance double precision DEFAULT 0.5,
		confidence double precision DEFAULT 1, provenance text DEFAULT 'user', expires_at timestamptz DEFAULT NULL,
		sources uuid[] DEFAULT NULL, depends_on uuid[] DEFAULT NULL, or_similar boolean DEFAULT false,
		language text DEFAULT NULL) RETURNS uuid
	AS 'MODULE_PATHNAME', 'memai_remember_triplet' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.remember_triplet(text, text, text, text, text, text, jsonb, text, text, timestamptz, text, double precision, double precision, text, timestamptz, uuid[], uuid[], boolean, text) IS
	'store a statement about two entities, which are made when they are new; content says it in words';

CREATE FUNCTION memai.remember_messages(messages jsonb, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		thread_id uuid DEFAULT NULL, occurred_at timestamptz DEFAULT NULL, metadata jsonb DEFAULT NULL,
		infer boolean DEFAULT NULL, model text DEFAULT NULL, wait boolean DEFAULT false,
		language text DEFAULT NULL) RETURNS SETOF uuid
	AS 'MODULE_PATHNAME', 'memai_remember_messages' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.remember_messages(jsonb, text, text, uuid, timestamptz, jsonb, boolean, text, boolean, text) IS
	'store the messages of a conversation as episodes, in order, and return their ids; each message has content and may have role, name, occurred_at, metadata; infer => true has a job ask a chat model what of them to remember, wait => true asks it now; NULL: if that model is not a built-in one; language as in memai.remember, of all of them';

CREATE FUNCTION memai.apply_operations(operations jsonb, episodes uuid[], memories uuid[] DEFAULT '{}',
		user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (op text, memory_id uuid, content text, refused text)
	AS 'MODULE_PATHNAME', 'memai_apply_operations' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.apply_operations(jsonb, uuid[], uuid[], text, text) IS
	'check what a model says is to be remembered of episodes (ADD, UPDATE, SUPERSEDE, NOOP with op, ref, content, quote, category, slot, valid_at; ref counts memories from 1) and apply what holds; refused says why the rest was not';

CREATE FUNCTION memai.supersede(id uuid, content text, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		reason text DEFAULT NULL, valid_at timestamptz DEFAULT NULL) RETURNS uuid
	AS 'MODULE_PATHNAME', 'memai_supersede' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.supersede(uuid, text, text, text, text, timestamptz) IS
	'replace a memory by a new statement; the old one is kept, marked no longer true, and the new id is returned';

CREATE FUNCTION memai.revise(id uuid, content text, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		reason text DEFAULT NULL) RETURNS uuid
	AS 'MODULE_PATHNAME', 'memai_revise' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.revise(uuid, text, text, text, text) IS
	'correct a memory that was never right: the new statement is valid since when the old one was, the old one is no longer believed; returns the new id';

CREATE FUNCTION memai.forget(id uuid, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		mode text DEFAULT 'hard', reason text DEFAULT NULL) RETURNS boolean
	AS 'MODULE_PATHNAME', 'memai_forget' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.forget(uuid, text, text, text, text) IS
	'remove a memory or an episode for good with its vectors and the text in its history; mode ''soft'' keeps a memory''s row and stops recalling it; false when there is no such id';

CREATE FUNCTION memai.set_block(label text, value text, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		expected_version integer DEFAULT NULL, description text DEFAULT NULL, char_limit integer DEFAULT NULL,
		is_read_only boolean DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'memai_set_block' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.set_block(text, text, text, text, integer, text, integer, boolean) IS
	'set a block that is always in context and return its version; with expected_version only if that is the stored one (0: there is none yet); NULL keeps what is set';

CREATE FUNCTION memai.get_block(label text, user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT b.value FROM memai.block b
	WHERE b.scope = memai._scope(get_block.user_id, get_block.namespace) AND b.label = get_block.label;
END;
COMMENT ON FUNCTION memai.get_block(text, text, text) IS 'the value of a block, or NULL';

CREATE FUNCTION memai.blocks(user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (label text, value text, description text, char_limit integer, is_read_only boolean, version integer, updated_at timestamptz)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT b.label, b.value, b.description, b.char_limit, b.is_read_only, b.version, b.updated_at
	FROM memai.block b
	WHERE b.scope = memai._scope(blocks.user_id, blocks.namespace)
	ORDER BY b.label;
END;
COMMENT ON FUNCTION memai.blocks(text, text) IS 'the blocks of a user';

CREATE FUNCTION memai.drop_block(label text, user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH gone AS (
		DELETE FROM memai.block b
		WHERE b.scope = memai._scope(drop_block.user_id, drop_block.namespace) AND b.label = drop_block.label AND NOT b.is_read_only
		RETURNING 1)
	SELECT count(*) > 0 FROM gone;
END;
COMMENT ON FUNCTION memai.drop_block(text, text, text) IS 'remove a block; false when there is none or it is read-only';

-- ---- rights ----

REVOKE ALL ON FUNCTION memai._similar_memory(bigint, text, bytea, text, text, @extschema@.vector) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._similar_memory(bigint, text, bytea, text, text, @extschema@.vector) TO memai_user;
REVOKE ALL ON FUNCTION memai.remember(text, text, text, jsonb, text, text, timestamptz, text, double precision, double precision, text, timestamptz, uuid[], uuid[], boolean, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.remember_messages(jsonb, text, text, uuid, timestamptz, jsonb, boolean, text, boolean, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.apply_operations(jsonb, uuid[], uuid[], text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.supersede(uuid, text, text, text, text, timestamptz) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.remember_triplet(text, text, text, text, text, text, jsonb, text, text, timestamptz, text, double precision, double precision, text, timestamptz, uuid[], uuid[], boolean, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.revise(uuid, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.forget(uuid, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.set_block(text, text, text, text, integer, text, integer, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.get_block(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.blocks(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.drop_block(text, text, text) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION memai.remember(text, text, text, jsonb, text, text, timestamptz, text, double precision, double precision, text, timestamptz, uuid[], uuid[], boolean, text),
	memai.remember_messages(jsonb, text, text, uuid, timestamptz, jsonb, boolean, text, boolean, text),
	memai.apply_operations(jsonb, uuid[], uuid[], text, text),
	memai.supersede(uuid, text, text, text, text, timestamptz),
	memai.remember_triplet(text, text, text, text, text, text, jsonb, text, text, timestamptz, text, double precision, double precision, text, timestamptz, uuid[], uuid[], boolean, text),
	memai.revise(uuid, text, text, text, text),
	memai.forget(uuid, text, text, text, text),
	memai.set_block(text, text, text, text, integer, text, integer, boolean), memai.get_block(text, text, text), memai.blocks(text, text), memai.drop_block(text, text, text)
	TO memai_user;
