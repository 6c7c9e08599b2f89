# Models of provider static: vectors and token counts as an independent reading
# of the same files gives them, the reference library's vectors, files that are
# not safe or not whole, and files that change under a running backend.
use strict;
use warnings;

use lib 'test/perl';
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use MemAI::Session;
use PostgreSQL::Test::Cluster;
use Test::More;

my $data = $ENV{MEMAI_DATA} // '../shared/data';
my $models = tempdir(CLEANUP => 1);
my $json = JSON::PP->new->utf8->allow_nonref;
system('python3', 'test/stub/static_reference.py', 'make', $models) == 0 or die 'no models';
chmod 0755, $models;

my $node = PostgreSQL::Test::Cluster->new('static');
$node->init;
$node->append_conf('postgresql.conf', "memai.model_directory = '$models'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION memai');

my $session = MemAI::Session->new($node);
$session->query('SET client_encoding = UTF8');

sub quoted { my ($text) = @_; $text =~ s/'/''/g; utf8::encode($text); return "'$text'" }
sub create { my ($name) = @_; return $session->query("SELECT memai.create_model('$name', 'embed', 'static', '$name')") }

# how many of the elements differ by more than 1e-5, relatively
sub differing
{
	my ($got, $expected) = @_;
	return -1 if @$got != @$expected;
	return scalar grep { abs($got->[$_] - $expected->[$_]) > 1e-5 * (abs($expected->[$_]) + 1e-2) } 0 .. $#$expected;
}

# ---- the same vectors and counts as an independent reading ----
my @names = sort map { s{.*/}{}r } glob "$models/*";
if (-d "$data/static_models")
{
	for my $name (qw(float32 int8 vocab-quantized))
	{
		make_path("$models/$name");
		copy("$data/static_models/$name/$_", "$models/$name/$_") or die for qw(config.json tokenizer.json model.safetensors);
		push @names, $name;
	}
}
for my $name (@names)
{
	is(create($name), '', "$name is registered");
	open(my $expected, '-|', 'python3', 'test/stub/static_reference.py', 'expect', "$models/$name") or die;
	my ($wrong, $miscounted, $n) = ('', '', 0);
	while (my $line = <$expected>)
	{
		my $case = $json->decode($line);
		my $text = quoted($case->{text});
		$text = "E$text" if $text =~ s/([\t\r\n])/sprintf('\\%03o', ord $1)/ge;
		my ($vector, $tokens) = split(/\|/, $session->query("SELECT memai.embed($text, '$name'), memai.count_tokens($text, '$name')"), 2);
		$wrong .= " [$text: $vector]" if differing($json->decode($vector), $case->{vector}) != 0;
		$miscounted .= " [$text: $tokens, not $case->{tokens}]" if $tokens ne $case->{tokens};
		$n++;
	}
	close $expected or die 'the independent reading failed';
	is($wrong, '', "$name: vectors of $n texts");
	is($miscounted, '', "$name: tokens of $n texts");
}

SKIP:
{
	skip "no static models in $data", 3 unless -d "$data/static_models";
	my $long = "repeat('hello ', 999) || 'hello'";
	for my $case ([ 'short', 'float32', "'hello world'" ], [ 'long', 'float32', $long ], [ 'vocab_quantized', 'vocab-quantized', $long ])
	{
		my ($file, $model, $text) = @$case;
		open(my $in, '<', "$data/static_models/embeddings_$file.json") or die;
		my $expected = $json->decode(do { local $/; <$in> });
		my $got = $json->decode($session->query("SELECT memai.embed($text, '$model')"));
		my $worst = 0;
		for my $i (0 .. $#{ $expected->[0] })
		{
			my $error = abs($got->[$i] - $expected->[0][$i]) / abs($expected->[0][$i]);
			$worst = $error if $error > $worst;
		}
		cmp_ok($worst, '<', 1e-5, "the reference library's vector, $file: largest relative difference " . sprintf('%.1e', $worst));
	}
}

# a long text is counted in blocks, and cut for its vector
is($session->query(q{SELECT memai.count_tokens(repeat('hello world! ', 20000), 'wordpiece'), memai.count_tokens(repeat('hello world! ', 20000), 'unigram')}),
	'60000|60000', 'tokens of 260 kB');
is($session->query(q{SELECT memai.embed(repeat('hello ', 512) || repeat('cat ', 5000), 'wordpiece') <-> memai.embed('hello', 'wordpiece') < 1e-5}),
	't', 'what follows the first 512 tokens does not count');
is($session->query(q{SELECT array_agg(v::text ORDER BY o) = array_agg(memai.embed(t, 'unigram')::text ORDER BY o) FROM unnest(ARRAY['hello', 'cat', 'hello world', '']) WITH ORDINALITY AS x (t, o) JOIN unnest(memai.embed(ARRAY['hello', 'cat', 'hello world', ''], 'unigram')) WITH ORDINALITY AS y (v, o2) ON o = o2}),
	't', 'an array gives the same vectors in its order');

# ---- names and files that are refused ----
sub refused
{
	my ($name, $pattern, $test) = @_;
	like($session->query("SELECT memai.create_model('refused', 'embed', 'static', '$name')"), qr/ERROR:  $pattern/, $test);
	return;
}
refused($_, '22023: this names no model', "the name $_") for '../static', '/etc', 'a//b', 'a/../b', '.hidden', 'a b', 'wordpiece/', 'a/.b';
refused('missing', '58P01: could not open "missing"', 'no such directory');
symlink("$models/wordpiece", "$models/link");
refused('link', '(42501|58P01|58030): could not open "link"', 'a symbolic link to a directory');
sub spoil
{
	my ($name, %option) = @_;
	make_path("$models/$name");
	if ($name ne 'wordpiece')
	{
		copy("$models/wordpiece/$_", "$models/$name/$_") or die for qw(config.json tokenizer.json model.safetensors);
	}
	for my $file (keys %option)
	{
		open(my $out, '>:raw', "$models/$name/$file") or die;
		print $out $option{$file};
		close $out;
	}
	return "$models/$name";
}
my $path = spoil('linked');
unlink "$path/model.safetensors";
symlink("$models/wordpiece/model.safetensors", "$path/model.safetensors");
refused('linked', '(42501|58030): could not open "model.safetensors"', 'a symbolic link to a file');
$path = spoil('writable');
chmod 0666, "$path/tokenizer.json";
refused('writable', '42501: "tokenizer.json" of static model "writable" is not safe', 'a file that others may write');
chmod 0644, "$path/tokenizer.json";
chmod 0777, $path;
refused('writable', '42501: "writable" of static model "writable" is not safe', 'a directory that others may write');
$path = spoil('fifo');
unlink "$path/config.json";
system('mkfifo', '-m', '600', "$path/config.json");
refused('fifo', '42501: "config.json"', 'a pipe instead of a file');
$path = spoil('incomplete');
unlink "$path/tokenizer.json";
refused('incomplete', '58P01: could not open "tokenizer.json"', 'a missing file');

sub slurp { my ($file) = @_; open(my $in, '<:raw', $file) or die; local $/; return <$in> }
my $tensors = slurp("$models/wordpiece/model.safetensors");
my $tokenizer = slurp("$models/wordpiece/tokenizer.json");
sub tensors_with { my ($head, $rest) = @_; return pack('Q<', length $head) . $head . ($rest // '') }
my %bad_tensors = (
	'an empty file' => '', 'a short file' => 'abc', 'a head longer than the file' => pack('Q<', 1 << 40) . '{}',
	'a head that is no JSON' => tensors_with('{"embeddings":'), 'no tensors' => tensors_with('{}'), 'a cut file' => substr($tensors, 0, -1),
	'an extent outside' => tensors_with('{"embeddings":{"dtype":"F32","shape":[33,3],"data_offsets":[396,792]}}', 'x' x 400),
	'an extent backwards' => tensors_with('{"embeddings":{"dtype":"F32","shape":[33,3],"data_offsets":[8,4]}}', 'x' x 400),
	'sizes whose product overflows' => tensors_with('{"embeddings":{"dtype":"F32","shape":[4611686018427387905,4],"data_offsets":[0,16]}}', 'x' x 16),
	'a negative size' => tensors_with('{"embeddings":{"dtype":"F32","shape":[-33,-3],"data_offsets":[0,396]}}', 'x' x 396),
	'three dimensions' => tensors_with('{"embeddings":{"dtype":"F32","shape":[33,3,1],"data_offsets":[0,396]}}', 'x' x 396),
	'another type' => tensors_with('{"embeddings":{"dtype":"U16","shape":[33,3],"data_offsets":[0,198]}}', 'x' x 198),
	'a mapping to no row' => tensors_with('{"embeddings":{"dtype":"I8","shape":[33,1],"data_offsets":[0,33]},"mapping":{"dtype":"I32","shape":[33],"data_offsets":[33,165]}}', ('x' x 33) . pack('l<33', (33) x 33)),
	'a weight that is no number' => tensors_with('{"embeddings":{"dtype":"I8","shape":[33,1],"data_offsets":[0,33]},"weights":{"dtype":"F32","shape":[33],"data_offsets":[33,165]}}', ('x' x 33) . ("\xff" x 132)),
	'fewer rows than tokens' => tensors_with('{"embeddings":{"dtype":"F32","shape":[32,3],"data_offsets":[0,384]}}', "\0" x 384));
for my $case (sort keys %bad_tensors)
{
	spoil('bad', 'model.safetensors' => $bad_tensors{$case});
	refused('bad', '22000: "model.safetensors" of static model "bad" cannot be used: ', "model.safetensors: $case");
}
my %bad_tokenizers = (
	'empty' => '', 'no JSON' => '{"model":', 'no vocabulary' => '{"model":{"type":"WordPiece"}}', 'deep' => '[' x 100000,
	'another kind' => $tokenizer =~ s/"WordPiece"/"BPE"/r, 'another normalizer' => $tokenizer =~ s/BertNormalizer/Precompiled/r,
	'another pre-tokenizer' => $tokenizer =~ s/BertPreTokenizer/ByteLevel/r, 'no unknown token' => $tokenizer =~ s/"unk_token": "\[UNK\]"/"unk_token": "[X]"/r,
	'a token beyond all' => $tokenizer =~ s/"hello": 2/"hello": 4194304/r, 'a negative token' => $tokenizer =~ s/"hello": 2/"hello": -2/r,
	'a token with NUL' => $tokenizer =~ s/"hello": 2/"he\\u0000llo": 2/r, 'added tokens of the normalized text' => $tokenizer =~ s/"normalized": false/"normalized": true/r);
for my $case (sort keys %bad_tokenizers)
{
	spoil('bad', 'tokenizer.json' => $bad_tokenizers{$case});
	refused('bad', '22000: "tokenizer.json" of static model "bad" cannot be used: ', "tokenizer.json: $case");
}

# ---- character maps: broken ones are refused, hostile ones are survived ----
my $mapped = slurp("$models/precompiled/tokenizer.json");
sub tokenizer_with { my ($map) = @_; return $mapped =~ s/("precompiled_charsmap": )"[^"]*"/$1"$map"/r }
my %bad_maps = (
	'nothing' => '', 'no base64' => 'AAAA*AAA', 'cut base64' => 'AAAAAAA', 'a length alone' => encode_base64(pack('V', 4), ''),
	'no tree' => encode_base64(pack('Va8', 0, 'a'), ''), 'a tree longer than all' => encode_base64(pack('VV', 1000, 0), ''),
	'a tree of 4 GB' => encode_base64(pack('VV', 0xffffffff, 0), ''), 'texts that are no UTF-8' => encode_base64(pack('VVa*', 4, 0, "\xff"), ''));
for my $case (sort keys %bad_maps)
{
	spoil('bad', 'tokenizer.json' => tokenizer_with($bad_maps{$case}));
	refused('bad', '22000: "tokenizer.json" of static model "bad" cannot be used: ', "character map: $case");
}
# every unit leads somewhere, for the letters of the text: round in a circle, outside, to values of no text
my %hostile = (
	'a circle' => sub { 0x100 | $_[0] & 0xff }, 'far outside' => sub { 0x7ffffe00 | $_[0] & 0xff },
	'values of no text' => sub { $_[0] == 0 ? 1 << 10 : 0x80000000 | $_[0] }, 'values inside a character' => sub { 0x500 | ($_[0] ^ 1) & 0xff },
	'ones' => sub { 0xffffffff }, 'nothing' => sub { 0 });
my $n_hostile = 0;
for my $case (sort keys %hostile)
{
	my $name = 'hostile-' . ++$n_hostile;
	my $map = pack('V', 1024) . pack('V*', map { $hostile{$case}->($_) } 0 .. 255) . "\xc3\xa4\0ab";
	spoil($name, 'tokenizer.json' => tokenizer_with(encode_base64($map, '')), map { $_ => slurp("$models/precompiled/$_") } qw(model.safetensors config.json));
	is(create($name), '', "a map that leads to $case");
	is($session->query("SELECT memai.embed('the quick brown fox, \xc3\xa4\xcc\x81 0123456789', '$name') IS NOT NULL"), 't', 'is survived');
}
spoil('bad', 'config.json' => 'no');
refused('bad', '22000: "config.json" of static model "bad" cannot be used: ', 'config.json that is no JSON');
is($session->query(q{SELECT memai.embed('hello', 'wordpiece') IS NOT NULL}), 't', 'the backend still works');

# ---- files that change under a running backend ----
my $before = $session->query(q{SELECT memai.embed('hello', 'wordpiece')});
my $other = MemAI::Session->new($node);
is($other->query(q{SELECT memai.embed('hello', 'wordpiece')}), $before, 'another backend maps the same image');
my $maps = sub { my ($pid) = @_; return { map { /r--s\S* \S+ \S+ (\d+) .*pgsql_tmp_memai_static/ ? ($1 => 1) : () } split(/\n/, slurp("/proc/$pid/maps")) } };
SKIP:
{
	skip 'needs /proc', 1 unless -d '/proc/self';
	my ($image) = keys %{ $maps->($other->{backend}) };
	ok($maps->($session->{backend})->{ $image // '' }, 'read-only and shared');
}
truncate("$models/wordpiece/model.safetensors", 100);
like($other->query(q{SELECT memai.embed('hello', 'wordpiece')}), qr/ERROR:  22000: "model.safetensors"/, 'a truncated file is an error and no crash');
spoil('wordpiece', 'model.safetensors' => $tensors);
is($other->query(q{SELECT memai.embed('hello', 'wordpiece')}), $before, 'a file that is whole again serves again');
my $changed = $tensors;
substr($changed, -4 * 99, 4 * 99) = pack('f<99', map { cos } 1 .. 99);
open(my $new, '>:raw', "$models/wordpiece/new") or die;
print $new $changed;
close $new;
rename "$models/wordpiece/new", "$models/wordpiece/model.safetensors";
isnt($session->query(q{SELECT memai.embed('hello', 'wordpiece')}), $before, 'a replaced file is noticed at the next call');
is($other->query(q{SELECT memai.embed('hello', 'wordpiece')}), $session->query(q{SELECT memai.embed('hello', 'wordpiece')}), 'by every backend');
spoil('wordpiece', 'model.safetensors' => tensors_with('{"embeddings":{"dtype":"F32","shape":[33,4],"data_offsets":[0,528]}}', "\0" x 528));
like($session->query(q{SELECT memai.embed('hello', 'wordpiece')}), qr/ERROR:  55000: the files of model "wordpiece" are of another model now/, 'another number of dimensions');

# ---- who may ----
$node->safe_psql('postgres', 'CREATE ROLE app IN ROLE memai_user');
like($session->query(q{SET ROLE app; SET memai.model_directory = '/tmp'}), qr/42501/, 'the directory is for superusers to set');
like($session->query(q{SELECT memai.embed('x', 'unigram')}), qr/42501: permission denied for model/, 'a model must be granted');
$session->query(q{RESET ROLE; SELECT memai.grant_model('unigram', 'app'); SET ROLE app});
is($session->query(q{SELECT memai.embed('hello', 'unigram') IS NOT NULL}), 't', 'and is then used without any right on files');
$session->query('RESET ROLE');

# the images are temporary files: a restart removes them, and they are made again
$session->close;
$other->close;
$node->restart;
is(scalar(() = glob $node->data_dir . '/base/pgsql_tmp/pgsql_tmp_memai_static_*'), 0, 'a restart leaves no image');
is($node->safe_psql('postgres', q{SELECT memai.embed('hello', 'unigram') IS NOT NULL}), 't', 'which is made again when needed');

$node->stop;
done_testing();
