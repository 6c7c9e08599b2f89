-- ---- text: the terms that lexical search compares ----

CREATE FUNCTION memai._terms(content text) RETURNS bytea
	AS 'MODULE_PATHNAME', 'memai_terms_sql' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._terms(text) IS 'private: the hashed terms of a text, by the dictionaries of memai.text_search_config';
