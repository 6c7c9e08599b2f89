/*
 * document_input.c
 *	  From the arguments of memai.add_document to a document: what is refused,
 *	  what is cleaned, what it is known by.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "ingest/ingest_int.h"
#include "mb/pg_wchar.h"
#include "memory/memory.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#define SOURCE_MAX_BYTES 2048
#define TITLE_MAX_BYTES 1000
#define FOUND_TITLE_BYTES 256
#define MIN_SIZE 16
#define MAX_TOKENS 8000
#define MAX_CHARACTERS 100000

/* ---- chunking ---- */

static int
int_member(const char *name, const JsonbValue *value)
{
	if (value->type != jbvNumeric)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("member \"%s\" of chunking must be a number", name)));
	return DatumGetInt32(DirectFunctionCall1(numeric_int4, NumericGetDatum(value->val.numeric)));
}

static text *
text_member(const char *name, const JsonbValue *value)
{
	if (value->type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("member \"%s\" of chunking must be a string", name)));
	return cstring_to_text_with_len(value->val.string.val, value->val.string.len);
}

void
memai_document_set_chunking(MemaiDocument *document)
{
	JsonbIterator *iterator = JsonbIteratorInit(&document->chunking->root);
	JsonbValue	key,
				value;
	int			size,
				overlap;
	bool		has_size = false,
				has_overlap = false;
	text	   *unit = NULL;
	text	   *strategy = NULL;

	if (!JB_ROOT_IS_OBJECT(document->chunking))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("chunking must be a JSON object"),
				 errhint("Write it like '{\"size\": 400, \"overlap\": 40, \"unit\": \"tokens\", \"strategy\": \"recursive\"}'.")));
	(void) JsonbIteratorNext(&iterator, &key, true);
	while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
	{
		char	   *name = pnstrdup(key.val.string.val, key.val.string.len);

		(void) JsonbIteratorNext(&iterator, &value, true);
		if (strcmp(name, "size") == 0)
		{
			size = int_member(name, &value);
			has_size = true;
		}
		else if (strcmp(name, "overlap") == 0)
		{
			overlap = int_member(name, &value);
			has_overlap = true;
		}
		else if (strcmp(name, "unit") == 0)
			unit = text_member(name, &value);
		else if (strcmp(name, "strategy") == 0)
			strategy = text_member(name, &value);
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("chunking has no member \"%.*s\"", pg_mbcliplen(name, strlen(name), 40), name),
					 errhint("The members are size, overlap, unit and strategy.")));
	}
	document->how.format = document->format;
	memai_chunking_set(&document->how, unit, strategy);
	memai_chunking_set_size(&document->how, has_size ? &size : NULL, has_overlap ? &overlap : NULL, MIN_SIZE,
							document->how.in_tokens ? MAX_TOKENS : MAX_CHARACTERS);
}

/* ---- what is refused ---- */

static void
check_size(const MemaiDocumentInput *input)
{
	if (input->data == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("content must not be null"),
				 errhint("Pass a text, or do not make the call.")));
	if (input->len > MEMAI_DOCUMENT_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("document is too long"),
				 errdetail("It has %zu bytes, the limit is %d.", input->len, MEMAI_DOCUMENT_MAX_BYTES),
				 errhint("Add it in parts, such as chapters.")));
}

static void
refuse_binary(const MemaiDocumentInput *input)
{
	const char *kind = memai_binary_kind(input->data, input->len);

	if (kind != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("document is not text"),
				 errdetail("It begins like a file of kind %s.", kind),
				 errhint("Convert it to text, Markdown or HTML first, for example with pdftotext or pandoc.")));
	if (memchr(input->data, '\0', input->len) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("document is not text"),
				 errdetail("It contains zero bytes."),
				 errhint("Convert it to text, Markdown or HTML first.")));
}

static void
check_utf8(const char *data, size_t len)
{
	int			valid = pg_encoding_verifymbstr(PG_UTF8, data, (int) len);

	if (valid < (int) len)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("document is not valid UTF-8"),
				 errdetail("The byte at position %d begins no character.", valid + 1),
				 errhint("Pass convert_from(content, '...') with the encoding that the text has, such as LATIN1 or WIN1252.")));
}

static void
check_source(const text *source_uri)
{
	if (source_uri == NULL)
		return;
	if (VARSIZE_ANY_EXHDR(source_uri) == 0 || VARSIZE_ANY_EXHDR(source_uri) > SOURCE_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source_uri must have 1 to %d bytes", SOURCE_MAX_BYTES),
				 errhint("Leave it out when the document has none.")));
}

/* ---- the title ---- */

/* a title in UTF-8 as it is stored, on one line, or NULL when nothing is left */
static text *
clean_title(const char *utf8, size_t len)
{
	char	   *out = palloc(memai_clean_max_size(len));
	size_t		n = memai_clean(utf8, len, MEMAI_FORMAT_TEXT, out, NULL, 0);

	for (size_t i = 0; i < n; i++)
	{
		if (out[i] == '\n')
			out[i] = ' ';
	}
	return n > 0 ? memai_text_from_utf8(out, n) : NULL;
}

static void
set_title(const MemaiDocumentInput *input, MemaiDocument *document, const char *found)
{
	if (input->title != NULL)
	{
		size_t		len;
		const char *utf8;

		if (VARSIZE_ANY_EXHDR(input->title) > TITLE_MAX_BYTES)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("title is too long"),
					 errdetail("It has %zu bytes, the limit is %d.", (size_t) VARSIZE_ANY_EXHDR(input->title), TITLE_MAX_BYTES)));
		utf8 = memai_text_to_utf8(VARDATA_ANY(input->title), VARSIZE_ANY_EXHDR(input->title), &len);
		document->title = clean_title(utf8, len);
	}
	else if (found[0] != '\0')
		document->title = clean_title(found, strlen(found));
	else if (document->len > 2 && memcmp(document->utf8, "# ", 2) == 0)
	{
		const char *stop = memchr(document->utf8, '\n', document->len);
		int			len = (int) ((stop ? stop : document->utf8 + document->len) - (document->utf8 + 2));

		document->title = clean_title(document->utf8 + 2,
									  pg_encoding_mbcliplen(PG_UTF8, document->utf8 + 2, len, FOUND_TITLE_BYTES));
	}
}

/* ---- the fingerprint ---- */

static void
hash_bytes_of(pg_cryptohash_ctx *hash, const void *data, size_t len)
{
	uint64		length = len;

	if (pg_cryptohash_update(hash, (const uint8 *) &length, sizeof(length)) < 0 ||
		pg_cryptohash_update(hash, data, len) < 0)
		elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(hash));
}

static void
hash_text(pg_cryptohash_ctx *hash, const text *value)
{
	hash_bytes_of(hash, value ? VARDATA_ANY(value) : "", value ? VARSIZE_ANY_EXHDR(value) : 0);
}

static void
set_fingerprint(MemaiDocument *document)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	char	   *metadata = JsonbToCString(NULL, &document->metadata->root, VARSIZE(document->metadata));
	int32		how[] = {document->how.size, document->how.overlap, document->how.in_tokens,
	document->how.strategy, document->how.format};

	document->fingerprint = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	SET_VARSIZE(document->fingerprint, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	if (pg_cryptohash_init(hash) < 0)
		elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(hash));
	hash_bytes_of(hash, document->utf8, document->len);
	hash_text(hash, document->title);
	hash_text(hash, document->source_uri);
	hash_bytes_of(hash, metadata, strlen(metadata));
	hash_bytes_of(hash, how, sizeof(how));
	if (pg_cryptohash_final(hash, (uint8 *) VARDATA(document->fingerprint), PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(hash));
	pg_cryptohash_free(hash);
}

static Jsonb *
empty_object(void)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
}

/* What the tenant does not want stored is gone before anything is made of the text. */
static void
apply_pii_policy(MemaiDocument *document)
{
	MemaiPiiPolicy policy;
	text	   *content = document->content;

	memai_pii_policy(&policy);
	document->metadata = memai_pii_clean_jsonb(&policy, "metadata", document->metadata);
	document->title = memai_pii_clean(&policy, "a title", document->title);
	document->content = memai_pii_clean(&policy, "a document", content);
	if (document->content != content)
		document->utf8 = memai_text_to_utf8(VARDATA_ANY(document->content), VARSIZE_ANY_EXHDR(document->content), &document->len);
}

void
memai_document_read(const MemaiDocumentInput *input, MemaiDocument *document)
{
	const text *named = input->source_uri ? input->source_uri : input->title;
	const char *utf8 = input->data;
	size_t		len = input->len;
	char		found_title[FOUND_TITLE_BYTES];
	char	   *out;

	memset(document, 0, sizeof(MemaiDocument));
	check_size(input);
	check_source(input->source_uri);
	memai_check_metadata(input->metadata);
	refuse_binary(input);
	if (input->is_bytes)
		check_utf8(utf8, len);
	else
		utf8 = memai_text_to_utf8(utf8, len, &len);
	document->source_uri = input->source_uri;
	document->metadata = input->metadata ? input->metadata : empty_object();
	document->chunking = input->chunking ? input->chunking : empty_object();
	document->format = input->format ? memai_text_format(input->format) :
		memai_guess_format(utf8, len, named ? VARDATA_ANY(named) : "", named ? VARSIZE_ANY_EXHDR(named) : 0);
	memai_document_set_chunking(document);

	out = MemoryContextAllocHuge(CurrentMemoryContext, memai_clean_max_size(len));
	document->len = memai_clean(utf8, len, document->format, out, found_title, sizeof(found_title));
	document->utf8 = out;
	if (document->len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("document has no text"),
				 errdetail("Of its %zu bytes nothing is left after cleaning.", input->len)));
	if (document->len > MEMAI_DOCUMENT_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("document is too long"),
				 errdetail("Its text has %zu bytes, the limit is %d.", document->len, MEMAI_DOCUMENT_MAX_BYTES)));
	document->content = memai_text_from_utf8(document->utf8, document->len);
	set_title(input, document, found_title);
	apply_pii_policy(document);
	set_fingerprint(document);
}
