-- ---- model: what applications ask of a chat model most; checked before it is returned ----

CREATE FUNCTION memai.extract(input text, json_schema jsonb, model text DEFAULT NULL) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'memai_extract' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.extract(text, jsonb, text) IS 'what a text says, as a JSON object that follows a schema; NULL for NULL';
REVOKE ALL ON FUNCTION memai.extract(text, jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.extract(text, jsonb, text) TO memai_user, memai_admin;

CREATE FUNCTION memai.classify(input text, labels text[], model text DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_classify' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.classify(text, text[], text) IS 'the label that fits a text best, always one of those given; NULL for NULL';
REVOKE ALL ON FUNCTION memai.classify(text, text[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.classify(text, text[], text) TO memai_user, memai_admin;

CREATE FUNCTION memai.is_true(statement text, model text DEFAULT NULL) RETURNS boolean
	AS 'MODULE_PATHNAME', 'memai_is_true' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.is_true(text, text) IS 'whether a chat model holds a statement to be true; NULL for NULL';
REVOKE ALL ON FUNCTION memai.is_true(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.is_true(text, text) TO memai_user, memai_admin;

CREATE FUNCTION memai.summarize(input text, max_words integer DEFAULT 100, model text DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_summarize' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.summarize(text, integer, text) IS 'a text in at most max_words words; by quoting its sentences with a model that follows no instructions; NULL for NULL';
REVOKE ALL ON FUNCTION memai.summarize(text, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.summarize(text, integer, text) TO memai_user, memai_admin;

CREATE FUNCTION memai.count_tokens(input text, model text DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'memai_count_tokens' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 1000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.count_tokens(text, text) IS 'the tokens a model makes of a text: exact for models of provider static, an estimate for all others; nothing is called';
REVOKE ALL ON FUNCTION memai.count_tokens(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.count_tokens(text, text) TO memai_user, memai_admin;

CREATE FUNCTION memai._schema_problem(value jsonb, json_schema jsonb) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_schema_problem_sql' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._schema_problem(jsonb, jsonb) IS 'private: what keeps a value from following a JSON schema, as extract checks it; NULL when it follows';
