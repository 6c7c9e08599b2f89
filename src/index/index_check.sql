-- ---- index: its inspection, in the target schema as well ----
-- Operator classes are used without a schema, and so are these; in schema memai they are beside all other functions.

CREATE FUNCTION memai_index_check(index regclass, heap_all_indexed boolean DEFAULT false) RETURNS void
	AS 'MODULE_PATHNAME', 'memai_index_check' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION memai_index_check(regclass, boolean) IS 'the same as memai.memai_index_check';
REVOKE ALL ON FUNCTION memai_index_check(regclass, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai_index_check(regclass, boolean) TO memai_admin;

CREATE FUNCTION memai_index_info(index regclass,
	OUT format_version integer, OUT metric text, OUT dimensions integer, OUT key_columns integer,
	OUT refine_bits integer, OUT roots bigint, OUT routes bigint, OUT lists bigint,
	OUT live_entries bigint, OUT dead_entries bigint, OUT size_bytes bigint,
	OUT bytes_per_entry double precision, OUT centre_rows bigint, OUT probes integer,
	OUT probes_measured boolean)
	AS 'MODULE_PATHNAME', 'memai_index_info' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION memai_index_info(regclass) IS 'the same as memai.memai_index_info';
REVOKE ALL ON FUNCTION memai_index_info(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai_index_info(regclass) TO memai_admin;
