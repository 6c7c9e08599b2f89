-- ---- chat: tools ----

CREATE TABLE memai.tool (
	tenant text NOT NULL DEFAULT memai.current_tenant(),
	name text NOT NULL,
	description text NOT NULL,
	parameters jsonb NOT NULL,
	function text,
	search_path text NOT NULL,
	url text,
	credential text,
	timeout_ms integer NOT NULL DEFAULT 30000,
	needs_confirmation boolean NOT NULL DEFAULT false,
	roles text[],
	owner regrole NOT NULL DEFAULT CURRENT_USER::regrole,
	created_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT tool_pkey PRIMARY KEY (tenant, name),
	CONSTRAINT tool_parameters_check CHECK (jsonb_typeof(parameters) = 'object'),
	CONSTRAINT tool_kind_check CHECK (num_nonnulls(function, url) = 1 AND (credential IS NULL OR url IS NOT NULL)),
	CONSTRAINT tool_timeout_ms_check CHECK (timeout_ms BETWEEN 1 AND 600000)
);
COMMENT ON TABLE memai.tool IS 'what chat models may do: call functions with the rights of whoever chats, or endpoints that an administrator registered';
COMMENT ON COLUMN memai.tool.parameters IS 'JSON schema of the arguments; a call that breaks it is not made';
COMMENT ON COLUMN memai.tool.function IS 'the function, with its schema and argument types';
COMMENT ON COLUMN memai.tool.search_path IS 'with which the function runs';
COMMENT ON COLUMN memai.tool.url IS 'where {"name", "arguments", "user_id", "namespace"} is posted; the answer''s body is the result';
COMMENT ON COLUMN memai.tool.needs_confirmation IS 'the call is handed to the caller of chat instead of made; memai.run_tool makes it';
COMMENT ON COLUMN memai.tool.roles IS 'roles whose chats may use it; NULL: all of the tenant';
COMMENT ON COLUMN memai.tool.owner IS 'who registered it; this role must hold the credential at every call';

ALTER TABLE memai.tool ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.tool FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.tool USING (tenant = (SELECT memai.current_tenant())
		OR (SELECT pg_catalog.pg_has_role(CURRENT_USER, 'memai_admin', 'USAGE')))
	WITH CHECK (tenant = (SELECT memai.current_tenant()) AND url IS NULL AND owner = CURRENT_USER::regrole
		OR (SELECT pg_catalog.pg_has_role(CURRENT_USER, 'memai_admin', 'USAGE')) AND owner = CURRENT_USER::regrole);
COMMENT ON POLICY isolation ON memai.tool IS 'own tenant only, and no URLs; administrators configure every tenant';
GRANT SELECT, INSERT, UPDATE, DELETE ON memai.tool TO memai_user;
SELECT pg_catalog.pg_extension_config_dump('memai.tool', '');

CREATE FUNCTION memai._tool_definition(name text, function text, url text, parameters jsonb, search_path text, OUT function_identity text, OUT schema jsonb)
	AS 'MODULE_PATHNAME', 'memai_tool_definition' LANGUAGE C STABLE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai._tool_definition(text, text, text, jsonb, text) IS 'private: raises unless the arguments make a tool; the function''s identity, and the schema of its arguments unless one is given';
REVOKE ALL ON FUNCTION memai._tool_definition(text, text, text, jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai._tool_definition(text, text, text, jsonb, text) TO memai_user;

CREATE FUNCTION memai.register_tool(name text, description text, function text DEFAULT NULL, parameters jsonb DEFAULT NULL,
		url text DEFAULT NULL, credential text DEFAULT NULL, timeout_ms integer DEFAULT 30000, needs_confirmation boolean DEFAULT false,
		roles text[] DEFAULT NULL, search_path text DEFAULT pg_catalog.current_setting('search_path'), tenant text DEFAULT NULL)
	RETURNS void
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	INSERT INTO memai.tool (tenant, name, description, parameters, function, search_path, url, credential, timeout_ms, needs_confirmation, roles)
	SELECT coalesce(register_tool.tenant, memai.current_tenant()), register_tool.name, register_tool.description, d.schema,
		d.function_identity, register_tool.search_path, register_tool.url, register_tool.credential, register_tool.timeout_ms,
		register_tool.needs_confirmation, register_tool.roles
	FROM memai._tool_definition(register_tool.name, register_tool.function, register_tool.url, register_tool.parameters,
		register_tool.search_path) d
	ON CONFLICT ON CONSTRAINT tool_pkey DO UPDATE SET description = excluded.description, parameters = excluded.parameters,
		function = excluded.function, search_path = excluded.search_path, url = excluded.url, credential = excluded.credential,
		timeout_ms = excluded.timeout_ms, needs_confirmation = excluded.needs_confirmation, roles = excluded.roles, owner = excluded.owner;
END;
COMMENT ON FUNCTION memai.register_tool(text, text, text, jsonb, text, text, integer, boolean, text[], text, text) IS
	'let chat models call a function, with the rights of whoever chats, or (administrators) post to a URL; parameters is the JSON schema of the arguments, by default that of the function';

CREATE FUNCTION memai.drop_tool(name text, tenant text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH gone AS (
		DELETE FROM memai.tool t
		WHERE t.tenant = coalesce(drop_tool.tenant, memai.current_tenant()) AND t.name = drop_tool.name RETURNING 1
	)
	SELECT EXISTS (SELECT FROM gone);
END;
COMMENT ON FUNCTION memai.drop_tool(text, text) IS 'remove a tool; false when there is none';

CREATE VIEW memai.tools WITH (security_invoker) AS
	SELECT t.name, t.description, t.parameters, t.function, t.url, t.credential, t.timeout_ms, t.needs_confirmation, t.roles, t.owner, t.created_at
	FROM memai.tool t
	WHERE t.tenant = memai.current_tenant() AND (t.roles IS NULL
		OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = ANY (t.roles) AND pg_catalog.pg_has_role(CURRENT_USER, r.oid, 'USAGE')));
COMMENT ON VIEW memai.tools IS 'the tools that the current role''s chats may use';
GRANT SELECT ON memai.tools TO memai_user;

CREATE FUNCTION memai.tools() RETURNS SETOF memai.tools
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT t.* FROM memai.tools t ORDER BY t.name;
END;
COMMENT ON FUNCTION memai.tools() IS 'the tools that the current role''s chats may use, by name';
REVOKE ALL ON FUNCTION memai.tools() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.tools() TO memai_user;

CREATE FUNCTION memai.run_tool(name text, arguments jsonb DEFAULT '{}', user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_run_tool' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.run_tool(text, jsonb, text, text) IS 'call a registered tool as a chat would, for instance after the user confirmed it';

REVOKE ALL ON FUNCTION memai.register_tool(text, text, text, jsonb, text, text, integer, boolean, text[], text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.drop_tool(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.run_tool(text, jsonb, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.register_tool(text, text, text, jsonb, text, text, integer, boolean, text[], text, text),
	memai.drop_tool(text, text),
	memai.run_tool(text, jsonb, text, text)
	TO memai_user;
