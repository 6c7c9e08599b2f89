# A schema and a session prepared by an enemy: nothing of his is adopted by CREATE
# EXTENSION (SP1) or left behind by DROP (SP2), and jobs run with the rights of
# who submitted them, whatever triggers find (SP9).  A small stack ends deep
# documents with an error (RL12).
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('hostile');
$node->init;
$node->append_conf('postgresql.conf', "max_stack_depth = '100kB'\n");
$node->start;

# ---- SP1: a hundred traps in the schema that the types go to ----
$node->safe_psql('postgres', q{CREATE ROLE enemy LOGIN; CREATE SCHEMA target; GRANT CREATE, USAGE ON SCHEMA target TO enemy; GRANT CREATE ON DATABASE postgres TO enemy});
my $traps = "CREATE FUNCTION target.sprung() RETURNS void LANGUAGE plpgsql AS \$\$BEGIN IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN ALTER ROLE enemy SUPERUSER; END IF; END\$\$;\n";
my $n = 0;
for my $type (qw(text bigint uuid jsonb boolean timestamptz name bytea))
{
	for my $operator ('=', '<>', '<', '>', '||', '>=', '<=', '~')
	{
		$n++;
		$traps .= "CREATE FUNCTION target.trap$n($type, $type) RETURNS boolean LANGUAGE plpgsql AS \$\$BEGIN PERFORM target.sprung(); RETURN true; END\$\$;
			CREATE OPERATOR target.$operator (FUNCTION = target.trap$n, LEFTARG = $type, RIGHTARG = $type);\n";
	}
}
for my $function (qw(now lower md5 coalesce_text length octet_length jsonb_typeof isfinite num_nonnulls unnest to_jsonb concat current_tenant scope_hash new_id submit_job left
	jsonb_build_object pg_current_xact_id clock_timestamp btrim array_agg vector_dims power random has_role pg_has_role format quote_ident current_setting set_config pg_extension_config_dump))
{
	$n++;
	$traps .= "CREATE FUNCTION target.$function(text) RETURNS text LANGUAGE plpgsql AS \$\$BEGIN PERFORM target.sprung(); RETURN 'x'; END\$\$;
		CREATE FUNCTION target.$function() RETURNS text LANGUAGE plpgsql AS \$\$BEGIN PERFORM target.sprung(); RETURN 'x'; END\$\$;\n";
}
# closer matches than pg_catalog's functions of any type
for my $function ('unnest(text[])', 'unnest(uuid[])', 'array_agg(uuid)', 'num_nonnulls(uuid, uuid)', 'concat(text, text)', 'count(uuid)')
{
	$n++;
	$traps .= "CREATE FUNCTION target.$function RETURNS text LANGUAGE plpgsql AS \$\$BEGIN PERFORM target.sprung(); RETURN 'x'; END\$\$;\n";
}
cmp_ok($n, '>=', 90, "$n traps");
$node->safe_psql('postgres', "SET ROLE enemy; $traps");
$node->safe_psql('postgres', q{SET search_path = target, public; CREATE EXTENSION memai SCHEMA target});
$node->safe_psql('postgres', q{SET search_path = target, public; SELECT memai.remember('Lives in Lund', 'ann', slot => 'home', valid_at => '2020-01-01');
	SELECT memai.remember('Lives in Oslo', 'ann', slot => 'home', expires_at => now()); SELECT * FROM memai.recall('Oslo', 'ann');
	SELECT * FROM memai.export_user('ann'); SELECT * FROM memai.find_duplicates('ann'); SELECT memai.set_pii_policy('keep'); SELECT memai.promote('ann')});
is($node->safe_psql('postgres', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'enemy'}), 'f', 'no trap sprang');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass AND p.proowner <> 10}), 0,
	'the extension owns no function of the enemy');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_depend d JOIN pg_operator o ON o.oid = d.objid WHERE d.deptype = 'e' AND d.classid = 'pg_operator'::regclass AND o.oprowner <> 10}), 0,
	'and no operator');

# ---- an object of the same name is not adopted ----
$node->safe_psql('postgres', q{SET search_path = target; DROP EXTENSION memai CASCADE});
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'memai'}), 0, 'SP2: DROP leaves no schema behind');
is($node->safe_psql('postgres', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'enemy'}), 'f', 'SP2: DROP sprang no trap');
for my $decoy (q{CREATE SCHEMA memai}, q{CREATE FUNCTION target.vector_in(cstring, oid, integer) RETURNS text LANGUAGE internal AS 'textin'}, q{CREATE TYPE target.vector})
{
	$node->safe_psql('postgres', $decoy);
	my ($code, $out, $err) = $node->psql('postgres', 'CREATE EXTENSION memai SCHEMA target');
	like($err, qr/already exists|not a member|not owned|different owner|cannot change/i, "CREATE EXTENSION fails beside: $decoy");
	$node->safe_psql('postgres', $decoy =~ /SCHEMA/ ? 'DROP SCHEMA memai' : $decoy =~ /TYPE/ ? 'DROP TYPE target.vector' : 'DROP FUNCTION target.vector_in(cstring, oid, integer)');
}
$node->safe_psql('postgres', 'DROP SCHEMA target CASCADE; CREATE EXTENSION memai');

# ---- SP9: an application's trigger on its own table, reached by a job of an administrator's worker ----
$node->safe_psql('postgres', q{CREATE ROLE shop IN ROLE memai_user; CREATE TABLE note (t text); GRANT ALL ON note TO shop; ALTER TABLE note OWNER TO shop;
	ALTER TABLE memai.episode ADD COLUMN note_id integer;
	CREATE SCHEMA own AUTHORIZATION shop});
$node->safe_psql('postgres', q{SET ROLE shop;
	SELECT memai.remember('due', 'ann', expires_at => now() - interval '1 day');
	CREATE FUNCTION own.grab() RETURNS text LANGUAGE plpgsql AS $$BEGIN ALTER ROLE shop SUPERUSER; RETURN 'x'; END$$;
	CREATE FUNCTION own.lower(text) RETURNS text LANGUAGE plpgsql AS $$BEGIN PERFORM own.grab(); RETURN 'x'; END$$;
	ALTER ROLE shop SET search_path = own, pg_catalog;});
$node->safe_psql('postgres', q{SET search_path = own, pg_catalog; CALL memai.run_jobs()});
is($node->safe_psql('postgres', q{SELECT status FROM memai.job WHERE kind = 'expire'}), 'done', 'SP9: the job ran');
is($node->safe_psql('postgres', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'shop'}), 'f', 'SP9: and gave nobody rights');
is($node->safe_psql('postgres', q{SELECT DISTINCT actor FROM memai.memory_history}), 'shop', 'SP9: it was the submitter who did it');

# ---- RL12 ----
for my $depth (100, 5000, 100000)
{
	my ($code, $out, $err) = $node->psql('postgres', qq{SELECT memai.remember('x', 'ann', metadata => ('{"a":' || repeat('[', $depth) || repeat(']', $depth) || '}')::jsonb) IS NOT NULL});
	ok($out eq 't' || $err =~ /stack depth limit/, "RL12: a document $depth deep is stored or refused");
}
is($node->safe_psql('postgres', 'SELECT 1'), 1, 'RL12: the server lives');
is($node->safe_psql('postgres', 'SELECT count(*) >= 0 FROM pg_stat_activity'), 't', 'and was never restarted');
unlike(slurp_file($node->logfile), qr/terminated by signal/, 'no process crashed');

$node->stop;
done_testing();
