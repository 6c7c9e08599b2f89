# The faults that HTTP can bring, one model per fault: rows HT1 to HT13 and
# HT22, HT26, HT27 of the catalogue of faults.
use strict;
use warnings;

use lib 'test/perl';
use MemAI::Gateway;
use Test::More;
use Time::HiRes qw(time);

# HT26: the environment's proxy and netrc are not used
$ENV{http_proxy} = $ENV{https_proxy} = $ENV{ALL_PROXY} = 'http://127.0.0.1:1';
my ($node, $stub) = start_gateway('http');

value_is(chat_at([]), 'echo: hi', 'an answer arrives, HT26 proxy environment ignored');
value_is(chat_at(['gzip']), 'echo: hi', 'a compressed answer is read');

my ($request) = grep { $_->{path} =~ m{^/v1/} } $stub->requests;
is($request->{method}, 'POST', 'requests are POST');
is($request->{headers}{'content-type'}, 'application/json', 'requests say they are JSON');
like($request->{headers}{'user-agent'}, qr{^memai/}, 'requests name memai');
is($request->{headers}{expect}, undef, 'no wait for 100-continue');

# HT1
$node->safe_psql('postgres',
	"SELECT memai.create_model('closed', 'chat', 'openai', 'x', url => 'http://127.0.0.1:1/v1')");
error_is(run_sql("SET memai.model_max_retries = 0; SELECT memai.generate('hi', 'closed')"),
	'MA004', qr/cannot be reached.*after 1 attempt/s, 'HT1 connection refused');

# HT4
error_is(chat_at(['truncate']), 'MA008', qr/broke off/, 'HT4 body shorter than announced');
error_is(chat_at(['reset']), 'MA008', qr/broke off/, 'HT4 connection reset');
error_is(chat_at([ 'raw', \"HTTP/1.1 200 OK\r\nContent-Le" ]), 'MA008', qr/broke off/, 'HT4 cut inside the headers');
error_is(chat_at([ 'raw', \"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"cho" ]),
	'MA008', qr/broke off/, 'HT4 cut inside a chunk');

# deadlines: HT4 half-open, HT5 slow; the stub would go on for a minute and more, and
# bounds of time are more than ten times what is expected, for slow machines
for my $mode (qw(hang hang_body trickle))
{
	my $start = time;
	error_is(chat_at([$mode], 'SET memai.http_attempt_timeout = 700'),
		'MA005', qr/in time.*after 1 attempt: .*while (waiting|reading)/s, "HT4 $mode runs into the deadline");
	cmp_ok(time - $start, '<', 20, "HT4 $mode: soon after the deadline");
}
my $slow = time;
error_is(chat_at(['trickle'], 'SET memai.http_low_speed_time = 1'), 'MA005', qr/in time/, 'HT5 slow answer is given up');
cmp_ok(time - $slow, '<', 20, 'HT5 long before the deadline');

# HT6
for my $mode ([ 'gzip_bomb', 200 ], ['endless'])
{
	error_is(chat_at($mode, 'SET memai.http_max_response_size = \'2MB\''),
		'54000', qr/too large/, "HT6 $mode->[0] stops at the size limit");
}

# HT7
error_is(chat_at([ 'many_headers', 100000 ]), '54000', qr/too large/, 'HT7 endless headers');
error_is(chat_at([ 'raw', \"{\"choices\": []}" ]), 'MA010', qr/not HTTP/, 'HT7 no status line');
error_is(chat_at([ 'raw', \"HTTP/1.1 204 No Content\r\n\r\n" ]), 'MA010', qr/JSON is broken/, 'HT7 204');
error_is(chat_at([ 'interim', 20000 ]), '54000', qr/too large/, 'HT7 flood of interim answers');

# HT9 to HT12: what each status means; nothing is retried here
my %class = (
	400 => 'MA006', 401 => 'MA001', 402 => 'MA002', 403 => 'MA001', 404 => 'MA006', 408 => 'MA005',
	409 => 'MA004', 413 => 'MA006', 422 => 'MA006', 429 => 'MA003', 500 => 'MA004', 502 => 'MA004',
	503 => 'MA004', 504 => 'MA004', 529 => 'MA004');
for my $status (sort keys %class)
{
	error_is(chat_at([ 'status', $status ]), $class{$status},
		qr/model "chat-\d+".*HTTP status $status after 1 attempt: stub says $status/s, "HT10-12 status $status");
}
error_is(chat_at([ 'web_page', 503 ]),
	'MA004', qr/status 503 after 1 attempt: <html><body>x{288}$/m, 'HT10 a web page is cut to 300 characters');
error_is(chat_at([ 'error', 500, \'' ]), 'MA004', qr/status 500 after 1 attempt/, 'HT10 empty body');

# HT13: a redirect is an error and its target is never asked
$stub->reset;
for my $status (301, 302, 303, 307, 308)
{
	error_is(chat_at([ 'redirect', $status, \$stub->url('target') ]),
		'MA000', qr/redirects.*status $status/s, "HT13 $status is not followed");
}
is(scalar(grep { $_->{path} =~ /target/ } $stub->requests), 0, 'HT13 the target saw no request');

# HT22: encodings
value_is(chat_at([ 'body', \'{"choices":[{"message":{"content":"\u00e4\ud83d\ude00\u0000x"}}]}' ]),
	"\xc3\xa4\xf0\x9f\x98\x80\xef\xbf\xbdx", 'HT22 JS1 escapes are decoded, NUL becomes U+FFFD');
error_is(chat_at([ 'body', \"{\"choices\":[{\"message\":{\"content\":\"\xff\xfe\"}}]}" ]),
	'MA010', qr/JSON is broken/, 'HT22 invalid UTF-8 is refused');
error_is(chat_at([ 'body', \"\xff\xfe{\0}\0" ]), 'MA010', qr/JSON is broken/, 'HT22 UTF-16 is refused');

# HT27: the postmaster stays single-threaded
my $pid = (split /\n/, PostgreSQL::Test::Utils::slurp_file($node->data_dir . '/postmaster.pid'))[0];
opendir(my $tasks, "/proc/$pid/task");
is(scalar(grep { /^\d/ } readdir $tasks), 1, 'HT27 the postmaster has one thread');

# settings
error_is(run_sql("SET memai.http_enabled = off; SELECT memai.generate('hi', 'chat-1')"),
	'55000', qr/switched off/, 'calls can be switched off');
error_is(run_sql("SELECT memai.new_id(); SET memai.http_private_hosts = 'a b, [::1'"), '22023', qr/http_private_hosts/, 'a malformed list of hosts');
error_is(run_sql("SET memai.http_private_hosts = ''; SELECT memai.generate('hi', 'chat-1')"),
	'42501', qr/must be encrypted/, 'plain http needs a listed host');
my $ceiling = time;
error_is(chat_at(['hang'], "SET memai.http_max_timeout = 300; SET memai.http_attempt_timeout = '1h'; SET memai.http_call_timeout = '1h'"),
	'MA005', qr/in time/, 'the ceiling limits what a session asks for');
cmp_ok(time - $ceiling, '<', 20, 'and is kept');

# connections are reused within a session
$stub->reset;
$node->safe_psql('postgres', "SELECT memai.generate('hi', 'chat-1') FROM generate_series(1, 5)");
my %peers = map { $_->{peer} => 1 } $stub->requests;
is(scalar(keys %peers), 1, 'five calls share one connection');

$node->stop;
$stub->stop;
done_testing();
