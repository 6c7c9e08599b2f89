-- ---- chat: what an application tells the model: intents, sources, preferences ----

-- Configuration belongs to a tenant: the application's role writes its own, an administrator any.

CREATE TABLE memai.intent (
	tenant text NOT NULL DEFAULT memai.current_tenant(),
	name text NOT NULL,
	description text,
	keywords text[] NOT NULL DEFAULT '{}',
	system_prompt text,
	sources text[] NOT NULL DEFAULT '{}',
	tools text[] NOT NULL DEFAULT '{}',
	suggestions text[] NOT NULL DEFAULT '{}',
	embedding_model text,
	embedding @extschema@.vector,
	created_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT intent_pkey PRIMARY KEY (tenant, name),
	CONSTRAINT intent_name_check CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$' AND name <> 'none'),
	CONSTRAINT intent_keywords_check CHECK (array_position(keywords, NULL) IS NULL AND array_position(keywords, '') IS NULL),
	CONSTRAINT intent_embedding_check CHECK ((embedding IS NULL) = (embedding_model IS NULL))
);
COMMENT ON TABLE memai.intent IS 'what users come for, and how the assistant then behaves';
COMMENT ON COLUMN memai.intent.keywords IS 'a message with one of these words or phrases has this intent; words are matched at their beginning, whatever the case';
COMMENT ON COLUMN memai.intent.system_prompt IS 'instructions for the model; NULL: the thread''s';
COMMENT ON COLUMN memai.intent.sources IS 'names of sources whose rows are shown to the model';
COMMENT ON COLUMN memai.intent.tools IS 'names of tools that the model is offered';
COMMENT ON COLUMN memai.intent.suggestions IS 'what to suggest asking';
COMMENT ON COLUMN memai.intent.embedding IS 'of description and keywords, for messages without a keyword';

CREATE TABLE memai.source (
	tenant text NOT NULL DEFAULT memai.current_tenant(),
	name text NOT NULL,
	description text,
	query text NOT NULL,
	parameters jsonb NOT NULL DEFAULT '{}',
	search_path text NOT NULL,
	intents text[] NOT NULL DEFAULT '{}',
	max_rows integer NOT NULL DEFAULT 50,
	timeout_ms integer NOT NULL DEFAULT 2000,
	template text,
	format text NOT NULL DEFAULT 'list',
	uses text[] NOT NULL DEFAULT '{}',
	cache_ttl interval NOT NULL DEFAULT '0',
	watch text[] NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT source_pkey PRIMARY KEY (tenant, name),
	CONSTRAINT source_name_check CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'),
	CONSTRAINT source_parameters_check CHECK (jsonb_typeof(parameters) = 'object'),
	CONSTRAINT source_max_rows_check CHECK (max_rows BETWEEN 1 AND 10000),
	CONSTRAINT source_timeout_ms_check CHECK (timeout_ms BETWEEN 1 AND 600000),
	CONSTRAINT source_format_check CHECK (format IN ('list', 'table')),
	CONSTRAINT source_cache_ttl_check CHECK (cache_ttl BETWEEN '0' AND '30 days'),
	CONSTRAINT source_watch_check CHECK (watch = '{}' OR cache_ttl > '0')
);
COMMENT ON TABLE memai.source IS 'queries whose rows are shown to the model; they run with the rights of whoever chats';
COMMENT ON COLUMN memai.source.query IS 'one SELECT; parameters are written parameter.name and are of type text';
COMMENT ON COLUMN memai.source.parameters IS 'defaults of its parameters; user_id, namespace and message are set by chat';
COMMENT ON COLUMN memai.source.search_path IS 'with which the query is read';
COMMENT ON COLUMN memai.source.intents IS 'intents that the rows are shown for, beside those that name the source';
COMMENT ON COLUMN memai.source.template IS 'text of a row, with {column} for its values; NULL: all columns with their names';
COMMENT ON COLUMN memai.source.format IS 'list: a line for each row, as template says; table: a table in Markdown';
COMMENT ON COLUMN memai.source.uses IS 'the parameters that occur in the query';
COMMENT ON COLUMN memai.source.cache_ttl IS 'how long a session may show the same rows again to the same role, user and parameters; 0: not at all';
COMMENT ON COLUMN memai.source.watch IS 'tables whose changes end that time at once';

CREATE TABLE memai._source_change (
	tenant text NOT NULL,
	source text NOT NULL,
	xid xid8 NOT NULL,
	CONSTRAINT _source_change_pkey PRIMARY KEY (tenant, source, xid)
);
COMMENT ON TABLE memai._source_change IS 'private: transactions that changed a table that a source watches; of those long over only the last; not dumped';
ALTER TABLE memai._source_change ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai._source_change FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai._source_change USING (tenant = (SELECT memai.current_tenant()));
COMMENT ON POLICY isolation ON memai._source_change IS 'own tenant only';
GRANT SELECT ON memai._source_change TO memai_user;

CREATE TABLE memai.preference (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	preferences jsonb NOT NULL DEFAULT '{}',
	updated_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT preference_pkey PRIMARY KEY (scope),
	CONSTRAINT preference_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT preference_preferences_check CHECK (jsonb_typeof(preferences) = 'object' AND octet_length(preferences::text) <= 10000)
);
COMMENT ON TABLE memai.preference IS 'what users want from the assistant; shown to the model in every chat';
COMMENT ON COLUMN memai.preference.preferences IS 'by name, at most 10000 bytes in all';

ALTER TABLE memai.intent ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.intent FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.intent USING (tenant = (SELECT memai.current_tenant())
	OR (SELECT pg_catalog.pg_has_role(CURRENT_USER, 'memai_admin', 'USAGE')));
COMMENT ON POLICY isolation ON memai.intent IS 'own tenant only; administrators configure every tenant';

ALTER TABLE memai.source ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.source FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.source USING (tenant = (SELECT memai.current_tenant())
	OR (SELECT pg_catalog.pg_has_role(CURRENT_USER, 'memai_admin', 'USAGE')));
COMMENT ON POLICY isolation ON memai.source IS 'own tenant only; administrators configure every tenant';

ALTER TABLE memai.preference ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.preference FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.preference USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.preference IS 'own tenant only, and own user in a narrowed session';

CREATE TRIGGER preference_pii_policy BEFORE INSERT OR UPDATE OF preferences ON memai.preference
	FOR EACH ROW WHEN (memai._has_pii_policies()) EXECUTE FUNCTION memai._apply_pii_policy('preferences');
COMMENT ON TRIGGER preference_pii_policy ON memai.preference IS 'what the policy of the tenant says of personal data, however the row is stored';

GRANT SELECT, INSERT, UPDATE, DELETE ON memai.intent, memai.source, memai.preference TO memai_user;
ALTER TABLE memai.preference ALTER COLUMN preferences SET STATISTICS 0;
SELECT pg_catalog.pg_extension_config_dump('memai.intent', '');
SELECT pg_catalog.pg_extension_config_dump('memai.source', '');
SELECT pg_catalog.pg_extension_config_dump('memai.preference', '');

-- ---- intents ----

CREATE FUNCTION memai.set_intent(name text, keywords text[] DEFAULT '{}', system_prompt text DEFAULT NULL, sources text[] DEFAULT '{}',
		suggestions text[] DEFAULT '{}', description text DEFAULT NULL, tools text[] DEFAULT '{}', tenant text DEFAULT NULL)
	RETURNS void
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	INSERT INTO memai.intent AS i (tenant, name, description, keywords, system_prompt, sources, tools, suggestions, embedding_model, embedding)
	SELECT coalesce(set_intent.tenant, memai.current_tenant()), set_intent.name, set_intent.description, set_intent.keywords,
		set_intent.system_prompt, set_intent.sources, set_intent.tools, set_intent.suggestions, d.model,
		CASE WHEN d.model IS NOT NULL THEN
			memai.embed(concat_ws(' ', set_intent.name, set_intent.description, array_to_string(set_intent.keywords, ' ')), d.model) END
	FROM (SELECT (SELECT m.name FROM memai.models m WHERE m.kind = 'embed' AND m.is_default) AS model) d
	WHERE memai._check(set_intent.name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$' AND set_intent.name <> 'none', '22023', 'invalid name of an intent',
			'A name has up to 63 letters, digits, dots, dashes and underscores and begins with a letter or digit; it is not "none".')
		AND memai._check(set_intent.keywords IS NOT NULL AND array_position(set_intent.keywords, NULL) IS NULL AND array_position(set_intent.keywords, '') IS NULL,
			'22023', 'keywords must not be null or empty', NULL)
	ON CONFLICT ON CONSTRAINT intent_pkey DO UPDATE SET description = excluded.description, keywords = excluded.keywords,
		system_prompt = excluded.system_prompt, sources = excluded.sources, tools = excluded.tools, suggestions = excluded.suggestions,
		embedding_model = excluded.embedding_model, embedding = excluded.embedding;
END;
COMMENT ON FUNCTION memai.set_intent(text, text[], text, text[], text[], text, text[], text) IS
	'define or redefine an intent: the words that show it, and the instructions, sources, tools and suggestions that go with it';

CREATE FUNCTION memai.drop_intent(name text, tenant text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH gone AS (
		DELETE FROM memai.intent i
		WHERE i.tenant = coalesce(drop_intent.tenant, memai.current_tenant()) AND i.name = drop_intent.name RETURNING 1
	)
	SELECT EXISTS (SELECT FROM gone);
END;
COMMENT ON FUNCTION memai.drop_intent(text, text) IS 'remove an intent; false when there is none';

CREATE VIEW memai.intents WITH (security_invoker) AS
	SELECT i.name, i.description, i.keywords, i.system_prompt, i.sources, i.tools, i.suggestions, i.created_at
	FROM memai.intent i WHERE i.tenant = memai.current_tenant();
COMMENT ON VIEW memai.intents IS 'the intents of the current tenant';
GRANT SELECT ON memai.intents TO memai_user;

CREATE FUNCTION memai.intents() RETURNS SETOF memai.intents
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT i.* FROM memai.intents i ORDER BY i.name;
END;
COMMENT ON FUNCTION memai.intents() IS 'the intents of the current tenant, by name';
REVOKE ALL ON FUNCTION memai.intents() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.intents() TO memai_user;

CREATE FUNCTION memai._keyword_matches(content text, keyword text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	-- words are matched from their beginning; scripts without spaces anywhere
	SELECT CASE WHEN keyword ~ '^[[:alnum:]]' AND keyword !~ '[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]'
		THEN content ~* ('\m' || regexp_replace(keyword, '([^[:alnum:][:space:]])', '\\\1', 'g'))
		ELSE strpos(lower(content), lower(keyword)) > 0 END;
END;
COMMENT ON FUNCTION memai._keyword_matches(text, text) IS 'private: whether a text has a keyword of an intent';

-- chat asks these two itself, with a call of a remote model between them
CREATE FUNCTION memai._intents_by_keywords(content text) RETURNS TABLE (intent text, keywords text[])
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT m.name, m.hits
	FROM (SELECT i.name, ARRAY(SELECT k FROM unnest(i.keywords) k WHERE memai._keyword_matches(_intents_by_keywords.content, k)) AS hits
		FROM memai.intent i WHERE i.tenant = memai.current_tenant()) m
	WHERE m.hits <> '{}'
	ORDER BY cardinality(m.hits) DESC, m.name;
END;
COMMENT ON FUNCTION memai._intents_by_keywords(text) IS 'private: the intents that have a keyword in a text, those with most first';

CREATE FUNCTION memai._intents_by_meaning(model text, embedding real[], min_similarity double precision)
	RETURNS TABLE (intent text, similarity double precision)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT m.name, m.similarity
	FROM (SELECT i.name, CASE WHEN @extschema@.vector_dims(i.embedding) = cardinality(_intents_by_meaning.embedding)
			THEN 1 - (i.embedding OPERATOR(@extschema@.<=>) _intents_by_meaning.embedding::@extschema@.vector) END AS similarity
		FROM memai.intent i WHERE i.tenant = memai.current_tenant() AND i.embedding_model = _intents_by_meaning.model) m
	WHERE m.similarity >= _intents_by_meaning.min_similarity
	ORDER BY m.similarity DESC, m.name;
END;
COMMENT ON FUNCTION memai._intents_by_meaning(text, real[], double precision) IS
	'private: the intents whose embedding by a model is like that of a text, the most similar first';

CREATE FUNCTION memai._intent_model() RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT d.name FROM memai.models d
	WHERE d.kind = 'embed' AND d.is_default
		AND EXISTS (SELECT FROM memai.intent i WHERE i.tenant = memai.current_tenant() AND i.embedding_model = d.name);
END;
COMMENT ON FUNCTION memai._intent_model() IS 'private: the model by which intents are compared with a text; none when there are no such intents';

CREATE FUNCTION memai.classify_intent(content text, min_similarity double precision DEFAULT 0.35)
	RETURNS TABLE (intent text, keywords text[], similarity double precision)
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH matched AS MATERIALIZED (
		SELECT k.intent, k.keywords FROM memai._intents_by_keywords(classify_intent.content) k
	), asked AS MATERIALIZED (
		-- the text is embedded only where no keyword decides
		SELECT m.model, memai.embed(classify_intent.content, m.model, 'query') AS embedding
		FROM (SELECT memai._intent_model() AS model WHERE NOT EXISTS (SELECT FROM matched)) m WHERE m.model IS NOT NULL
	)
	SELECT c.intent, c.keywords, c.similarity
	FROM (SELECT m.intent, m.keywords, NULL::double precision AS similarity FROM matched m
		UNION ALL
		SELECT n.intent, '{}', n.similarity
		FROM asked a CROSS JOIN LATERAL memai._intents_by_meaning(a.model, a.embedding::real[], classify_intent.min_similarity) n) c
	ORDER BY cardinality(c.keywords) DESC, c.similarity DESC NULLS LAST, c.intent;
END;
COMMENT ON FUNCTION memai.classify_intent(text, double precision) IS
	'the intents of a text, best first: those with most keywords in it; where it has none, those whose description means the same';

CREATE FUNCTION memai.suggestions(category text DEFAULT NULL, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		max_suggestions integer DEFAULT 5)
	RETURNS TABLE (suggestion text, intent text, times_asked bigint)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	WITH asked AS (
		SELECT min(e.content) AS content, recent.intent, count(*) AS times, max(e.id::text) AS last
		FROM (SELECT m.scope, m.id, m.intent FROM memai.message m
			WHERE m.scope = memai._scope(suggestions.user_id, suggestions.namespace) ORDER BY m.id DESC LIMIT 1000) recent
			JOIN memai.episode e ON e.scope = recent.scope AND e.id = recent.id
		WHERE e.role = 'user' AND e.asking > 0.5 AND length(e.content) <= 200
			AND (suggestions.category IS NULL OR recent.intent = suggestions.category)
		GROUP BY lower(btrim(e.content)), recent.intent
	), fixed AS (
		SELECT f.content, i.name AS intent, f.n
		FROM memai.intent i CROSS JOIN LATERAL unnest(i.suggestions) WITH ORDINALITY AS f(content, n)
		WHERE i.tenant = memai.current_tenant() AND (suggestions.category IS NULL OR i.name = suggestions.category)
	)
	SELECT s.content, s.intent, s.times
	FROM (SELECT a.content, a.intent, a.times, 0 AS part, 0 AS n, a.last FROM asked a WHERE a.times > 1
		UNION ALL SELECT f.content, f.intent, 0, 1, f.n, '' FROM fixed f
			WHERE NOT EXISTS (SELECT FROM asked a WHERE a.times > 1 AND lower(btrim(a.content)) = lower(btrim(f.content)))
		UNION ALL SELECT a.content, a.intent, a.times, 2, 0, a.last FROM asked a WHERE a.times = 1
			AND NOT EXISTS (SELECT FROM fixed f WHERE lower(btrim(a.content)) = lower(btrim(f.content)))) s
	ORDER BY s.part, s.times DESC, s.n, s.last DESC
	LIMIT memai._check_range('max_suggestions', suggestions.max_suggestions, 0);
END;
COMMENT ON FUNCTION memai.suggestions(text, text, text, integer) IS
	'what to suggest asking, of one intent or all: what the user asked more than once, then the intents'' own, then what the user asked last';

-- ---- sources ----

CREATE FUNCTION memai._check_source(query text, parameters jsonb, search_path text) RETURNS text[]
	AS 'MODULE_PATHNAME', 'memai_check_source' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai._check_source(text, jsonb, text) IS 'private: raises unless a query can be a source; the parameters that it uses';
REVOKE ALL ON FUNCTION memai._check_source(text, jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._check_source(text, jsonb, text) TO memai_user;

CREATE FUNCTION memai._source_changed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'memai_source_changed' LANGUAGE C VOLATILE PARALLEL UNSAFE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai._source_changed() IS 'private: trigger of watched tables; notes that the transaction changed what a source shows';
REVOKE ALL ON FUNCTION memai._source_changed() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._source_changed() TO memai_user;

CREATE FUNCTION memai._watch_source(tenant text, name text, tables text[], search_path text) RETURNS text[]
	AS 'MODULE_PATHNAME', 'memai_watch_source' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai._watch_source(text, text, text[], text) IS 'private: makes the triggers of a source''s watched tables, which the caller must own, in place of those before; returns their full names';
REVOKE ALL ON FUNCTION memai._watch_source(text, text, text[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._watch_source(text, text, text[], text) TO memai_user;

CREATE FUNCTION memai.register_source(name text, query text, description text DEFAULT NULL, parameters jsonb DEFAULT '{}',
		intents text[] DEFAULT '{}', max_rows integer DEFAULT 50, cache_ttl interval DEFAULT '0', template text DEFAULT NULL,
		watch text[] DEFAULT '{}', format text DEFAULT 'list', timeout_ms integer DEFAULT 2000,
		search_path text DEFAULT pg_catalog.current_setting('search_path'), tenant text DEFAULT NULL)
	RETURNS void
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	INSERT INTO memai.source AS s (tenant, name, description, query, parameters, search_path, intents, max_rows, timeout_ms, template, format,
		uses, cache_ttl, watch)
	SELECT t.tenant, register_source.name, register_source.description, register_source.query, register_source.parameters,
		register_source.search_path, register_source.intents, memai._check_range('max_rows', register_source.max_rows, 1, 10000),
		memai._check_range('timeout_ms', register_source.timeout_ms, 1, 600000),
		register_source.template, memai._check_word('format', register_source.format, 'list', 'table'),
		memai._check_source(register_source.query, '{"user_id": null, "namespace": null, "message": null}' || register_source.parameters,
			register_source.search_path),
		register_source.cache_ttl,
		memai._watch_source(t.tenant, register_source.name, register_source.watch, register_source.search_path)
	FROM (SELECT coalesce(register_source.tenant, memai.current_tenant()) AS tenant) t
	WHERE memai._check(register_source.name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$', '22023', 'invalid name of a source', 'A name has up to 63 letters, digits, dots, dashes and underscores and begins with a letter or digit.')
		AND memai._check(register_source.query IS NOT NULL, '22004', 'query must not be null', NULL)
		AND memai._check(register_source.cache_ttl BETWEEN '0' AND '30 days', '22023', 'cache_ttl is out of range', 'It is 0 to 30 days.')
		AND memai._check(register_source.watch = '{}' OR register_source.cache_ttl > '0', '22023', 'watch needs cache_ttl', 'Say how long rows are kept when no table of watch changes.')
	ON CONFLICT ON CONSTRAINT source_pkey DO UPDATE SET description = excluded.description, query = excluded.query,
		parameters = excluded.parameters, search_path = excluded.search_path, intents = excluded.intents, max_rows = excluded.max_rows,
		timeout_ms = excluded.timeout_ms, template = excluded.template, format = excluded.format, uses = excluded.uses,
		cache_ttl = excluded.cache_ttl, watch = excluded.watch;
END;
COMMENT ON FUNCTION memai.register_source(text, text, text, jsonb, text[], integer, interval, text, text[], text, integer, text, text) IS
	'make a query''s rows available to chat: one SELECT, run read-only with the rights of whoever chats; parameters are written parameter.name, of type text; kept for cache_ttl unless a table of watch changes';

CREATE FUNCTION memai.drop_source(name text, tenant text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH gone AS (
		DELETE FROM memai.source s
		WHERE s.tenant = coalesce(drop_source.tenant, memai.current_tenant()) AND s.name = drop_source.name
		RETURNING memai._watch_source(s.tenant, s.name, '{}', s.search_path)
	)
	SELECT EXISTS (SELECT FROM gone);
END;
COMMENT ON FUNCTION memai.drop_source(text, text) IS 'remove a source; false when there is none';

CREATE FUNCTION memai.source_text(name text, parameters jsonb DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_source_text' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.source_text(text, jsonb) IS 'a source''s rows as a chat model is shown them';

-- ---- preferences ----

CREATE FUNCTION memai.set_preference(name text, value jsonb, user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS jsonb
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	INSERT INTO memai.preference AS p (tenant, user_id, namespace, scope, preferences)
	SELECT memai.current_tenant(), memai._user(set_preference.user_id), coalesce(set_preference.namespace, 'default'),
		memai._scope(set_preference.user_id, set_preference.namespace),
		jsonb_strip_nulls(jsonb_build_object(memai._check_length('name', set_preference.name, 1000), set_preference.value))
	ON CONFLICT ON CONSTRAINT preference_pkey DO UPDATE
		SET preferences = (p.preferences - set_preference.name) || excluded.preferences, updated_at = now()
	RETURNING p.preferences;
END;
COMMENT ON FUNCTION memai.set_preference(text, jsonb, text, text) IS
	'set one preference of a user, or remove it (NULL), and return all of them';

CREATE FUNCTION memai.set_preference(name text, value text, user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS jsonb
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT memai.set_preference(set_preference.name, to_jsonb(set_preference.value), set_preference.user_id, set_preference.namespace);
END;
COMMENT ON FUNCTION memai.set_preference(text, text, text, text) IS 'the same with a text';

CREATE FUNCTION memai.get_preferences(user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT coalesce((SELECT p.preferences FROM memai.preference p WHERE p.scope = memai._scope(get_preferences.user_id, NULL)), '{}')
		|| coalesce((SELECT p.preferences FROM memai.preference p
			WHERE p.scope = memai._scope(get_preferences.user_id, get_preferences.namespace)), '{}');
END;
COMMENT ON FUNCTION memai.get_preferences(text, text) IS 'the preferences of a user: those of the default namespace, and over them those of the namespace';

REVOKE ALL ON FUNCTION memai.set_intent(text, text[], text, text[], text[], text, text[], text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.drop_intent(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai._keyword_matches(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai._intents_by_keywords(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai._intents_by_meaning(text, real[], double precision) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai._intent_model() FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.classify_intent(text, double precision) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.suggestions(text, text, text, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.register_source(text, text, text, jsonb, text[], integer, interval, text, text[], text, integer, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.drop_source(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.source_text(text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.set_preference(text, jsonb, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.set_preference(text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.get_preferences(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.set_intent(text, text[], text, text[], text[], text, text[], text),
	memai.drop_intent(text, text),
	memai._keyword_matches(text, text),
	memai._intents_by_keywords(text),
	memai._intents_by_meaning(text, real[], double precision),
	memai._intent_model(),
	memai.classify_intent(text, double precision),
	memai.suggestions(text, text, text, integer),
	memai.register_source(text, text, text, jsonb, text[], integer, interval, text, text[], text, integer, text, text),
	memai.drop_source(text, text),
	memai.source_text(text, jsonb),
	memai.set_preference(text, jsonb, text, text),
	memai.set_preference(text, text, text, text),
	memai.get_preferences(text, text)
	TO memai_user;
