-- ---- ingest: vectors of the rows of user tables ----

CREATE TABLE memai.vectorizer (
	id integer PRIMARY KEY,
	tenant text NOT NULL,
	name text COLLATE "C" NOT NULL UNIQUE,
	source regclass NOT NULL,
	model text NOT NULL,
	template text,
	destination_table regclass,
	chunking jsonb,
	schedule text,
	paused boolean NOT NULL DEFAULT false,
	in_flight integer NOT NULL DEFAULT 0,
	done bigint NOT NULL DEFAULT 0,
	rate double precision,
	last_done_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE memai.vectorizer IS 'tables whose rows get vectors in the background; which columns, says the trigger memai_vectorizer_columns_<name> of each';
COMMENT ON COLUMN memai.vectorizer.template IS 'the text that is embedded, {n} standing for the n-th column; null: the columns, a line each';
COMMENT ON COLUMN memai.vectorizer.destination_table IS 'where the vectors go; null: into columns of the source';
COMMENT ON COLUMN memai.vectorizer.chunking IS 'how long texts are parted, a vector for each chunk; null: they are not';
COMMENT ON COLUMN memai.vectorizer.rate IS 'rows a second of the last job';
ALTER TABLE memai.vectorizer ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.vectorizer FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.vectorizer USING (tenant = (SELECT memai.current_tenant())
	OR (SELECT pg_has_role(current_user, 'memai_admin', 'USAGE')));
COMMENT ON POLICY isolation ON memai.vectorizer IS 'own tenant only; administrators see every tenant';

CREATE TABLE memai._vectorizer_queue (
	vectorizer integer NOT NULL,
	key text COLLATE "C" NOT NULL,
	version uuid NOT NULL DEFAULT memai.new_id(),
	error text,
	sqlstate text,
	queued_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT _vectorizer_queue_pkey PRIMARY KEY (vectorizer, key)
);
COMMENT ON TABLE memai._vectorizer_queue IS 'private: keys of rows that wait for their vectors, or failed';
CREATE INDEX _vectorizer_queue_error_idx ON memai._vectorizer_queue (vectorizer) WHERE error IS NOT NULL;
COMMENT ON INDEX memai._vectorizer_queue_error_idx IS 'serves all vectorizers: rows that failed';

CREATE FUNCTION memai._vectorizer_changed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'memai_vectorizer_changed' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD';
COMMENT ON FUNCTION memai._vectorizer_changed() IS 'private: trigger of source tables, notes the rows that wait for their vectors';
REVOKE ALL ON FUNCTION memai._vectorizer_changed() FROM PUBLIC;

CREATE FUNCTION memai.create_vectorizer(source regclass, columns name[] DEFAULT NULL, template text DEFAULT NULL, model text DEFAULT NULL,
		destination name DEFAULT NULL, destination_table name DEFAULT NULL, index boolean DEFAULT false, schedule text DEFAULT NULL,
		name text DEFAULT NULL, fill boolean DEFAULT true, chunking jsonb DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_create_vectorizer' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD';
COMMENT ON FUNCTION memai.create_vectorizer(regclass, name[], text, text, name, name, boolean, text, text, boolean, jsonb) IS
	'keep the vectors of a table''s rows up to date in the background, in a column of it (embedding) or in a table beside it, with chunking one for each chunk of their text; returns the vectorizer''s name';

CREATE FUNCTION memai.alter_vectorizer(name text, columns name[] DEFAULT NULL, template text DEFAULT NULL, model text DEFAULT NULL,
		paused boolean DEFAULT NULL, chunking jsonb DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'memai_alter_vectorizer' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD';
COMMENT ON FUNCTION memai.alter_vectorizer(text, name[], text, text, boolean, jsonb) IS
	'change what a vectorizer embeds, in which chunks or with which model, or pause it, and return how many rows wait because of that';

CREATE FUNCTION memai.pause_vectorizer(name text) RETURNS void
	LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT memai.alter_vectorizer(pause_vectorizer.name, paused => true);
	SELECT NULL::void;
END;
COMMENT ON FUNCTION memai.pause_vectorizer(text) IS 'let changes wait; a batch that is under way is finished';

CREATE FUNCTION memai.resume_vectorizer(name text) RETURNS void
	LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT memai.alter_vectorizer(resume_vectorizer.name, paused => false);
	SELECT NULL::void;
END;
COMMENT ON FUNCTION memai.resume_vectorizer(text) IS 'take up what waits';

CREATE FUNCTION memai.refresh_vectorizer(name text) RETURNS bigint
	AS 'MODULE_PATHNAME', 'memai_refresh_vectorizer' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD';
COMMENT ON FUNCTION memai.refresh_vectorizer(text) IS 'look at all rows again, after changes that no trigger saw; rows whose text has its vector cost no call';

CREATE FUNCTION memai.retry_vectorizer(name text) RETURNS bigint
	AS 'MODULE_PATHNAME', 'memai_retry_vectorizer' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.retry_vectorizer(text) IS 'let the rows that failed wait again, and return how many';

CREATE FUNCTION memai.drop_vectorizer(name text, drop_vectors boolean DEFAULT false) RETURNS void
	AS 'MODULE_PATHNAME', 'memai_drop_vectorizer' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.drop_vectorizer(text, boolean) IS 'stop keeping vectors up to date, and with drop_vectors remove the columns or the table that hold them';

CREATE VIEW memai.vectorizer_status WITH (security_barrier) AS
	SELECT v.name, v.source, v.model, v.paused, q.pending, v.in_flight, q.failed, q.oldest, v.done,
		round(v.rate::numeric, 1) AS rate, q.pending / nullif(v.rate, 0) * interval '1 second' AS time_left, v.last_done_at
	FROM memai.vectorizer v CROSS JOIN LATERAL (
		SELECT count(*) FILTER (WHERE w.error IS NULL) AS pending, count(*) FILTER (WHERE w.error IS NOT NULL) AS failed,
			min(w.queued_at) FILTER (WHERE w.error IS NULL) AS oldest
		FROM memai._vectorizer_queue w WHERE w.vectorizer = v.id) AS q
	WHERE v.tenant = memai.current_tenant() OR pg_has_role(current_user, 'memai_admin', 'USAGE');
COMMENT ON VIEW memai.vectorizer_status IS
	'vectorizers of the tenant: rows that wait, are with the model, or failed, and how long the rest takes at the last speed; has its owner''s rights';

CREATE VIEW memai.vectorizer_errors WITH (security_barrier) AS
	SELECT v.name, v.source, q.key, q.error, q.sqlstate, q.queued_at
	FROM memai._vectorizer_queue q JOIN memai.vectorizer v ON v.id = q.vectorizer
	WHERE q.error IS NOT NULL AND (v.tenant = memai.current_tenant() OR pg_has_role(current_user, 'memai_admin', 'USAGE'));
COMMENT ON VIEW memai.vectorizer_errors IS 'rows whose text a model refuses, and why, until they change or retry_vectorizer; has its owner''s rights';

REVOKE ALL ON FUNCTION memai.create_vectorizer(regclass, name[], text, text, name, name, boolean, text, text, boolean, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.alter_vectorizer(text, name[], text, text, boolean, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.pause_vectorizer(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.resume_vectorizer(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.refresh_vectorizer(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.retry_vectorizer(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.drop_vectorizer(text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	memai.create_vectorizer(regclass, name[], text, text, name, name, boolean, text, text, boolean, jsonb),
	memai.alter_vectorizer(text, name[], text, text, boolean, jsonb), memai.pause_vectorizer(text), memai.resume_vectorizer(text),
	memai.refresh_vectorizer(text), memai.retry_vectorizer(text), memai.drop_vectorizer(text, boolean),
	memai._vectorizer_changed() TO memai_user;
GRANT SELECT ON memai.vectorizer, memai.vectorizer_status, memai.vectorizer_errors TO memai_user;

SELECT pg_catalog.pg_extension_config_dump('memai.vectorizer', '');
SELECT pg_catalog.pg_extension_config_dump('memai._vectorizer_queue', '');
