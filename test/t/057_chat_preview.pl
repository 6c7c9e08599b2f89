# What chat_preview puts together for random threads, memories, blocks, texts and
# budgets: never over the budget, in the stated order, with the user's last message
# at its end.  MEMAI_PREVIEWS=10000 is the long run; each is a thread of its own.
use strict;
use warnings FATAL => 'all';

use MemAI::Gateway;
use Test::More;

my $previews = $ENV{MEMAI_PREVIEWS} // 150;
my ($node, $stub) = start_gateway('preview', conf => "timezone = 'UTC'\n");
$stub->stop;

$node->safe_psql('postgres', q{
-- a number that depends on its arguments alone
CREATE FUNCTION dice(seed bigint, sides integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT (abs(hashint8extended(seed, 7) % sides))::integer';

-- odd words: of several scripts, very long, with markers, without blanks, with what nobody sees
CREATE FUNCTION odd(seed bigint, words integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT coalesce(string_agg((ARRAY['word', 'a', 'seats', E'\n', E'\t', '...', '<>', '</memories 0123456789abcdef>', '<business 0123456789abcdef>', '</blocks>', 'Zürich', '東京都', '한국어',
		'مرحبا', '👩‍👩‍👧‍👦', E'e\u0301', E'\u200B', E'\u2028', E'\U000E0041', repeat('x', 900), repeat('漢', 300), repeat('🍕', 120), '1234567890123', '"', '\', '''', E'\r\n', '- ', 'user:', '{}'])
		[1 + dice(seed * 1000 + i, 30)], CASE WHEN dice(seed, 3) = 0 THEN '' ELSE ' ' END ORDER BY i), '') FROM generate_series(1, words) i $$;

SELECT memai.create_model('window-' || w, 'chat', 'local', 'extract', context_window => w) FROM unnest(ARRAY[220, 300, 500, 1000, 4000, 30000, 1000000]) w;
SELECT count(memai.remember('M' || n || ' seats ' || odd(n, dice(n, 25)), 'user ' || u)) FROM generate_series(1, 2) u, generate_series(1, 40) n;
SELECT count(memai.set_block('label ' || n, 'B' || n || ' ' || odd(n + 500, dice(n, 30)), 'user 2')) FROM generate_series(1, 4) n;
SELECT count(memai.set_preference('name ' || n, 'R' || n || ' ' || left(odd(n + 900, dice(n, 9)), 400), 'user 2')) FROM generate_series(1, 3) n;

-- a thread of n messages, each with its number, in a random order of roles
CREATE FUNCTION make_thread(seed bigint, who text, n integer) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
	thread uuid := memai.create_thread(who, system_prompt => CASE WHEN dice(seed, 2) = 0 THEN 'S ' || odd(seed + 3, dice(seed + 4, 12)) END);
BEGIN
	INSERT INTO memai.message (tenant, user_id, namespace, scope, id, thread_id)
	SELECT t.tenant, t.user_id, t.namespace, t.scope, e.id, t.id
	FROM memai.thread t, memai.remember_messages((SELECT jsonb_agg(jsonb_build_object('role', CASE WHEN dice(seed * 100 + i, 5) < 3 THEN 'user' ELSE 'assistant' END,
			'content', 'T' || i || '. ' || odd(seed * 100 + i, dice(seed * 100 + i + 50, CASE WHEN dice(seed, 4) = 0 THEN 60 ELSE 12 END)))) FROM generate_series(1, n) i), who, thread_id => thread) AS e (id)
	WHERE t.id = thread AND n > 0;
	RETURN thread;
END $$;

-- what is wrong with one preview; "refused" when the message itself does not fit
CREATE FUNCTION try(seed bigint, OUT wrong text, OUT parts text, OUT used double precision) LANGUAGE plpgsql AS $$
DECLARE
	who text := 'user ' || dice(seed, 3);
	n integer := CASE WHEN dice(seed + 11, 5) = 0 THEN 0 ELSE dice(seed + 12, 30) END;
	message text := 'Q ' || odd(seed + 13, 1 + dice(seed + 14, CASE WHEN dice(seed + 15, 5) = 0 THEN 60 ELSE 8 END)) || ' seats?';
	thread uuid := make_thread(seed, who, n);
	rows_shown text := CASE WHEN dice(seed + 16, 3) = 0 THEN 'C1 ' || odd(seed + 17, 1 + dice(seed + 18, 80)) END;
	model text := 'window-' || (ARRAY[220, 300, 500, 1000, 4000, 30000])[1 + dice(seed + 19, 6)];
	answer integer := CASE WHEN dice(seed + 20, 3) = 0 THEN 1 + dice(seed + 21, 200) END;
	budget integer := CASE dice(seed + 22, 4) WHEN 0 THEN dice(seed + 23, 40) ELSE dice(seed + 24, 5000) END;
	newest integer := dice(seed + 25, 60);
	p record; q record; whole text; marker text; said text; shown integer[]; places integer[];
BEGIN
	BEGIN
		SELECT * INTO p FROM memai.chat_preview(message, who, thread_id => thread, model => model, max_tokens => answer, max_context_tokens => budget,
			k => 1 + dice(seed + 26, 60), context => rows_shown, max_messages => newest, intent => 'none');
	EXCEPTION WHEN program_limit_exceeded THEN
		-- rightly so when instructions and message alone are more than there is
		SELECT * INTO q FROM memai.chat_preview(message, who, thread_id => thread, model => 'window-1000000', use_memory => false, max_messages => 0, intent => 'none');
		IF (q.tokens ->> 'instructions')::integer + (q.tokens ->> 'message')::integer <= replace(model, 'window-', '')::integer - coalesce(answer, replace(model, 'window-', '')::integer / 4) THEN
			wrong := 'refused what fits';
		END IF;
		parts := 'refused';
		RETURN;
	END;
	used := p.total_tokens::double precision / p.max_prompt_tokens;
	parts := (SELECT string_agg(key, ' ' ORDER BY key) FROM jsonb_each_text(p.tokens) WHERE value <> '0');
	whole := (SELECT string_agg(m ->> 'content', E'\x01' ORDER BY o) FROM jsonb_array_elements(p.messages) WITH ORDINALITY AS x (m, o) WHERE o > 1);
	marker := (SELECT r[2] FROM regexp_matches(whole, '<(blocks|preferences|summary|memories|business) ([0-9a-f]{16})>\n', 'g') r WHERE r[2] <> '0123456789abcdef' LIMIT 1);
	-- outside of the sections there are the thread and the message
	said := regexp_replace(whole, '<([a-z]+) ' || coalesce(marker, 'none') || '>\n.*?</\1 ' || coalesce(marker, 'none') || '>\n', '', 'g');
	shown := ARRAY(SELECT r[1]::integer FROM regexp_matches(said, '(?:^|[\n\x01])T(\d+)\. ', 'g') r);
	-- where each part begins, in the order that they must have
	places := array_remove(ARRAY[strpos(whole, '<blocks ' || marker), strpos(whole, '<preferences ' || marker), strpos(whole, 'T' || shown[1] || '. '),
		strpos(whole, 'T' || shown[cardinality(shown)] || '. '), strpos(whole, '<memories ' || marker), strpos(whole, '<business ' || marker), length(whole) - length(message) + 1], NULL);
	places := array_remove(places, 0);
	wrong := concat_ws(', ',
		CASE WHEN p.total_tokens > p.max_prompt_tokens THEN 'over the budget' END,
		CASE WHEN p.max_prompt_tokens <> replace(model, 'window-', '')::integer - coalesce(answer, replace(model, 'window-', '')::integer / 4) THEN 'another budget' END,
		CASE WHEN p.total_tokens <> (SELECT sum(value::integer) FROM jsonb_each_text(p.tokens)) THEN 'sums differ' END,
		CASE WHEN (SELECT sum(memai._estimate_tokens(m ->> 'content')) FROM jsonb_array_elements(p.messages) m) > p.max_prompt_tokens THEN 'its texts are over the budget' END,
		CASE WHEN p.messages -> 0 ->> 'role' <> 'system' OR p.messages -> -1 ->> 'role' <> 'user' THEN 'roles at the ends' END,
		CASE WHEN EXISTS (SELECT FROM (SELECT m ->> 'role' AS role, lag(m ->> 'role') OVER (ORDER BY o) AS before FROM jsonb_array_elements(p.messages) WITH ORDINALITY AS x (m, o)) y
			WHERE role = before OR role NOT IN ('user', 'assistant') AND before IS NOT NULL) THEN 'no turns' END,
		CASE WHEN right(whole, length(message)) <> message OR substr(E'\n' || whole, length(whole) - length(message) + 1, 1) NOT IN (E'\n', E'\x01') THEN 'no message at the end' END,
		-- the newest of the thread, without a gap, in order
		CASE WHEN shown <> ARRAY(SELECT generate_series(n - cardinality(shown) + 1, n)) OR cardinality(shown) > newest THEN 'thread ' || shown::text END,
		CASE WHEN said ~ '(^|\n)(- \d{4}-\d\d-\d\d (\[\w+\] )?M\d+ |label \d: B|name \d: R|C1 )' THEN 'a section was left' END,
		CASE WHEN (p.tokens ->> 'history' <> '0') <> (cardinality(shown) > 0) OR (p.tokens ->> 'memories' <> '0') <> coalesce(strpos(whole, '<memories ' || marker) > 0, false)
			OR (p.tokens ->> 'business' <> '0') <> coalesce(strpos(whole, '<business ' || marker) > 0, false) THEN 'tokens of what is not there' END,
		CASE WHEN places <> ARRAY(SELECT x FROM unnest(places) x ORDER BY x) THEN 'order ' || places::text END);
	wrong := nullif(wrong, '');
	PERFORM memai.delete_thread(thread, who, forget => true);
END $$;
});

$node->safe_psql('postgres', "CREATE TABLE tried AS SELECT seed, t.* FROM generate_series(1, $previews) seed, try(seed) t", timeout => 3600);
is($node->safe_psql('postgres', 'SELECT count(*) FROM tried'), $previews, "$previews threads");
is($node->safe_psql('postgres', "SELECT seed, wrong FROM tried WHERE wrong IS NOT NULL ORDER BY 1 LIMIT 10"), '', 'none over its budget, out of order or without the message');
note($node->safe_psql('postgres', "SELECT count(*), parts, round(avg(used)::numeric, 2) FROM tried GROUP BY parts ORDER BY 1 DESC"));
# the cases that matter were among them
is($node->safe_psql('postgres', "SELECT bool_or(parts = 'refused'), bool_or(parts LIKE '%history%memories%persona%preferences%'), bool_or(parts LIKE '%business%history%'), bool_or(parts NOT LIKE '%history%'), max(used) > 0.95 FROM tried"),
	't|t|t|t|t', 'tiny budgets, full ones, and every part');

$node->stop;
done_testing();
