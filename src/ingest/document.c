/*
 * document.c
 *	  memai.add_document: stores a document, or finds that it is stored.
 *
 * The row of a document is locked while its chunks are replaced, so sessions
 * that bring versions of one source come one after the other, and the chunks
 * are always those of one version.  No model is called over the network: what
 * needs that is left to a job.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "ingest/ingest_int.h"
#include "memory/memory.h"
#include "model/model.h"
#include "utils/builtins.h"

/* larger texts are chunked in the background unless the caller says otherwise */
#define BACKGROUND_BYTES (1024 * 1024)
#define MAX_ATTEMPTS 10

#define COLUMNS "id, fingerprint = $3, chunked_fingerprint IS NOT DISTINCT FROM $3, created_at FROM memai.document WHERE scope = $1 "

static MemaiStatement select_by_source = {
	"SELECT " COLUMNS "AND source_uri = $2 FOR UPDATE", 3, {INT8OID, TEXTOID, BYTEAOID}, NULL
};
static MemaiStatement select_by_fingerprint = {
	"SELECT " COLUMNS "AND source_uri IS NULL AND fingerprint = $3 AND $2 IS NULL FOR UPDATE", 3, {INT8OID, TEXTOID, BYTEAOID}, NULL
};
static MemaiStatement insert_document = {
	"INSERT INTO memai.document (tenant, user_id, namespace, scope, source_uri, title, format, content, metadata, chunking, fingerprint) "
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING RETURNING id, created_at",
	11, {TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID, BYTEAOID}, NULL
};
static MemaiStatement update_document = {
	"UPDATE memai.document SET title = $3, format = $4, content = $5, metadata = $6, chunking = $7, fingerprint = $8, updated_at = now() "
	"WHERE scope = $1 AND id = $2",
	8, {INT8OID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID, BYTEAOID}, NULL
};
static MemaiStatement set_chunked = {
	"UPDATE memai.document SET chunked_fingerprint = fingerprint WHERE scope = $1 AND id = $2", 2, {INT8OID, UUIDOID}, NULL
};
static MemaiStatement submit_job = {
	"UPDATE memai.document SET job_id = memai.submit_job('ingest', jsonb_build_object('document_id', $2), $3, $4, $5, "
	"dedupe_key => $2::text) WHERE scope = $1 AND id = $2",
	5, {INT8OID, UUIDOID, TEXTOID, TEXTOID, TEXTOID}, NULL
};

PG_FUNCTION_INFO_V1(memai_add_document);
PG_FUNCTION_INFO_V1(memai_add_document_bytes);

/* what the database has of a document */
typedef enum Known
{
	KNOWN_NOT,
	KNOWN_OTHER,				/* another version of it */
	KNOWN_NOT_CHUNKED,
	KNOWN_WELL
} Known;

static Datum
column(int number)
{
	bool		null;

	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number, &null);
}

static text *
format_name(MemaiTextFormat format)
{
	static const char *const names[] = {"text", "markdown", "html", "code"};

	return cstring_to_text(names[format]);
}

/* Looks the document up by its source, or by its fingerprint, and locks it. */
static Known
find_document(const MemaiScope *scope, MemaiDocument *document)
{
	Datum		values[3] = {Int64GetDatum(scope->scope), PointerGetDatum(document->source_uri), PointerGetDatum(document->fingerprint)};
	bool		has_source = document->source_uri != NULL;

	if (memai_statement_run(has_source ? &select_by_source : &select_by_fingerprint, values, has_source ? NULL : " n ", false, 1) == 0)
		return KNOWN_NOT;
	document->id = *DatumGetUUIDP(column(1));
	document->created_at = DatumGetTimestampTz(column(4));
	if (!DatumGetBool(column(2)))
		return KNOWN_OTHER;
	return DatumGetBool(column(3)) ? KNOWN_WELL : KNOWN_NOT_CHUNKED;
}

/* Stores a new document; false when another session was faster. */
static bool
insert_row(const MemaiScope *scope, MemaiDocument *document)
{
	Datum		values[11];
	char		nulls[11];

	memset(nulls, ' ', sizeof(nulls));
	memai_scope_values(scope, values);
	values[4] = PointerGetDatum(document->source_uri);
	nulls[4] = document->source_uri ? ' ' : 'n';
	values[5] = PointerGetDatum(document->title);
	nulls[5] = document->title ? ' ' : 'n';
	values[6] = PointerGetDatum(format_name(document->format));
	values[7] = PointerGetDatum(document->content);
	values[8] = JsonbPGetDatum(document->metadata);
	values[9] = JsonbPGetDatum(document->chunking);
	values[10] = PointerGetDatum(document->fingerprint);
	if (memai_statement_run(&insert_document, values, nulls, false, 0) == 0)
		return false;
	document->id = *DatumGetUUIDP(column(1));
	document->created_at = DatumGetTimestampTz(column(2));
	return true;
}

static void
update_row(const MemaiScope *scope, const MemaiDocument *document)
{
	Datum		values[8] = {Int64GetDatum(scope->scope), UUIDPGetDatum(&document->id), PointerGetDatum(document->title),
		PointerGetDatum(format_name(document->format)), PointerGetDatum(document->content), JsonbPGetDatum(document->metadata),
	JsonbPGetDatum(document->chunking), PointerGetDatum(document->fingerprint)};

	memai_statement_run(&update_document, values, document->title ? NULL : "  n     ", false, 0);
}

/* Stores the document's row; true when its chunks are to be made. */
static bool
store_row(const MemaiScope *scope, MemaiDocument *document)
{
	for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++)
	{
		switch (find_document(scope, document))
		{
			case KNOWN_WELL:
				return false;
			case KNOWN_NOT_CHUNKED:
				return true;
			case KNOWN_OTHER:
				update_row(scope, document);
				return true;
			case KNOWN_NOT:
				if (insert_row(scope, document))
					return true;
				break;
		}
	}
	/* others add and drop it all the time */
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not store the document because of concurrent changes"),
			 errhint("Try again.")));
}

static void
submit(const MemaiScope *scope, const MemaiDocument *document, const char *model)
{
	Datum		values[5] = {Int64GetDatum(scope->scope), UUIDPGetDatum(&document->id), PointerGetDatum(scope->user_id),
	PointerGetDatum(scope->namespace), CStringGetTextDatum(model)};

	memai_statement_run(&submit_job, values, NULL, false, 0);
}

/* Makes the chunks of a stored document, or has a job do what takes long. */
static void
prepare(const MemaiScope *scope, const MemaiDocument *document, bool background)
{
	MemaiModelInfo *model = memai_model_lookup_for(scope, NULL, "embed");
	Datum		values[2] = {Int64GetDatum(scope->scope), UUIDPGetDatum(&document->id)};

	if (!background)
	{
		memai_document_chunk(scope, document, model->is_local);
		memai_statement_run(&set_chunked, values, NULL, false, 0);
	}
	if (background || !model->is_local)
		submit(scope, document, model->name);
}

static text *
text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : PG_GETARG_TEXT_PP(n);
}

/*
 * add_document(content text or bytea, title text, source_uri text, metadata jsonb,
 * user_id text, namespace text, chunking jsonb, format text, background boolean)
 * returns uuid
 */
static Datum
add_document(FunctionCallInfo fcinfo, bool is_bytes)
{
	struct varlena *content = PG_ARGISNULL(0) ? NULL : PG_GETARG_VARLENA_PP(0);
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	MemaiDocumentInput input = {0};
	MemaiDocument document;
	MemaiScope	scope;

	memai_scope_resolve(&scope, text_argument(fcinfo, 4), text_argument(fcinfo, 5));
	input.data = content ? VARDATA_ANY(content) : NULL;
	input.len = content ? VARSIZE_ANY_EXHDR(content) : 0;
	input.is_bytes = is_bytes;
	input.title = text_argument(fcinfo, 1);
	input.source_uri = text_argument(fcinfo, 2);
	input.metadata = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	input.chunking = PG_ARGISNULL(6) ? NULL : PG_GETARG_JSONB_P(6);
	input.format = text_argument(fcinfo, 7);
	memai_document_read(&input, &document);
	SPI_connect();
	if (store_row(&scope, &document))
		prepare(&scope, &document, PG_ARGISNULL(8) ? document.len > BACKGROUND_BYTES : PG_GETARG_BOOL(8));
	SPI_finish();
	*id = document.id;
	PG_RETURN_UUID_P(id);
}

Datum
memai_add_document(PG_FUNCTION_ARGS)
{
	return add_document(fcinfo, false);
}

Datum
memai_add_document_bytes(PG_FUNCTION_ARGS)
{
	return add_document(fcinfo, true);
}
