# Keys: bound to a URL, held by roles, seen by nobody.  Rows AU7 to AU10, HT13,
# HT15 and RE-style dump of the catalogue of faults.
use strict;
use warnings;

use lib 'test/perl';
use File::Temp qw(tempdir);
use JSON::PP;
use MemAI::Gateway;
use MemAI::SlowDNS;
use PostgreSQL::Test::Utils;
use Test::More;

my $canary = 'sk-canary-4f1d8e77aa';
my $file_canary = 'sk-file-canary-99817263';
my $env_canary = 'sk-env-canary-55512345';

my $directory = tempdir(CLEANUP => 1);
my %file = (good => [ "$file_canary\n", 0600 ], open => [ $file_canary, 0644 ], empty => [ "\n", 0600 ],
	inject => [ "abc\r\nX-Evil: 1", 0600 ]);
for my $name (sort keys %file)
{
	append_to_file("$directory/$name", $file{$name}[0]);
	chmod $file{$name}[1], "$directory/$name";
}
symlink "$directory/good", "$directory/link";
mkdir "$directory/sub";
chmod 0700, $directory;

# a certificate for localhost and one for another host
my $certificate = "$directory/cert.pem";
my $has_tls = system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
	  . "-addext subjectAltName=DNS:localhost -keyout $directory/key.tmp -out $directory/cert.tmp 2>/dev/null "
	  . "&& cat $directory/key.tmp $directory/cert.tmp > $certificate") == 0;

$ENV{MEMAI_TEST_KEY} = $env_canary;
$ENV{MEMAI_EMPTY_KEY} = '';
$ENV{OTHER_TEST_KEY} = 'sk-other';
$ENV{LD_PRELOAD} = MemAI::SlowDNS->preload;
my ($node, $stub) = start_gateway('credentials',
	certificate => $has_tls ? $certificate : undef,
	conf => "memai.credential_directory = '$directory'\nlog_statement = all\n"
	  . "log_min_duration_statement = 0\nlog_parameter_max_length = -1\nlog_error_verbosity = verbose\n"
	  . "shared_preload_libraries = 'auto_explain'\nauto_explain.log_min_duration = 0\n"
	  . "auto_explain.log_nested_statements = on\nauto_explain.log_analyze = on\nauto_explain.log_verbose = on\n");
delete $ENV{LD_PRELOAD};
# not from the start: there PostgreSQL itself logs its environment at debug3
$node->append_conf('postgresql.conf', 'log_min_messages = debug5');
$node->reload;
my $base = $stub->url;
$node->safe_psql('postgres', q{CREATE ROLE ann LOGIN IN ROLE memai_user; CREATE ROLE bob LOGIN IN ROLE memai_admin;
	CREATE ROLE eve LOGIN; CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader});

sub as
{
	my ($role, $sql) = @_;
	return run_sql("SET SESSION AUTHORIZATION $role; $sql");
}

# a key that is typed goes through a session that logs nothing
my $quiet = "SET log_statement = 'none'; SET log_min_duration_statement = -1; SET log_min_messages = panic; SET log_min_error_statement = panic; SET auto_explain.log_min_duration = -1;";
$node->safe_psql('postgres', "$quiet SELECT memai.create_credential('stored', '$base/v1', secret => '$canary')");
$node->safe_psql('postgres', "SELECT memai.create_credential('file', '$base/v1', file => 'good', header => 'x-api-key')");
$node->safe_psql('postgres', "SELECT memai.create_credential('env', '$base/v1', env => 'MEMAI_TEST_KEY', scheme => 'Token')");

sub model_with
{
	my ($name, $credential, $url) = @_;
	return run_sql("SELECT memai.create_model('$name', 'chat', 'openai', 'stub', url => '$url', credential => '$credential')");
}

# ---- keys reach the provider, in their header ----
for my $case ([ 'stored', 'authorization', "Bearer $canary" ], [ 'file', 'x-api-key', $file_canary ],
	[ 'env', 'authorization', "Token $env_canary" ])
{
	my ($name, $header, $value) = @$case;
	model_with("with-$name", $name, "$base/v1");
	$stub->reset;
	value_is(run_sql("SELECT memai.generate('hi', 'with-$name')"), 'echo: hi', "a $name key works");
	is(($stub->requests)[-1]{headers}{$header}, $value, "a $name key is sent as it should");
}

# ---- AU8: a key goes nowhere but below its prefix ----
(my $other_port = $base) =~ s/(\d+)$/$stub->{silent_port}/;
(my $localhost = $base) =~ s/127\.0\.0\.1/localhost/;
(my $https = $base) =~ s/^http/https/;
for my $url ("$base/v2", "$base/v1x", $base, "$base/v1/../v2", "$base/v1/%2e%2e/v2", $other_port . '/v1', "$localhost/v1",
	"$https/v1", 'http://127.0.0.1.evil.test/v1', 'http://127.0.0.2/v1', "http://evil.test/v1#$base/v1")
{
	my $result = model_with('stolen', 'stored', $url);
	like($result->{sqlstate}, qr/^(42501|22023)$/, "AU8 the key is not for $url");
}
value_is(model_with('below', 'stored', "$base/v1/deep/er"), '', 'AU8 but for what lies below');
$node->safe_psql('postgres', "UPDATE memai.model SET url = '$base/v2' WHERE name = 'below'");
error_is(run_sql("SELECT memai.generate('hi', 'below')"), '42501', qr/not for this URL/, 'AU8 the prefix is checked at the call too');
$node->safe_psql('postgres', "SELECT memai.drop_model('below')");

# ---- who may do what ----
error_is(as('ann', "SELECT memai.create_credential('x', 'https://a.example', secret => 'k')"), '42501', qr/permission denied/, 'a user creates no credential');
error_is(as('ann', "SELECT memai.create_model('x', 'chat', 'openai', 'm', url => 'https://a.example')"), '42501', qr/permission denied/, 'a user creates no model');
error_is(as('ann', "SELECT memai.generate('hi', 'with-stored')"), '42501', qr/model "with-stored"/, 'a user calls no model that is not granted');
error_is(as('eve', "SELECT memai.generate('hi', 'with-stored')"), '42501', qr/permission denied/, 'others call nothing');
error_is(as('bob', "SELECT memai.create_model('mine', 'chat', 'openai', 'm', url => '$base/v1', credential => 'stored')"),
	'42501', qr/does not hold credential/, 'an administrator does not use a key of somebody else');
error_is(as('bob', "SELECT memai.create_credential('e', 'https://evil.example', env => 'MEMAI_TEST_KEY')"),
	'42501', qr/must be superuser/, 'AU8 nor send a variable where he likes');
error_is(as('bob', "SELECT memai.create_credential('e', 'https://evil.example', file => 'good')"),
	'42501', qr/must be superuser/, 'AU8 nor a file');
error_is(as('bob', "SELECT memai.rotate_credential('stored', 'x')"), '42501', qr/must be owner/, 'nor replace a key');
$node->safe_psql('postgres', "SELECT memai.grant_model('with-stored', 'ann'), memai.grant_credential('stored', 'bob')");
value_is(as('ann', "SELECT memai.generate('hi', 'with-stored')"), 'echo: hi', 'a granted model is called');
value_is(as('bob', "SELECT memai.create_model('mine', 'chat', 'openai', 'm', url => '$base/v1', credential => 'stored'); SELECT memai.generate('hi', 'mine')"),
	"\necho: hi", 'a granted key is used');
$node->safe_psql('postgres', "SELECT memai.revoke_credential('stored', 'bob')");
error_is(as('bob', "SELECT memai.generate('hi', 'mine')"), '42501', qr/does not hold credential/, 'until it is revoked');
$node->safe_psql('postgres', "SELECT memai.revoke_model('with-stored', 'ann')");
error_is(as('ann', "SELECT memai.generate('hi', 'with-stored')"), '42501', qr/permission denied/, 'a revoked model is not called');
value_is(as('ann', "SELECT string_agg(name, ' ' ORDER BY name) FROM memai.models"), 'local/extract local/hash-384', 'a user sees what he may call');
for my $table (qw(credential credential_grant model model_grant model_default credentials))
{
	error_is(as('ann', "SELECT * FROM memai.$table"), '42501', qr/permission denied/, "a user does not read memai.$table");
}
value_is(as('reader', 'SELECT count(*) FROM memai.credential'), '0', 'AU7 pg_read_all_data reads no key');

# ---- where keys come from ----
for my $case ([ 'env', 'OTHER_TEST_KEY', '22023' ], [ 'env', 'PATH', '22023' ], [ 'env', 'MEMAI_X Y', '22023' ],
	[ 'file', '../x', '22023' ], [ 'file', '/etc/passwd', '22023' ], [ 'file', '.x', '22023' ], [ 'file', '', '22023' ],
	[ 'secret', '', '22023' ], [ 'secret', "a\nb", '22023' ], [ 'secret', "a b", '22023' ], [ 'secret', "a\x{7f}", '22023' ])
{
	my ($source, $value, $state) = @$case;
	error_is(run_sql("SELECT memai.create_credential('bad', 'https://a.example', $source => '$value')"), $state, qr/./,
		"AU10 refused: $source " . ($value =~ s/[^ -~]/?/gr));
}
error_is(run_sql("SELECT memai.create_credential('bad', 'https://a.example', secret => 'a', env => 'MEMAI_A')"), '22023', qr/one source/, 'one source only');
error_is(run_sql("SELECT memai.create_credential('bad', 'https://a.example', secret => 'a', header => E'x:\\ny')"), '22023', qr/header/, 'AU10 header name');
for my $case ([ 'file', 'open', qr/accessible to group/ ], [ 'file', 'link', qr/cannot be opened/ ], [ 'file', 'missing', qr/cannot be opened/ ],
	[ 'file', 'sub', qr/not a regular file/ ], [ 'file', 'empty', qr/empty/ ], [ 'file', 'inject', qr/not printable/ ],
	[ 'env', 'MEMAI_NOT_SET', qr/not set/ ], [ 'env', 'MEMAI_EMPTY_KEY', qr/empty/ ])
{
	my ($source, $value, $pattern) = @$case;
	$node->safe_psql('postgres', "SELECT memai.create_credential('c-$value', '$base/v1', $source => '$value')");
	model_with("m-$value", "c-$value", "$base/v1");
	error_is(run_sql("SELECT memai.generate('hi', 'm-$value')"), 'MA001', $pattern, "a key from $source $value");
}

# ---- rotation ----
$node->safe_psql('postgres', "$quiet SELECT memai.rotate_credential('stored', '$canary-2')");
$stub->reset;
run_sql("SELECT memai.generate('hi', 'with-stored')");
is(($stub->requests)[-1]{headers}{authorization}, "Bearer $canary-2", 'a rotated key is used at once');

# ---- HT13: a redirect carries no key anywhere ----
$node->safe_psql('postgres', "$quiet SELECT memai.create_credential('wide', '$base', secret => '$canary')");
my $target = "$localhost/target";
model_with('redirected', 'wide', $stub->url('redirect', 307, \$target, 'v1'));
$stub->reset;
error_is(run_sql("SELECT memai.generate('hi', 'redirected')"), 'MA000', qr/redirect/, 'HT13 a redirect is an error');
is(scalar(grep { $_->{path} =~ /target/ } $stub->requests), 0, 'HT13 and nobody else gets the key');

# ---- HT11, AU7: a provider that echoes the key ----
model_with('echo', 'wide', $stub->url('echo_key', 'v1'));
my $echo = run_sql("SET memai.model_max_retries = 0; SELECT memai.generate('hi', 'echo')");
error_is($echo, 'MA001', qr/Incorrect API key provided: \[key removed\] ?Masked: \[key removed\]/, 'AU7 an echoed key is removed');
unlike($echo->{stderr}, qr/canary|4f1d|77aa/, 'AU7 also when it is masked');

# ---- AU9: spellings of addresses that must not be reached ----
my @refused_urls = ('http://2130706433', 'http://0x7f000001', 'http://0177.0.0.1', 'http://127.1', 'http://0',
	'http://[0:0:0:0:0:0:0:1]', 'http://127.0.0.1.', 'http://localhost.', 'http://user@127.0.0.1', 'http://a:b@127.0.0.1',
	'http://127.0.0.1#x', 'http://127.0.0.1?x', 'http://127.0.0.1\\@evil.test', "http://127.0.0.1/\ta", "http://127.0.0.1/\r\nX: y",
	'http://%31%32%37.0.0.1', 'file:///etc/passwd', 'gopher://127.0.0.1', 'ftp://127.0.0.1', 'dict://127.0.0.1', '127.0.0.1', '//127.0.0.1',
	'http:127.0.0.1', 'http:///x', 'http://', 'https://', '', ' http://127.0.0.1', 'http://127.0.0.1:0x50', 'http://127.0.0.1:99999', "http://\xc3\xa4.test",
	'http://127.0.0.1 .evil.test', 'http://evil.test/a%2fb', 'http://evil.test/%00', 'javascript:alert(1)', 'http://[fe80::1%25eth0]', 'http://' . 'a' x 3000);
$stub->reset;
for my $url (@refused_urls)
{
	my $sql = $url =~ s/'/''/gr;
	error_is(run_sql("SELECT memai.create_model('ssrf', 'chat', 'openai', 'm', url => E'" . ($sql =~ s/\\/\\\\/gr) . "')"),
		'22023', qr/URL/, 'AU9 refused: ' . substr($url =~ s/[^ -~]/?/gr, 0, 50));
}
# these are URLs, but their addresses are not allowed; https so that only the address decides
my @blocked = map { "https://$_" } (
	'10.0.0.1', '192.168.1.1', '172.16.0.1', '172.31.255.255', '169.254.169.254', '100.64.0.1', '100.100.100.200', '127.0.0.2',
	'0.0.0.0', '224.0.0.1', '255.255.255.255', '240.0.0.1', '198.18.0.1', '192.0.2.1', '[::]', '[::ffff:127.0.0.1]', '[::ffff:169.254.169.254]', '[fd00::1]', '[fe80::1]', '[ff02::1]',
	'[64:ff9b::7f00:1]', '[2002:7f00:1::]', '[fd00:ec2::254]',
	'10-0-0-1.test', '127-0-0-1.test', '169-254-169-254.test', '192-168-0-1.test', '100-64-0-1.test', '0-0-0-0.test');
for my $url (@blocked)
{
	run_sql("SELECT memai.drop_model('blocked')");
	run_sql("SELECT memai.create_model('blocked', 'chat', 'openai', 'm', url => '$url')");
	error_is(run_sql("SET memai.model_max_retries = 0; SET memai.http_connect_timeout = '10s'; SELECT memai.generate('hi', 'blocked')"),
		'42501', qr/address of the provider's host is not allowed/, "AU9 HT3 blocked: $url");
}
# listed hosts may be private, but never link-local
for my $case ([ '127-0-0-1.test', 0 ], [ '169-254-169-254.test', 1 ], [ '0-0-0-0.test', 1 ])
{
	my ($host, $blocked) = @$case;
	run_sql("SELECT memai.drop_model('blocked')");
	run_sql("SELECT memai.create_model('blocked', 'chat', 'openai', 'm', url => 'http://$host:$stub->{port}/v1')");
	my $result = run_sql("SET memai.model_max_retries = 0; SET memai.http_private_hosts = '$host'; SELECT memai.generate('hi', 'blocked')");
	$blocked ? error_is($result, '42501', qr/not allowed/, "AU9 listed but forbidden: $host")
	  : value_is($result, 'echo: hi', "HT3 a listed name is reached at a private address");
}
for my $setting (qw(http_private_hosts http_proxy http_ca_file http_enabled http_max_timeout http_max_response_size credential_directory))
{
	my $result = as('ann', "SELECT memai.new_id() IS NULL; SET memai.$setting = DEFAULT");
	error_is($result, '42501', qr/permission denied to set parameter/, "AU8 a user does not set memai.$setting");
}

# ---- HT15: TLS ----
SKIP:
{
	skip 'openssl is not installed', 4 unless $has_tls;
	my $secure = "https://localhost:$stub->{tls_port}/v1";
	run_sql("SELECT memai.create_model('secure', 'chat', 'openai', 'm', url => '$secure')");
	run_sql("SELECT memai.create_model('wrong-host', 'chat', 'openai', 'm', url => 'https://127.0.0.1:$stub->{tls_port}/v1')");
	error_is(run_sql("SELECT memai.generate('hi', 'secure')"), 'MA000', qr/no trusted connection/, 'HT15 self-signed certificate');
	value_is(run_sql("SET memai.http_ca_file = '$directory/cert.tmp'; SELECT memai.generate('hi', 'secure')"), 'echo: hi', 'HT15 trusted by memai.http_ca_file');
	error_is(run_sql("SET memai.http_ca_file = '$directory/cert.tmp'; SELECT memai.generate('hi', 'wrong-host')"),
		'MA000', qr/no trusted connection/, 'HT15 certificate of another host');
	error_is(run_sql("SELECT memai.create_model('tls-plain', 'chat', 'openai', 'm', url => 'https://127.0.0.1:$stub->{port}/v1'); SELECT memai.generate('hi', 'tls-plain')"),
		'MA000', qr/no trusted connection/, 'HT15 no TLS at all');
}

# ---- AU7: the canaries are nowhere ----
my $sql = join ';', map { "SELECT * FROM $_" } 'memai.credentials', 'memai.models', 'pg_settings', 'pg_stat_activity', 'pg_file_settings', 'pg_db_role_setting',
  "pg_get_functiondef('memai.create_credential'::regproc)";
unlike(run_sql($sql)->{value}, qr/canary/, 'AU7 no key in views and settings');
run_sql("SELECT memai.generate('hi', 'with-$_')") for qw(stored file env);
my ($dump, $err) = ('', '');
IPC::Run::run([ 'pg_dumpall', '-h', $node->host, '-p', $node->port ], '>', \$dump, '2>', \$err);
like($dump, qr/with-stored/, 'a dump holds the models');
ok($dump !~ /canary/, 'AU7 and no key');
unlike($dump, qr/^COPY memai\.(credential|credential_grant) /m, 'AU7 nor the table of keys');
my $log = slurp_file($node->logfile);
like($log, qr/memai\.generate/, 'the log holds the statements');
ok($log !~ /canary/, 'AU7 and no key');

# ---- a dump restores without duplicates ----
$node->safe_psql('postgres', "SELECT memai.set_default_model('chat', 'with-file')");
$node->safe_psql('postgres', 'CREATE DATABASE copy');
IPC::Run::run([ 'pg_dump', '-h', $node->host, '-p', $node->port, 'postgres' ], '>', \$dump, '2>', \$err);
my $path = "$directory/dump.sql";
append_to_file($path, $dump);
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', $node->host, '-p', $node->port, '-d', 'copy', '-f', $path ], 'the dump restores');
my $list = "SELECT string_agg(m::text, ' ' ORDER BY m::text) FROM (SELECT name, provider, url, credential, options, is_default, owner FROM memai.models) m";
is($node->safe_psql('copy', $list), $node->safe_psql('postgres', $list), 'every model is there once, and the default');
$node->stop;

$stub->stop;
done_testing();
