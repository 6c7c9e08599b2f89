-- ---- text: the terms that lexical search compares ----

CREATE FUNCTION memai._terms(content text) RETURNS bytea
	AS 'MODULE_PATHNAME', 'memai_terms_sql' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._terms(text) IS 'private: the hashed terms of a text, by the dictionaries of its language';

CREATE FUNCTION memai._terms_language(terms bytea) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_terms_language' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._terms_language(bytea) IS 'private: the language in which stored terms were stemmed, NULL for a configuration';

CREATE FUNCTION memai.detect_language(content text) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_detect_language' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai.detect_language(text) IS
	'the language in which memai stems a text: that of memai.language, or with auto the one detected, english when in doubt; NULL when memai.text_search_config is set';

CREATE FUNCTION memai._estimate_tokens(content text) RETURNS integer
	AS 'MODULE_PATHNAME', 'memai_estimate_tokens_sql' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._estimate_tokens(text) IS 'private: the estimate of a text''s tokens that budgets are kept by';
