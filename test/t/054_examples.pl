# The pages of docs/examples: what they print, and what the models were sent
# meanwhile.  A stub plays the models; their answers stand here.
use strict;
use warnings FATAL => 'all';

use FindBin;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use MemAI::Dialogue;
use MemAI::Documentation;
use MemAI::StubLLM;

my $root = "$FindBin::RealBin/../..";
my $stub = MemAI::StubLLM->new;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# preloaded for the ledger of calls; the pages do their jobs themselves
$node->append_conf('postgresql.conf', "timezone = 'UTC'\nshared_preload_libraries = 'memai'\nmemai.worker_databases = ''\n");
$ENV{MEMAI_OPENAI_KEY} = 'not-a-real-key';
$node->start;

# what the models answer on each page, in turn, and what must hold of what they were sent
my %page = (
	'memory-chat' => [
		[ says('Nice to meet you, Ann. I will keep the peanuts in mind.', 40, 14),
			says('No: you do not eat pork, and satay sauce is made of peanuts.', 120, 18) ],
		sub {
			my ($database, @chats) = @_;
			is(scalar @chats, 2, 'two calls of the model');
			is($chats[1]{model}, 'gpt-4o-mini', 'of the default model');
			is($chats[1]{asked}[0]{role}, 'system', 'instructions come first');
			unlike($chats[1]{asked}[0]{content}, qr/peanuts/, 'what was said is not among them');
			is($chats[1]{asked}[1]{content}, 'Hi, I am Ann. I am allergic to peanuts.', 'the first exchange is in the second call');
			like($chats[1]{asked}[-1]{content}, qr/\A<memories \w+>\n- \S+ Ann does not eat pork\n<\/memories/, 'the memory stands before the message');
			like($chats[1]{asked}[-1]{content}, qr/Can I eat a pork satay skewer\?\z/, 'the message is last');
			is($chats[1]{authorization}, 'Bearer not-a-real-key', 'with the key from the environment');
		} ],
	'assistant' => [
		[ says('Good morning, Ann!', 30, 4), says('Saturday: the forecast is dry.', 45, 8), says('Four blankets, two salads, bread, fruit and lemonade; meet at noon.', 70, 16),
			says('A potato salad without nuts.', 110, 7), (map { says("Noted: $_.", 100, 3) } 1 .. 4),
			calls([ 'create_task', { title => 'Bring the blanket', priority => 'high' } ]), says('It is on your list.', 130, 6),
			says('Come to the park on Saturday at noon, and bring nothing but an appetite.', 15, 17) ],
		sub {
			my ($database, @chats) = @_;
			is(join(' ', map { $_->{model} } @chats[ 0 .. 9 ]), 'gpt-4.1-nano gpt-4.1-mini gpt-4.1 gpt-4.1-mini' . ' gpt-4.1-nano' x 4 . ' gpt-4.1-mini' x 2,
				'each size has its model');
			like($chats[3]{asked}[1]{content}, qr/<preferences \w+>\nanswers: in one short sentence\ndiet: \["vegetarian", "no nuts"\]\n<\/preferences/, 'preferences stood in the prompt');
			unlike($chats[3]{asked}[0]{content}, qr/vegetarian/, 'not among the instructions');
			unlike($chats[2]{asked}[1]{content}, qr/<preferences/, 'and not before they were set');
			is(scalar(grep { $_->{role} eq 'assistant' } @{ $chats[7]{asked} }), 5, 'five exchanges were shown');
			like($chats[7]{asked}[1]{content}, qr/Plan the picnic for six people\.\z/, 'the oldest is the fifth from the end');
			is_deeply([ keys %{ $chats[8]{tools} } ], ['create_task'], 'the tool was offered');
			is_deeply($chats[9]{asked}[-2]{calls}, [ [ 'create_task', { title => 'Bring the blanket', priority => 'high' } ] ], 'its call went back to the model');
			like($chats[9]{asked}[-1]{content}, qr/^[0-9a-f-]{36}$/, 'with the id of the task');
			is(join(' ', map { $_->{model} } grep { $_->{asked}[-1]{content} eq 'Write an invitation to a picnic in the park.' } @chats), 'gpt-4.1', 'the job asked its question once, among the others');
		} ],
	'shop' => [
		[ says('Red in 42 (3 pairs) and blue in 42 (7 pairs).', 90, 12), says('The blue Road Runner costs 79.90 euros.', 130, 10),
			says('You ordered one Road Runner on 1 October.', 110, 9), says('The Road Runner: 3 pairs, 269.70 euros.', 95, 11) ],
		sub {
			my ($database, @chats) = @_;
			my @asked = map { $_->{asked}[-1]{content} } @chats;
			like($chats[0]{asked}[0]{content}, qr/\AYou are the storekeeper\./, 'the instructions of the intent');
			like($asked[0], qr/<business \w+>\nstock: pairs in store\nRoad Runner, blue, size 42: 7 pairs\nRoad Runner, red, size 42: 3 pairs\nTrail King, green, size 42: 1 pairs\n/, 'the rows of its source');
			like($chats[1]{asked}[0]{content}, qr/\AYou are the salesman\./, 'another question, other instructions');
			like($asked[1], qr/prices: prices in euros\n- name: Road Runner, color: blue, price: 79\.90\n/, 'and other rows');
			unlike($asked[1], qr/pairs in store/, 'not those of the first');
			like($asked[2], qr/orders of this customer\n- id: 1, name: Road Runner, amount: 1, ordered: 2026-10-01\n<\/business/, 'the orders of this customer only');
			like($asked[3], qr/- name: Road Runner, pairs: 3, euros: 269\.70\n- name: Trail King, pairs: 1, euros: 129\.00\n/, 'sums for the analyst');
			unlike($_->{asked}[0]{content}, qr/Road Runner/, 'rows are data, not instructions') foreach @chats;
		} ],
	'threads' => [
		[ says('No: the knee has to rest until June.', 60, 11), says('It depends on today: the release is on 3 June.', 70, 12), says('Yes, by train.', 80, 5),
			calls([ 'plan_of', { day => '2026-06-05' } ]), says('Yes, a party.', 90, 4), calls([ 'switch_light', { on => JSON::PP::true } ]), says('A party, and now there is light.', 60, 8),
			{ stream => as_stream('openai', says('You are welcome, Ann.', 75, 6)) } ],
		sub {
			my ($database, @chats) = @_;
			my @system = map { $_->{asked}[0]{content} } @chats;
			my @said = map { $_->{asked}[-1]{content} } @chats;
			like($system[0], qr/\AYou are a physiotherapist\./, 'the instructions of the thread');
			like($said[0], qr/The knee has to rest/, 'the memory of its brain');
			unlike($said[0], qr/release of the app/, 'and of no other');
			is($chats[1]{asked}[1]{role} . ': ' . $chats[1]{asked}[1]{content}, 'assistant: What are we working on?', 'the initial message');
			like($said[1], qr/release of the app/, 'the memory of the other brain');
			like($system[2], qr/\AYou are a cautious doctor\./, 'instructions for one message');
			like($said[2], qr/The knee has to rest/, 'and a brain for one message');
			is($chats[2]{temperature}, 0, 'and a parameter');
			is_deeply([ keys %{ $chats[3]{tools} } ], ['plan_of'], 'a registered tool');
			is($chats[4]{asked}[-1]{content}, '["party"]', 'and its result');
			is_deeply([ sort keys %{ $chats[5]{tools} } ], [qw(plan_of switch_light)], 'beside one of the call');
			is_deeply([ sort keys %{ $chats[6]{tools} } ], [qw(plan_of switch_light)], 'the router offered the tool that the message needs, beside that of the call');
			ok($chats[7]{stream}, 'the last answer was streamed');
		} ],
	'knowledge-bot' => [
		[ says('Up to 40 euros a day.', 80, 7), { status => 429 }, says('30 days a year.', 85, 5), { status => 503 }, says('At six in the morning.', 70, 6) ],
		sub {
			my ($database, @chats) = @_;
			is(join(' ', map { $_->{model} } @chats), 'gpt-4o gpt-4o gpt-4o gpt-4o gpt-4o-mini', 'one answer came from the cache, one after a retry, one from the fallback');
			is($chats[1]{body}, $chats[2]{body}, 'the retry sent the same again');
			like($chats[0]{asked}[1]{content}, qr/Meals are paid up to 40 euros.*Question: What is paid for meals\?\z/s, 'the passage stood in the prompt');
			my @inputs = map { decode_json($_->{body})->{input} } grep { $_->{path} =~ m{/embeddings$} } $stub->requests;
			is(scalar(grep { @$_ > 1 } @inputs), 1, 'one request embedded the chunks');
			is(scalar(grep { @$_ == 5 } @inputs), 1, 'those of both documents');
			is(scalar(grep { $_->[0] =~ /sixty days/ } @inputs), 1, 'the changed one alone');
			ok(!grep({ $_->{asked}[1]{content} =~ /4711/ } @chats), 'nothing of another namespace');
		} ],
);

# requests for chat completions since the last reset
sub chats
{
	return map {
		my ($about, @messages) = asked_of('openai', $_);
		+{ %$about, asked => \@messages, body => $_->{body}, (map { (model => $_->{model}, temperature => $_->{temperature}) } JSON::PP->new->decode($_->{body})), authorization => $_->{headers}{authorization}, path => $_->{path} }
	} grep { $_->{path} =~ m{/chat/completions$} } $stub->requests;
}

foreach my $file (sort glob("$root/docs/examples/*.md"))
{
	my ($name) = $file =~ m{([^/]+)\.md$};
	next if defined $ENV{MEMAI_EXAMPLE} && $name ne $ENV{MEMAI_EXAMPLE};
	ok($page{$name}, "$name has its answers") or next;
	my ($answers, $check) = @{ $page{$name} };
	my $url = $stub->url('script', $name, 'by_words', 'v1');
	$stub->reset;
	$stub->script($name, @$answers);
	my $database = run_page($node, $file, sub { return $_[0] =~ s{https://api\.openai\.com/v1}{$url}gr });
	subtest "$name: what the models were sent" => sub { $check->($database, chats()) };
}

$stub->stop;
$node->stop;
done_testing();
