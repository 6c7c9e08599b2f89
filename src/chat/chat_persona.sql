-- ---- chat: a persona from what is remembered ----
--
-- The text is the block persona; here is what it was made from.

CREATE TABLE memai.persona_build (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	id uuid NOT NULL DEFAULT memai.new_id(),
	version integer NOT NULL,
	model text NOT NULL,
	built_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT persona_build_pkey PRIMARY KEY (scope),
	CONSTRAINT persona_build_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace))
);
COMMENT ON TABLE memai.persona_build IS 'when the persona of a user was made, and which version of the block it is';
COMMENT ON COLUMN memai.persona_build.id IS 'another one each time';

CREATE TABLE memai.persona_source (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	memory_id uuid NOT NULL,
	build_id uuid NOT NULL,
	CONSTRAINT persona_source_pkey PRIMARY KEY (scope, memory_id),
	CONSTRAINT persona_source_memory_id_fkey FOREIGN KEY (scope, memory_id) REFERENCES memai.memory (scope, id) ON DELETE CASCADE,
	CONSTRAINT persona_source_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace))
);
COMMENT ON TABLE memai.persona_source IS 'the memories that the persona of a user was made from';
COMMENT ON COLUMN memai.persona_source.build_id IS 'persona_build.id at that time';

ALTER TABLE memai.persona_build ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.persona_build FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.persona_build USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.persona_build IS 'own tenant only, and own user in a narrowed session';
ALTER TABLE memai.persona_source ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.persona_source FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.persona_source USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.persona_source IS 'own tenant only, and own user in a narrowed session';
GRANT SELECT, INSERT, UPDATE, DELETE ON memai.persona_build, memai.persona_source TO memai_user;
SELECT pg_catalog.pg_extension_config_dump('memai.persona_build', '');
SELECT pg_catalog.pg_extension_config_dump('memai.persona_source', '');

-- its plans are kept for the session and must fit small and large tables: by index, from the removed rows
CREATE FUNCTION memai._persona_sources_removed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'memai_persona_sources_removed' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;
COMMENT ON FUNCTION memai._persona_sources_removed() IS 'private: removes the persona that a removed memory is a part of';
REVOKE ALL ON FUNCTION memai._persona_sources_removed() FROM PUBLIC;
CREATE TRIGGER persona_source_deleted AFTER DELETE ON memai.persona_source
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION memai._persona_sources_removed();
COMMENT ON TRIGGER persona_source_deleted ON memai.persona_source IS 'what is forgotten is in no persona either';

CREATE FUNCTION memai.build_persona(user_id text DEFAULT NULL, namespace text DEFAULT NULL, model text DEFAULT NULL,
		overwrite boolean DEFAULT false) RETURNS uuid
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
	RETURN memai.submit_job('persona', jsonb_build_object('overwrite', coalesce(overwrite, false)), build_persona.user_id, build_persona.namespace,
		build_persona.model, 2, NULL, 5, 'persona');
COMMENT ON FUNCTION memai.build_persona(text, text, text, boolean) IS
	'submit the job that writes the block persona from a user''s memories and preferences, and return its id; one that was edited by hand stays unless overwrite is true';

CREATE FUNCTION memai.persona(user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (content text, version integer, sources uuid[], built_at timestamptz, model text, is_edited boolean, is_stale boolean)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT b.value, b.version, s.ids, p.built_at, p.model, p.version IS DISTINCT FROM b.version,
		coalesce(s.has_ended OR f.updated_at > p.built_at, false)
	FROM memai.block b
		LEFT JOIN memai.persona_build p ON p.scope = b.scope
		LEFT JOIN memai.preference f ON f.scope = b.scope
		CROSS JOIN LATERAL (SELECT coalesce(array_agg(m.id ORDER BY m.id), '{}') AS ids,
				bool_or(m.invalid_at IS NOT NULL OR m.expired_at IS NOT NULL OR m.needs_review) AS has_ended
			FROM memai.persona_source x JOIN memai.memory m ON m.scope = x.scope AND m.id = x.memory_id WHERE x.scope = b.scope) s
	WHERE b.scope = memai._scope(persona.user_id, persona.namespace) AND b.label = 'persona';
END;
COMMENT ON FUNCTION memai.persona(text, text) IS
	'the persona that chat shows of a user, with the memories it was made from; is_edited: set_block changed it since, or wrote it; is_stale: a source has ended since, or a preference changed';

REVOKE ALL ON FUNCTION memai.build_persona(text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.persona(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.build_persona(text, text, text, boolean), memai.persona(text, text) TO memai_user;
