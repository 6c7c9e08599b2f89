/*
 * document_job.c
 *	  Jobs of kind ingest: what memai.add_document left to do of a document.
 *
 *	  chunk, if its chunks are of another version -> commit -> vectors, batch by
 *	  batch, each committed -> done
 *
 * Chunks are replaced in one transaction, so recall sees the version before
 * until then.  A job that was interrupted takes up where it stopped; one whose
 * document has changed since prepares the version that is there, one whose
 * document is gone has nothing to do.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "ingest/ingest_int.h"
#include "job/job.h"
#include "memory/memory.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/uuid.h"

static MemaiStatement select_document = {
	"SELECT source_uri, title, format, content, metadata, chunking, created_at FROM memai.document "
	"WHERE scope = $1 AND id = $2 AND chunked_fingerprint IS DISTINCT FROM fingerprint FOR UPDATE",
	2, {INT8OID, UUIDOID}, NULL
};
static MemaiStatement set_chunked = {
	"UPDATE memai.document SET chunked_fingerprint = fingerprint WHERE scope = $1 AND id = $2", 2, {INT8OID, UUIDOID}, NULL
};

/* the payload's document; raises 22023 */
static pg_uuid_t
document_of(const MemaiJob *job)
{
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(job->payload) ||
		getKeyJsonValueFromContainer(&job->payload->root, "document_id", strlen("document_id"), &value) == NULL ||
		value.type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the payload of an ingest job must name a document_id"),
				 errhint("memai.add_document submits these jobs.")));
	return *DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(pnstrdup(value.val.string.val, value.val.string.len))));
}

static text *
text_column(int number)
{
	bool		null;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number, &null);

	return null ? NULL : DatumGetTextPCopy(value);
}

static void
read_document(MemaiDocument *document)
{
	bool		null;

	document->source_uri = text_column(1);
	document->title = text_column(2);
	document->format = memai_text_format(text_column(3));
	document->content = text_column(4);
	document->metadata = DatumGetJsonbPCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 5, &null));
	document->chunking = DatumGetJsonbPCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 6, &null));
	document->created_at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 7, &null));
	document->utf8 = memai_text_to_utf8(VARDATA_ANY(document->content), VARSIZE_ANY_EXHDR(document->content), &document->len);
	memai_document_set_chunking(document);
}

/* Makes the chunks, if they are of another version; returns how many, -1 when there was nothing to do. */
static int
chunk_document(MemaiJob *job, const pg_uuid_t *id)
{
	Datum		values[2] = {Int64GetDatum(job->scope.scope), UUIDPGetDatum(id)};
	MemaiDocument document = {.id = *id};
	int			n = -1;

	SPI_connect();
	if (memai_statement_run(&select_document, values, NULL, false, 1) > 0)
	{
		read_document(&document);
		n = memai_document_chunk(&job->scope, &document, false);
		memai_statement_run(&set_chunked, values, NULL, false, 0);
	}
	SPI_finish();
	return n;
}

/* Parts the payload's document and commits that; its id. */
static pg_uuid_t
prepare_chunks(MemaiJob *job)
{
	pg_uuid_t	id = document_of(job);
	int			nchunks = chunk_document(job, &id);

	if (nchunks >= 0)
		memai_job_checkpoint(job, 0, nchunks);
	return id;
}

/* handler of the kind ingest */
static Jsonb *
prepare_document(MemaiJob *job)
{
	pg_uuid_t	id = prepare_chunks(job);

	return memai_embed_missing(job, &id);
}

/* the same for documents that share the requests for their vectors */
static void *
prepare_share(MemaiJob *job, int *ntexts)
{
	pg_uuid_t	id = prepare_chunks(job);

	return memai_embed_share_prepare(job, &id, ntexts);
}

static const MemaiJobSharing sharing = {
	prepare_share, memai_embed_share_call, memai_embed_share_finish
};

void
memai_document_init(void)
{
	memai_job_register("ingest", prepare_document);
	memai_job_register_sharing("ingest", &sharing);
}
