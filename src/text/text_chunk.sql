-- ---- text: parting texts into chunks ----

CREATE FUNCTION memai.chunk(content text, size integer DEFAULT 400, overlap integer DEFAULT NULL, unit text DEFAULT 'tokens',
		strategy text DEFAULT 'recursive', format text DEFAULT 'text')
	RETURNS TABLE (seq integer, chunk text, start_pos integer, end_pos integer, heading text)
	AS 'MODULE_PATHNAME', 'memai_chunk_sql' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 1000 ROWS 20;
COMMENT ON FUNCTION memai.chunk(text, integer, integer, text, text, text) IS
	'part a text into chunks of at most size tokens (estimated) or characters, overlapping by at most overlap (by default a tenth); strategy recursive, sentence or fixed, format text, markdown, html or code; calls no model';

CREATE FUNCTION memai.clean_text(content text, format text DEFAULT 'text') RETURNS text
	AS 'MODULE_PATHNAME', 'memai_clean_text' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION memai.clean_text(text, text) IS
	'a text as memai.add_document keeps it: HTML and Markdown as plain text with headings, lists and code, no control or invisible characters, no idle blanks';
