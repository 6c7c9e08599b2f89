# health(): models that are down or slow, breakers, workers, a library of another version.

use strict;
use warnings FATAL => 'all';

use MemAI::Gateway;
use Test::More;

my ($node, $stub) = start_gateway('health', conf => "shared_preload_libraries = 'memai'\nmemai.worker_databases = ''\n");
$node->safe_psql('postgres', 'CREATE ROLE app IN ROLE memai_user; CREATE ROLE admin IN ROLE memai_admin, memai_user');
my $good = chat_model('v1');
my $down = chat_model('status', 500);
my $silent = chat_model('hang');
$node->safe_psql('postgres', "SELECT memai.grant_model(name, 'admin') FROM memai.models WHERE name LIKE 'chat-%'");

value_is(run_sql("SET ROLE admin; SELECT ok, detail FROM memai.health() WHERE component = 'model' AND name = '$down'"), 't|not checked', 'nobody is called unasked');
is(scalar(my @none = $stub->requests), 0, 'not at all');
value_is(run_sql("SET ROLE admin; SET memai.model_max_retries = 0; SET memai.http_call_timeout = '1h'; SELECT name, ok, detail ~ CASE name WHEN '$good' THEN '^answers in' WHEN '$down' THEN '^MA004: ' ELSE '^MA005: ' END
	FROM memai.health(check_models => true) WHERE component = 'model' AND name LIKE 'chat-%' ORDER BY name; SHOW memai.http_call_timeout"),
	"$good|t|t\n$down|f|t\n$silent|f|t\n1h", 'on request each model is called, within five seconds');
value_is(run_sql("SET ROLE admin; SELECT ok, detail, data ->> 'preloaded' FROM memai.health() WHERE component = 'shared memory'"), 't|preloaded|true', 'shared memory');
error_is(run_sql('SET ROLE app; SELECT * FROM memai.health(check_models => true)'), '42501', qr/check_model/, 'only administrators check models');
value_is(run_sql("SET ROLE app; SELECT count(*) FROM memai.health() WHERE NOT ok"), '0', 'others see the rest');

# a breaker that opened
run_sql("SET ROLE admin; SET memai.model_max_retries = 0; SELECT memai.generate('x', '$down')") for 1 .. 10;
like(run_sql("SET ROLE admin; SELECT ok, data ->> 'breaker', detail FROM memai.health() WHERE component = 'model' AND name = '$down'")->{value},
	qr/^f\|open\|rests until .* after MA004$/, 'a model that rests');

# workers
$node->safe_psql('postgres', 'SELECT memai.start_worker(2)');
ok($node->poll_query_until('postgres', "SELECT ok AND detail = '2 running' FROM memai.health() WHERE component = 'worker'"), 'workers');
$node->safe_psql('postgres', 'SELECT memai.stop_worker()');

# objects that are older than the library
$node->safe_psql('postgres', "UPDATE pg_extension SET extversion = '0.0' WHERE extname = 'memai'");
like(run_sql("SET ROLE app; SELECT ok, detail, data ->> 'version', data ->> 'library' = memai.version() FROM memai.health() WHERE component = 'extension'")->{value},
	qr/^f\|extension 0\.0, library .*ALTER EXTENSION memai UPDATE.*\|0\.0\|t$/, 'an extension that was not updated');

$stub->stop;
$node->stop;
done_testing();
