-- ---- chat: settings of integrations and accounts ----

CREATE FUNCTION memai._secret_member(settings jsonb) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_secret_member' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._secret_member(jsonb) IS 'private: the member that holds what looks like a secret; null when none does';

CREATE FUNCTION memai._check_setting(name text, value jsonb) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'memai_check_setting' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai._check_setting(text, jsonb) IS 'private: raises unless a setting may have the value, and returns it';

CREATE TABLE memai.setting (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL DEFAULT 'default',
	scope bigint NOT NULL,
	settings jsonb NOT NULL DEFAULT '{}',
	updated_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT setting_pkey PRIMARY KEY (scope),
	CONSTRAINT setting_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT setting_settings_check CHECK (jsonb_typeof(settings) = 'object' AND octet_length(settings::text) <= 100000),
	CONSTRAINT setting_secret_check CHECK (memai._secret_member(settings) IS NULL)
);
COMMENT ON TABLE memai.setting IS 'what users set of the application and its integrations; models are not shown it';
COMMENT ON COLUMN memai.setting.settings IS 'by name, at most 100000 bytes in all, without secrets';

CREATE TABLE memai.account_setting (
	tenant text NOT NULL DEFAULT memai.current_tenant(),
	settings jsonb NOT NULL DEFAULT '{}',
	updated_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT account_setting_pkey PRIMARY KEY (tenant),
	CONSTRAINT account_setting_settings_check CHECK (jsonb_typeof(settings) = 'object' AND octet_length(settings::text) <= 100000),
	CONSTRAINT account_setting_secret_check CHECK (memai._secret_member(settings) IS NULL)
);
COMMENT ON TABLE memai.account_setting IS 'settings of a whole tenant, which hold for users that have not set their own';
COMMENT ON COLUMN memai.account_setting.settings IS 'by name, at most 100000 bytes in all, without secrets';

ALTER TABLE memai.setting ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.setting FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.setting USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.setting IS 'own tenant only, and own user in a narrowed session';
ALTER TABLE memai.account_setting ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.account_setting FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.account_setting USING (tenant = (SELECT memai.current_tenant()));
COMMENT ON POLICY isolation ON memai.account_setting IS 'own tenant only';
GRANT SELECT, INSERT, UPDATE, DELETE ON memai.setting, memai.account_setting TO memai_user;
ALTER TABLE memai.setting ALTER COLUMN settings SET STATISTICS 0;
SELECT pg_catalog.pg_extension_config_dump('memai.setting', '');
SELECT pg_catalog.pg_extension_config_dump('memai.account_setting', '');

CREATE FUNCTION memai.set_setting(name text, value jsonb, user_id text DEFAULT NULL) RETURNS jsonb
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	INSERT INTO memai.setting AS s (tenant, user_id, scope, settings)
	SELECT memai.current_tenant(), memai._user(set_setting.user_id), memai._scope(set_setting.user_id, NULL),
		jsonb_build_object(set_setting.name, memai._check_setting(set_setting.name, set_setting.value))
	ON CONFLICT ON CONSTRAINT setting_pkey DO UPDATE SET settings = s.settings || excluded.settings, updated_at = now()
	RETURNING s.settings;
END;
COMMENT ON FUNCTION memai.set_setting(text, jsonb, text) IS
	'set one setting of a user and return all of his; a secret is named, {"credential": "name"}, never held';

CREATE FUNCTION memai.set_setting(name text, value text, user_id text DEFAULT NULL) RETURNS jsonb
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT memai.set_setting(set_setting.name, to_jsonb(set_setting.value), set_setting.user_id);
END;
COMMENT ON FUNCTION memai.set_setting(text, text, text) IS 'the same with a text';

CREATE FUNCTION memai.set_account_setting(name text, value jsonb) RETURNS jsonb
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	INSERT INTO memai.account_setting AS s (settings)
	SELECT jsonb_build_object(set_account_setting.name, memai._check_setting(set_account_setting.name, set_account_setting.value))
	ON CONFLICT ON CONSTRAINT account_setting_pkey DO UPDATE SET settings = s.settings || excluded.settings, updated_at = now()
	RETURNING s.settings;
END;
COMMENT ON FUNCTION memai.set_account_setting(text, jsonb) IS
	'set one setting of the tenant, for all its users that have not set their own, and return all of the tenant''s';

CREATE FUNCTION memai.set_account_setting(name text, value text) RETURNS jsonb
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT memai.set_account_setting(set_account_setting.name, to_jsonb(set_account_setting.value));
END;
COMMENT ON FUNCTION memai.set_account_setting(text, text) IS 'the same with a text';

CREATE FUNCTION memai.get_settings(user_id text DEFAULT NULL) RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT coalesce((SELECT a.settings FROM memai.account_setting a WHERE a.tenant = memai.current_tenant()), '{}')
		|| coalesce((SELECT s.settings FROM memai.setting s WHERE s.scope = memai._scope(get_settings.user_id, NULL)), '{}');
END;
COMMENT ON FUNCTION memai.get_settings(text) IS 'the settings that hold for a user: the tenant''s, and over them his own';

CREATE FUNCTION memai.get_account_settings() RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT coalesce((SELECT a.settings FROM memai.account_setting a WHERE a.tenant = memai.current_tenant()), '{}');
END;
COMMENT ON FUNCTION memai.get_account_settings() IS 'the settings of the tenant';

CREATE FUNCTION memai.drop_setting(name text, user_id text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH gone AS (
		UPDATE memai.setting s SET settings = s.settings - drop_setting.name, updated_at = now()
		WHERE s.scope = memai._scope(drop_setting.user_id, NULL) AND s.settings ? drop_setting.name
		RETURNING 1
	)
	SELECT EXISTS (SELECT FROM gone);
END;
COMMENT ON FUNCTION memai.drop_setting(text, text) IS 'remove a setting of a user, for whom the tenant''s then holds; false when he has none';

CREATE FUNCTION memai.drop_account_setting(name text) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH gone AS (
		UPDATE memai.account_setting s SET settings = s.settings - drop_account_setting.name, updated_at = now()
		WHERE s.tenant = memai.current_tenant() AND s.settings ? drop_account_setting.name
		RETURNING 1
	)
	SELECT EXISTS (SELECT FROM gone);
END;
COMMENT ON FUNCTION memai.drop_account_setting(text) IS 'remove a setting of the tenant; false when there is none';

REVOKE ALL ON FUNCTION memai._secret_member(jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai._check_setting(text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.set_setting(text, jsonb, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.set_setting(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.set_account_setting(text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.set_account_setting(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.get_settings(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.get_account_settings() FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.drop_setting(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.drop_account_setting(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._secret_member(jsonb),
	memai._check_setting(text, jsonb),
	memai.set_setting(text, jsonb, text),
	memai.set_setting(text, text, text),
	memai.set_account_setting(text, jsonb),
	memai.set_account_setting(text, text),
	memai.get_settings(text),
	memai.get_account_settings(),
	memai.drop_setting(text, text),
	memai.drop_account_setting(text)
	TO memai_user;
