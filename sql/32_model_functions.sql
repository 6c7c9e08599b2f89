-- extract, classify, is_true, summarize and count_tokens without a network, and the
-- check of an answer against a JSON schema
CREATE TEMP TABLE checked (number int GENERATED ALWAYS AS IDENTITY, value jsonb, json_schema jsonb);
INSERT INTO checked (value, json_schema) VALUES
	('{"a": 1}', '{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": false}'),
	('{"a": 1.0}', '{"properties": {"a": {"type": "integer"}}}'),
	('{"a": 1.5}', '{"properties": {"a": {"type": "integer"}}}'),
	('{"a": "1"}', '{"properties": {"a": {"type": ["integer", "null"]}}}'),
	('{"a": null}', '{"properties": {"a": {"type": ["integer", "null"]}}, "required": ["a"]}'),
	('{}', '{"required": ["a"]}'),
	('{"a": 1, "b": 2}', '{"properties": {"a": {}}, "additionalProperties": false}'),
	('{"a": 1, "b": "x"}', '{"properties": {"a": {}}, "additionalProperties": {"type": "integer"}}'),
	('{"a": {"b": [{"c": 1}, {"c": "x"}]}}', '{"properties": {"a": {"properties": {"b": {"items": {"properties": {"c": {"type": "integer"}}}}}}}}'),
	('[1, 2, 3]', '{"type": "array", "minItems": 1, "maxItems": 2}'),
	('[]', '{"minItems": 1}'),
	('"é"', '{"type": "string", "minLength": 1, "maxLength": 1}'),
	('"ab"', '{"maxLength": 1}'),
	('"c"', '{"enum": ["a", "b"]}'),
	('1', '{"enum": [1.0]}'),
	('{"x": [1]}', '{"const": {"x": [1]}}'),
	('2', '{"const": 1}'),
	('5', '{"minimum": 5, "maximum": 5}'),
	('5', '{"exclusiveMinimum": 5}'),
	('6', '{"maximum": 5}'),
	('0.3', '{"multipleOf": 0.1}'),
	('7', '{"multipleOf": 2}'),
	('7', '{"anyOf": [{"type": "string"}, {"minimum": 8}]}'),
	('9', '{"anyOf": [{"type": "string"}, {"minimum": 8}]}'),
	('9', '{"oneOf": [{"type": "integer"}, {"minimum": 8}]}'),
	('9', '{"allOf": [{"type": "integer"}, {"maximum": 8}]}'),
	('{"next": {"next": {"next": 1}}}', '{"type": "object", "properties": {"next": {"$ref": "#"}}}'),
	('{"a": 1}', '{"properties": {"a": {"$ref": "#/$defs/name"}}, "$defs": {"name": {"type": "string"}}}'),
	('{"a": 1}', '{"properties": {"a": {"$ref": "#/$defs/missing"}}}'),
	('1', 'true'),
	('1', 'false'),
	('1', '{"$ref": "#"}'),
	('1', '{"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}'),
	('1', '{"anyOf": [{"$ref": "#"}, {}]}'),
	('"x"', '{"pattern": "^y", "format": "date"}'),
	('null', '{"type": "null"}'),
	('1', '7');
SELECT number, value, memai._schema_problem(value, json_schema) FROM checked ORDER BY number;

-- the built-in answerer quotes and follows no instructions
SELECT memai.extract('I live in Oslo', '{"type": "object"}');
SELECT memai.classify('I live in Oslo', ARRAY['city', 'land']);
SELECT memai.is_true('Water is wet');
SELECT memai.summarize('The harbour was closed on Monday. Ships waited outside the harbour for two days. A cat slept. The closed harbour cost the ships much money.', 20);
SELECT memai.summarize('One two three four five six', 3), memai.summarize('Short already', 3), memai.summarize(' '), memai.summarize('');
SELECT memai.summarize('Nothing here ends' || repeat(' and so on', 50), 4);

-- NULL in, NULL out, without a call
SELECT memai.extract(NULL, '{}') IS NULL AND memai.extract('x', NULL) IS NULL AND memai.classify(NULL, ARRAY['a']) IS NULL
	AND memai.classify('x', NULL) IS NULL AND memai.is_true(NULL) IS NULL AND memai.summarize(NULL) IS NULL
	AND memai.count_tokens(NULL) IS NULL AS all_null;

-- bad input
SELECT memai.extract('x', '[]');
SELECT memai.extract('x', '{"properties": {}}');
SELECT memai.classify('x', '{}');
SELECT memai.classify('x', ARRAY['a', NULL]);
SELECT memai.classify('x', ARRAY['a', '']);
SELECT memai.classify('x', array_fill('a'::text, ARRAY[201]));
SELECT memai.summarize('x', 0);
SELECT memai.is_true('x', 'no such model');
SELECT memai.is_true('x', 'local/hash-384');

-- estimates; exact counts need files and are tested elsewhere
SELECT memai.count_tokens(t), memai.count_tokens(t, 'local/extract') = memai.count_tokens(t, 'local/hash-384') AS same
FROM unnest(ARRAY['', 'Hello, world!', 'unbelievable', '東京都', repeat('word ', 1000)]) AS t;
SELECT memai.count_tokens('x', 'no such model');

-- a static model needs a directory that a superuser has set
SET memai.model_directory = '';
SELECT memai.create_model('s', 'embed', 'static', 'potion');
RESET memai.model_directory;
SELECT memai.create_model('s', 'chat', 'static', 'potion');
SELECT memai.create_model('s', 'embed', 'static', 'potion', url => 'https://example.com');
SELECT memai.create_model('s', 'embed', 'static', 'potion', options => '{"max_tokens": 0}');
