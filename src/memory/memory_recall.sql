-- ---- memory: finding ----

CREATE FUNCTION memai._metadata_matches(metadata jsonb, filter jsonb) RETURNS boolean
	AS 'MODULE_PATHNAME', 'memai_metadata_matches' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._metadata_matches(jsonb, jsonb) IS
	'private: whether metadata passes a filter: members to contain, comparisons (eq ne in gt gte lt lte exists), and, or, not';

-- inlined into the statement of recall, with the caller's rights and row-level security
CREATE FUNCTION memai._nearest(scope bigint, model text, question @extschema@.vector, count bigint)
	RETURNS TABLE (id uuid, embedding @extschema@.vector)
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 300
BEGIN ATOMIC
	SELECT v.id, v.embedding FROM memai.embedding v
	WHERE v.scope = _nearest.scope AND v.model = _nearest.model
	ORDER BY v.embedding OPERATOR(@extschema@.<=>) _nearest.question LIMIT _nearest.count;
END;
COMMENT ON FUNCTION memai._nearest(bigint, text, @extschema@.vector, bigint) IS
	'private: the vectors of a scope and model that are nearest to a question; what recall reads in a large scope';

CREATE FUNCTION memai.recall(query text, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		k integer DEFAULT 10, filter jsonb DEFAULT NULL, min_score double precision DEFAULT 0,
		model text DEFAULT NULL, include_answers boolean DEFAULT false, exclude_thread uuid DEFAULT NULL,
		as_of timestamptz DEFAULT NULL, known_at timestamptz DEFAULT NULL, layer text DEFAULT NULL, categories text[] DEFAULT NULL,
		recency text DEFAULT 'none', half_life interval DEFAULT '30 days', diversity double precision DEFAULT 0,
		max_per_thread integer DEFAULT NULL, max_tokens integer DEFAULT NULL, language text DEFAULT NULL, rerank text DEFAULT NULL)
	RETURNS TABLE (id uuid, kind text, content text, score double precision, similarity double precision,
		keyword double precision, role text, name text, occurred_at timestamptz, thread_id uuid, metadata jsonb,
		category text, status text, via uuid, superseded_by uuid, recency_factor double precision, importance_factor double precision,
		confidence_factor double precision, feedback_factor double precision, time_match double precision, speaker_match double precision,
		entity_match double precision, rerank_score double precision, language text)
	AS 'MODULE_PATHNAME', 'memai_recall' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000 ROWS 10
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.recall(text, text, text, integer, jsonb, double precision, text, boolean, uuid, timestamptz, timestamptz, text, text[], text, interval, double precision, integer, integer, text, text) IS
	'the k episodes and live memories of a user that match a question best, by keywords and by meaning together; score is 1 for the first of both';

CREATE FUNCTION memai.recall_vector(embedding @extschema@.vector, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		k integer DEFAULT 10, filter jsonb DEFAULT NULL, min_score double precision DEFAULT 0,
		model text DEFAULT NULL, include_answers boolean DEFAULT false, exclude_thread uuid DEFAULT NULL,
		as_of timestamptz DEFAULT NULL, known_at timestamptz DEFAULT NULL, layer text DEFAULT NULL, categories text[] DEFAULT NULL,
		recency text DEFAULT 'none', half_life interval DEFAULT '30 days', diversity double precision DEFAULT 0,
		max_per_thread integer DEFAULT NULL, max_tokens integer DEFAULT NULL, language text DEFAULT NULL, query text DEFAULT NULL)
	RETURNS TABLE (id uuid, kind text, content text, score double precision, similarity double precision,
		keyword double precision, role text, name text, occurred_at timestamptz, thread_id uuid, metadata jsonb,
		category text, status text, via uuid, superseded_by uuid, recency_factor double precision, importance_factor double precision,
		confidence_factor double precision, feedback_factor double precision, time_match double precision, speaker_match double precision,
		entity_match double precision, rerank_score double precision, language text)
	AS 'MODULE_PATHNAME', 'memai_recall_vector' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 10
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.recall_vector(@extschema@.vector, text, text, integer, jsonb, double precision, text, boolean, uuid, timestamptz, timestamptz, text, text[], text, interval, double precision, integer, integer, text, text) IS
	'memai.recall with the question as a vector of the embedding model, and in words too if query is given; calls no model';

CREATE FUNCTION memai.explain_recall(query text, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		k integer DEFAULT 10, filter jsonb DEFAULT NULL, min_score double precision DEFAULT 0,
		model text DEFAULT NULL, include_answers boolean DEFAULT false, exclude_thread uuid DEFAULT NULL,
		as_of timestamptz DEFAULT NULL, known_at timestamptz DEFAULT NULL, layer text DEFAULT NULL, categories text[] DEFAULT NULL,
		recency text DEFAULT 'none', half_life interval DEFAULT '30 days', diversity double precision DEFAULT 0,
		max_per_thread integer DEFAULT NULL, max_tokens integer DEFAULT NULL, language text DEFAULT NULL, rerank text DEFAULT NULL) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'memai_explain_recall' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.explain_recall(text, text, text, integer, jsonb, double precision, text, boolean, uuid, timestamptz, timestamptz, text, text[], text, interval, double precision, integer, integer, text, text) IS
	'what memai.recall of these arguments read, and what each result''s score is made of';

CREATE FUNCTION memai.context(query text, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		max_tokens integer DEFAULT 1000, k integer DEFAULT 20, sections text[] DEFAULT '{blocks, memories}') RETURNS text
	AS 'MODULE_PATHNAME', 'memai_context' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.context(text, text, text, integer, integer, text[]) IS
	'blocks, profile, recalled memories and recent messages, by the sections asked for, as one text for a model''s prompt, marked as data, within a budget of estimated tokens';

CREATE FUNCTION memai.context_sections(query text, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		max_tokens integer DEFAULT 1000, k integer DEFAULT 20, sections text[] DEFAULT '{blocks, memories}')
	RETURNS TABLE (section text, tokens integer, items integer, content text)
	AS 'MODULE_PATHNAME', 'memai_context_sections' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000 ROWS 2
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.context_sections(text, text, text, integer, integer, text[]) IS
	'memai.context section by section: how many tokens and items each takes; the contents in this order are the context';

REVOKE ALL ON FUNCTION memai._metadata_matches(jsonb, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai._nearest(bigint, text, @extschema@.vector, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.recall(text, text, text, integer, jsonb, double precision, text, boolean, uuid, timestamptz, timestamptz, text, text[], text, interval, double precision, integer, integer, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.recall_vector(@extschema@.vector, text, text, integer, jsonb, double precision, text, boolean, uuid, timestamptz, timestamptz, text, text[], text, interval, double precision, integer, integer, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.explain_recall(text, text, text, integer, jsonb, double precision, text, boolean, uuid, timestamptz, timestamptz, text, text[], text, interval, double precision, integer, integer, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.context(text, text, text, integer, integer, text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.context_sections(text, text, text, integer, integer, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._metadata_matches(jsonb, jsonb),
	memai._nearest(bigint, text, @extschema@.vector, bigint),
	memai.recall(text, text, text, integer, jsonb, double precision, text, boolean, uuid, timestamptz, timestamptz, text, text[], text, interval, double precision, integer, integer, text, text),
	memai.recall_vector(@extschema@.vector, text, text, integer, jsonb, double precision, text, boolean, uuid, timestamptz, timestamptz, text, text[], text, interval, double precision, integer, integer, text, text),
	memai.explain_recall(text, text, text, integer, jsonb, double precision, text, boolean, uuid, timestamptz, timestamptz, text, text[], text, interval, double precision, integer, integer, text, text),
	memai.context(text, text, text, integer, integer, text[]),
	memai.context_sections(text, text, text, integer, integer, text[])
	TO memai_user;
