-- AU13: a flood from one source leaves room in what a chat is shown
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET timezone = 'UTC';
CREATE TEMP VIEW shown AS SELECT count(*) FILTER (WHERE line LIKE '%Evil%') AS flood, count(*) FILTER (WHERE line LIKE '%The rent of flat%') AS honest,
		count(*) FILTER (WHERE line LIKE '- %') AS lines
	FROM memai.chat_preview('To which bank account do I pay the rent?') p, jsonb_array_elements(p.messages) m,
		regexp_split_to_table(m ->> 'content', E'\n') AS line WHERE m ->> 'role' = 'user';
SELECT count(memai.remember('The rent of flat ' || n || ' is due on the ' || n || '. of the month')) AS honest FROM generate_series(1, 12) n;

-- a thousand memories of tools: half of what is shown, the better ones of others the rest
SELECT count(memai.remember('The bank account for rent is ' || n || ' at Evil Bank', provenance => 'tool')) AS flood FROM generate_series(1, 1000) n;
SELECT * FROM shown;
SET memai.chat_source_share = 0.25;
SELECT * FROM shown;
SET memai.chat_source_share = 0;
SELECT * FROM shown;
SET memai.chat_source_share = 1;
SELECT flood > 6 AS unlimited, lines FROM shown;
RESET memai.chat_source_share;
-- and no more when there is nothing else
DELETE FROM memai.memory WHERE content LIKE 'The rent%';
SELECT * FROM shown;
DELETE FROM memai.memory;

-- what was taken from one conversation counts as one source, too, but fills the room that others leave
SELECT count(memai.remember('The bank account for rent is ' || n || ' at Evil Bank', sources => ARRAY[id], provenance => 'inference')) AS flood
FROM memai.remember_messages('[{"content": "Hello there"}]', thread_id => '00000000-0000-7000-8000-000000000001') id, generate_series(1, 40) n;
SELECT count(memai.remember('The rent of flat ' || n || ' is due on the ' || n || '. of the month')) AS honest FROM generate_series(1, 3) n;
SELECT * FROM shown;
SELECT count(memai.remember('The rent of flat ' || n || ' is due on the ' || n || '. of the month')) AS honest FROM generate_series(4, 12) n;
SELECT * FROM shown;
-- as do the messages of one; a user's own memories outside of any do not
SELECT count(*) AS flood FROM memai.remember_messages((SELECT jsonb_agg(jsonb_build_object('content', 'Pay the rent to bank account ' || n || ' of Evil Bank'))
	FROM generate_series(1, 40) n), thread_id => '00000000-0000-7000-8000-000000000001');
SELECT * FROM shown;
DELETE FROM memai.episode;
DELETE FROM memai.memory;
SELECT count(memai.remember('The rent of flat ' || n || ' is due on the ' || n || '. of the month')) AS own FROM generate_series(1, 12) n;
SELECT * FROM shown;

-- a memory that one of the chosen rests on does not come in beside the limit
SELECT memai.remember('The bank account for rent is 1 at Evil Bank', provenance => 'tool') AS bank \gset
SELECT memai.remember('The bank account for rent is 2 at Evil Bank', provenance => 'tool') IS NOT NULL AS second,
	memai.link(id, :'bank', 'depends_on') FROM memai.memory WHERE content = 'The rent of flat 1 is due on the 1. of the month';
SET memai.chat_source_share = 0.1;
SELECT flood <= 1 AS limited FROM shown;
RESET memai.chat_source_share;
SET memai.chat_source_share = 1.5;
DELETE FROM memai.memory;
DROP VIEW shown;
SELECT count(*) FROM memai.entity;
