-- From here on nothing goes to the target schema and nothing is looked up there:
-- a function that somebody put there could match a call better than pg_catalog's.
SET LOCAL search_path = pg_catalog, pg_temp;

-- ---- model: registry, credentials, calls ----

CREATE TABLE memai.credential (
	name text PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,99}$'),
	url_prefix text NOT NULL,
	source text NOT NULL CHECK (source IN ('stored', 'env', 'file')),
	secret text NOT NULL CHECK (secret <> ''),
	header text,
	scheme text,
	owner regrole NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	rotated_at timestamptz
);
COMMENT ON TABLE memai.credential IS 'keys of providers, read by memai''s C code only; not dumped';
COMMENT ON COLUMN memai.credential.url_prefix IS 'scheme, host, port and path below which the key may be sent';
COMMENT ON COLUMN memai.credential.secret IS 'the key, or the name of the environment variable or file that holds it';
COMMENT ON COLUMN memai.credential.header IS 'HTTP header that carries the key; NULL: the provider''s usual one';
COMMENT ON COLUMN memai.credential.scheme IS 'word before the key in the header; NULL: the provider''s usual one';
-- no policy: pg_read_all_data reads nothing here, only the owner does
ALTER TABLE memai.credential ENABLE ROW LEVEL SECURITY;

CREATE TABLE memai.credential_grant (
	credential text NOT NULL REFERENCES memai.credential ON UPDATE CASCADE ON DELETE CASCADE,
	grantee regrole NOT NULL,
	PRIMARY KEY (credential, grantee)
);
COMMENT ON TABLE memai.credential_grant IS 'roles whose models may use a credential, besides its owner; not dumped';
ALTER TABLE memai.credential_grant ENABLE ROW LEVEL SECURITY;

CREATE TABLE memai.model (
	name text PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,99}$'),
	kind text NOT NULL CHECK (kind IN ('embed', 'chat', 'rerank')),
	provider text NOT NULL,
	model text NOT NULL,
	url text,
	credential text,
	options jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(options) = 'object'),
	dimensions integer CHECK (dimensions BETWEEN 1 AND 16000),
	context_window integer CHECK (context_window > 0),
	owner regrole NOT NULL,
	built_in boolean NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT now(),
	CHECK ((kind = 'embed') = (dimensions IS NOT NULL))
);
COMMENT ON TABLE memai.model IS 'registered models; read through the view memai.models';
COMMENT ON COLUMN memai.model.name IS 'the name that calls use, and the partition key of embeddings';
COMMENT ON COLUMN memai.model.model IS 'the provider''s name of the model';
COMMENT ON COLUMN memai.model.credential IS 'name of a credential; no foreign key, because credentials are never dumped';
COMMENT ON COLUMN memai.model.owner IS 'who registered it; this role must hold the credential at every call';
COMMENT ON COLUMN memai.model.built_in IS 'made by the extension itself, so left out of dumps';

CREATE TABLE memai.model_grant (
	model text NOT NULL REFERENCES memai.model ON UPDATE CASCADE ON DELETE CASCADE,
	grantee regrole NOT NULL,
	built_in boolean NOT NULL DEFAULT false,
	PRIMARY KEY (model, grantee)
);
COMMENT ON TABLE memai.model_grant IS 'roles that may call a model; grantee 0 is everyone';

CREATE TABLE memai.model_default (
	kind text NOT NULL CHECK (kind IN ('embed', 'chat', 'rerank')),
	size text NOT NULL DEFAULT '' CHECK (size IN ('', 'small', 'medium', 'large') AND (size = '' OR kind = 'chat')),
	built_in boolean NOT NULL DEFAULT false,
	model text NOT NULL REFERENCES memai.model ON UPDATE CASCADE ON DELETE CASCADE,
	PRIMARY KEY (kind, size, built_in)
);
COMMENT ON TABLE memai.model_default IS 'the model of a kind when a call names none, or only a size; a chosen one wins over the built-in one';

INSERT INTO memai.model (name, kind, provider, model, options, dimensions, context_window, owner, built_in) VALUES
	('local/hash-384', 'embed', 'local', 'hash-384', '{"recall_weight": 0.1}', 384, NULL, CURRENT_USER::regrole, true),
	('local/extract', 'chat', 'local', 'extract', '{}', NULL, 131072, CURRENT_USER::regrole, true);
INSERT INTO memai.model_grant (model, grantee, built_in) VALUES
	('local/hash-384', 'memai_user'::regrole, true),
	('local/extract', 'memai_user'::regrole, true);
INSERT INTO memai.model_default (kind, built_in, model) VALUES
	('embed', true, 'local/hash-384'),
	('chat', true, 'local/extract');

-- memai.credential and its grants stay out: a dump must carry no key
SELECT pg_catalog.pg_extension_config_dump('memai.model', 'WHERE NOT built_in');
SELECT pg_catalog.pg_extension_config_dump('memai.model_grant', 'WHERE NOT built_in');
SELECT pg_catalog.pg_extension_config_dump('memai.model_default', 'WHERE NOT built_in');

CREATE VIEW memai.models WITH (security_barrier) AS
	SELECT m.name, m.kind, m.provider, m.model, m.url, m.credential, m.dimensions,
		m.context_window, m.options,
		m.name = (SELECT d.model FROM memai.model_default d
			WHERE d.kind = m.kind AND d.size = '' ORDER BY d.built_in LIMIT 1) AS is_default,
		m.owner, m.built_in, m.created_at,
		ARRAY(SELECT d.size FROM memai.model_default d WHERE d.model = m.name AND d.size <> '' ORDER BY d.size) AS sizes
	FROM memai.model m
	WHERE pg_catalog.pg_has_role(CURRENT_USER, m.owner, 'USAGE')
		OR pg_catalog.pg_has_role(CURRENT_USER, 'memai_admin', 'USAGE')
		OR EXISTS (SELECT FROM memai.model_grant g WHERE g.model = m.name
			AND (g.grantee = 0::oid OR pg_catalog.pg_has_role(CURRENT_USER, g.grantee, 'USAGE')));
COMMENT ON VIEW memai.models IS 'the models that the current role may call; has its owner''s rights';
GRANT SELECT ON memai.models TO memai_user, memai_admin;

CREATE VIEW memai.credentials WITH (security_barrier) AS
	SELECT c.name, c.url_prefix, c.source,
		CASE WHEN c.source <> 'stored' THEN c.secret END AS location,
		c.header, c.scheme, c.owner, c.created_at, c.rotated_at
	FROM memai.credential c
	WHERE pg_catalog.pg_has_role(CURRENT_USER, c.owner, 'USAGE')
		OR EXISTS (SELECT FROM memai.credential_grant g WHERE g.credential = c.name
			AND pg_catalog.pg_has_role(CURRENT_USER, g.grantee, 'USAGE'));
COMMENT ON VIEW memai.credentials IS 'the credentials that the current role may attach to models, without their secrets; has its owner''s rights';
GRANT SELECT ON memai.credentials TO memai_admin;

-- ---- credentials ----

CREATE FUNCTION memai.create_credential(name text, url_prefix text, secret text DEFAULT NULL,
	env text DEFAULT NULL, file text DEFAULT NULL, header text DEFAULT NULL, scheme text DEFAULT NULL)
	RETURNS void
	AS 'MODULE_PATHNAME', 'memai_create_credential' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.create_credential(text, text, text, text, text, text, text) IS 'register a provider''s key: stored, or read from an environment variable or file at each call';
REVOKE ALL ON FUNCTION memai.create_credential(text, text, text, text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.create_credential(text, text, text, text, text, text, text) TO memai_admin;

CREATE FUNCTION memai.rotate_credential(name text, secret text) RETURNS void
	AS 'MODULE_PATHNAME', 'memai_rotate_credential' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.rotate_credential(text, text) IS 'replace a stored key, or the name of the variable or file it is read from';
REVOKE ALL ON FUNCTION memai.rotate_credential(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.rotate_credential(text, text) TO memai_admin;

CREATE FUNCTION memai.drop_credential(name text) RETURNS void
	AS 'MODULE_PATHNAME', 'memai_drop_credential' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.drop_credential(text) IS 'forget a key; models that use it fail until they are given another';
REVOKE ALL ON FUNCTION memai.drop_credential(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.drop_credential(text) TO memai_admin;

CREATE FUNCTION memai.grant_credential(name text, role text) RETURNS void
	AS 'MODULE_PATHNAME', 'memai_grant_credential' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.grant_credential(text, text) IS 'let a role register models that use the key';
REVOKE ALL ON FUNCTION memai.grant_credential(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.grant_credential(text, text) TO memai_admin;

CREATE FUNCTION memai.revoke_credential(name text, role text) RETURNS void
	AS 'MODULE_PATHNAME', 'memai_revoke_credential' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.revoke_credential(text, text) IS 'take back grant_credential; models the role registered with the key stop working';
REVOKE ALL ON FUNCTION memai.revoke_credential(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.revoke_credential(text, text) TO memai_admin;

-- ---- models ----

CREATE FUNCTION memai.create_model(name text, kind text, provider text, model text,
	url text DEFAULT NULL, credential text DEFAULT NULL, options jsonb DEFAULT '{}',
	dimensions integer DEFAULT NULL, context_window integer DEFAULT NULL)
	RETURNS void
	AS 'MODULE_PATHNAME', 'memai_create_model' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.create_model(text, text, text, text, text, text, jsonb, integer, integer) IS 'register a model under a name; nothing is called';
REVOKE ALL ON FUNCTION memai.create_model(text, text, text, text, text, text, jsonb, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.create_model(text, text, text, text, text, text, jsonb, integer, integer) TO memai_admin;

CREATE FUNCTION memai.alter_model(name text, options jsonb DEFAULT NULL, url text DEFAULT NULL,
	credential text DEFAULT NULL, context_window integer DEFAULT NULL)
	RETURNS void
	AS 'MODULE_PATHNAME', 'memai_alter_model' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.alter_model(text, jsonb, text, text, integer) IS 'change what a model is called with; NULL leaves a value as it is. Name, kind, model and dimensions stay';
REVOKE ALL ON FUNCTION memai.alter_model(text, jsonb, text, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.alter_model(text, jsonb, text, text, integer) TO memai_admin;

CREATE FUNCTION memai.drop_model(name text) RETURNS void
	AS 'MODULE_PATHNAME', 'memai_drop_model' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.drop_model(text) IS 'remove a model from the registry';
REVOKE ALL ON FUNCTION memai.drop_model(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.drop_model(text) TO memai_admin;

CREATE FUNCTION memai.grant_model(name text, role text) RETURNS void
	AS 'MODULE_PATHNAME', 'memai_grant_model' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.grant_model(text, text) IS 'let a role, or public, call a model';
REVOKE ALL ON FUNCTION memai.grant_model(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.grant_model(text, text) TO memai_admin;

CREATE FUNCTION memai.revoke_model(name text, role text) RETURNS void
	AS 'MODULE_PATHNAME', 'memai_revoke_model' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.revoke_model(text, text) IS 'take back grant_model';
REVOKE ALL ON FUNCTION memai.revoke_model(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.revoke_model(text, text) TO memai_admin;

CREATE FUNCTION memai.set_default_model(kind text, name text, size text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'memai_set_default_model' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.set_default_model(text, text, text) IS 'choose the model of a kind for calls that name none; with a size (small, medium, large) the chat model that the size stands for';
REVOKE ALL ON FUNCTION memai.set_default_model(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.set_default_model(text, text, text) TO memai_admin;

CREATE FUNCTION memai.check_model(name text, OUT ok boolean, OUT latency_ms double precision,
	OUT dimensions integer, OUT sqlstate text, OUT message text)
	AS 'MODULE_PATHNAME', 'memai_check_model' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 10000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.check_model(text) IS 'make one small call to a model and report how it went';
REVOKE ALL ON FUNCTION memai.check_model(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.check_model(text) TO memai_admin;

-- ---- calls: they may leave the machine and cost money ----

CREATE FUNCTION memai.embed(input text, model text DEFAULT NULL, input_type text DEFAULT 'document')
	RETURNS @extschema@.vector
	AS 'MODULE_PATHNAME', 'memai_embed' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.embed(text, text, text) IS 'the embedding of a text (input_type document or query); NULL for NULL';
REVOKE ALL ON FUNCTION memai.embed(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.embed(text, text, text) TO memai_user, memai_admin;

CREATE FUNCTION memai.embed(inputs text[], model text DEFAULT NULL, input_type text DEFAULT 'document', on_error text DEFAULT 'raise')
	RETURNS @extschema@.vector[]
	AS 'MODULE_PATHNAME', 'memai_embed_array' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.embed(text[], text, text, text) IS 'the embeddings of many texts in as few calls as possible, in their order; NULL for NULL, and with on_error => ''null'' for a text that the provider refuses';
REVOKE ALL ON FUNCTION memai.embed(text[], text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.embed(text[], text, text, text) TO memai_user, memai_admin;

CREATE FUNCTION memai.complete(messages jsonb, model text DEFAULT NULL, options jsonb DEFAULT '{}',
	OUT content text, OUT tool_calls jsonb, OUT finish_reason text, OUT model_used text,
	OUT prompt_tokens integer, OUT completion_tokens integer, OUT processing_ms double precision, OUT cached boolean,
	OUT cost double precision)
	AS 'MODULE_PATHNAME', 'memai_complete' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.complete(jsonb, text, jsonb) IS 'one answer of a chat model to a list of messages [{"role", "content"}]';
REVOKE ALL ON FUNCTION memai.complete(jsonb, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.complete(jsonb, text, jsonb) TO memai_user, memai_admin;

CREATE FUNCTION memai.generate(prompt text, model text DEFAULT NULL, system text DEFAULT NULL,
	options jsonb DEFAULT '{}') RETURNS text
	AS 'MODULE_PATHNAME', 'memai_generate' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.generate(text, text, text, jsonb) IS 'a chat model''s answer to a text; NULL for NULL';
REVOKE ALL ON FUNCTION memai.generate(text, text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.generate(text, text, text, jsonb) TO memai_user, memai_admin;

CREATE FUNCTION memai.complete_stream(messages jsonb, model text DEFAULT NULL, options jsonb DEFAULT '{}')
	RETURNS SETOF text
	AS 'MODULE_PATHNAME', 'memai_complete_stream' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000 ROWS 100
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.complete_stream(jsonb, text, jsonb) IS 'one answer of a chat model in pieces as they arrive; call it in the select list';
REVOKE ALL ON FUNCTION memai.complete_stream(jsonb, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.complete_stream(jsonb, text, jsonb) TO memai_user, memai_admin;

CREATE FUNCTION memai.rerank(query text, documents text[], model text DEFAULT NULL, top_n integer DEFAULT NULL,
	OUT ord integer, OUT score double precision) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'memai_rerank' LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000 ROWS 100
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.rerank(text, text[], text, integer) IS 'documents by how well they answer a query: their place in the array and a score, best first';
REVOKE ALL ON FUNCTION memai.rerank(text, text[], text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.rerank(text, text[], text, integer) TO memai_user, memai_admin;
