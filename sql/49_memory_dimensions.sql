-- stored vectors of another dimension than the model's: a warning, not the end of recall
\set VERBOSITY terse
SET memai.tenant = 'regress';
SELECT memai.remember('I prefer aisle seats', 'ann') AS id \gset
INSERT INTO memai.embedding (tenant, user_id, namespace, scope, memory_id, model, embedding)
SELECT tenant, user_id, namespace, scope, id, 'other/model', '[1,2,3]' FROM memai.memory WHERE id = :'id';
SELECT content, similarity FROM memai.recall('aisle seats', 'ann');
SELECT memai.create_model('other/model', 'embed', 'openai', 'm', url => 'http://127.0.0.1:9/v1', dimensions => 4);
SELECT content, similarity FROM memai.recall_vector('[1,2,3,4]', 'ann', model => 'other/model');
SELECT memai.drop_model('other/model');
DELETE FROM memai.memory;
