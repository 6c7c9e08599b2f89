-- ---- chat: questions that a model answers with a query ----

CREATE FUNCTION memai.ask(question text, tables text[] DEFAULT NULL, schemas text[] DEFAULT NULL, model text DEFAULT NULL,
		instructions text DEFAULT NULL, max_rows integer DEFAULT 100, timeout_ms integer DEFAULT 5000, max_repairs integer DEFAULT 2,
		max_schema_tokens integer DEFAULT 6000, functions text[] DEFAULT NULL, on_error text DEFAULT 'raise',
		search_path text DEFAULT pg_catalog.current_setting('search_path'), answer boolean DEFAULT false, max_answer_tokens integer DEFAULT 4000,
		OUT sql text, OUT columns text[], OUT rows jsonb, OUT row_count integer, OUT truncated boolean, OUT explanation text,
		OUT attempts jsonb, OUT model text, OUT prompt_tokens integer, OUT completion_tokens integer, OUT total_tokens integer,
		OUT cost numeric, OUT processing_ms double precision, OUT error text, OUT answer text)
	AS 'MODULE_PATHNAME', 'memai_ask' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.ask(text, text[], text[], text, text, integer, integer, integer, integer, text[], text, text, boolean, integer) IS
	'answer a question from the tables that the caller may read: a chat model writes one SELECT, which is checked, run read-only with limits, and repaired when it fails; with answer => true it also answers in words from the rows; for whom an administrator grants it to';

CREATE FUNCTION memai.ask_schema(tables text[] DEFAULT NULL, schemas text[] DEFAULT NULL, max_schema_tokens integer DEFAULT 6000,
		search_path text DEFAULT pg_catalog.current_setting('search_path')) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_ask_schema_text' LANGUAGE C STABLE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.ask_schema(text[], text[], integer, text) IS
	'what ask with the same arguments tells the model of tables: those that the caller may read, with columns, types, keys and comments';

CREATE FUNCTION memai._check_asked(query text, tables text[], schemas text[], functions text[], timeout_ms integer, search_path text) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_check_asked' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai._check_asked(text, text[], text[], text[], integer, text) IS
	'private: runs a query as ask would run it and returns its first rows, or raises what keeps ask from it';

-- not even memai_user: what a model writes is run on the caller's tables
REVOKE ALL ON FUNCTION memai.ask(text, text[], text[], text, text, integer, integer, integer, integer, text[], text, text, boolean, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.ask_schema(text[], text[], integer, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai._check_asked(text, text[], text[], text[], integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.ask(text, text[], text[], text, text, integer, integer, integer, integer, text[], text, text, boolean, integer)
	TO memai_admin WITH GRANT OPTION;
GRANT EXECUTE ON FUNCTION memai.ask_schema(text[], text[], integer, text) TO memai_user, memai_admin;
