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
