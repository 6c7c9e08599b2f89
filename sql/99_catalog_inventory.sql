-- The whole of the extension, so that no setting, function or right comes or goes unnoticed.
-- one line an object, so that a new one changes one line
\pset format unaligned
\pset footer off
SELECT memai.current_tenant() IS NOT NULL AS settings_are_loaded;

SELECT name, vartype AS type, unit, context, boot_val AS default, min_val AS min, max_val AS max
FROM pg_settings WHERE name LIKE 'memai.%' ORDER BY name COLLATE "C";

-- functions in schema memai: volatility, parallel safety, and who may call them
SELECT p.oid::regprocedure AS function, p.provolatile AS v, p.proparallel AS p,
	(SELECT string_agg(coalesce(nullif(a.grantee, 0)::regrole::text, 'PUBLIC'), ', ' ORDER BY a.grantee::regrole::text COLLATE "C")
		FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a WHERE a.grantee <> p.proowner) AS may_call
FROM pg_proc p WHERE p.pronamespace = 'memai'::regnamespace
ORDER BY p.oid::regprocedure::text COLLATE "C";

-- tables and views: rights beside the owner's
SELECT c.relname AS relation, c.relkind AS kind, c.relrowsecurity AS rls,
	(SELECT string_agg(format('%s=%s', coalesce(nullif(grantee, 0)::regrole::text, 'PUBLIC'), rights), '; ' ORDER BY grantee::regrole::text COLLATE "C")
		FROM (SELECT a.grantee, string_agg(a.privilege_type, ',' ORDER BY a.privilege_type COLLATE "C") AS rights
			FROM aclexplode(c.relacl) AS a WHERE a.grantee <> c.relowner GROUP BY a.grantee) AS granted) AS rights
FROM pg_class c WHERE c.relnamespace = 'memai'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
ORDER BY c.relname COLLATE "C";
