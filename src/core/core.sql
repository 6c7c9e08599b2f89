-- ---- core: schema, roles, identity and tenancy ----

CREATE SCHEMA memai;
COMMENT ON SCHEMA memai IS 'memai: AI memory inside PostgreSQL';

CREATE FUNCTION memai._ensure_role(name text) RETURNS void
	AS 'MODULE_PATHNAME', 'memai_ensure_role' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION memai._ensure_role(text) IS 'private: create a role without login unless it exists (roles are shared by databases)';
REVOKE ALL ON FUNCTION memai._ensure_role(text) FROM PUBLIC;
SELECT memai._ensure_role('memai_user');
SELECT memai._ensure_role('memai_admin');

CREATE FUNCTION memai.new_id() RETURNS uuid
	AS 'MODULE_PATHNAME', 'memai_new_id_sql' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION memai.new_id() IS 'a new time-ordered identifier (UUID version 7)';

CREATE FUNCTION memai.current_tenant() RETURNS text
	AS 'MODULE_PATHNAME', 'memai_current_tenant' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION memai.current_tenant() IS 'the tenant whose rows this session sees: the setting memai.tenant, or the name of the current role';

CREATE FUNCTION memai.current_user_id() RETURNS text
	AS 'MODULE_PATHNAME', 'memai_current_user_id' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION memai.current_user_id() IS 'the user this session is limited to by the setting memai.user_id, or NULL';

CREATE FUNCTION memai.scope_hash(tenant text, user_id text, namespace text) RETURNS bigint
	AS 'MODULE_PATHNAME', 'memai_scope_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai.scope_hash(text, text, text) IS 'the 64-bit hash of tenant, user and namespace that leads every key';

CREATE FUNCTION memai._scope(user_id text, namespace text) RETURNS bigint
	AS 'MODULE_PATHNAME', 'memai_scope_sql' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION memai._scope(text, text) IS 'private: checked scope of a call from its user_id and namespace, either of which may be NULL';
REVOKE ALL ON FUNCTION memai._scope(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._scope(text, text) TO memai_user;

CREATE FUNCTION memai._user(user_id text) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_user_sql' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION memai._user(text) IS 'private: checked user of a call from its user_id, which may be NULL';
REVOKE ALL ON FUNCTION memai._user(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._user(text) TO memai_user;

CREATE FUNCTION memai._check_word(name text, value text, VARIADIC words text[]) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_check_word' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION memai._check_word(text, text, text[]) IS 'private: value, which is one of the words or NULL; raises otherwise, under the name of the argument';
REVOKE ALL ON FUNCTION memai._check_word(text, text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._check_word(text, text, text[]) TO memai_user;

CREATE FUNCTION memai._check_length(name text, value text, max_length integer) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_check_length' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION memai._check_length(text, text, integer) IS 'private: value, which has 1 to max_length characters; raises otherwise, under the name of the argument';
REVOKE ALL ON FUNCTION memai._check_length(text, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._check_length(text, text, integer) TO memai_user;

CREATE FUNCTION memai._check_range(name text, value integer, low integer, high integer DEFAULT 2147483647) RETURNS integer
	AS 'MODULE_PATHNAME', 'memai_check_range' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION memai._check_range(text, integer, integer, integer) IS 'private: value, which is from low to high or NULL; raises otherwise, under the name of the argument';
REVOKE ALL ON FUNCTION memai._check_range(text, integer, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._check_range(text, integer, integer, integer) TO memai_user;

CREATE FUNCTION memai._check(ok boolean, sqlstate text, message text, hint text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'memai_check' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION memai._check(boolean, text, text, text) IS 'private: true, or raises the message when it is not';
REVOKE ALL ON FUNCTION memai._check(boolean, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._check(boolean, text, text, text) TO memai_user;

GRANT USAGE ON SCHEMA memai TO memai_user, memai_admin;
GRANT memai_user TO memai_admin;
