-- ---- memory: from other memory layers ----
--
-- Their rows become lines as memai.export_user gives them, and take the same way
-- in as those: keys, personal data, history.  An id that is no UUID becomes one
-- by its hash, so importing twice adds nothing.

CREATE FUNCTION memai._uuid_of(id text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN id ELSE md5(id)::uuid::text END;
COMMENT ON FUNCTION memai._uuid_of(text) IS 'private: an identifier of another system as a UUID';
REVOKE ALL ON FUNCTION memai._uuid_of(text) FROM PUBLIC;

CREATE FUNCTION memai._memory_line(id text, content text, category text, importance double precision, metadata jsonb,
		created_at timestamptz, expires_at timestamptz) RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT jsonb_build_object('table', 'memory', 'id', memai._uuid_of(id), 'content', content, 'memory_type', 'semantic',
		'category', coalesce(category, 'fact'), 'importance', least(1, greatest(0, coalesce(importance, 0.5))), 'confidence', 1,
		'is_pinned', false, 'needs_review', false, 'metadata', coalesce(metadata, '{}'), 'valid_at', coalesce(created_at, now()),
		'created_at', coalesce(created_at, now()), 'expires_at', expires_at);
END;
COMMENT ON FUNCTION memai._memory_line(text, text, text, double precision, jsonb, timestamptz, timestamptz) IS 'private: a line for import_user';
REVOKE ALL ON FUNCTION memai._memory_line(text, text, text, double precision, jsonb, timestamptz, timestamptz) FROM PUBLIC;

CREATE FUNCTION memai._episode_line(id text, thread text, role text, content text, metadata jsonb, at timestamptz) RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT jsonb_build_object('table', 'episode', 'id', memai._uuid_of(id), 'thread_id', memai._uuid_of(thread), 'source', 'message',
		'role', CASE WHEN role IN ('user', 'assistant', 'system', 'tool') THEN role ELSE 'user' END, 'content', content,
		'metadata', coalesce(metadata, '{}'), 'asking', 0, 'occurred_at', coalesce(at, now()), 'created_at', coalesce(at, now()));
END;
COMMENT ON FUNCTION memai._episode_line(text, text, text, text, jsonb, timestamptz) IS 'private: a line for import_user';
REVOKE ALL ON FUNCTION memai._episode_line(text, text, text, text, jsonb, timestamptz) FROM PUBLIC;

CREATE FUNCTION memai.import_mem0(source_rows jsonb, user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (owner text, what text, imported bigint)
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	-- of a table (id, vector, payload) or of get_all (id, memory, metadata, ...)
	WITH item AS (
		SELECT coalesce(r.value ->> 'id', p.payload ->> 'id') AS id, coalesce(p.payload ->> 'data', p.payload ->> 'memory') AS content, p.payload
		FROM jsonb_array_elements(import_mem0.source_rows) r,
			LATERAL (SELECT CASE WHEN jsonb_typeof(r.value -> 'payload') = 'object' THEN r.value -> 'payload' ELSE r.value END AS payload) p),
	line AS (
		SELECT coalesce(import_mem0.user_id, i.payload ->> 'user_id', memai.current_user_id()) AS owner,
			memai._memory_line(coalesce(i.id, i.content), i.content, i.payload #>> '{categories,0}', NULL,
				(CASE WHEN jsonb_typeof(i.payload -> 'metadata') = 'object' THEN i.payload -> 'metadata' ELSE '{}' END)
					|| (i.payload - '{id,data,memory,hash,user_id,metadata,created_at,updated_at,expiration_date,score,text_lemmatized}'::text[]),
				(i.payload ->> 'created_at')::timestamptz, (i.payload ->> 'expiration_date')::timestamptz) AS line
		FROM item i WHERE i.content <> '')
	SELECT o.owner, x.what, x.imported
	FROM (SELECT l.owner, jsonb_agg(l.line) AS lines FROM line l GROUP BY l.owner) o,
		LATERAL memai.import_user(o.lines, o.owner, import_mem0.namespace) x
	WHERE x.imported > 0;
END;
COMMENT ON FUNCTION memai.import_mem0(jsonb, text, text) IS
	'store memories of mem0: an array of the rows of its table (id, payload) or of what its get_all returns; each goes to its user_id unless one is given; call memai.fill_embeddings for the vectors';

CREATE FUNCTION memai.import_memori(source_rows jsonb, user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (owner text, what text, imported bigint)
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH r AS (
		SELECT value AS r, coalesce(import_memori.user_id, value ->> 'external_id', value ->> 'user_id', memai.current_user_id()) AS owner
		FROM jsonb_array_elements(import_memori.source_rows)),
	line AS (
		-- memori_entity_fact
		SELECT owner, memai._memory_line(coalesce(r ->> 'uuid', r ->> 'id'), r ->> 'content', NULL, NULL, jsonb_build_object('num_times', r -> 'num_times'),
			(r ->> 'date_created')::timestamptz, NULL) AS line
		FROM r WHERE r ? 'num_times' AND r ->> 'content' <> ''
		UNION ALL
		-- long_term_memory and short_term_memory of version 2
		SELECT owner, memai._memory_line(r ->> 'memory_id', coalesce(r ->> 'searchable_content', r ->> 'summary'), r ->> 'category_primary',
			(r ->> 'importance_score')::double precision, '{}', (r ->> 'created_at')::timestamptz, (r ->> 'expires_at')::timestamptz)
		FROM r WHERE r ? 'memory_id' AND coalesce(r ->> 'searchable_content', r ->> 'summary') <> ''
		UNION ALL
		-- memori_conversation_message
		SELECT owner, memai._episode_line(coalesce(r ->> 'uuid', r ->> 'id'), r ->> 'conversation_id', r ->> 'role', r ->> 'content', '{}',
			(r ->> 'date_created')::timestamptz)
		FROM r WHERE r ? 'conversation_id' AND r ->> 'content' <> ''
		UNION ALL
		-- chat_history of version 2: two messages a row
		SELECT owner, memai._episode_line(concat(r ->> 'chat_id', m.role), coalesce(r ->> 'session_id', r ->> 'chat_id'), m.role, m.content, '{}',
			(coalesce(r ->> 'timestamp', r ->> 'created_at'))::timestamptz + m.later)
		FROM r, LATERAL (VALUES ('user', r ->> 'user_input', interval '0'), ('assistant', r ->> 'ai_output', interval '1 microsecond')) m (role, content, later)
		WHERE r ? 'user_input' AND m.content <> '')
	SELECT o.owner, x.what, x.imported
	FROM (SELECT l.owner, jsonb_agg(l.line) AS lines FROM line l GROUP BY l.owner) o,
		LATERAL memai.import_user(o.lines, o.owner, import_memori.namespace) x
	WHERE x.imported > 0;
END;
COMMENT ON FUNCTION memai.import_memori(jsonb, text, text) IS
	'store what Memori kept: an array of rows of memori_entity_fact or memori_conversation_message, or of version 2''s long_term_memory, short_term_memory or chat_history; each goes to its external_id or user_id unless one is given; call memai.fill_embeddings for the vectors';

REVOKE ALL ON FUNCTION memai.import_mem0(jsonb, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.import_memori(jsonb, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._uuid_of(text), memai._memory_line(text, text, text, double precision, jsonb, timestamptz, timestamptz),
	memai._episode_line(text, text, text, text, jsonb, timestamptz), memai.import_mem0(jsonb, text, text), memai.import_memori(jsonb, text, text)
	TO memai_user;
