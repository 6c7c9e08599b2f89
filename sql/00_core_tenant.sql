-- who a session is: memai.tenant (set by superusers only) and memai.user_id
SELECT current_user AS administrator \gset
CREATE ROLE regress_memai_super SUPERUSER LOGIN;
CREATE ROLE regress_memai_ann LOGIN;
CREATE ROLE regress_memai_other LOGIN;
GRANT USAGE ON SCHEMA memai TO regress_memai_ann, regress_memai_other;

-- the default tenant is the current role
\c - regress_memai_ann
SELECT memai.current_tenant(), memai.current_user_id();
\c - regress_memai_super
SET ROLE regress_memai_ann;
SELECT memai.current_tenant();
RESET ROLE;

-- an administrator chooses the tenant, a role lives in it and cannot leave
ALTER ROLE regress_memai_ann SET memai.tenant = 'acme';
\c - regress_memai_ann
SELECT memai.current_tenant();
SET memai.tenant = 'globex';
RESET memai.tenant;
SELECT set_config('memai.tenant', 'globex', false);
ALTER ROLE regress_memai_ann SET memai.tenant = 'globex';
SELECT memai.current_tenant();

-- a value that was set before the library is loaded is not taken over (SP11)
\c - regress_memai_other
SET memai.tenant = 'acme';
SELECT memai.current_tenant();
SHOW memai.tenant;
\c - regress_memai_other
ALTER ROLE regress_memai_other SET memai.tenant = 'acme';
BEGIN;
SET LOCAL memai.tenant = 'acme';
SELECT memai.current_tenant();
COMMIT;
SELECT memai.current_tenant();
\setenv PGOPTIONS '-c memai.tenant=acme'
\c - regress_memai_other
SELECT memai.current_tenant();
\setenv PGOPTIONS
-- a superuser's own placeholder is
\c - regress_memai_super
SET memai.tenant = 'acme';
SELECT memai.current_tenant();

-- memai.user_id narrows a session; anyone may set it
\c - regress_memai_other
SET memai.user_id = 'ann';
SELECT memai.current_user_id();
SET memai.user_id = '';
SELECT memai.current_user_id();

-- the prefix is reserved: a misspelt setting is an error
SET memai.tennant = 'acme';
-- and so it was for one that came before the library
\c - regress_memai_other
SET memai.tennant = 'acme';
SELECT memai.current_user_id();
SHOW memai.tennant;

-- the hash that leads every key: fixed for good, it is on disk
SELECT memai.scope_hash('acme', 'ann', 'default'), memai.scope_hash('', '', '');
SELECT memai.scope_hash('a', 'bc', 'd') AS a_bc, memai.scope_hash('ab', 'c', 'd') AS ab_c;
SELECT memai.scope_hash(U&'Z\00FCrich', U&'\0437\043E\044F', U&'\8A18\61B6');
SELECT memai.scope_hash(repeat('x', 100000), 'ann', 'default') = memai.scope_hash(repeat('x', 100000), 'ann', 'default') AS stable,
	memai.scope_hash(NULL, 'ann', 'default') IS NULL AS strict;

-- roles: made by the install script, nobody else makes any
SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolbypassrls, rolinherit
FROM pg_roles WHERE rolname LIKE 'memai\_%' ORDER BY rolname;
SELECT memai._ensure_role('regress_memai_new');

\c - regress_memai_super
SELECT memai._ensure_role('memai_user');

\c - :administrator
REVOKE USAGE ON SCHEMA memai FROM regress_memai_ann, regress_memai_other;
DROP ROLE regress_memai_super, regress_memai_ann, regress_memai_other;

-- the checks of arguments, called by hand
\set VERBOSITY terse
SELECT memai._check_word('x', NULL, 'a') IS NULL AS word, memai._check_range('x', NULL, 0) IS NULL AS range, memai._check(true, NULL, NULL, NULL) AS ok;
SELECT memai._check_word(NULL, 'b', 'a');
SELECT memai._check_word('x', 'b', VARIADIC NULL);
SELECT memai._check_word('x', 'b', 'a', NULL);
SELECT memai._check_length(NULL, 'b', 1);
SELECT memai._check_length('x', 'b', NULL);
SELECT memai._check_range(NULL, 1, 0);
SELECT memai._check_range('x', 1, 2, NULL);
SELECT memai._check(NULL, '22023', NULL, NULL);
SELECT memai._check(false, '22023', 'no', NULL);
