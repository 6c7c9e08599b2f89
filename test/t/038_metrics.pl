# memai.metrics() as Prometheus reads it: its own checker finds nothing wrong,
# a server scrapes it, and every query of the dashboard finds its metrics there
# with the values of the ledger.  Needs Debian's package prometheus for that.
use strict;
use warnings;

use lib 'test/perl';
use File::Temp qw(tempdir);
use FindBin;
use IPC::Run;
use IO::Socket::INET;
use JSON::PP;
use MemAI::Gateway;
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my ($node, $stub) = start_gateway('metrics',
	conf => "shared_preload_libraries = 'memai'\nmemai.worker_databases = ''\nmemai.http_private_hosts = '127.0.0.1'\n");

sub sql { return $node->safe_psql('postgres', $_[0]) }

# value of the only sample whose name and labels match
sub sample
{
	my ($metrics, $pattern) = @_;
	my @values = $metrics =~ /^$pattern (\S+)$/mg;
	return @values == 1 ? $values[0] : scalar(@values) . " samples of $pattern";
}

my $model = chat_model();
my $failing = chat_model('status', 400);
sql("SELECT memai.alter_model('$model', options => '{\"input_price\": 1000000, \"output_price\": 0}')");
sql("SELECT memai.generate('one two', '$model') FROM generate_series(1, 5)");
run_sql("SELECT memai.generate('hi', '$failing')") for 1 .. 3;
sql("BEGIN; SELECT memai.generate('one two', '$model'); ROLLBACK");
sql("SELECT memai.embed('in the server') FROM generate_series(1, 7)");
sql(q{CREATE ROLE "we""ird\\name" LOGIN IN ROLE memai_user; SELECT memai.grant_model('} . $model . q{', 'we"ird\\name')});
sql(qq{SET ROLE "we""ird\\name"; SELECT memai.generate('one', '$model')});
sql("SELECT memai.submit_job('custom', user_id => 'ann')");

my $metrics = sql('SELECT memai.metrics()') . "\n";
my $me = sql('SELECT current_user');
is(sample($metrics, qr/memai_calls_total\{model="$model",operation="complete",role="$me"\}/), 6, 'calls, also of a transaction that rolled back');
is(sample($metrics, qr/memai_calls_total\{model="$model",operation="complete",role="we\\"ird\\\\name"\}/), 1, 'of a role with a strange name');
is(sample($metrics, qr/memai_errors_total\{model="$failing",operation="complete",role="$me",sqlstate="MA006"\}/), 3, 'errors by code');
is(sample($metrics, qr/memai_calls_total\{model="local\/hash-384",operation="embed",role="$me"\}/), 7, 'calls in the server');
is(sample($metrics, qr/memai_tokens_total\{model="$model",role="$me",direction="prompt"\}/), 12, 'tokens');
is(sample($metrics, qr/memai_cost_total\{model="$model",role="$me"\}/), 12, 'cost');
is(sample($metrics, qr/memai_call_duration_seconds_count\{model="$model",operation="complete"\}/), 7, 'latencies');
is(sample($metrics, qr/memai_call_duration_seconds_bucket\{model="$model",operation="complete",le="\+Inf"\}/), 7, 'in buckets that add up');
is(sample($metrics, qr/memai_jobs\{status="waiting"\}/), 1, 'jobs');
is(sample($metrics, qr/memai_preloaded/), 1, 'preloaded');
my @buckets = $metrics =~ /^memai_call_duration_seconds_bucket\{model="$model",operation="complete",le="[^"]+"\} (\d+)$/mg;
is(join(' ', @buckets), join(' ', sort { $a <=> $b } @buckets), 'buckets are cumulative, in order');

sql('CREATE ROLE watcher LOGIN IN ROLE pg_monitor; CREATE ROLE passer_by LOGIN');
like(sql('SET ROLE watcher; SELECT memai.metrics()'), qr/memai_calls_total/, 'a monitoring role reads them');
error_is(run_sql('SET ROLE passer_by; SELECT memai.metrics()'), '42501', qr/permission denied/, 'others do not');

# ---- the dashboard names what there is ----

my $dashboard = decode_json(slurp_file("$FindBin::RealBin/../demo/grafana-dashboard.json"));
my @queries = map { map { $_->{expr} } @{ $_->{targets} } } @{ $dashboard->{panels} };
my %emitted = map { $_ => 1 } $metrics =~ /^(memai_\w+)/mg;
my %described = map { $_ => 1 } $metrics =~ /^# TYPE (\w+)/mg;
# there is no vector index in this database
$emitted{memai_index_bytes} = 1;
cmp_ok(scalar @queries, '>', 10, 'the dashboard has queries');
my %asked;
for my $query (@queries)
{
	$asked{$_} = 1 for $query =~ /\b(memai_\w+)/g;
}
is(join(' ', grep { !$emitted{$_} } sort keys %asked), '', 'every metric that the dashboard asks for is there');
is(join(' ', grep { my $family = $_; !grep { /^$family/ } keys %asked } sort keys %described), '', 'and it shows every one');

# ---- Prometheus ----

sub have
{
	return IPC::Run::run([ 'sh', '-c', "command -v $_[0]" ], '>', \my $out, '2>', \my $err);
}

sub http_get
{
	my ($port, $path) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or return;
	print $socket "GET $path HTTP/1.0\r\n\r\n";
	local $/;
	my $answer = <$socket> // '';
	$answer =~ s/^(.*?)\r\n\r\n//s or return;
	return $1 =~ /^HTTP\S+ 200/ ? $answer : undef;
}

sub escaped
{
	my ($text) = @_;
	$text =~ s/([^A-Za-z0-9_])/sprintf('%%%02X', ord $1)/ge;
	return $text;
}

SKIP:
{
	skip 'the package prometheus is not installed (promtool)', 1 unless have('promtool');
	my ($out, $err) = ('', '');
	ok(IPC::Run::run([ 'promtool', 'check', 'metrics' ], '<', \$metrics, '>', \$out, '2>', \$err), 'promtool finds nothing wrong')
	  or diag($err);
}

SKIP:
{
	skip 'the package prometheus is not installed', 1 unless have('prometheus');
	my $dir = tempdir(CLEANUP => 1);
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $path = 'body/' . encode_base64url($metrics);
	append_to_file("$dir/prometheus.yml", <<"END");
scrape_configs:
  - job_name: memai
    scrape_interval: 500ms
    scrape_timeout: 500ms
    metrics_path: /header/Content-Type/@{[encode_base64url('text/plain')]}/$path
    static_configs:
      - targets: ['127.0.0.1:$stub->{port}']
END
	my $log = "$dir/log";
	my $prometheus = IPC::Run::start([ 'prometheus', "--config.file=$dir/prometheus.yml", "--storage.tsdb.path=$dir/data",
			"--web.listen-address=127.0.0.1:$port" ], '>', $log, '2>&1');
	# again while there is no result: it starts slowly, and a scrape that takes too long
	# on a busy machine hides what the ones before it found
	my $query = sub {
		my ($text, $least) = @_;
		my $result = [];
		for (1 .. 300)
		{
			my $answer = http_get($port, '/api/v1/query?query=' . escaped($text));
			$result = eval { decode_json($answer)->{data}{result} } // [];
			last if @$result && (!$least || $result->[0]{value}[1] >= $least);
			sleep 0.2;
		}
		return $result;
	};
	ok(@{ $query->('count_over_time(memai_preloaded[1m])', 3) }, 'Prometheus scrapes the metrics') or diag(slurp_file($log));
	is($query->("sum(memai_calls_total{model=\"$model\"})")->[0]{value}[1], 7, 'and has the values of the ledger');
	is($query->('count(memai_calls_total{role="we\"ird\\\\name"})')->[0]{value}[1], 1, 'a strange name is one label');
	my @bad;
	for my $text (@queries)
	{
		my $range = $text =~ s/\$__rate_interval/1m/gr;
		push @bad, $text unless $text =~ /memai_index_bytes/ || @{ $query->($range) };
	}
	is(join("\n", @bad), '', 'every query of the dashboard has a result');
	$prometheus->signal('TERM');
	$prometheus->finish;
}

# ---- without preload they come from the ledger ----

sql('SELECT memai.flush_usage()');
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
my $plain = sql('SELECT memai.metrics()') . "\n";
is(sample($plain, qr/memai_preloaded/), 0, 'not preloaded');
for my $pattern (qr/memai_calls_total\{model="$model",operation="complete",role="$me"\}/,
	qr/memai_errors_total\{model="$failing",operation="complete",role="$me",sqlstate="MA006"\}/,
	qr/memai_tokens_total\{model="$model",role="$me",direction="completion"\}/,
	qr/memai_call_duration_seconds_count\{model="$model",operation="complete"\}/,
	qr/memai_call_duration_seconds_bucket\{model="$model",operation="complete",le="0.005"\}/)
{
	is(sample($plain, $pattern), sample($metrics, $pattern), "the same from the ledger: $pattern");
}

$stub->stop;
$node->stop;
done_testing();
