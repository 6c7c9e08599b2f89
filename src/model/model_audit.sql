-- ---- audit: who changed credentials, models, grants and limits ----

CREATE TABLE memai._audit (
	at timestamptz NOT NULL,
	role text NOT NULL,
	session_role text NOT NULL,
	action text NOT NULL,
	object text NOT NULL,
	detail jsonb NOT NULL
);
COMMENT ON TABLE memai._audit IS 'private: one row for each change by memai''s functions; rows are only added; read through the view memai.audit_log';
ALTER TABLE memai._audit ENABLE ROW LEVEL SECURITY;
SELECT pg_catalog.pg_extension_config_dump('memai._audit', '');

CREATE FUNCTION memai._audit_keep() RETURNS trigger
	AS 'MODULE_PATHNAME', 'memai_audit_keep' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION memai._audit_keep() IS 'private: refuses changes of the audit log';
REVOKE ALL ON FUNCTION memai._audit_keep() FROM PUBLIC;
CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON memai._audit
	FOR EACH STATEMENT EXECUTE FUNCTION memai._audit_keep();
COMMENT ON TRIGGER kept ON memai._audit IS 'rows are only added';

CREATE VIEW memai.audit_log WITH (security_barrier) AS
	SELECT l.at, l.role, l.session_role, l.action, l.object, l.detail
	FROM (SELECT * FROM memai._audit
		UNION ALL
		SELECT min(u.at), u.role::text, NULL, 'use_credential', u.credential,
			jsonb_build_object('day', (u.at AT TIME ZONE 'UTC')::date, 'attempts', count(*))
		FROM memai.usage u WHERE u.credential IS NOT NULL
		GROUP BY u.role, u.credential, (u.at AT TIME ZONE 'UTC')::date) l
	WHERE pg_catalog.pg_has_role(CURRENT_USER, 'memai_admin', 'USAGE');
COMMENT ON VIEW memai.audit_log IS 'who changed credentials, models, grants and limits and when, and which role used a credential on which day, as long as memai.usage keeps it; no secrets; has its owner''s rights';
COMMENT ON COLUMN memai.audit_log.role IS 'the current role then';
COMMENT ON COLUMN memai.audit_log.session_role IS 'who was logged in; NULL for use_credential';
COMMENT ON COLUMN memai.audit_log.action IS 'the name of the function, or use_credential';
COMMENT ON COLUMN memai.audit_log.object IS 'the credential, model or user that it was about';
GRANT SELECT ON memai.audit_log TO memai_admin;
