-- ---- memory: background work ----

CREATE FUNCTION memai._may_switch(wanted boolean) RETURNS boolean
	AS 'MODULE_PATHNAME', 'memai_may_switch' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._may_switch(boolean) IS 'private: what is wanted, or an error when the role may not choose models for all';
REVOKE ALL ON FUNCTION memai._may_switch(boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._may_switch(boolean) TO memai_user;

CREATE FUNCTION memai.reembed(model text DEFAULT NULL, user_id text DEFAULT NULL, namespace text DEFAULT NULL,
		switch boolean DEFAULT false) RETURNS bigint
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	-- named here, so that the jobs of a model rest with it
	WITH chosen AS (
		SELECT coalesce(reembed.model, (SELECT m.name FROM memai.models m WHERE m.kind = 'embed' AND m.is_default)) AS model,
			memai._may_switch(coalesce(reembed.switch, false)) AS switch),
	scope AS (
		SELECT e.tenant, e.user_id, e.namespace FROM memai.episode e
		UNION SELECT m.tenant, m.user_id, m.namespace FROM memai.memory m),
	submitted AS (
		SELECT memai.submit_job('reembed', jsonb_build_object('switch', c.switch), s.user_id, s.namespace, c.model, 2, NULL, 5,
			CASE WHEN c.switch THEN 'switch to ' ELSE '' END || c.model) AS id
		FROM scope s, chosen c
		WHERE s.tenant = memai.current_tenant()
			AND (reembed.user_id IS NULL OR s.user_id = reembed.user_id)
			AND (reembed.namespace IS NULL OR s.namespace = reembed.namespace))
	-- asked of those, too, who have nothing
	SELECT count(*) FROM submitted WHERE (SELECT c.switch IS NOT NULL FROM chosen c);
END;
COMMENT ON FUNCTION memai.reembed(text, text, text, boolean) IS
	'submit jobs that make the missing vectors of a model, one a user and namespace, and return how many; with switch, for administrators, the model becomes the default when no item lacks its vector';

CREATE FUNCTION memai.reembed_status(model text DEFAULT NULL)
	RETURNS TABLE (model text, is_default boolean, items bigint, vectors bigint, jobs_unfinished bigint, jobs_failed bigint)
	LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT m.name, m.is_default, i.items, coalesce(v.vectors, 0), coalesce(j.unfinished, 0), coalesce(j.failed, 0)
	FROM memai.models m
		CROSS JOIN (SELECT (SELECT count(*) FROM memai.episode e WHERE e.tenant = (SELECT memai.current_tenant()))
			+ (SELECT count(*) FROM memai.memory m WHERE m.tenant = (SELECT memai.current_tenant())) AS items) i
		LEFT JOIN (SELECT e.model, count(*) AS vectors FROM memai.embedding e WHERE e.tenant = (SELECT memai.current_tenant()) GROUP BY e.model) v ON v.model = m.name
		LEFT JOIN (SELECT b.model, count(*) FILTER (WHERE b.finished_at IS NULL) AS unfinished, count(*) FILTER (WHERE b.status = 'failed') AS failed
			FROM memai.job b WHERE b.tenant = (SELECT memai.current_tenant()) AND b.kind = 'reembed' GROUP BY b.model) j ON j.model = m.name
	WHERE m.kind = 'embed' AND (reembed_status.model IS NULL OR m.name = reembed_status.model)
	ORDER BY m.name;
END;
COMMENT ON FUNCTION memai.reembed_status(text) IS
	'how far the vectors of each embedding model are, of the tenant''s items: vectors of items, jobs that are still to do, jobs that failed';

REVOKE ALL ON FUNCTION memai.reembed(text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.reembed_status(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.reembed(text, text, text, boolean), memai.reembed_status(text) TO memai_user;

-- ---- memory: the vector index ----

CREATE FUNCTION memai.create_vector_index(model text DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_create_vector_index' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.create_vector_index(text) IS
	'index the vectors of a model, if they have no index, and return the index''s name; blocks writes while it works';

CREATE FUNCTION memai.drop_vector_index(model text DEFAULT NULL) RETURNS boolean
	AS 'MODULE_PATHNAME', 'memai_drop_vector_index' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.drop_vector_index(text) IS 'drop the index of a model''s vectors; false when there is none';

CREATE FUNCTION memai._model_vectors() RETURNS trigger
	AS 'MODULE_PATHNAME', 'memai_model_vectors' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai._model_vectors() IS 'private: makes the index of a model''s vectors with the model, and drops it with it';
REVOKE ALL ON FUNCTION memai._model_vectors() FROM PUBLIC;
-- fires in a restore, too, which brings no indexes of the extension's tables
CREATE TRIGGER model_added AFTER INSERT ON memai.model
	FOR EACH ROW WHEN (new.kind = 'embed') EXECUTE FUNCTION memai._model_vectors();
COMMENT ON TRIGGER model_added ON memai.model IS 'makes the index of the model''s vectors';
CREATE TRIGGER model_dropped AFTER DELETE ON memai.model
	FOR EACH ROW WHEN (old.kind = 'embed') EXECUTE FUNCTION memai._model_vectors();
COMMENT ON TRIGGER model_dropped ON memai.model IS 'drops the index of the model''s vectors';

REVOKE ALL ON FUNCTION memai.create_vector_index(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.drop_vector_index(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.create_vector_index(text), memai.drop_vector_index(text) TO memai_admin;
