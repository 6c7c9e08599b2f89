# Tools in a chat: functions with the caller's rights, endpoints of administrators,
# the caller's own, confirmation, errors, limits.

use strict;
use warnings FATAL => 'all';

use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use MemAI::Dialogue;
use MemAI::Gateway;
use Test::More;

my ($node, $stub) = start_gateway('tools');
$node->safe_psql('postgres', q{
	CREATE ROLE app IN ROLE memai_user;
	CREATE SCHEMA shop;
	GRANT USAGE ON SCHEMA shop TO app;
	CREATE TABLE shop.stock (sku text, color text, amount integer);
	INSERT INTO shop.stock VALUES ('runner', 'red', 5), ('runner', 'blue', 0), ('boot', 'red', 7);
	CREATE TABLE shop.orders (sku text);
	CREATE TABLE shop.secret AS SELECT 'hidden' AS word;
	GRANT SELECT ON shop.stock TO app;
	GRANT INSERT, SELECT ON shop.orders TO app;
	SET search_path = shop;
	CREATE FUNCTION amounts(sku text, color text DEFAULT NULL) RETURNS TABLE (color text, amount integer)
		LANGUAGE sql STABLE AS 'SELECT s.color, s.amount FROM stock s WHERE s.sku = $1 AND s.color = coalesce($2, s.color) ORDER BY 1';
	CREATE FUNCTION add(a integer, "B b" numeric[]) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1 + sum(x) FROM unnest($2) x';
	CREATE FUNCTION whoami(user_id text, namespace text) RETURNS text LANGUAGE sql STABLE AS 'SELECT concat($1, ''/'', $2, ''/'', current_user)';
	CREATE FUNCTION read_secret() RETURNS text LANGUAGE sql STABLE AS 'SELECT word FROM shop.secret';
	CREATE FUNCTION slow() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(100)';
	CREATE FUNCTION order_shoe(sku text) RETURNS text LANGUAGE sql AS 'INSERT INTO shop.orders VALUES ($1) RETURNING ''ordered '' || orders.sku';
});
my $app = "SET ROLE app; SET memai.user_id = 'ann'; SET search_path = shop;";
my $scripts = 0;

# a model that gives these answers in turn
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
	my ($model, $arguments, $columns) = @_;
	return run_sql("$app SELECT " . ($columns // "content, finish_reason, prompt_tokens, completion_tokens, jsonb_path_query_array(tools_invoked, '\$[*].ok')")
		  . " FROM memai.chat('How many red runners are there?', model => '$model', intent => 'none', $arguments)");
}

# messages of the n-th request
sub messages { my ($n) = @_; return @{ decode_json(($stub->requests)[$n]{body})->{messages} } }

# ---- registration ----

value_is(run_sql(q{SET ROLE app; SET search_path = shop; SELECT memai.register_tool('amounts', 'amounts in stock by color', 'amounts'),
	memai.register_tool('add', 'adds numbers', 'add'), memai.register_tool('whoami', 'who asks', 'whoami'),
	memai.register_tool('read_secret', 'reads', 'read_secret'), memai.register_tool('slow', 'slow', 'slow', timeout_ms => 100),
	memai.register_tool('order_shoe', 'orders', 'order_shoe', needs_confirmation => true)}), '|||||', 'functions are registered');
value_is(run_sql('SET ROLE app; SELECT name, parameters FROM memai.tools WHERE name IN (\'amounts\', \'add\', \'whoami\') ORDER BY 1'),
	'add|{"type": "object", "required": ["a", "B b"], "properties": {"a": {"type": "integer"}, "B b": {"type": "array"}}, "additionalProperties": false}' . "\n"
	. 'amounts|{"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}, "color": {"type": "string"}}, "additionalProperties": false}' . "\n"
	. 'whoami|{"type": "object", "properties": {}, "additionalProperties": false}', 'their schemas are those of the functions');
error_is(run_sql("SET ROLE app; SELECT memai.register_tool('x', 'x', url => 'https://example.com/')"), '42501', qr/memai_admin/, 'a URL is for administrators');
error_is(run_sql("SET ROLE app; INSERT INTO memai.tool (name, description, parameters, search_path, url) VALUES ('x', 'x', '{}', '', 'https://example.com/')"),
	'42501', qr/row-level security/, 'past the function too');
error_is(run_sql("SET ROLE app; SELECT memai.register_tool('x', 'x', function => 'lower(text)')"), '22023', qr/argument without a name/, 'arguments have names');
error_is(run_sql("SET ROLE app; SELECT memai.register_tool('x', 'x', function => 'jsonb_build_object(\"any\")')"), '22023', qr/variadic|without a name/, 'variadic functions are no tools');
error_is(run_sql("SET ROLE app; SELECT memai.register_tool('bad name', 'x', function => 'shop.slow()')"), '22023', qr/1 to 64 letters/, 'names are plain');
error_is(run_sql("SET ROLE app; SELECT memai.register_tool('x', 'x')"), '22023', qr/either a function or a URL/, 'something must be called');

# ---- the loop ----

my $model = scripted(calls([ 'amounts', { sku => 'runner', color => 'red' } ]), says('Five.'));
value_is(chat($model, q{tools => '["amounts", "whoami"]'}), 'Five.|stop|30|7|[true]', 'the model calls a function and answers');
my $first = decode_json(($stub->requests)[0]{body});
is(join(' ', map { $_->{function}{name} } @{ $first->{tools} }), 'amounts whoami', 'it was offered the tools');
is_deeply($first->{tools}[0]{function}{parameters}{required}, ['sku'], 'with their schemas');
my @messages = messages(1);
is($messages[-2]{tool_calls}[0]{function}{name}, 'amounts', 'its call goes back to it');
is($messages[-1]{content}, '[{"color":"red","amount":5}]', 'with the rows');
is($messages[-1]{tool_call_id}, 'call_amounts', 'as the result of that call');
value_is(run_sql("$app SELECT tools_invoked #>> '{0,content}', tools_invoked #>> '{0,arguments,sku}' FROM memai.messages((SELECT thread_id FROM memai.message WHERE tools_invoked <> '[]' ORDER BY id DESC LIMIT 1)) WHERE role = 'assistant'"),
	'[{"color":"red","amount":5}]|runner', 'the message keeps what was invoked');

# several calls in one answer, values of many types, the user's identity
$model = scripted(calls([ 'add', { a => 1, 'B b' => [ 2, 3.5 ] } ], [ 'whoami', {} ]), says('ok'));
value_is(chat($model, q{tools => '["*"]', namespace => 'n'}, q{tools_invoked #>> '{0,content}', tools_invoked #>> '{1,content}'}), '6.5|ann/n/app', 'several calls at once');
$model = scripted(calls([ 'whoami', { user_id => 'bob' } ]), says('ok'));
like(chat($model, q{tools => '["whoami"]'}, q{tools_invoked #>> '{0,ok}', tools_invoked #>> '{0,content}'})->{value}, qr/^false\|error: the arguments of tool "whoami"/, 'a model cannot name another user');

# another wire format
$stub->script('anthropic',
	{ type => 'message', role => 'assistant', stop_reason => 'tool_use', usage => { input_tokens => 7, output_tokens => 3 },
		content => [ { type => 'text', text => 'Let me look.' }, { type => 'tool_use', id => 'toolu_1', name => 'amounts', input => { sku => 'boot' } } ] },
	{ type => 'message', role => 'assistant', stop_reason => 'end_turn', usage => { input_tokens => 9, output_tokens => 1 }, content => [ { type => 'text', text => 'Seven.' } ] });
$node->safe_psql('postgres', "SELECT memai.create_model('claude', 'chat', 'anthropic', 'stub', url => '" . $stub->url('script', 'anthropic') . "'); SELECT memai.grant_model('claude', 'app')");
$stub->reset;
value_is(chat('claude', q{tools => '["amounts"]'}), 'Seven.|stop|16|4|[true]', "Anthropic's format");
is_deeply((messages(1))[-1]{content}[0], { type => 'tool_result', tool_use_id => 'toolu_1', content => '[{"color":"red","amount":7}]' }, 'with the result in its place');

# ---- errors go to the model ----

$model = scripted(calls([ 'amounts', { color => 'red' } ], [ 'amounts', '{"sku": ' ], [ 'amounts', '[]' ], [ 'nothing', {} ], [ 'read_secret', {} ], [ 'slow', {} ],
	[ 'add', { a => "1); DROP TABLE shop.stock; --", 'B b' => [] } ]), says('sorry'));
my $result = chat($model, q{tools => '["amounts", "read_secret", "slow", "add"]'}, q{content, jsonb_path_query_array(tools_invoked, '$[*].ok'), jsonb_path_query_array(tools_invoked, '$[*].content')});
my ($content, $ok, $errors) = split(/\|/, $result->{value} // $result->{stderr}, 3);
is($content, 'sorry', 'the chat goes on');
is($ok, '[false, false, false, false, false, false, false]', 'after calls that failed');
my @errors = @{ decode_json($errors) };
like($errors[0], qr/sku/, 'a missing argument');
like($errors[3], qr/there is no tool "nothing"/, 'a tool that was not offered');
like($errors[4], qr/permission denied for table secret/, "a function runs with the rights of whoever chats");
like($errors[5], qr/tool "slow" took too long/, 'a slow one is stopped');
like($errors[6], qr/schema|invalid input/, 'arguments are values, never SQL');
value_is(run_sql("SELECT count(*) FROM shop.stock"), 3, 'and nothing happened');

# ---- rounds and limits ----

$model = scripted((calls([ 'whoami', {} ])) x 3, says('enough'));
value_is(run_sql("$app SET memai.chat_max_tool_rounds = 3; SELECT content, jsonb_array_length(tools_invoked) FROM memai.chat('go', model => '$model', tools => '[\"whoami\"]')"), 'enough|3', 'after so many rounds');
is(decode_json(($stub->requests)[3]{body})->{tool_choice}, 'none', 'tools are forbidden');
$model = scripted(calls(([ 'whoami', {} ]) x 60), says('enough'));
value_is(chat($model, q{tools => '["whoami"]'}, q{content, jsonb_array_length(tools_invoked), tools_invoked #>> '{59,content}'}), 'enough|60|error: too many calls of tools', 'and so many calls');

# ---- confirmation, and the caller's own tools ----

$model = scripted(calls([ 'order_shoe', { sku => 'boot' } ]), says('never'));
value_is(chat($model, q{tools => '["order_shoe"]'}, q{content, finish_reason, tools_invoked #>> '{0,ok}' IS NULL, tools_invoked #>> '{0,arguments,sku}'}), '|tool_calls|t|boot', 'a call that needs confirmation is handed over');
value_is(run_sql("$app SELECT count(*) FROM orders"), 0, 'and not made');
value_is(run_sql("$app SELECT memai.run_tool('order_shoe', '{\"sku\": \"boot\"}'); SELECT count(*) FROM orders"), "ordered boot\n1", 'until somebody says so');
error_is(run_sql("$app SELECT memai.run_tool('order_shoe', '{}')"), '22023', qr/sku/, 'with arguments that are checked');
$model = scripted(calls([ 'open_door', { angle => 90 } ]), says('never'));
value_is(chat($model, q{tools => '[{"name": "open_door", "description": "opens", "parameters": {"type": "object", "properties": {"angle": {"type": "integer"}}}}]'},
	q{finish_reason, tools_invoked #>> '{0,name}'}), 'tool_calls|open_door', "the caller's own tools are handed over");
$model = scripted(calls([ 'count_it', { sku => 'boot' } ]), says('7'));
$node->safe_psql('postgres', q{CREATE FUNCTION shop.count_it(sku text) RETURNS bigint LANGUAGE sql STABLE SET search_path = shop AS 'SELECT sum(amount) FROM stock s WHERE s.sku = $1'});
value_is(chat($model, q{tools => '[{"name": "count_it", "function": "shop.count_it(text)"}]'}, q{content, tools_invoked #>> '{0,content}'}), '7|7', 'a function that is named in the call');

# ---- HTTP ----

my $hook = $stub->url('body', encode_base64url('{"weather": "rain"}'), 'weather');
my $down = $stub->url('status', 500, 'weather');
$node->safe_psql('postgres', "SELECT memai.create_credential('hook', '" . $stub->url . "', secret => 'sk-tool-secret')");
$node->safe_psql('postgres', "SELECT memai.register_tool('weather', 'the weather', url => '$hook', credential => 'hook', tenant => 'app',
	parameters => '{\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\"}}, \"required\": [\"city\"]}'),
	memai.register_tool('down', 'fails', url => '$down', tenant => 'app')");
$model = scripted(calls([ 'weather', { city => "Lund\r\nX-Evil: 1" } ], [ 'down', {} ]), says('rain'));
value_is(chat($model, q{tools => '["weather", "down"]'}, q{content, tools_invoked #>> '{0,content}', tools_invoked #>> '{1,content}'}),
	'rain|{"weather": "rain"}|error: tool "down" answered with HTTP status 500', 'endpoints are called');
my ($request) = grep { $_->{path} =~ /weather/ && $_->{path} =~ /body/ } $stub->requests;
is_deeply(decode_json($request->{body}), { name => 'weather', arguments => { city => "Lund\r\nX-Evil: 1" }, user_id => 'ann', namespace => 'default' }, 'with what they need to know');
is($request->{headers}{authorization}, 'Bearer sk-tool-secret', 'and the key of whoever registered them');
ok(!exists $request->{headers}{'x-evil'}, 'and no header of the model');
is(scalar(grep { $_->{path} =~ /status/ } $stub->requests), 1, 'once');
value_is(run_sql("SET ROLE app; SELECT count(*) FROM memai.tools WHERE name = 'weather'"), 1, 'they are listed');
error_is(run_sql("SET ROLE app; UPDATE memai.tool SET url = 'https://example.com' WHERE name = 'weather'"), '42501', qr/row-level/, 'and cannot be pointed elsewhere');

# ---- roles, other tenants, intents ----

$node->safe_psql('postgres', "CREATE ROLE clerk IN ROLE memai_user; CREATE ROLE boss; SET ROLE app; SELECT memai.register_tool('amounts', 'amounts', 'shop.amounts', roles => '{boss}')");
error_is(run_sql("$app SELECT memai.run_tool('amounts')"), '42704', qr/there is no tool "amounts"/, 'a tool of other roles');
error_is(run_sql("SET ROLE clerk; SELECT memai.run_tool('whoami', user_id => 'ann')"), '42704', qr/there is no tool/, 'a tool of another tenant');
$node->safe_psql('postgres', "SET ROLE app; SELECT memai.set_intent('me', '{who}', tools => '{whoami}')");
$model = scripted(calls([ 'whoami', {} ]), says('ok'));
value_is(run_sql("$app SELECT intent, tools_invoked #>> '{0,content}' FROM memai.chat('Who am I?', model => '$model')"), 'me|ann/default/app', "an intent's tools are offered");
error_is(run_sql("$app SELECT memai.chat('x', tools => '[\"nobody\"]')"), '42704', qr/there is no tool "nobody"/, 'an unknown name');
error_is(run_sql("$app SELECT memai.chat('x', tools => '[1]')"), '22023', qr/a tool has no valid name/, 'a malformed definition');

$stub->stop;
$node->stop;
done_testing();
