#!/usr/bin/env bash
#
# run.sh: what documents cost: chunking and cleaning in MB/s, adding DOCUMENTS
# (1,000) documents of about 8 kB with the built-in embedding model, adding them
# again unchanged and with one section changed, one of 30 MB in the background, and
# how many rows a second a vectorizer gets from a model server that is a stub.
# Needs psql on the PATH and PGHOST, PGPORT, PGUSER and PGDATABASE of an empty
# database where memai can be installed; a superuser.
set -eu
documents=${DOCUMENTS:-1000}

sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 "$@"; }

# the milliseconds that a statement takes
time_of() {
	printf '\\timing on\n%s;\n' "$1" | sql | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -n 1
}

# MB/s of a statement over the text of a sample
speed() {
	local ms bytes
	bytes=$(sql --command "SELECT octet_length(content) FROM sample WHERE name = '$2'")
	ms=$(time_of "SELECT count(*) FROM sample, $3 WHERE name = '$2'")
	awk -v what="$1" -v bytes="$bytes" -v ms="$ms" 'BEGIN { printf "%-44s %6.1f MB/s\n", what, bytes / 1000 / ms }'
}

rate() {
	awk -v what="$1" -v n="$documents" -v ms="$2" 'BEGIN { printf "%-44s %6.0f documents/s\n", what, n * 1000 / ms }'
}

sql <<'SQL'
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS memai;
CREATE TABLE words (word text);
INSERT INTO words SELECT unnest(string_to_array('the of a report on travel costs and receipts for employees in every office who want to know when their team can meet a manager about holidays plans keys parking lunch or safety before they leave', ' '));
-- n sections of five sentences, with words in an order that depends on seed only
CREATE FUNCTION pg_temp.page(seed integer, n integer) RETURNS text LANGUAGE sql AS $$
	SELECT '# Page ' || seed || E'\n\n' || string_agg(section, E'\n\n' ORDER BY s) FROM (
		SELECT s, '## Section ' || s || E'\n\n' || string_agg(sentence, '. ' ORDER BY p) || '.' AS section FROM (
			SELECT s, p, string_agg(word, ' ' ORDER BY hashtext(word || seed || '/' || s || '/' || p)) AS sentence
			FROM generate_series(1, n) s, generate_series(1, 5) p, words WHERE hashtext(word || p || s || seed) % 3 = 0 GROUP BY s, p) x GROUP BY s) y $$;
CREATE TABLE page AS SELECT i AS id, pg_temp.page(i, 12) AS content FROM generate_series(1, 1000) i;
CREATE TABLE sample AS SELECT 'markdown' AS name, string_agg(content, E'\n\n' ORDER BY id) AS content FROM page
	UNION ALL SELECT 'html', string_agg('<h1>Page</h1><p>' || replace(replace(content, E'\n\n', '</p><p>'), '. ', '. <b>Note</b> &amp; '), '</p>' ORDER BY id) FROM page
	UNION ALL SELECT 'chinese', repeat('北京是中华人民共和国的首都。我爱北京，也爱上海！', 100000);
SQL
sql --command "SELECT 'documents of ' || avg(octet_length(content))::int || ' bytes' FROM page" \
	--command "SELECT 'samples: ' || string_agg(name || ' ' || octet_length(content) / 1000 || ' kB', ', ') FROM sample"

speed 'chunk, tokens, recursive, Markdown' markdown "memai.chunk(content, format => 'markdown')"
speed 'chunk, tokens, no overlap, plain' markdown 'memai.chunk(content, 400, 0)'
speed 'chunk, characters, recursive, plain' markdown "memai.chunk(content, 1000, 100, 'characters')"
speed 'chunk, characters, fixed' markdown "memai.chunk(content, 1000, 0, 'characters', 'fixed')"
speed 'chunk, tokens, sentences, Chinese' chinese "memai.chunk(content, strategy => 'sentence')"
speed 'clean_text, HTML' html "memai.clean_text(content, 'html')"
speed 'clean_text, Markdown' markdown "memai.clean_text(content, 'markdown')"

add="SELECT count(memai.add_document(content, source_uri => 'page ' || id, user_id => 'u' || id % 10)) FROM page WHERE id <= $documents"
rate 'add, new (one transaction)' "$(time_of "$add")"
sql --command "SELECT count(*) || ' chunks, all with vectors: ' || bool_and(chunks = embedded) FROM memai.chunk_status, memai.document_chunk c WHERE c.document_id = chunk_status.document_id"
rate 'add, unchanged' "$(time_of "$add")"
sql --command "UPDATE page SET content = replace(content, E'## Section 6\n\n', E'## Section 6\n\nThis is new. ')"
rate 'add, one section of twelve changed' "$(time_of "$add")"
ms=$(time_of "SELECT memai.add_document(string_agg(content || repeat(' ', n), E'\n\n'), source_uri => 'large', user_id => 'large', background => true) FROM page, generate_series(1, 5) n")
echo "add of $(sql --command "SELECT octet_length(content) / 1000000 FROM memai.document WHERE source_uri = 'large'") MB in the background: $ms ms"
ms=$(time_of 'CALL memai.run_jobs()')
sql --command "SELECT 'its job: ' || round($ms) || ' ms for ' || chunks || ' chunks, ' || status FROM memai.chunk_status WHERE source_uri = 'large'"

# ---- a model server that takes 50 ms for a request of 100 texts, four requests at a time ----
vector_rows=${VECTOR_ROWS:-40000}
coproc STUB { exec python3 "$(dirname "$0")/../../stub/stub_llm.py" /nonexistent; }
stub=$STUB_PID
trap 'kill "$stub"' EXIT
read -r port _ <&"${STUB[0]}"
sql --command "SELECT memai.create_model('bench/50ms', 'embed', 'openai', 'stub-4', url => 'http://127.0.0.1:$port/delay/50/v1', dimensions => 4, options => '{\"batch_size\": 100}')" \
	--command "CREATE TABLE bench_row (id integer PRIMARY KEY, remark text)" \
	--command "INSERT INTO bench_row SELECT i, 'order ' || i FROM generate_series(1, $vector_rows) AS i" \
	--command "SELECT memai.start_worker()" --command 'SELECT pg_sleep(1)' \
	--command "SELECT memai.create_vectorizer('bench_row', '{remark}', model => 'bench/50ms')" \
	--command "SELECT memai.flush('10 min')" >/dev/null
sql --command "SELECT rate, done FROM memai.vectorizer_status WHERE name = 'bench_row'" | awk -F'|' -v cores="$(nproc)" -v load="$(cut -d' ' -f1 /proc/loadavg)" \
	'{ printf "vectorizer, 50 ms a request of 100 texts: ideal 8000 rows/s, measured %.0f of %d rows, %.0f %% (load %s on %d cores)\n", $1, $2, $1 / 80, load, cores }'
sql --command "SELECT memai.drop_vectorizer('bench_row')" --command 'DROP TABLE bench_row' --command 'SELECT memai.stop_worker()' \
	--command "SELECT memai.drop_model('bench/50ms')" >/dev/null
