-- ---- memory: personal data ----

CREATE TABLE memai.pii_policy (
	tenant text NOT NULL,
	kind text NOT NULL,
	action text NOT NULL,
	CONSTRAINT pii_policy_pkey PRIMARY KEY (tenant, kind),
	CONSTRAINT pii_policy_tenant_check CHECK (tenant <> ''),
	CONSTRAINT pii_policy_kind_check CHECK (kind IN ('email', 'card', 'iban', 'phone', 'ip', 'national_id', 'api_key')),
	CONSTRAINT pii_policy_action_check CHECK (action IN ('redact', 'refuse'))
);
COMMENT ON TABLE memai.pii_policy IS 'what becomes of personal data that a tenant stores; a kind without a row is stored as it is';
COMMENT ON COLUMN memai.pii_policy.action IS 'redact (replaced by [kind]) or refuse (the statement fails)';
ALTER TABLE memai.pii_policy ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.pii_policy FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.pii_policy
	USING (tenant = (SELECT memai.current_tenant()) OR (SELECT pg_catalog.pg_has_role('memai_admin', 'USAGE')));
COMMENT ON POLICY isolation ON memai.pii_policy IS 'own tenant only; administrators see every tenant';

CREATE FUNCTION memai.set_pii_policy(action text, kinds text[] DEFAULT NULL, tenant text DEFAULT NULL) RETURNS bigint
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH chosen AS (
		SELECT coalesce(set_pii_policy.tenant, memai.current_tenant()) AS tenant, k.kind
		FROM unnest(coalesce(set_pii_policy.kinds, '{email,card,iban,phone,ip,national_id,api_key}'::text[])) AS k (kind)),
	removed AS (
		DELETE FROM memai.pii_policy p USING chosen c
		WHERE p.tenant = c.tenant AND p.kind = c.kind AND set_pii_policy.action = 'keep' RETURNING 1),
	stored AS (
		INSERT INTO memai.pii_policy AS p (tenant, kind, action)
		SELECT DISTINCT c.tenant, c.kind, set_pii_policy.action FROM chosen c WHERE set_pii_policy.action <> 'keep'
		ON CONFLICT ON CONSTRAINT pii_policy_pkey DO UPDATE SET action = excluded.action RETURNING 1)
	SELECT (SELECT count(*) FROM removed) + (SELECT count(*) FROM stored);
END;
COMMENT ON FUNCTION memai.set_pii_policy(text, text[], text) IS
	'set what becomes of kinds of personal data (all of them unless named) that a tenant (yours unless named) stores from now on: redact, refuse, or keep (no policy); returns how many kinds changed';

CREATE FUNCTION memai._has_pii_policies() RETURNS boolean
	AS 'MODULE_PATHNAME', 'memai_has_pii_policies' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION memai._has_pii_policies() IS
	'private: whether any tenant has or had a policy on personal data; PUBLIC may call it, as whoever stores a row does';

CREATE FUNCTION memai._apply_pii_policy() RETURNS trigger
	AS 'MODULE_PATHNAME', 'memai_apply_pii_policy' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai._apply_pii_policy() IS
	'private: redacts or refuses personal data in the columns that its arguments name, by the policy of the tenant of the row; renews the terms of what it changes';
REVOKE ALL ON FUNCTION memai._apply_pii_policy() FROM PUBLIC;

CREATE TRIGGER episode_pii_policy BEFORE INSERT OR UPDATE OF content, name, metadata ON memai.episode
	FOR EACH ROW WHEN (memai._has_pii_policies()) EXECUTE FUNCTION memai._apply_pii_policy('content', 'name', 'metadata');
COMMENT ON TRIGGER episode_pii_policy ON memai.episode IS 'what the policy of the tenant says of personal data, however the row is stored';
CREATE TRIGGER memory_pii_policy BEFORE INSERT OR UPDATE OF content, category, slot, predicate, metadata, reason ON memai.memory
	FOR EACH ROW WHEN (memai._has_pii_policies()) EXECUTE FUNCTION memai._apply_pii_policy('content', 'category', 'slot', 'predicate', 'metadata', 'reason');
COMMENT ON TRIGGER memory_pii_policy ON memai.memory IS 'what the policy of the tenant says of personal data, however the row is stored';
CREATE TRIGGER entity_pii_policy BEFORE INSERT OR UPDATE OF name ON memai.entity
	FOR EACH ROW WHEN (memai._has_pii_policies()) EXECUTE FUNCTION memai._apply_pii_policy('name');
COMMENT ON TRIGGER entity_pii_policy ON memai.entity IS 'what the policy of the tenant says of personal data, however the row is stored';
CREATE TRIGGER block_pii_policy BEFORE INSERT OR UPDATE OF label, value, description ON memai.block
	FOR EACH ROW WHEN (memai._has_pii_policies()) EXECUTE FUNCTION memai._apply_pii_policy('label', 'value', 'description');
COMMENT ON TRIGGER block_pii_policy ON memai.block IS 'what the policy of the tenant says of personal data, however the row is stored';
CREATE TRIGGER document_pii_policy BEFORE INSERT OR UPDATE OF title, content, metadata ON memai.document
	FOR EACH ROW WHEN (memai._has_pii_policies()) EXECUTE FUNCTION memai._apply_pii_policy('title', 'content', 'metadata');
COMMENT ON TRIGGER document_pii_policy ON memai.document IS 'what the policy of the tenant says of personal data, however the row is stored';
CREATE TRIGGER document_chunk_pii_policy BEFORE INSERT OR UPDATE OF heading ON memai.document_chunk
	FOR EACH ROW WHEN (memai._has_pii_policies()) EXECUTE FUNCTION memai._apply_pii_policy('heading');
COMMENT ON TRIGGER document_chunk_pii_policy ON memai.document_chunk IS 'what the policy of the tenant says of personal data, however the row is stored';
CREATE TRIGGER job_pii_policy BEFORE INSERT OR UPDATE OF payload ON memai.job
	FOR EACH ROW WHEN (memai._has_pii_policies()) EXECUTE FUNCTION memai._apply_pii_policy('payload');
COMMENT ON TRIGGER job_pii_policy ON memai.job IS 'what the policy of the tenant says of personal data, however the row is stored';

CREATE FUNCTION memai.find_pii(content text, kinds text[] DEFAULT NULL) RETURNS TABLE (kind text, found text)
	AS 'MODULE_PATHNAME', 'memai_find_pii' LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 2
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.find_pii(text, text[]) IS
	'personal data and secrets in a text: email, card, iban, phone, ip, national_id, api_key';

CREATE FUNCTION memai.redact(content text, kinds text[] DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'memai_redact' LANGUAGE C IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.redact(text, text[]) IS
	'a text with what memai.find_pii finds replaced by its kind in brackets';

REVOKE ALL ON FUNCTION memai.set_pii_policy(text, text[], text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.find_pii(text, text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.redact(text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.find_pii(text, text[]), memai.redact(text, text[]) TO memai_user;
GRANT EXECUTE ON FUNCTION memai.set_pii_policy(text, text[], text) TO memai_admin;
GRANT SELECT ON memai.pii_policy TO memai_user;
GRANT INSERT, UPDATE, DELETE ON memai.pii_policy TO memai_admin;

SELECT pg_catalog.pg_extension_config_dump('memai.pii_policy', '');
