/*
 * episode.c
 *	  Storing what happened: memai.remember_messages and its C counterpart.
 *
 * A call stores all of its messages or none.  Vectors are made before the rows
 * are in, so that nothing is locked while a model answers; those of very many
 * messages after it, in slices, so that only the texts take memory all at once.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "memory/infer.h"
#include "miscadmin.h"
#include "text/text.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* messages of one call; more belong into several statements */
#define MESSAGES_MAX 100000

static MemaiStatement select_default_chat = {
	.sql = "SELECT FROM memai.models WHERE kind = 'chat' AND is_default AND provider <> 'local'",
};

static MemaiStatement insert_episodes = {
	.sql = "INSERT INTO memai.episode (tenant, user_id, namespace, scope, thread_id, source, "
	"id, role, name, content, metadata, occurred_at, asking, terms, about_from, about_until, extract_with, document_id) "
	"SELECT $1, $2, $3, $4, $5, $6, e.*, CASE WHEN e.role IN ('user', 'tool') THEN $17 END, $18 "
	"FROM ROWS FROM (unnest($7), unnest($8), unnest($9), unnest($10), unnest($11), unnest($12), unnest($13), unnest($14), "
	"unnest($15), unnest($16)) AS e (id, role, name, content, metadata, occurred_at, asking, terms, about_from, about_until)",
	.nargs = 18,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, UUIDOID, TEXTOID,
		UUIDARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, JSONBARRAYOID, TIMESTAMPTZARRAYOID,
	FLOAT4ARRAYOID, BYTEAARRAYOID, DATEARRAYOID, DATEARRAYOID, TEXTOID, UUIDOID},
};

PG_FUNCTION_INFO_V1(memai_remember_messages);

/* one column of the rows to insert */
typedef struct Column
{
	Datum	   *values;
	bool	   *nulls;
} Column;

static Column
make_column(int nrows)
{
	Column		column;

	column.values = palloc0(sizeof(Datum) * nrows);
	column.nulls = palloc0(sizeof(bool) * nrows);
	return column;
}

static Datum
column_array(const Column *column, int nrows, Oid type, int typlen, bool byval, char align)
{
	int			lower_bound = 1;

	return PointerGetDatum(construct_md_array(column->values, column->nulls, 1, &nrows, &lower_bound,
											  type, typlen, byval, align));
}

static void
set_text(Column *column, int row, const text *value)
{
	column->values[row] = PointerGetDatum(value);
	column->nulls[row] = (value == NULL);
}

static float4
asking_share(const text *content)
{
	size_t		len;
	const char *utf8 = memai_text_to_utf8(VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content), &len);

	return (float4) memai_text_asking(utf8, len);
}

static void
set_days(Column *from, Column *until, int row, const MemaiEpisode *episode)
{
	MemaiDaySpan days;

	from->nulls[row] = until->nulls[row] = !memai_days_of(episode->content, episode->occurred_at, &days);
	if (from->nulls[row])
		return;
	from->values[row] = memai_day_datum(days.first);
	until->values[row] = memai_day_datum(days.end);
}

static void
insert_rows(const MemaiScope *scope, const pg_uuid_t *thread_id, const pg_uuid_t *document_id, const char *source, const char *extract_with,
			int nepisodes, MemaiEpisode *episodes, const MemaiSpan *texts)
{
	Column		id = make_column(nepisodes),
				role = make_column(nepisodes),
				name = make_column(nepisodes),
				content = make_column(nepisodes),
				metadata = make_column(nepisodes),
				occurred_at = make_column(nepisodes),
				asking = make_column(nepisodes),
				terms = make_column(nepisodes),
				from = make_column(nepisodes),
				until = make_column(nepisodes);
	Jsonb	   *no_metadata = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	Datum		values[18];
	char		nulls[18];

	for (int i = 0; i < nepisodes; i++)
	{
		MemaiEpisode *episode = &episodes[i];

		CHECK_FOR_INTERRUPTS();
		memai_new_id(&episode->id);
		id.values[i] = UUIDPGetDatum(&episode->id);
		set_text(&role, i, episode->role);
		set_text(&name, i, episode->name);
		set_text(&content, i, episode->content);
		metadata.values[i] = JsonbPGetDatum(episode->metadata ? episode->metadata : no_metadata);
		occurred_at.values[i] = TimestampTzGetDatum(episode->occurred_at);
		asking.values[i] = Float4GetDatum(asking_share(episode->content));
		terms.values[i] = memai_item_terms(episode->has_language, episode->language, texts[i].data, texts[i].len);
		set_days(&from, &until, i, episode);
	}

	memset(nulls, ' ', sizeof(nulls));
	memai_scope_values(scope, values);
	values[4] = UUIDPGetDatum(thread_id);
	if (thread_id == NULL)
		nulls[4] = 'n';
	values[5] = CStringGetTextDatum(source);
	values[6] = column_array(&id, nepisodes, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
	values[7] = column_array(&role, nepisodes, TEXTOID, -1, false, TYPALIGN_INT);
	values[8] = column_array(&name, nepisodes, TEXTOID, -1, false, TYPALIGN_INT);
	values[9] = column_array(&content, nepisodes, TEXTOID, -1, false, TYPALIGN_INT);
	values[10] = column_array(&metadata, nepisodes, JSONBOID, -1, false, TYPALIGN_INT);
	values[11] = column_array(&occurred_at, nepisodes, TIMESTAMPTZOID, sizeof(TimestampTz), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	values[12] = column_array(&asking, nepisodes, FLOAT4OID, sizeof(float4), true, TYPALIGN_INT);
	values[13] = column_array(&terms, nepisodes, BYTEAOID, -1, false, TYPALIGN_INT);
	values[14] = column_array(&from, nepisodes, DATEOID, sizeof(int32), true, TYPALIGN_INT);
	values[15] = column_array(&until, nepisodes, DATEOID, sizeof(int32), true, TYPALIGN_INT);
	values[16] = extract_with ? CStringGetTextDatum(extract_with) : (Datum) 0;
	nulls[16] = extract_with ? ' ' : 'n';
	values[17] = UUIDPGetDatum(document_id);
	nulls[17] = document_id ? ' ' : 'n';
	memai_statement_run(&insert_episodes, values, nulls, false, 0);
}

/* What a text is found under, for each; applies the tenant's policy to them. */
static MemaiSpan *
search_texts(int nepisodes, MemaiEpisode *episodes)
{
	MemaiSpan  *texts = palloc(sizeof(MemaiSpan) * nepisodes);
	MemaiPiiPolicy policy;

	memai_pii_policy(&policy);
	for (int i = 0; i < nepisodes; i++)
	{
		CHECK_FOR_INTERRUPTS();
		episodes[i].content = memai_pii_clean(&policy, "a message", episodes[i].content);
		episodes[i].name = memai_pii_clean(&policy, "a name", episodes[i].name);
		episodes[i].metadata = memai_pii_clean_jsonb(&policy, "metadata", episodes[i].metadata);
		texts[i] = memai_search_text(episodes[i].name, episodes[i].content);
	}
	return texts;
}

static const pg_uuid_t **
episode_ids(int nepisodes, const MemaiEpisode *episodes)
{
	const pg_uuid_t **ids = palloc(sizeof(pg_uuid_t *) * nepisodes);

	for (int i = 0; i < nepisodes; i++)
		ids[i] = &episodes[i].id;
	return ids;
}

/* extract_with: the chat model that a job will ask about them, or NULL */
static void
store_episodes(const MemaiScope *scope, const pg_uuid_t *thread_id, const char *source, const char *extract_with,
			   int nepisodes, MemaiEpisode *episodes)
{
	MemaiSpan  *texts;
	const pg_uuid_t **ids;

	if (nepisodes == 0)
		return;
	texts = search_texts(nepisodes, episodes);
	ids = episode_ids(nepisodes, episodes);
	if (episodes[0].vector_model != NULL)
	{
		Assert(nepisodes == 1);
		insert_rows(scope, thread_id, NULL, source, extract_with, 1, episodes, texts);
		if (episodes[0].vector != NULL)
			memai_vectors_store(scope, episodes[0].vector_model, false, 1, ids, &episodes[0].vector);
		return;
	}
	if (nepisodes <= MEMAI_EMBED_SLICE)
	{
		MemaiModelInfo *model = memai_model_lookup_for(scope, NULL, "embed");
		MemaiVector **vectors = palloc(sizeof(MemaiVector *) * nepisodes);

		memai_model_embed(model, MEMAI_INPUT_DOCUMENT, nepisodes, texts, vectors);
		insert_rows(scope, thread_id, NULL, source, extract_with, nepisodes, episodes, texts);
		memai_vectors_store(scope, model->name, false, nepisodes, ids, vectors);
		return;
	}
	insert_rows(scope, thread_id, NULL, source, extract_with, nepisodes, episodes, texts);
	memai_embeddings_store(scope, NULL, false, nepisodes, ids, texts);
}

void
memai_episodes_store(const MemaiScope *scope, const pg_uuid_t *thread_id, const char *source,
					 const char *extract_with, int nepisodes, MemaiEpisode *episodes)
{
	store_episodes(scope, thread_id, source, extract_with, nepisodes, episodes);
	if (extract_with != NULL && nepisodes > 0)
		memai_extract_submit(scope, extract_with);
}

void
memai_chunks_store(const MemaiScope *scope, const pg_uuid_t *document_id, bool embed,
				   int nepisodes, MemaiEpisode *episodes)
{
	MemaiSpan  *texts;

	if (nepisodes == 0)
		return;
	texts = search_texts(nepisodes, episodes);
	insert_rows(scope, document_id, document_id, "document", NULL, nepisodes, episodes, texts);
	if (embed)
		memai_embeddings_store(scope, NULL, false, nepisodes, episode_ids(nepisodes, episodes), texts);
}

/* ---- reading the messages argument ---- */

/* a string member as text, NULL when it is absent or JSON null */
static text *
string_member(const JsonbValue *value, const char *name)
{
	if (value->type == jbvNull)
		return NULL;
	if (value->type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s of a message must be a string", name),
				 errhint("Write it like {\"role\": \"user\", \"content\": \"...\"}.")));
	return cstring_to_text_with_len(value->val.string.val, value->val.string.len);
}

/* Raises 22023 unless a time can be stored. */
static void
check_time(TimestampTz occurred_at)
{
	if (TIMESTAMP_NOT_FINITE(occurred_at) || !IS_VALID_TIMESTAMP(occurred_at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("occurred_at must be finite and in range"),
				 errhint("Leave it out for messages of this moment.")));
}

static TimestampTz
time_member(const JsonbValue *value)
{
	char	   *string = text_to_cstring(string_member(value, "occurred_at"));

	return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(string),
												   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

static void
set_member(MemaiEpisode *episode, const JsonbValue *key, const JsonbValue *value)
{
	const char *name = key->val.string.val;
	int			len = key->val.string.len;

#define KEY_IS(literal) (len == strlen(literal) && memcmp(name, literal, len) == 0)
	if (KEY_IS("role"))
		episode->role = string_member(value, "role");
	else if (KEY_IS("content"))
		episode->content = string_member(value, "content");
	else if (KEY_IS("name"))
		episode->name = string_member(value, "name");
	else if (KEY_IS("occurred_at"))
	{
		if (value->type != jbvNull)
			episode->occurred_at = time_member(value);
	}
	else if (KEY_IS("metadata"))
	{
		if (value->type != jbvNull)
			episode->metadata = JsonbValueToJsonb(unconstify(JsonbValue *, value));
	}
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a message has no member \"%.*s\"", pg_mbcliplen(name, len, 40), name),
				 errhint("The members are role, content, name, occurred_at and metadata; put anything else into metadata.")));
#undef KEY_IS
}

static void
read_message(const JsonbValue *message, MemaiEpisode *episode)
{
	JsonbIterator *iterator;
	JsonbValue	key,
				value;

	if (message->type != jbvBinary || !JsonContainerIsObject(message->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("each message must be a JSON object"),
				 errhint("Write it like {\"role\": \"user\", \"content\": \"...\"}.")));
	iterator = JsonbIteratorInit(message->val.binary.data);
	if (JsonbIteratorNext(&iterator, &key, true) != WJB_BEGIN_OBJECT)
		elog(ERROR, "message is not an object");
	while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&iterator, &value, true);
		set_member(episode, &key, &value);
	}
	memai_check_content("content", episode->content);
	memai_check_metadata(episode->metadata);
	if (episode->role == NULL)
		episode->role = cstring_to_text("user");
	memai_check_role(episode->role);
	if (episode->name != NULL &&
		(VARSIZE_ANY_EXHDR(episode->name) == 0 || VARSIZE_ANY_EXHDR(episode->name) > MEMAI_KEY_MAX_LENGTH))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name of a message must have 1 to %d bytes", MEMAI_KEY_MAX_LENGTH),
				 errhint("Leave it out when the role says who spoke.")));
}

/*
 * Messages to episodes, each with its position (from 1) in the error context.
 * A message without a time happened a microsecond after the one before it, or
 * at start.
 */
typedef struct MessagesReader
{
	int			position;
} MessagesReader;

static void
add_message_position(void *arg)
{
	errcontext("message %d", ((MessagesReader *) arg)->position);
}

static MemaiEpisode *
read_messages(Jsonb *messages, TimestampTz start, Jsonb *metadata, int *nepisodes)
{
	MessagesReader reader = {0};
	ErrorContextCallback callback = {.callback = add_message_position,.arg = &reader,.previous = error_context_stack};
	MemaiEpisode *episodes;
	TimestampTz next_time = start;
	int			n;

	if (!JB_ROOT_IS_ARRAY(messages) || JB_ROOT_IS_SCALAR(messages))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("messages must be a JSON array"),
				 errhint("Write it like '[{\"role\": \"user\", \"content\": \"...\"}]'.")));
	n = JB_ROOT_COUNT(messages);
	if (n > MESSAGES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many messages"),
				 errdetail("There are %d, the limit of one call is %d.", n, MESSAGES_MAX),
				 errhint("Store them with several calls.")));

	episodes = palloc0(mul_size(sizeof(MemaiEpisode), Max(n, 1)));
	error_context_stack = &callback;
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		reader.position = i + 1;
		episodes[i].occurred_at = next_time;
		episodes[i].metadata = metadata;
		read_message(getIthJsonbValueFromContainer(&messages->root, i), &episodes[i]);
		check_time(episodes[i].occurred_at);
		next_time = episodes[i].occurred_at + 1;
	}
	error_context_stack = callback.previous;
	*nepisodes = n;
	return episodes;
}

static void
set_language(int nepisodes, MemaiEpisode *episodes, int language)
{
	for (int i = 0; i < nepisodes; i++)
	{
		episodes[i].has_language = true;
		episodes[i].language = language;
	}
}

/*
 * Whether to infer when the call does not say so: with the model that it names, or else the default that the
 * role may call, unless that is a built-in one, which cannot.  The caller is connected to SPI.
 */
static bool
infers_by_default(const char *model)
{
	if (model != NULL)
		return !memai_model_lookup(model, "chat")->is_local;
	return memai_statement_run(&select_default_chat, NULL, NULL, true, 1) > 0;
}

/*
 * remember_messages(messages jsonb, user_id text, namespace text, thread_id uuid,
 * occurred_at timestamptz, metadata jsonb, infer boolean, model text, wait boolean, language text) returns setof uuid
 */
Datum
memai_remember_messages(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	pg_uuid_t	new_thread;
	pg_uuid_t  *thread_id = PG_ARGISNULL(3) ? NULL : PG_GETARG_UUID_P(3);
	TimestampTz start = PG_ARGISNULL(4) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(4);
	Jsonb	   *metadata = PG_ARGISNULL(5) ? NULL : PG_GETARG_JSONB_P(5);
	char	   *model = PG_ARGISNULL(7) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(7));
	bool		wait = !PG_ARGISNULL(8) && PG_GETARG_BOOL(8);
	bool		infer;
	MemaiScope	scope;
	MemaiEpisode *episodes;
	int			nepisodes;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("messages must not be null"),
				 errhint("Pass a JSON array; it may be empty.")));
	memai_scope_resolve(&scope, PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1),
						PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2));
	memai_check_metadata(metadata);
	episodes = read_messages(PG_GETARG_JSONB_P(0), start, metadata, &nepisodes);
	if (!PG_ARGISNULL(9))
		set_language(nepisodes, episodes, memai_text_language_argument(PG_GETARG_TEXT_PP(9)));
	if (thread_id == NULL)
	{
		memai_new_id(&new_thread);
		thread_id = &new_thread;
	}

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	SPI_connect();
	infer = PG_ARGISNULL(6) ? infers_by_default(model) : PG_GETARG_BOOL(6);
	if (infer)
		model = memai_model_lookup(model, "chat")->name;
	memai_episodes_store(&scope, thread_id, "message", infer && !wait ? model : NULL, nepisodes, episodes);
	if (infer && wait)
		memai_infer(&scope, model, nepisodes, episodes);
	SPI_finish();
	for (int i = 0; i < nepisodes; i++)
	{
		Datum		value = UUIDPGetDatum(&episodes[i].id);
		bool		null = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &null);
	}
	return (Datum) 0;
}
