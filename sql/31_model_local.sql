-- provider local: the embedder hash-384 and the answerer extract
\set VERBOSITY terse
SET timezone = 'UTC';

-- a vector of length 1 for any text
SELECT vector_dims(memai.embed(t)) AS dims, round(l2_norm(memai.embed(t))::numeric, 6) AS norm
FROM unnest(ARRAY['I prefer aisle seats', '', ' ', '?!', '🍕', '北京', repeat('long ', 20000)]) AS t;
-- its bits are on disk: they must never change
SELECT md5(memai.embed('I prefer aisle seats')::text);
SELECT memai.embed('Café') = memai.embed('CAFE') AS folded,
	memai.embed('a question', input_type => 'query') = memai.embed('a question') AS one_space;
SELECT memai.embed(ARRAY['one', 'two']) = ARRAY[memai.embed('one'), memai.embed('two')] AS in_order;

-- near in words is near in space
SELECT (memai.embed('Which seat does she prefer?') <=> memai.embed('I prefer aisle seats')) <
	(memai.embed('What did the dog eat?') <=> memai.embed('I prefer aisle seats')) AS nearer;

-- the answerer quotes what shares terms with the question, with its date;
-- a user each, because what is asked is remembered too
BEGIN;
CREATE FUNCTION pg_temp.answer(asked text) RETURNS text LANGUAGE sql AS $$
	SELECT count(memai.remember(content, asked, valid_at => at)) FROM (VALUES
		('I prefer aisle seats', '2026-01-04Z'::timestamptz),
		('My sister lives in Oslo', '2026-02-01Z'),
		('My brother lives in Bergen and likes the "Fløibanen"', '2026-02-02Z'),
		('The dog is called Pixel', '2026-03-01Z')) AS f (content, at);
	SELECT content FROM memai.chat(asked, asked) $$;
SELECT pg_temp.answer('Which seats do I prefer?');
SELECT pg_temp.answer('Where does my brother live?');
SELECT pg_temp.answer('What is the name of the DOGS');
-- several that answer alike
SELECT pg_temp.answer('Who lives where?');
-- it says so when nothing matches, and for a question of stop words
SELECT pg_temp.answer('quantum chromodynamics');
SELECT pg_temp.answer('who are you');
-- a long statement is quoted from its beginning, cut between characters
SELECT memai.remember('pizza ' || repeat('é', 3000), 'long') IS NOT NULL AS stored;
SELECT content LIKE 'From memory: "pizza ' || repeat('é', 997) || '" [...] (____-__-__).' AS cut
FROM memai.chat('Pizza?', 'long');
ROLLBACK;
-- without a user's message; cut at a number of tokens
SELECT content, finish_reason, prompt_tokens, completion_tokens
FROM memai.complete('[{"role": "system", "content": "Be brief."}]', 'local/extract');
SELECT content, finish_reason, completion_tokens
FROM memai.complete('[{"role": "user", "content": "Hello"}]', 'local/extract', '{"max_tokens": 3}');

-- other models, kinds, addresses and sizes are refused
\set VERBOSITY default
SELECT memai.create_model('mine', 'embed', 'local', 'hash-385');
SELECT memai.create_model('mine', 'chat', 'local', 'hash-384');
SELECT memai.create_model('mine', 'embed', 'local', 'hash-384', url => 'https://localhost/');
SELECT memai.create_model('mine', 'embed', 'local', 'hash-384', dimensions => 768);
