-- ---- index: the access method memai and its operator classes, in the target schema ----

CREATE FUNCTION memai._index_handler(internal) RETURNS index_am_handler
	AS 'MODULE_PATHNAME', 'memai_index_handler' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._index_handler(internal) IS 'private: handler of the access method memai';
CREATE ACCESS METHOD memai TYPE INDEX HANDLER memai._index_handler;
COMMENT ON ACCESS METHOD memai IS 'vector search with leading key columns';

-- vector columns: the operator, its distance, and what the type is

CREATE FUNCTION memai._index_vector_cosine(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'memai_index_vector_cosine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._index_vector_cosine(internal) IS 'private: support function of vector_cosine_ops';
CREATE OPERATOR CLASS vector_cosine_ops DEFAULT FOR TYPE vector USING memai AS
	OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
	FUNCTION 1 cosine_distance(vector, vector),
	FUNCTION 2 memai._index_vector_cosine(internal);
COMMENT ON OPERATOR CLASS vector_cosine_ops USING memai IS 'nearest by <=>';

CREATE FUNCTION memai._index_vector_l2(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'memai_index_vector_l2' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._index_vector_l2(internal) IS 'private: support function of vector_l2_ops';
CREATE OPERATOR CLASS vector_l2_ops FOR TYPE vector USING memai AS
	OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
	FUNCTION 1 vector_l2_squared_distance(vector, vector),
	FUNCTION 2 memai._index_vector_l2(internal);
COMMENT ON OPERATOR CLASS vector_l2_ops USING memai IS 'nearest by <->';

CREATE FUNCTION memai._index_vector_ip(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'memai_index_vector_ip' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._index_vector_ip(internal) IS 'private: support function of vector_ip_ops';
CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING memai AS
	OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
	FUNCTION 1 vector_negative_inner_product(vector, vector),
	FUNCTION 2 memai._index_vector_ip(internal);
COMMENT ON OPERATOR CLASS vector_ip_ops USING memai IS 'nearest by <#>';

CREATE FUNCTION memai._index_halfvec_cosine(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'memai_index_halfvec_cosine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._index_halfvec_cosine(internal) IS 'private: support function of halfvec_cosine_ops';
CREATE OPERATOR CLASS halfvec_cosine_ops DEFAULT FOR TYPE halfvec USING memai AS
	OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
	FUNCTION 1 cosine_distance(halfvec, halfvec),
	FUNCTION 2 memai._index_halfvec_cosine(internal);
COMMENT ON OPERATOR CLASS halfvec_cosine_ops USING memai IS 'nearest by <=>';

CREATE FUNCTION memai._index_halfvec_l2(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'memai_index_halfvec_l2' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._index_halfvec_l2(internal) IS 'private: support function of halfvec_l2_ops';
CREATE OPERATOR CLASS halfvec_l2_ops FOR TYPE halfvec USING memai AS
	OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
	FUNCTION 1 halfvec_l2_squared_distance(halfvec, halfvec),
	FUNCTION 2 memai._index_halfvec_l2(internal);
COMMENT ON OPERATOR CLASS halfvec_l2_ops USING memai IS 'nearest by <->';

CREATE FUNCTION memai._index_halfvec_ip(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'memai_index_halfvec_ip' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION memai._index_halfvec_ip(internal) IS 'private: support function of halfvec_ip_ops';
CREATE OPERATOR CLASS halfvec_ip_ops FOR TYPE halfvec USING memai AS
	OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
	FUNCTION 1 halfvec_negative_inner_product(halfvec, halfvec),
	FUNCTION 2 memai._index_halfvec_ip(internal);
COMMENT ON OPERATOR CLASS halfvec_ip_ops USING memai IS 'nearest by <#>';

-- key columns: equality and an extended hash function; the hash functions of the integers agree

CREATE OPERATOR FAMILY integer_ops USING memai;
COMMENT ON OPERATOR FAMILY integer_ops USING memai IS 'integers as key columns';
CREATE OPERATOR CLASS int2_ops DEFAULT FOR TYPE smallint USING memai FAMILY integer_ops AS
	OPERATOR 1 = (smallint, smallint), FUNCTION 1 hashint2extended(smallint, bigint);
COMMENT ON OPERATOR CLASS int2_ops USING memai IS 'smallint as a key column';
CREATE OPERATOR CLASS int4_ops DEFAULT FOR TYPE integer USING memai FAMILY integer_ops AS
	OPERATOR 1 = (integer, integer), FUNCTION 1 hashint4extended(integer, bigint);
COMMENT ON OPERATOR CLASS int4_ops USING memai IS 'integer as a key column';
CREATE OPERATOR CLASS int8_ops DEFAULT FOR TYPE bigint USING memai FAMILY integer_ops AS
	OPERATOR 1 = (bigint, bigint), FUNCTION 1 hashint8extended(bigint, bigint);
COMMENT ON OPERATOR CLASS int8_ops USING memai IS 'bigint as a key column';
ALTER OPERATOR FAMILY integer_ops USING memai ADD
	OPERATOR 1 = (smallint, integer),
	OPERATOR 1 = (smallint, bigint),
	OPERATOR 1 = (integer, smallint),
	OPERATOR 1 = (integer, bigint),
	OPERATOR 1 = (bigint, smallint),
	OPERATOR 1 = (bigint, integer);
CREATE OPERATOR CLASS bool_ops DEFAULT FOR TYPE boolean USING memai AS
	OPERATOR 1 = (boolean, boolean), FUNCTION 1 hashcharextended("char", bigint);
COMMENT ON OPERATOR CLASS bool_ops USING memai IS 'boolean as a key column';
CREATE OPERATOR CLASS uuid_ops DEFAULT FOR TYPE uuid USING memai AS
	OPERATOR 1 = (uuid, uuid), FUNCTION 1 uuid_hash_extended(uuid, bigint);
COMMENT ON OPERATOR CLASS uuid_ops USING memai IS 'uuid as a key column';
CREATE OPERATOR CLASS text_ops DEFAULT FOR TYPE text USING memai AS
	OPERATOR 1 = (text, text), FUNCTION 1 hashtextextended(text, bigint);
COMMENT ON OPERATOR CLASS text_ops USING memai IS 'text as a key column';
CREATE OPERATOR CLASS date_ops DEFAULT FOR TYPE date USING memai AS
	OPERATOR 1 = (date, date), FUNCTION 1 hashint4extended(integer, bigint);
COMMENT ON OPERATOR CLASS date_ops USING memai IS 'date as a key column';
CREATE OPERATOR CLASS timestamptz_ops DEFAULT FOR TYPE timestamp with time zone USING memai AS
	OPERATOR 1 = (timestamp with time zone, timestamp with time zone), FUNCTION 1 timestamp_hash_extended(timestamp, bigint);
COMMENT ON OPERATOR CLASS timestamptz_ops USING memai IS 'timestamp with time zone as a key column';
CREATE OPERATOR CLASS oid_ops DEFAULT FOR TYPE oid USING memai AS
	OPERATOR 1 = (oid, oid), FUNCTION 1 hashoidextended(oid, bigint);
COMMENT ON OPERATOR CLASS oid_ops USING memai IS 'oid as a key column';

-- looking inside

CREATE FUNCTION memai.memai_index_check(index regclass, heap_all_indexed boolean DEFAULT false) RETURNS void
	AS 'MODULE_PATHNAME', 'memai_index_check' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION memai.memai_index_check(regclass, boolean) IS 'raise an error unless a memai index is in order and, if asked, has all rows of its table';
REVOKE ALL ON FUNCTION memai.memai_index_check(regclass, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.memai_index_check(regclass, boolean) TO memai_admin;

CREATE FUNCTION memai.memai_index_info(index regclass,
	OUT format_version integer, OUT metric text, OUT dimensions integer, OUT key_columns integer,
	OUT refine_bits integer, OUT roots bigint, OUT routes bigint, OUT lists bigint,
	OUT live_entries bigint, OUT dead_entries bigint, OUT size_bytes bigint,
	OUT bytes_per_entry double precision, OUT centre_rows bigint, OUT probes integer,
	OUT probes_measured boolean)
	AS 'MODULE_PATHNAME', 'memai_index_info' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION memai.memai_index_info(regclass) IS 'what a memai index holds; reads all of its scan pages';
REVOKE ALL ON FUNCTION memai.memai_index_info(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.memai_index_info(regclass) TO memai_admin;
