-- blocks with versions, limits and locks; export and import of a user
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET timezone = 'UTC';

-- ---- blocks ----
SELECT memai.set_block('persona', 'Short answers.', expected_version => 0);
SELECT memai.set_block('persona', 'x', expected_version => 0);
SELECT memai.set_block('persona', 'Very short answers.', expected_version => 1, description => 'how to speak');
SELECT memai.set_block('persona', 'lost update', expected_version => 1);
SELECT memai.set_block('none', 'x', expected_version => 3);
SELECT memai.set_block('note', '12345', char_limit => 5);
SELECT memai.set_block('note', '123456');
SELECT memai.set_block('note', 'åäöåä');
SELECT memai.set_block('note', '123456', char_limit => 6);
SELECT memai.set_block('note', 'x', char_limit => 10001);
SELECT memai.set_block('law', 'Never lie.', is_read_only => true);
SELECT memai.set_block('law', 'Lie.');
SELECT memai.drop_block('law');
SELECT memai.set_block('law', 'Never lie, ever.', is_read_only => false);
SELECT label, value, description, char_limit, is_read_only, version FROM memai.blocks();
SELECT memai.drop_block('law'), memai.get_block('law') IS NULL AS gone;

-- ---- export, import under another user, compare ----
SELECT id AS episode FROM memai.remember_messages('[{"name": "Ann", "content": "I moved to Lund last week", "occurred_at": "2026-01-05Z", "metadata": {"a": 1}}]') AS id \gset
SELECT memai.remember_triplet('Ann', 'lives_in', 'Lund', slot => 'home', sources => ARRAY[:'episode']::uuid[], valid_at => '2026-01-01Z') AS lund \gset
SELECT memai.remember('Lives in Oslo', slot => 'home', valid_at => '2026-02-01Z') AS oslo \gset
SELECT memai.remember('Takes the tram', depends_on => ARRAY[:'oslo']::uuid[], valid_at => '2026-02-02Z') AS tram \gset
SELECT memai.feedback(:'tram', true), memai.pin(:'tram');
SELECT line ->> 'table' AS "table", count(*) FROM memai.export_user() line GROUP BY 1 ORDER BY 1;
SELECT jsonb_agg(line) AS lines FROM memai.export_user() line \gset
RESET memai.user_id;
SELECT * FROM memai.import_user(:'lines', 'bea');
SELECT * FROM memai.import_user(:'lines', 'bea') WHERE imported > 0;
SELECT count(*) AS differences FROM (
	(SELECT line - '{provenance}'::text[] FROM memai.export_user('ann') line EXCEPT SELECT line - '{provenance}'::text[] FROM memai.export_user('bea') line)
	UNION ALL
	(SELECT line - '{provenance}'::text[] FROM memai.export_user('bea') line EXCEPT SELECT line - '{provenance}'::text[] FROM memai.export_user('ann') line)) d;
SELECT DISTINCT provenance FROM memai.memory WHERE user_id = 'bea';
SELECT memai.fill_embeddings(user_id => 'bea');
SELECT count(*) AS differences FROM memai.recall('Where does she live? tram', 'ann') a FULL JOIN memai.recall('Where does she live? tram', 'bea') b USING (id)
WHERE a.content IS DISTINCT FROM b.content OR a.score IS DISTINCT FROM b.score;
-- what a line says of owner and keys is not believed
SELECT * FROM memai.import_user('[{"table": "block", "label": "x", "value": "y", "tenant": "other", "user_id": "other", "scope": 1, "char_limit": 10, "is_read_only": false, "version": 1, "updated_at": "2026-01-01Z"}]', 'bea') WHERE imported > 0;
SELECT tenant, user_id, value FROM memai.block WHERE label = 'x';
SELECT * FROM memai.import_user('[{"table": "pg_authid", "label": "x"}]', 'bea') WHERE imported > 0;
SELECT * FROM memai.import_user('{}', 'bea');
SELECT * FROM memai.import_user('[1, "x", null]', 'bea') WHERE imported > 0;

DELETE FROM memai.episode;
DELETE FROM memai.memory;
DELETE FROM memai.entity;
DELETE FROM memai.block;
