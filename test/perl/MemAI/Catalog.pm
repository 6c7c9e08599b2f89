package MemAI::Catalog;

# What an extension is made of, as text: two installations are alike exactly if
# their snapshots are equal.  Generic over the catalog, so that new kinds of
# objects need no new code here until PostgreSQL grows one.

use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(catalog_snapshot table_contents differences);

# The extension's members, each with its catalog; the queries below pick theirs.
my $members = q{SELECT d.classid, d.objid, d.objsubid
	FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
	WHERE d.deptype = 'e' AND e.extname = 'memai'};

sub members
{
	my ($catalog) = @_;
	return "(SELECT objid FROM member WHERE classid = '$catalog'::regclass)";
}

# An ACL as "grantee=privilege by grantor", sorted; the default when there is none.
sub acl
{
	my ($column, $type, $owner) = @_;
	return qq{(SELECT string_agg(format('%s=%s%s', coalesce(nullif(a.grantee, 0)::regrole::text, 'PUBLIC'),
			a.privilege_type, CASE WHEN a.is_grantable THEN '*' END), ',' ORDER BY 1)
		FROM (SELECT (aclexplode(coalesce($column, acldefault('$type', $owner)))).*) AS a)};
}

# Each query returns lines of text; their first word names the kind of object.
sub queries
{
	my $relations = members('pg_class');
	my $functions = members('pg_proc');
	my $types = members('pg_type');

	return (
		# every member, whatever its kind, and its comment
		q{SELECT format('object %s | %s', pg_describe_object(classid, objid, 0),
				obj_description(objid, classid::regclass::name)) FROM member},
		q{SELECT format('extension %s | %s | %s | %s', extname, extversion, extrelocatable, extnamespace::regnamespace)
			FROM pg_extension WHERE extname = 'memai'},
		q{SELECT format('dumped %s | %s', c.table_id::regclass, c.condition)
			FROM pg_extension, unnest(extconfig, extcondition) AS c (table_id, condition) WHERE extname = 'memai'},
		q{SELECT format('schema memai | %s', } . acl('nspacl', 'n', 'nspowner') . q{) FROM pg_namespace WHERE nspname = 'memai'},
		qq{SELECT format('function %s | %s | cost %s rows %s support %s | %s', p.oid::regprocedure,
				CASE WHEN p.prokind = 'a' THEN
					(SELECT row(aggkind, aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggmtransfn,
						aggminvtransfn, aggmfinalfn, aggfinalextra, aggfinalmodify, aggsortop::regoperator,
						aggtranstype::regtype, aggtransspace, agginitval)::text FROM pg_aggregate WHERE aggfnoid = p.oid)
					|| p.proparallel::text
				ELSE pg_get_functiondef(p.oid) END, p.procost, p.prorows, p.prosupport, }
			. acl('p.proacl', 'f', 'p.proowner') . qq{)
			FROM pg_proc p WHERE p.oid IN $functions},
		qq{SELECT format('relation %s | %s | %s | %s | rls %s %s | identity %s | %s | %s', oid::regclass, relkind,
				relpersistence, reloptions, relrowsecurity, relforcerowsecurity, relreplident,
				pg_get_expr(relpartbound, oid), } . acl('relacl', 'r', 'relowner') . qq{)
			FROM pg_class WHERE oid IN $relations AND relkind <> 'S'},
		qq{SELECT format('view %s | %s', oid::regclass, pg_get_viewdef(oid))
			FROM pg_class WHERE oid IN $relations AND relkind IN ('v', 'm')},
		qq{SELECT format('partitioned %s by %s', partrelid::regclass, pg_get_partkeydef(partrelid))
			FROM pg_partitioned_table WHERE partrelid IN $relations},
		qq{SELECT format('column %s.%s | %s | %s | null %s | default %s | %s %s | storage %s | %s | %s', a.attrelid::regclass, a.attname,
				row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum),
				format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attgenerated,
				a.attidentity, a.attstorage, a.attacl, col_description(a.attrelid, a.attnum))
			FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
			WHERE a.attrelid IN $relations AND a.attnum > 0 AND NOT a.attisdropped},
		qq{SELECT format('constraint %s on %s | %s | validated %s', conname, conrelid::regclass, pg_get_constraintdef(oid), convalidated)
			FROM pg_constraint WHERE conrelid IN $relations},
		qq{SELECT format('index %s | valid %s', pg_get_indexdef(indexrelid), indisvalid)
			FROM pg_index WHERE indrelid IN $relations},
		qq{SELECT format('policy %s on %s | %s %s for %s to %s | using %s | check %s', polname, polrelid::regclass, polcmd,
				polpermissive, polcmd, polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
			FROM pg_policy WHERE polrelid IN $relations},
		qq{SELECT format('trigger %s', pg_get_triggerdef(oid)) FROM pg_trigger WHERE tgrelid IN $relations AND NOT tgisinternal},
		qq{SELECT format('rule %s', pg_get_ruledef(oid)) FROM pg_rewrite WHERE ev_class IN $relations},
		qq{SELECT format('sequence %s | %s', seqrelid::regclass, row(seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle))
			FROM pg_sequence WHERE seqrelid IN $relations},
		qq{SELECT format('type %s | %s | %s', oid::regtype, row(typlen, typbyval, typtype, typcategory, typispreferred, typdelim, typinput,
				typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, typsubscript, typalign, typstorage,
				typnotnull, typbasetype::regtype, typtypmod, typdefault), } . acl('typacl', 'T', 'typowner') . qq{)
			FROM pg_type WHERE oid IN $types},
		q{SELECT format('cast %s as %s | %s', castsource::regtype, casttarget::regtype,
				row(castfunc::regprocedure, castcontext, castmethod)) FROM pg_cast WHERE oid IN } . members('pg_cast'),
		q{SELECT format('operator %s | %s', oid::regoperator, row(oprkind, oprcanmerge, oprcanhash, oprresult::regtype,
				oprcom::regoperator, oprnegate::regoperator, oprcode, oprrest, oprjoin)) FROM pg_operator WHERE oid IN } . members('pg_operator'),
		q{SELECT format('access method %s | %s %s', amname, amtype, amhandler) FROM pg_am WHERE oid IN } . members('pg_am'),
		q{SELECT format('operator class %s.%s using %s | %s', opcnamespace::regnamespace, opcname, amname,
				row(opcintype::regtype, opcdefault, opckeytype::regtype, opcfamily IN } . members('pg_opfamily') . q{))
			FROM pg_opclass JOIN pg_am ON pg_am.oid = opcmethod WHERE pg_opclass.oid IN } . members('pg_opclass'),
		q{SELECT format('family operator %s.%s | %s', f.opfname, amname, row(amoplefttype::regtype, amoprighttype::regtype, amopstrategy,
				amoppurpose, amopopr::regoperator))
			FROM pg_amop JOIN pg_opfamily f ON f.oid = amopfamily JOIN pg_am ON pg_am.oid = amopmethod WHERE f.oid IN } . members('pg_opfamily'),
		q{SELECT format('family function %s.%s | %s', f.opfname, amname, row(amproclefttype::regtype, amprocrighttype::regtype, amprocnum,
				amproc::regprocedure))
			FROM pg_amproc JOIN pg_opfamily f ON f.oid = amprocfamily JOIN pg_am ON pg_am.oid = opfmethod WHERE f.oid IN } . members('pg_opfamily'));
}

# The snapshot of a database of a node: a string, one line an object or property.
sub catalog_snapshot
{
	my ($node, $database) = @_;
	my $sql = join("\nUNION ALL\n", queries());
	return $node->safe_psql($database, qq{SET search_path = pg_catalog; WITH member AS ($members) SELECT line FROM ($sql) AS snapshot (line) ORDER BY line COLLATE "C"});
}

# The lines that only one of two texts has, so that a failed comparison of
# thousands of lines is read at once; empty when the texts are equal.
sub differences
{
	my ($got, $expected) = @_;
	return '' if $got eq $expected;
	my (%count, @different);
	$count{$_}++ for split(/\n/, $got);
	$count{$_}-- for split(/\n/, $expected);
	push @different, ($count{$_} > 0 ? 'only got:      ' : 'only expected: ') . $_ for grep { $count{$_} } sort keys %count;
	return join("\n", @different) || 'the same lines in another order';
}

# The rows that a dump of memai's tables and their partitions carries, as a superuser
# sees them: "table: rows|md5" a line, a hash that does not depend on their order.
sub table_contents
{
	my ($node, $database) = @_;
	my $tables = $node->safe_psql($database, q{
		SELECT c.oid::regclass, coalesce(dumped.condition, '') FROM pg_class c
			LEFT JOIN (SELECT t.* FROM pg_extension, unnest(extconfig, extcondition) AS t (oid, condition)
				WHERE extname = 'memai') AS dumped ON dumped.oid = c.oid
			LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
		WHERE c.relkind = 'r' AND c.relnamespace = 'memai'::regnamespace
			AND (dumped.oid IS NOT NULL OR d.objid IS NULL) ORDER BY c.oid::regclass::text COLLATE "C"});
	return join("\n", map {
		my ($table, $condition) = split(/\|/, $_, 2);
		"$table: " . $node->safe_psql($database,
			qq{SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE "C")) FROM (SELECT * FROM ONLY $table $condition) AS t})
	} split(/\n/, $tables)) . "\n";
}

1;
