-- ---- memory: documents; their functions are in src/ingest ----
--
-- A chunk of a document is an episode, so it is embedded, found, exported and
-- erased like one.  What only chunks have is in document_chunk.

CREATE TABLE memai.document (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	id uuid NOT NULL DEFAULT memai.new_id(),
	source_uri text,
	title text,
	format text NOT NULL,
	content text NOT NULL,
	metadata jsonb NOT NULL DEFAULT '{}',
	chunking jsonb NOT NULL DEFAULT '{}',
	fingerprint bytea NOT NULL,
	chunked_fingerprint bytea,
	job_id uuid,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT document_pkey PRIMARY KEY (scope, id),
	CONSTRAINT document_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT document_source_uri_check CHECK (source_uri <> '' AND octet_length(source_uri) <= 2048),
	CONSTRAINT document_title_check CHECK (title <> '' AND octet_length(title) <= 1000),
	CONSTRAINT document_format_check CHECK (format IN ('text', 'markdown', 'html', 'code')),
	CONSTRAINT document_content_check CHECK (content <> ''),
	CONSTRAINT document_metadata_check CHECK (jsonb_typeof(metadata) = 'object'),
	CONSTRAINT document_chunking_check CHECK (jsonb_typeof(chunking) = 'object')
);
COMMENT ON TABLE memai.document IS 'texts that were added whole; memai.chunk_status says how far each is prepared for recall';
COMMENT ON COLUMN memai.document.source_uri IS 'where it comes from; a scope has one document of a source';
COMMENT ON COLUMN memai.document.content IS 'the cleaned text; its chunks'' positions count its characters';
COMMENT ON COLUMN memai.document.fingerprint IS 'SHA-256 of the text and of everything that its chunks depend on';
COMMENT ON COLUMN memai.document.chunked_fingerprint IS 'what the stored chunks are of; another one: they are of the version before';
COMMENT ON COLUMN memai.document.job_id IS 'the job that prepares it, the last one there was';
CREATE UNIQUE INDEX document_source_uri_idx ON memai.document (scope, source_uri) WHERE source_uri IS NOT NULL;
COMMENT ON INDEX memai.document_source_uri_idx IS 'a scope has one document of a source';
CREATE UNIQUE INDEX document_fingerprint_idx ON memai.document (scope, fingerprint) WHERE source_uri IS NULL;
COMMENT ON INDEX memai.document_fingerprint_idx IS 'a scope has a text without a source once';

ALTER TABLE memai.episode ADD CONSTRAINT episode_document_id_fkey FOREIGN KEY (scope, document_id)
	REFERENCES memai.document (scope, id) ON DELETE CASCADE;

CREATE TABLE memai.document_chunk (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	document_id uuid NOT NULL,
	seq integer NOT NULL,
	episode_id uuid NOT NULL,
	heading text,
	start_pos integer NOT NULL,
	end_pos integer NOT NULL,
	content_hash uuid NOT NULL,
	CONSTRAINT document_chunk_pkey PRIMARY KEY (scope, document_id, seq),
	CONSTRAINT document_chunk_document_id_fkey FOREIGN KEY (scope, document_id)
		REFERENCES memai.document (scope, id) ON DELETE CASCADE,
	CONSTRAINT document_chunk_episode_id_fkey FOREIGN KEY (scope, episode_id)
		REFERENCES memai.episode (scope, id) ON DELETE CASCADE,
	CONSTRAINT document_chunk_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT document_chunk_seq_check CHECK (seq >= 1),
	CONSTRAINT document_chunk_position_check CHECK (start_pos >= 1 AND end_pos >= start_pos)
);
COMMENT ON TABLE memai.document_chunk IS 'the chunks of documents in order; the text of each is in memai.episode';
COMMENT ON COLUMN memai.document_chunk.heading IS 'the headings over the chunk, outermost first';
COMMENT ON COLUMN memai.document_chunk.start_pos IS 'its first character in the document''s content, from 1';
COMMENT ON COLUMN memai.document_chunk.end_pos IS 'its last character';
COMMENT ON COLUMN memai.document_chunk.content_hash IS 'hash of what was embedded: a chunk with the same one keeps its vectors when the document changes';
CREATE UNIQUE INDEX document_chunk_episode_id_idx ON memai.document_chunk (scope, episode_id);
COMMENT ON INDEX memai.document_chunk_episode_id_idx IS 'from what recall found to its place in the document';

ALTER TABLE memai.document ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.document FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.document USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.document IS 'own tenant only, and own user in a narrowed session';

ALTER TABLE memai.document_chunk ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.document_chunk FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.document_chunk USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.document_chunk IS 'own tenant only, and own user in a narrowed session';

ALTER TABLE memai.document ALTER COLUMN content SET STATISTICS 0, ALTER COLUMN title SET STATISTICS 0,
	ALTER COLUMN metadata SET STATISTICS 0, ALTER COLUMN source_uri SET STATISTICS 0;
ALTER TABLE memai.document_chunk ALTER COLUMN heading SET STATISTICS 0;

GRANT SELECT, INSERT, DELETE, UPDATE (title, format, content, metadata, chunking, fingerprint, chunked_fingerprint, job_id, updated_at)
	ON memai.document TO memai_user;
GRANT SELECT, INSERT, DELETE ON memai.document_chunk TO memai_user;
-- the order of a document's chunks is that of their times
GRANT UPDATE (occurred_at) ON memai.episode TO memai_user;

SELECT pg_catalog.pg_extension_config_dump('memai.document', '');
SELECT pg_catalog.pg_extension_config_dump('memai.document_chunk', '');
