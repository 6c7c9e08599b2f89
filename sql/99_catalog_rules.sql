-- What the catalog must say of the whole extension.  Each rule is a view of the
-- objects that break it; the last part breaks every rule to show that it would tell.
SET search_path = pg_catalog, pg_temp;

CREATE TEMPORARY VIEW member AS
SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS name,
	obj_description(d.objid, d.classid::regclass::name) AS comment
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'memai';

CREATE TEMPORARY VIEW function_member AS
SELECT m.name, m.comment, p.*, p.pronamespace = 'memai'::regnamespace AS in_memai,
	coalesce(array_to_string(p.proconfig, ','), '') AS config,
	EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
		WHERE a.grantee = 0) AS public_may_call
FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid;

-- with the partitions that are made at run time
CREATE TEMPORARY VIEW memai_relation AS
SELECT c.oid::regclass AS name, c.*, obj_description(c.oid, 'pg_class') AS comment
FROM pg_class c WHERE c.relnamespace = 'memai'::regnamespace;

CREATE TEMPORARY VIEW tenant_table AS
SELECT r.* FROM memai_relation r
WHERE r.relkind IN ('r', 'p') AND EXISTS (SELECT FROM pg_attribute a
	WHERE a.attrelid = r.oid AND a.attname = 'tenant' AND NOT a.attisdropped);

CREATE TEMPORARY VIEW offender AS
-- casts and operator families have no need of one: their operators and functions do
SELECT 'every object has a comment' AS rule, name AS object FROM member
WHERE comment IS NULL AND classid NOT IN ('pg_cast'::regclass, 'pg_opfamily'::regclass, 'pg_policy'::regclass)
	AND NOT (classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type t	-- rows and arrays
		WHERE t.oid = objid AND (t.typrelid <> 0 OR t.typcategory = 'A')))
	AND NOT (classid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_class c
		WHERE c.oid = objid AND c.relkind IN ('i', 'I', 'S', 't')))
UNION ALL
SELECT 'private objects start with _ and their comments with "private:"', name FROM (
	SELECT name, proname AS bare, comment FROM function_member WHERE in_memai
	UNION ALL SELECT name::text, relname, comment FROM memai_relation WHERE relkind IN ('r', 'p', 'v', 'm') AND NOT relispartition) AS o
WHERE (bare LIKE '\_%') <> (coalesce(comment, '') LIKE 'private: %')
UNION ALL
SELECT 'a SECURITY DEFINER function fixes its search_path', name FROM function_member
WHERE prosecdef AND config NOT LIKE '%search_path=pg_catalog, pg_temp%'
UNION ALL
SELECT 'a SQL function has a BEGIN ATOMIC body or fixes its search_path', name FROM function_member
WHERE prolang = (SELECT oid FROM pg_language WHERE lanname = 'sql')
	AND prosqlbody IS NULL AND config NOT LIKE '%search_path=pg_catalog, pg_temp%'
UNION ALL
SELECT 'functions are written in C or SQL', name FROM function_member
WHERE prolang NOT IN (SELECT oid FROM pg_language WHERE lanname IN ('c', 'sql', 'internal'))
UNION ALL
SELECT 'a C function is found by its own symbol memai_*', name FROM function_member
WHERE prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')
	AND (prosrc NOT LIKE 'memai\_%' OR probin <> '$libdir/memai')
-- what is volatile writes, spends or calls out; drawing an id does not
UNION ALL
SELECT 'PUBLIC may not call what is volatile', name FROM function_member
WHERE provolatile = 'v' AND public_may_call AND proname <> 'new_id'
UNION ALL
SELECT 'what is volatile is not PARALLEL SAFE', name FROM function_member
WHERE provolatile = 'v' AND proparallel = 's' AND proname <> 'new_id'
UNION ALL
SELECT 'types and operators need no volatile function', name FROM function_member
WHERE provolatile = 'v' AND NOT in_memai AND proname NOT LIKE 'memai\_index\_%'
UNION ALL
SELECT 'PUBLIC has no right on a table', name::text FROM memai_relation
WHERE EXISTS (SELECT FROM aclexplode(relacl) AS a WHERE a.grantee = 0)
UNION ALL
SELECT 'a view has its caller''s rights (security_invoker), or its comment says whose and it is a barrier', name::text FROM memai_relation
WHERE relkind = 'v' AND NOT coalesce(reloptions && ARRAY['security_invoker=true', 'security_invoker=on'], false)
	AND NOT (coalesce(reloptions && ARRAY['security_barrier=true', 'security_barrier=on'], false)
		AND coalesce(obj_description(name, 'pg_class') LIKE '%has its owner''s rights', false))
UNION ALL
SELECT 'row-level security is enabled and forced on a table with tenants', name::text FROM tenant_table
WHERE NOT (relrowsecurity AND relforcerowsecurity)
UNION ALL
SELECT 'a table with tenants has a policy that compares with current_tenant()', name::text FROM tenant_table t
WHERE NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid AND p.polpermissive)
	OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid AND p.polpermissive
		AND coalesce(pg_get_expr(p.polqual, p.polrelid), '') || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') NOT LIKE '%current_tenant()%')
UNION ALL
SELECT 'a key that names the tenant names user, namespace and scope', name::text FROM tenant_table t
WHERE 'user_id' IN (SELECT attname FROM pg_attribute WHERE attrelid = t.oid)
	AND NOT ARRAY['namespace', 'scope']::name[] <@ (SELECT array_agg(attname) FROM pg_attribute WHERE attrelid = t.oid AND attnum > 0)
UNION ALL
SELECT 'every index on a table with a scope starts with it, or its comment says that it serves all scopes', i.indexrelid::regclass::text FROM pg_index i JOIN tenant_table t ON t.oid = i.indrelid
WHERE EXISTS (SELECT FROM pg_attribute WHERE attrelid = t.oid AND attname = 'scope')
	AND (SELECT attname FROM pg_attribute WHERE attrelid = t.oid AND attnum = i.indkey[0]) IS DISTINCT FROM 'scope'
	AND NOT (NOT i.indisunique AND coalesce(obj_description(i.indexrelid, 'pg_class') LIKE 'serves all scopes%', false))
UNION ALL
SELECT 'an index beside a primary key of scope and id is unique or partial: nothing tells the planner that one id is fewer rows than a scope', i.indexrelid::regclass::text
FROM pg_index i JOIN tenant_table t ON t.oid = i.indrelid JOIN pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisunique AND i.indpred IS NULL AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'btree')
	AND EXISTS (SELECT FROM pg_index k WHERE k.indrelid = t.oid AND k.indisprimary AND ARRAY['scope', 'id']::name[] =
		(SELECT array_agg(attname ORDER BY attnum = k.indkey[1]) FROM pg_attribute WHERE attrelid = t.oid AND attnum = ANY (k.indkey)))
	AND (SELECT array_agg(attname) FROM pg_attribute WHERE attrelid = t.oid AND attnum = i.indkey[1]) IS DISTINCT FROM ARRAY['id']::name[]
	AND (SELECT attname FROM pg_attribute WHERE attrelid = t.oid AND attnum = i.indkey[0]) = 'scope'
UNION ALL
SELECT 'a table with a scope has a primary key', name::text FROM tenant_table t
WHERE EXISTS (SELECT FROM pg_attribute WHERE attrelid = t.oid AND attname = 'scope')
	AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = t.oid AND indisprimary)
UNION ALL
SELECT 'a table is dumped with its rows, or its comment says "not dumped"', r.name::text
FROM memai_relation r JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = r.oid
WHERE r.relkind = 'r' AND coalesce(r.comment, '') NOT LIKE '%not dumped%'
	AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'memai' AND r.oid = ANY (e.extconfig))
UNION ALL
SELECT 'an operator class is valid', opcname FROM pg_opclass
WHERE oid IN (SELECT objid FROM member WHERE classid = 'pg_opclass'::regclass) AND NOT amvalidate(oid)
UNION ALL
SELECT 'a setting describes itself in a sentence', name FROM pg_settings
WHERE name LIKE 'memai.%' AND short_desc !~ '^[A-Z].*\.$'
UNION ALL
SELECT 'a setting that holds a secret is for superusers', name FROM pg_settings
WHERE name LIKE 'memai.%' AND name ~ '(key|secret|password|credential|token)$' AND vartype = 'string' AND context <> 'superuser';

SELECT memai.current_tenant() IS NOT NULL AS settings_are_loaded;
SELECT count(*) > 5 AS there_are_members FROM member;
SELECT * FROM offender ORDER BY 1, 2;

-- each of these breaks a rule
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE FUNCTION memai.bad_definer() RETURNS integer LANGUAGE SQL STABLE SECURITY DEFINER PARALLEL SAFE RETURN 1;
CREATE FUNCTION memai.bad_body() RETURNS integer LANGUAGE SQL VOLATILE PARALLEL SAFE AS 'SELECT 1';
CREATE FUNCTION memai.bad_language() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 1; END';
CREATE FUNCTION memai._bad_comment() RETURNS integer LANGUAGE SQL IMMUTABLE RETURN 1;
COMMENT ON FUNCTION memai._bad_comment() IS 'looks public';
CREATE FUNCTION public.bad_volatile() RETURNS integer LANGUAGE SQL VOLATILE RETURN 1;
CREATE FUNCTION memai.bad_symbol() RETURNS void LANGUAGE C IMMUTABLE AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE TABLE memai.bad_table (id uuid, tenant text, user_id text, scope bigint);
CREATE INDEX bad_index ON memai.bad_table (id);
CREATE TABLE memai.bad_times (tenant text, scope bigint, id uuid, at timestamptz, PRIMARY KEY (scope, id));
CREATE INDEX bad_times_index ON memai.bad_times (scope, at);
CREATE TABLE memai.bad_policy (tenant text, user_id text, namespace text, scope bigint, PRIMARY KEY (scope, tenant));
ALTER TABLE memai.bad_policy ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY bad_policy ON memai.bad_policy USING (true);
GRANT SELECT ON memai.bad_policy TO PUBLIC;
CREATE VIEW memai.bad_view AS SELECT 1 AS one;
CREATE OPERATOR CLASS bad_class FOR TYPE uuid USING btree AS FUNCTION 1 uuid_cmp(uuid, uuid);
ALTER EXTENSION memai ADD FUNCTION memai.bad_definer();
ALTER EXTENSION memai ADD FUNCTION memai.bad_body();
ALTER EXTENSION memai ADD FUNCTION memai.bad_language();
ALTER EXTENSION memai ADD FUNCTION memai._bad_comment();
ALTER EXTENSION memai ADD FUNCTION memai.bad_symbol();
ALTER EXTENSION memai ADD FUNCTION public.bad_volatile();
ALTER EXTENSION memai ADD TABLE memai.bad_table;
ALTER EXTENSION memai ADD TABLE memai.bad_times;
ALTER EXTENSION memai ADD TABLE memai.bad_policy;
ALTER EXTENSION memai ADD VIEW memai.bad_view;
ALTER EXTENSION memai ADD OPERATOR CLASS bad_class USING btree;
SELECT * FROM offender ORDER BY 1, 2;
ROLLBACK;
