/*
 * import.c
 *	  memai.import_user: storing what memai.export_user gave, under a user of
 *	  this tenant.
 *
 * One statement for all tables, so that references between the lines hold
 * whatever their order.  Ids and times come with the lines; whose rows they are
 * does not, and what a memory rests on for its word becomes "import".
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/* the lines of a table as its rows, without the keys that say whose they are */
#define FROM_LINES_IF(table, condition) \
	"FROM jsonb_array_elements($5) l (line), " \
	"jsonb_populate_record(NULL::memai." table ", l.line - '{tenant,user_id,namespace,scope,job_id}'::text[]) r " \
	"WHERE l.line ->> 'table' = '" table "' AND " condition " ON CONFLICT DO NOTHING RETURNING *) "
#define FROM_LINES(table) \
	"FROM jsonb_array_elements($5) l (line), " \
	"jsonb_populate_record(NULL::memai." table ", l.line - '{tenant,user_id,namespace,scope}'::text[]) r " \
	"WHERE l.line ->> 'table' = '" table "' ON CONFLICT DO NOTHING RETURNING 1) "

#define KEYS "(tenant, user_id, namespace, scope, "

static MemaiStatement insert_lines = {
	.sql = "WITH document_rows AS ("
	"INSERT INTO memai.document " KEYS "id, source_uri, title, format, content, metadata, chunking, fingerprint, chunked_fingerprint, "
	"created_at, updated_at) "
	"SELECT $1, $2, $3, $4, r.id, r.source_uri, r.title, r.format, r.content, r.metadata, r.chunking, r.fingerprint, r.chunked_fingerprint, "
	"r.created_at, r.updated_at "
	FROM_LINES_IF("document", "true")
	/* a document of a source that is here already stays, and what is imported of it is left out */
	", document_ids AS (SELECT id FROM document_rows UNION SELECT id FROM memai.document WHERE scope = $4) "
	", episode_rows AS ("
	"INSERT INTO memai.episode " KEYS "id, thread_id, document_id, source, role, name, content, metadata, occurred_at, created_at, "
	"asking, about_from, about_until, terms) "
	"SELECT $1, $2, $3, $4, r.id, r.thread_id, r.document_id, r.source, r.role, r.name, r.content, r.metadata, r.occurred_at, r.created_at, "
	"r.asking, r.about_from, r.about_until, memai._terms(CASE WHEN r.name IS NULL THEN r.content ELSE r.name || ': ' || r.content END) "
	FROM_LINES_IF("episode", "(r.document_id IS NULL OR r.document_id IN (SELECT d.id FROM document_ids d))")
	", entity_rows AS ("
	"INSERT INTO memai.entity " KEYS "id, name, created_at, merged_into) "
	"SELECT $1, $2, $3, $4, r.id, r.name, r.created_at, r.merged_into "
	FROM_LINES("entity")
	", memory_rows AS ("
	"INSERT INTO memai.memory " KEYS "id, content, memory_type, category, slot, subject_id, predicate, object_id, provenance, "
	"metadata, importance, confidence, is_pinned, needs_review, valid_at, invalid_at, created_at, closed_at, expired_at, expires_at, "
	"superseded_by, reason, about_from, about_until, terms) "
	"SELECT $1, $2, $3, $4, r.id, r.content, r.memory_type, r.category, r.slot, r.subject_id, r.predicate, r.object_id, 'import', "
	"r.metadata, r.importance, r.confidence, r.is_pinned, r.needs_review, r.valid_at, r.invalid_at, r.created_at, r.closed_at, r.expired_at, "
	"r.expires_at, r.superseded_by, r.reason, r.about_from, r.about_until, memai._terms(r.content) "
	FROM_LINES("memory")
	", memory_source_rows AS ("
	"INSERT INTO memai.memory_source " KEYS "memory_id, episode_id) SELECT $1, $2, $3, $4, r.memory_id, r.episode_id "
	FROM_LINES("memory_source")
	", memory_link_rows AS ("
	"INSERT INTO memai.memory_link " KEYS "from_id, to_id, kind, created_at) "
	"SELECT $1, $2, $3, $4, r.from_id, r.to_id, r.kind, r.created_at "
	FROM_LINES("memory_link")
	", memory_stat_rows AS ("
	"INSERT INTO memai.memory_stat " KEYS "memory_id, uses, last_used_at, useful, harmful) "
	"SELECT $1, $2, $3, $4, r.memory_id, r.uses, r.last_used_at, r.useful, r.harmful "
	FROM_LINES("memory_stat")
	", block_rows AS ("
	"INSERT INTO memai.block " KEYS "label, value, description, char_limit, is_read_only, version, updated_at) "
	"SELECT $1, $2, $3, $4, r.label, r.value, r.description, r.char_limit, r.is_read_only, r.version, r.updated_at "
	FROM_LINES("block")
	", document_chunk_rows AS ("
	"INSERT INTO memai.document_chunk " KEYS "document_id, seq, episode_id, heading, start_pos, end_pos, content_hash) "
	"SELECT $1, $2, $3, $4, r.document_id, r.seq, r.episode_id, r.heading, r.start_pos, r.end_pos, r.content_hash "
	FROM_LINES_IF("document_chunk", "r.document_id IN (SELECT d.id FROM document_ids d)")
	"SELECT 'episode', count(*) FROM episode_rows UNION ALL SELECT 'entity', count(*) FROM entity_rows "
	"UNION ALL SELECT 'memory', count(*) FROM memory_rows UNION ALL SELECT 'memory_source', count(*) FROM memory_source_rows "
	"UNION ALL SELECT 'memory_link', count(*) FROM memory_link_rows UNION ALL SELECT 'memory_stat', count(*) FROM memory_stat_rows "
	"UNION ALL SELECT 'block', count(*) FROM block_rows UNION ALL SELECT 'document', count(*) FROM document_rows "
	"UNION ALL SELECT 'document_chunk', count(*) FROM document_chunk_rows",
	.nargs = 5,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, JSONBOID},
};

/* run as the owner, after the rows passed row-level security */
static MemaiStatement log_imported = {
	.sql = "INSERT INTO memai.memory_history (tenant, user_id, namespace, scope, memory_id, event, new_content, reason, actor) "
	"SELECT m.tenant, m.user_id, m.namespace, m.scope, m.id, 'ADD', m.content, 'import', $2 FROM memai.memory m WHERE m.scope = $1 "
	"AND NOT EXISTS (SELECT FROM memai.memory_history h WHERE h.scope = m.scope AND h.memory_id = m.id AND h.event = 'ADD')",
	.nargs = 2,
	.argtypes = {INT8OID, NAMEOID},
};

PG_FUNCTION_INFO_V1(memai_import_user);

/* ---- personal data ---- */

/* what of a line is text that somebody wrote; ids and times look like numbers of phones */
static bool
is_text_key(const JsonbValue *key)
{
	static const char *const keys[] = {"content", "name", "value", "description", "label", "slot", "predicate", "reason", "category",
	"title", "heading"};

	for (size_t i = 0; i < lengthof(keys); i++)
	{
		if (strlen(keys[i]) == (size_t) key->val.string.len && memcmp(keys[i], key->val.string.val, key->val.string.len) == 0)
			return true;
	}
	return false;
}

static bool
is_metadata_key(const JsonbValue *key)
{
	return key->val.string.len == 8 && memcmp(key->val.string.val, "metadata", 8) == 0;
}

static void
clean_value(const MemaiPiiPolicy *policy, const JsonbValue *key, JsonbValue *value)
{
	if (value->type == jbvString && is_text_key(key))
	{
		text	   *cleaned = memai_pii_clean(policy, "a line", cstring_to_text_with_len(value->val.string.val, value->val.string.len));

		value->val.string.val = VARDATA(cleaned);
		value->val.string.len = VARSIZE(cleaned) - VARHDRSZ;
	}
	else if (value->type == jbvBinary && is_metadata_key(key))
	{
		Jsonb	   *cleaned = memai_pii_clean_jsonb(policy, "metadata", JsonbValueToJsonb(value));

		value->val.binary.data = &cleaned->root;
		value->val.binary.len = VARSIZE(cleaned) - VARHDRSZ;
	}
}

/* The lines with the tenant's policy applied to their texts. */
static Jsonb *
clean_lines(Jsonb *lines)
{
	MemaiPiiPolicy policy;
	JsonbParseState *state = NULL;
	int			n = JB_ROOT_COUNT(lines);

	memai_pii_policy(&policy);
	if (policy.kinds == 0)
		return lines;
	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < n; i++)
	{
		JsonbValue *line = getIthJsonbValueFromContainer(&lines->root, i);
		JsonbIterator *iterator;
		JsonbValue	key,
					value;

		CHECK_FOR_INTERRUPTS();
		/* what is no object is no row of any table */
		if (line->type != jbvBinary || !JsonContainerIsObject(line->val.binary.data))
			continue;
		iterator = JsonbIteratorInit(line->val.binary.data);
		pushJsonbValue(&state, JsonbIteratorNext(&iterator, &key, true), NULL);
		while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
		{
			(void) JsonbIteratorNext(&iterator, &value, true);
			clean_value(&policy, &key, &value);
			pushJsonbValue(&state, WJB_KEY, &key);
			pushJsonbValue(&state, WJB_VALUE, &value);
		}
		pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}

/* ---- rows ---- */

void
memai_history_imported(const MemaiScope *scope)
{
	Datum		values[2] = {Int64GetDatum(scope->scope)};
	NameData	actor;
	MemaiOwner	caller;

	namestrcpy(&actor, GetUserNameFromId(GetUserId(), false));
	values[1] = NameGetDatum(&actor);
	memai_owner_begin(&caller);
	memai_statement_run(&log_imported, values, NULL, false, 0);
	memai_owner_end(&caller);
}

/* import_user(lines jsonb, user_id text, namespace text) returns setof record */
Datum
memai_import_user(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemaiScope	scope;
	Jsonb	   *lines = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	Datum		values[5];
	uint64		ntables;

	if (lines == NULL || !JB_ROOT_IS_ARRAY(lines) || JB_ROOT_IS_SCALAR(lines))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lines must be a JSON array"),
				 errhint("Pass (SELECT jsonb_agg(line) FROM memai.export_user(...) AS line).")));
	memai_scope_resolve(&scope, PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1),
						PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2));
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	memai_scope_values(&scope, values);
	values[4] = JsonbPGetDatum(clean_lines(lines));
	ntables = memai_statement_run(&insert_lines, values, NULL, false, 0);
	for (uint64 i = 0; i < ntables; i++)
	{
		Datum		row[2];
		bool		nulls[2];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, row, nulls);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row, nulls);
	}
	memai_history_imported(&scope);
	memai_expire_schedule(&scope);
	SPI_finish();
	return (Datum) 0;
}
