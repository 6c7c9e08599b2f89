-- ---- ingest: rows of business tables as episodes ----

CREATE TABLE memai.watched (
	name text COLLATE "C" PRIMARY KEY,
	tenant text NOT NULL,
	source regclass NOT NULL,
	template text NOT NULL,
	user_of_all text,
	namespace_of_all text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE memai.watched IS 'tables whose rows are episodes; which columns, says the trigger memai_watch_columns_<name> of each';
COMMENT ON COLUMN memai.watched.template IS 'the text of an episode, {n} standing for the n-th column';
COMMENT ON COLUMN memai.watched.user_of_all IS 'whose the episodes are; null: the last column of the trigger''s list says it';
ALTER TABLE memai.watched ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.watched FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.watched USING (tenant = (SELECT memai.current_tenant())
	OR (SELECT pg_has_role(current_user, 'memai_admin', 'USAGE')));
COMMENT ON POLICY isolation ON memai.watched IS 'own tenant only; administrators see every tenant';

CREATE TABLE memai._watched_row (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	watch text COLLATE "C" NOT NULL,
	key text COLLATE "C" NOT NULL,
	episode_id uuid NOT NULL,
	CONSTRAINT _watched_row_pkey PRIMARY KEY (scope, episode_id),
	CONSTRAINT _watched_row_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT _watched_row_episode_id_fkey FOREIGN KEY (scope, episode_id) REFERENCES memai.episode (scope, id) ON DELETE CASCADE
);
COMMENT ON TABLE memai._watched_row IS 'private: which episode a row of a watched table is';
CREATE INDEX _watched_row_key_idx ON memai._watched_row (watch, key);
COMMENT ON INDEX memai._watched_row_key_idx IS 'serves all scopes: a row''s user can change';
ALTER TABLE memai._watched_row ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai._watched_row FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai._watched_row USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai._watched_row IS 'own tenant only, and own user in a narrowed session';

CREATE FUNCTION memai._watch_changed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'memai_watch_changed' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD';
COMMENT ON FUNCTION memai._watch_changed() IS 'private: trigger of watched tables, stores, replaces and removes episodes';
REVOKE ALL ON FUNCTION memai._watch_changed() FROM PUBLIC;

CREATE FUNCTION memai.watch(source regclass, template text, user_id text DEFAULT NULL, user_column name DEFAULT NULL,
		namespace text DEFAULT NULL, name text DEFAULT NULL, fill boolean DEFAULT true) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_watch' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD';
COMMENT ON FUNCTION memai.watch(regclass, text, text, name, text, text, boolean) IS
	'make an episode of each row of a table, and follow its changes in the same transaction; memories need review when their row changes and go with it; returns the watch''s name';

CREATE FUNCTION memai.unwatch(name text, forget boolean DEFAULT false) RETURNS void
	AS 'MODULE_PATHNAME', 'memai_unwatch' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.unwatch(text, boolean) IS 'stop following a table, and with forget remove its episodes and the memories that rest on nothing else';

REVOKE ALL ON FUNCTION memai.watch(regclass, text, text, name, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.unwatch(text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.watch(regclass, text, text, name, text, text, boolean), memai.unwatch(text, boolean), memai._watch_changed()
	TO memai_user;
GRANT SELECT ON memai.watched TO memai_user;
GRANT SELECT, DELETE ON memai._watched_row TO memai_user;

SELECT pg_catalog.pg_extension_config_dump('memai.watched', '');
SELECT pg_catalog.pg_extension_config_dump('memai._watched_row', '');
