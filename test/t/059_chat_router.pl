# The router of a chat: which memory and which tools a message needs, by rules or by a
# small model; limits of a turn's cost; limits of a user's tokens and requests.

use strict;
use warnings FATAL => 'all';

use JSON::PP;
use MemAI::Clock;
use MemAI::Gateway;
use Test::More;

my ($node, $stub) = start_gateway('router', conf => "shared_preload_libraries = 'memai'\nmemai.worker_databases = ''\n");
$node->safe_psql('postgres', q{
	CREATE ROLE app IN ROLE memai_user;
	CREATE SCHEMA shop AUTHORIZATION app;
	SET ROLE app;
	SET memai.user_id = 'ann';
	SELECT memai.remember('Ann prefers aisle seats');
	SET search_path = shop;
	CREATE FUNCTION price_of(name text) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT 80';
	CREATE FUNCTION weather(city text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''rain''';
	SELECT memai.register_tool('price_of', 'the price of an article', 'price_of'),
		memai.register_tool('get_weather', 'forecasts for a city', 'weather');
	SELECT memai.set_intent('stock', '{stock}', tools => '{get_weather}');
});
my $app = "SET ROLE app; SET memai.user_id = 'ann';";
my $scripts = 0;

sub says { my ($content) = @_; return { choices => [ { index => 0, finish_reason => 'stop', message => { role => 'assistant', content => $content } } ], usage => { prompt_tokens => 1000, completion_tokens => 10 } } }
sub calls
{
	my ($tool, $arguments) = @_;
	return { choices => [ { index => 0, finish_reason => 'tool_calls', message => { role => 'assistant', content => undef,
		tool_calls => [ { id => 'c', type => 'function', function => { name => $tool, arguments => encode_json($arguments) } } ] } } ],
		usage => { prompt_tokens => 1000, completion_tokens => 10 } };
}

sub scripted
{
	my $model = chat_model('script', ++$scripts);
	$stub->script($scripts, @_);
	$node->safe_psql('postgres', "SELECT memai.grant_model('$model', 'app')");
	$stub->reset;
	return $model;
}

sub chat
{
	my ($message, $model, $columns, $arguments) = @_;
	return run_sql("$app SELECT $columns FROM memai.chat(\$\$$message\$\$, model => '$model'" . ($arguments ? ", $arguments" : '') . ')');
}

sub body { my ($n) = @_; return decode_json(($stub->requests)[$n]{body}) }
sub offered { my ($n) = @_; return join(' ', map { $_->{function}{name} } @{ body($n)->{tools} // [] }) }

# ---- rules ----

my $model = scripted(says('ok'));
value_is(chat('What is the price of boots?', $model, 'router', q{intent => 'none'}), '', 'without a router nothing is decided');
is(offered(0), '', 'and no tool is offered that is not named');
$model = scripted(says('ok'));
value_is(chat('What is the price of boots?', $model, "router, cardinality(memory_ids) > 0", q{intent => 'none', router => 'rules'}),
	'{"by": "rules", "tools": ["price_of"], "memory": true, "considered": 2}|t', 'rules choose by words');
is(offered(0), 'price_of', 'and that tool is offered');
$model = scripted(says('ok'));
value_is(chat('Thanks a lot!', $model, "router, memory_ids = '{}'", q{intent => 'none', router => 'rules'}),
	'{"by": "rules", "tools": [], "memory": false, "considered": 2}|t', 'small talk needs no memory');
$model = scripted(says('ok'));
value_is(chat('Is it in stock?', $model, "router -> 'tools', router -> 'considered', intent", q{router => 'rules'}), '[]|1|stock', "an intent's tools are not in question");
is(offered(0), 'get_weather', 'they are offered');
$model = scripted(says('ok'));
value_is(chat('Thanks!', $model, "router -> 'considered'", q{router => 'rules', tools => '["price_of", {"name": "open_door"}]'}), '0', 'nor are named and ad-hoc ones');
is(offered(0), 'price_of open_door', 'they are offered too');
$model = scripted(says('ok'));
value_is(run_sql("$app SET memai.chat_router = 'rules'; SELECT router ->> 'by' FROM memai.chat('Will it rain in that city?', model => '$model', intent => 'none', tools => '[\"*\"]')"), 'rules', 'a setting does it for all chats');
is(offered(0), 'get_weather', 'of all tools those that the words are about');
value_is(run_sql("$app SELECT router, tokens -> 'memories' FROM memai.chat_preview('hello', intent => 'none', router => 'rules')"),
	'{"by": "rules", "tools": [], "memory": false, "considered": 2}|0', 'a preview shows it');
error_is(chat('x', $model, 'router', q{router => 'dice'}), '22023', qr/there is no router "dice"/, 'an unknown router');

# ---- a model ----

my $small = scripted(says('{"memory": false, "tools": ["get_weather", "nothing"]}'), says('{"memory": true}'), says('no JSON'));
$node->safe_psql('postgres', "SELECT memai.set_default_model('chat', '$small', size => 'small')");
$model = chat_model('script', ++$scripts);
$stub->script($scripts, (says('ok')) x 5);
$node->safe_psql('postgres', "SELECT memai.grant_model('$model', 'app')");
value_is(chat('Shall I take an umbrella?', $model, "router, memory_ids = '{}', prompt_tokens, completion_tokens", q{intent => 'none', router => 'model'}),
	qq({"by": "model", "model": "$small", "tools": ["get_weather"], "memory": false, "considered": 2}|t|2000|20), 'a small model chooses, and counts');
is(offered(1), 'get_weather', 'what it chose is offered, and nothing that there is not');
my ($system, $user) = map { $_->{content} } @{ body(0)->{messages} };
like($user, qr/<tools [0-9a-f]{16}>\nget_weather: forecasts for a city\nprice_of: the price of an article\n<.*<message [0-9a-f]{16}>\nShall I take an umbrella\?/s, 'it is shown tools and message as data');
unlike($system, qr/umbrella|weather/, 'not as instructions');
value_is(chat('What is the price?', $model, "router - 'error', router ->> 'error'", q{intent => 'none', router => 'model'}),
	qq({"by": "rules", "tools": ["price_of"], "memory": true, "considered": 2}|MA010: model "$small" did not answer as a router), 'where it fails, rules decide');
value_is(chat('What is the price?', $model, "router ->> 'by', router ->> 'error' ~ 'MA010', content", q{intent => 'none', router => 'model'}), 'rules|t|ok', 'and the chat goes on');

# ---- cost ----

$model = scripted((calls('price_of', { name => 'boot' })) x 3, says('80'));
$node->safe_psql('postgres', qq(SELECT memai.alter_model('$model', options => '{"input_price": 1, "output_price": 0}')));
value_is(chat('How much?', $model, "finish_reason, cost, jsonb_path_query_array(tools_invoked, '\$[*].ok'), tools_invoked #>> '{1,content}'", q{intent => 'none', tools => '["price_of"]', max_cost => 0.0015}),
	'cost_limit|0.002|[true, false]|error: the limit of cost is reached', 'a turn that costs too much ends');
is(scalar(my @all = $stub->requests), 2, 'before another call');
$model = scripted(calls('price_of', { name => 'boot' }), says('80'));
$node->safe_psql('postgres', qq(SELECT memai.alter_model('$model', options => '{"input_price": 1, "output_price": 0}')));
value_is(chat('How much?', $model, 'finish_reason, content, cost', q{intent => 'none', tools => '["price_of"]', max_cost => 1}), 'stop|80|0.002', 'one that does not goes on');
$model = scripted(calls('price_of', { name => 'boot' }), says('80'));
value_is(chat('How much?', $model, 'finish_reason, cost IS NULL', q{intent => 'none', tools => '["price_of"]', max_cost => 1}), 'cost_limit|t', 'a cost that is not known may be too much');
error_is(chat('How much?', $model, 'cost', q{max_cost => -1}), '22023', qr/max_cost is out of range/, 'a cost below nothing');

# ---- limits of a user ----

within_one_day(60);

$model = scripted((says('ok')) x 5);
$node->safe_psql('postgres', "SELECT memai.set_limit(model => '$model', user_id => '*', requests_per_minute => 2)");
my $twice = "SELECT content FROM memai.chat('one', model => '$model', intent => 'none'); SELECT content FROM memai.chat('two', model => '$model', intent => 'none');";
value_is(run_sql("$app SET memai.model_limit_wait = off; $twice"), "ok\nok", 'a user has so many requests a minute');
error_is(run_sql("$app SET memai.model_limit_wait = off; SELECT memai.chat('three', model => '$model', intent => 'none')"), 'MA013', qr/./, 'and no more');
value_is(run_sql("SET ROLE app; SET memai.model_limit_wait = off; SET memai.user_id = 'bob'; SELECT content FROM memai.chat('one', model => '$model', intent => 'none')"), 'ok', 'another user has his own');
$node->safe_psql('postgres', "SELECT memai.set_limit(model => '$model', user_id => '*', daily_tokens => 1500)");
value_is(run_sql("SET ROLE app; SET memai.user_id = 'cid'; SELECT content FROM memai.chat('one', model => '$model', intent => 'none')"), 'ok', 'tokens are limited, too');
like(run_sql("SET ROLE app; SET memai.user_id = 'cid'; SELECT memai.chat('two', model => '$model', intent => 'none', max_tokens => 1000)")->{sqlstate}, qr/^MA01[23]$/, 'by the day');

$stub->stop;
$node->stop;
done_testing();
