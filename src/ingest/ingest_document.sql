-- ---- ingest: documents; their tables are in src/memory/memory_document.sql ----

CREATE FUNCTION memai.add_document(content text, title text DEFAULT NULL, source_uri text DEFAULT NULL, metadata jsonb DEFAULT '{}',
		user_id text DEFAULT NULL, namespace text DEFAULT NULL, chunking jsonb DEFAULT '{}', format text DEFAULT NULL,
		background boolean DEFAULT NULL) RETURNS uuid
	AS 'MODULE_PATHNAME', 'memai_add_document' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.add_document(text, text, text, jsonb, text, text, jsonb, text, boolean) IS
	'clean and store a text (plain, Markdown, HTML or code), part it into chunks that memai.recall finds, and return its id; a document of the same source_uri is replaced, an unchanged one left alone; what calls a model server, or is larger than 1 MB, is done by a job';

CREATE FUNCTION memai.add_document(content bytea, title text DEFAULT NULL, source_uri text DEFAULT NULL, metadata jsonb DEFAULT '{}',
		user_id text DEFAULT NULL, namespace text DEFAULT NULL, chunking jsonb DEFAULT '{}', format text DEFAULT NULL,
		background boolean DEFAULT NULL) RETURNS uuid
	AS 'MODULE_PATHNAME', 'memai_add_document_bytes' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.add_document(bytea, text, text, jsonb, text, text, jsonb, text, boolean) IS
	'the same for the bytes of a file, which must be UTF-8; files that are no text are refused';

CREATE FUNCTION memai.drop_document(id uuid DEFAULT NULL, source_uri text DEFAULT NULL, user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH dropped AS (
		DELETE FROM memai.document d
		WHERE d.scope = memai._scope(drop_document.user_id, drop_document.namespace)
			AND (d.id = drop_document.id OR (drop_document.id IS NULL AND d.source_uri = drop_document.source_uri))
		RETURNING 1)
	SELECT count(*) > 0 FROM dropped;
END;
COMMENT ON FUNCTION memai.drop_document(uuid, text, text, text) IS
	'remove a document, by id or by source, with its chunks and what was taken from them alone; false when there is none';

CREATE FUNCTION memai.chunk_neighbours(id uuid, n integer DEFAULT 1, user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (chunk_id uuid, document_id uuid, seq integer, heading text, content text, start_pos integer, end_pos integer)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT c.episode_id, c.document_id, c.seq, c.heading, e.content, c.start_pos, c.end_pos
	FROM memai.document_chunk o
		JOIN memai.document_chunk c ON c.scope = o.scope AND c.document_id = o.document_id
			AND c.seq BETWEEN o.seq::bigint - chunk_neighbours.n AND o.seq::bigint + chunk_neighbours.n
		JOIN memai.episode e ON e.scope = c.scope AND e.id = c.episode_id
	WHERE o.scope = memai._scope(chunk_neighbours.user_id, chunk_neighbours.namespace) AND o.episode_id = chunk_neighbours.id
	ORDER BY c.seq;
END;
COMMENT ON FUNCTION memai.chunk_neighbours(uuid, integer, text, text) IS
	'a chunk that memai.recall found, by its id, and the n before and behind it, in order';

CREATE VIEW memai.chunk_status WITH (security_invoker = true) AS
	SELECT d.tenant, d.user_id, d.namespace, d.id AS document_id, d.title, d.source_uri,
		CASE WHEN d.chunked_fingerprint = d.fingerprint AND c.embedded = c.chunks THEN 'ready'
			WHEN j.status = 'failed' THEN 'failed'
			WHEN d.chunked_fingerprint IS DISTINCT FROM d.fingerprint THEN 'waiting'
			ELSE 'embedding' END AS status,
		c.chunks, c.embedded, m.name AS model, octet_length(d.content) AS bytes, d.updated_at,
		d.job_id, j.status AS job_status, j.done, j.total, j.error
	FROM memai.document d
		LEFT JOIN memai.models m ON m.kind = 'embed' AND m.is_default
		LEFT JOIN memai.job j ON j.scope = d.scope AND j.id = d.job_id
		CROSS JOIN LATERAL (SELECT count(*) AS chunks,
				count(*) FILTER (WHERE EXISTS (SELECT FROM memai.embedding v
					WHERE v.scope = k.scope AND v.id = k.episode_id AND v.model = m.name)) AS embedded
			FROM memai.document_chunk k WHERE k.scope = d.scope AND k.document_id = d.id) AS c;
COMMENT ON VIEW memai.chunk_status IS
	'how far each document is prepared: waiting (recall finds the version before), embedding (found by words; vectors of the default model are being made), ready or failed';

REVOKE ALL ON FUNCTION memai.add_document(text, text, text, jsonb, text, text, jsonb, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.add_document(bytea, text, text, jsonb, text, text, jsonb, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.drop_document(uuid, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.chunk_neighbours(uuid, integer, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.add_document(text, text, text, jsonb, text, text, jsonb, text, boolean),
	memai.add_document(bytea, text, text, jsonb, text, text, jsonb, text, boolean),
	memai.drop_document(uuid, text, text, text), memai.chunk_neighbours(uuid, integer, text, text) TO memai_user;
GRANT SELECT ON memai.chunk_status TO memai_user;
