-- memai.chunk and memai.clean_text: parting texts, and what they are cleaned of.
\pset null NULL

-- sections, paragraphs, sentences; positions are of characters, from 1, both included
SELECT * FROM memai.chunk('# Guide

Book trains early. Seats by the window go first.

## Food

Eat before you leave.', 60, unit => 'characters', format => 'markdown');
SELECT seq, chunk, substr(t.content, start_pos, end_pos - start_pos + 1) = chunk AS position_is_right
FROM (VALUES ('Ä first sentence. Ö second one! 北京是首都。我爱北京。 The end')) AS t (content), memai.chunk(t.content, 20, 5, 'characters', 'sentence');
SELECT seq, chunk FROM memai.chunk('abcdefghij', 4, 2, 'characters', 'fixed');
-- the default is 400 tokens with an overlap of a tenth
SELECT count(*), max(length(chunk)), min(start_pos), max(end_pos) = length(repeat('lorem ipsum ', 1000)) - 1 AS reaches_the_end
FROM memai.chunk(repeat('lorem ipsum ', 1000));
-- code is parted between functions
SELECT seq, chunk FROM memai.chunk(E'int a;\n\nint\nf(void)\n{\n\treturn 1;\n}\n\nint b;\n', 40, 0, 'characters', format => 'code');
-- HTML is cleaned first; the positions are those in memai.clean_text
SELECT seq, chunk, heading FROM memai.chunk('<h1>A &amp; B</h1><p>one<p>two<script>no</script>', 100, unit => 'characters', format => 'html');
-- families, flags and accents stay whole (psql 17 gives the family another width)
\pset format unaligned
SELECT array_agg(chunk) FROM memai.chunk('ab👩‍👧🇸🇪é!', 3, 0, 'characters', 'fixed');
\pset format aligned

-- nothing to part
SELECT count(*) FROM memai.chunk(NULL);
SELECT count(*) FROM memai.chunk('');
SELECT count(*) FROM memai.chunk(E' \n\t ');
SELECT count(*) FROM memai.chunk('x', NULL, NULL, NULL, NULL, NULL);

-- bad arguments
\set VERBOSITY terse
SELECT * FROM memai.chunk('x', 0);
SELECT * FROM memai.chunk('x', -1);
SELECT * FROM memai.chunk('x', 1000001);
SELECT * FROM memai.chunk('x', 10, 6);
SELECT * FROM memai.chunk('x', 10, -1);
SELECT * FROM memai.chunk('x', unit => 'words');
SELECT * FROM memai.chunk('x', strategy => 'semantic');
SELECT * FROM memai.chunk('x', format => 'pdf');
SELECT memai.clean_text('x', 'rtf');
\set VERBOSITY default
SELECT * FROM memai.chunk('x', unit => 'words');

-- hostile texts: linear time, and never more than the size
SELECT name, count(*) > 0 AS has_chunks, max(length(chunk)) <= 1000 AS fits
FROM (VALUES ('blanks', repeat(' ', 1000000) || 'x'), ('brackets', repeat('<', 1000000)), ('one word', repeat('x', 1000000)),
	('headings', repeat(E'# a\n', 250000)), ('marks', 'e' || repeat(U&'\0301', 500000)), ('stops', repeat('. ', 500000))) AS t (name, content),
	memai.chunk(t.content, 1000, 100, 'characters', format => 'markdown')
GROUP BY name ORDER BY name;
SELECT length(memai.clean_text(repeat('<ul><li>', 100000) || 'x', 'html')), memai.clean_text(repeat('<', 100000), 'html') = repeat('<', 100000) AS as_it_is;

-- cleaning
SELECT memai.clean_text(E'a\r\nb\u200Bc\x07  d\n\n\n\ne');
SELECT memai.clean_text('<title>T</title><h2>Prices</h2><table><tr><td>Tea<td>2&nbsp;&euro;</tr></table><ul><li>one<li>two</ul><!-- no -->', 'html');
SELECT memai.clean_text(E'Title\n=====\n**Bold** [link](http://example.org) `code` and <b>tag</b>\n\n* item', 'markdown');
SELECT memai.clean_text(NULL);

-- the planner may fold them, an index may use them, everybody may call them
CREATE TABLE chunked (content text);
CREATE INDEX ON chunked (memai.clean_text(content));
DROP TABLE chunked;
CREATE ROLE regress_memai_nobody;
GRANT USAGE ON SCHEMA memai TO regress_memai_nobody;
SET ROLE regress_memai_nobody;
SELECT chunk FROM memai.chunk('for everybody');
RESET ROLE;
REVOKE USAGE ON SCHEMA memai FROM regress_memai_nobody;
DROP ROLE regress_memai_nobody;
