/*
 * thread.c
 *	  Conversations: opening, reading and extending a thread.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "chat/chat_int.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static MemaiStatement select_thread = {
	.sql = "SELECT scope, namespace, system_prompt, model, summary, summary_until, summary_replaces FROM memai.thread "
	"WHERE tenant = $1 AND user_id = $2 AND id = $3",
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, UUIDOID},
};

static MemaiStatement insert_thread = {
	.sql = "INSERT INTO memai.thread (tenant, user_id, namespace, scope, id, title, system_prompt, model, metadata, is_single) "
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, '{}'), $10)",
	.nargs = 10,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, BOOLOID},
};

/* each by a look of its own: a plan that is kept takes scopes for small, and would read all episodes of a large one */
#define TEXTS ", LATERAL (SELECT role, content FROM memai.episode WHERE scope = $1 AND id = m.id OFFSET 0) e ORDER BY m.id"

static MemaiStatement select_turns = {
	.sql = "SELECT m.id, e.role, e.content "
	"FROM (SELECT id FROM memai.message WHERE scope = $1 AND thread_id = $2 AND id > $4 ORDER BY id DESC LIMIT $3) m" TEXTS,
	.nargs = 4,
	.argtypes = {INT8OID, UUIDOID, INT8OID, UUIDOID},
};

static MemaiStatement select_single_turns = {
	.sql = "SELECT m.id, e.role, e.content "
	"FROM (SELECT id FROM memai.message WHERE scope = $1 AND is_single ORDER BY id DESC LIMIT $2) m" TEXTS,
	.nargs = 2,
	.argtypes = {INT8OID, INT8OID},
};

static MemaiStatement insert_message = {
	.sql = "INSERT INTO memai.message (tenant, user_id, namespace, scope, id, thread_id, is_single, model, "
	"prompt_tokens, completion_tokens, finish_reason, intent, memory_ids, tools_invoked, cost) "
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, coalesce($14, '[]'), $15)",
	.nargs = 15,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, UUIDOID, UUIDOID, BOOLOID, TEXTOID, INT4OID, INT4OID, TEXTOID,
	TEXTOID, UUIDARRAYOID, JSONBOID, FLOAT8OID},
};

PG_FUNCTION_INFO_V1(memai_create_thread);

/* a column of the first row as a copy in the current context; NULL when it is null */
static text *
text_column(int column)
{
	bool		null;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &null);

	return null ? NULL : DatumGetTextPCopy(value);
}

bool
memai_thread_find(text *user_id, const pg_uuid_t *id, ChatThread *thread)
{
	Datum		values[3];
	text	   *model;
	bool		null;
	Datum		value;

	memai_scope_resolve(&thread->scope, user_id, NULL);
	values[0] = PointerGetDatum(thread->scope.tenant);
	values[1] = PointerGetDatum(thread->scope.user_id);
	values[2] = UUIDPGetDatum(id);
	if (memai_statement_run(&select_thread, values, NULL, true, 0) == 0)
		return false;
	thread->id = *id;
	thread->is_single = false;
	thread->scope.scope = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	thread->scope.namespace = text_column(2);
	thread->system_prompt = text_column(3);
	model = text_column(4);
	thread->model = model ? text_to_cstring(model) : NULL;
	thread->summary = text_column(5);
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 6, &null);
	if (!null)
		thread->summary_until = *DatumGetUUIDP(value);
	thread->summary_replaces = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 7, &null));
	SPI_freetuptable(SPI_tuptable);
	return true;
}

void
memai_thread_load(text *user_id, const pg_uuid_t *id, ChatThread *thread)
{
	if (!memai_thread_find(user_id, id, thread))
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("there is no such thread"),
				 errdetail("The user has no thread with this id."),
				 errhint("Open one with memai.create_thread, or leave thread_id out.")));
}

void
memai_thread_open(ChatThread *thread, text *title, Jsonb *metadata)
{
	Datum		values[10];
	char		nulls[10];

	memai_new_id(&thread->id);
	memset(nulls, ' ', sizeof(nulls));
	memai_scope_values(&thread->scope, values);
	values[4] = UUIDPGetDatum(&thread->id);
	values[5] = PointerGetDatum(title);
	nulls[5] = title ? ' ' : 'n';
	values[6] = PointerGetDatum(thread->system_prompt);
	nulls[6] = thread->system_prompt ? ' ' : 'n';
	values[7] = thread->model ? CStringGetTextDatum(thread->model) : (Datum) 0;
	nulls[7] = thread->model ? ' ' : 'n';
	values[8] = JsonbPGetDatum(metadata);
	nulls[8] = metadata ? ' ' : 'n';
	values[9] = BoolGetDatum(thread->is_single);
	memai_statement_run(&insert_thread, values, nulls, false, 0);
}

/*
 * Instructions are the application's and results of tools belong to their
 * calls: whatever else an episode of a thread says of itself, the user said it.
 */
static const char *
turn_role(const char *role)
{
	return strcmp(role, "assistant") == 0 ? "assistant" : "user";
}

List *
memai_thread_turns(const ChatThread *thread, int max_turns)
{
	Datum		values[4] = {Int64GetDatum(thread->scope.scope)};
	pg_uuid_t	after = {{0}};
	uint64		nrows;
	List	   *turns = NIL;

	if (thread->is_single)
	{
		values[1] = Int64GetDatum(max_turns);
		nrows = memai_statement_run(&select_single_turns, values, NULL, true, 0);
	}
	else
	{
		values[1] = UUIDPGetDatum(&thread->id);
		values[2] = Int64GetDatum(max_turns);
		if (thread->summary_replaces)
			after = thread->summary_until;
		values[3] = UUIDPGetDatum(&after);
		nrows = memai_statement_run(&select_turns, values, NULL, true, 0);
	}
	for (uint64 row = 0; row < nrows; row++)
	{
		ChatTurn   *turn = palloc(sizeof(ChatTurn));
		HeapTuple	tuple = SPI_tuptable->vals[row];
		bool		null;

		CHECK_FOR_INTERRUPTS();
		turn->id = *DatumGetUUIDP(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &null));
		turn->role = turn_role(TextDatumGetCString(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &null)));
		turn->content = DatumGetTextPCopy(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 3, &null));
		turns = lappend(turns, turn);
	}
	SPI_freetuptable(SPI_tuptable);
	return turns;
}

static Datum
name_value(const char *name, char *null)
{
	*null = name ? ' ' : 'n';
	return name ? CStringGetTextDatum(name) : (Datum) 0;
}

static void
insert_message_row(const ChatThread *thread, const pg_uuid_t *id, const ChatOutcome *outcome)
{
	Datum		values[15];
	char		nulls[15];

	memset(nulls, ' ', sizeof(nulls));
	memai_scope_values(&thread->scope, values);
	values[4] = UUIDPGetDatum(id);
	values[5] = UUIDPGetDatum(&thread->id);
	values[6] = BoolGetDatum(thread->is_single);
	values[7] = name_value(outcome->model, &nulls[7]);
	values[8] = Int32GetDatum(outcome->prompt_tokens);
	nulls[8] = outcome->prompt_tokens >= 0 ? ' ' : 'n';
	values[9] = Int32GetDatum(outcome->completion_tokens);
	nulls[9] = outcome->completion_tokens >= 0 ? ' ' : 'n';
	values[10] = name_value(outcome->finish_reason, &nulls[10]);
	values[11] = name_value(outcome->intent, &nulls[11]);
	values[12] = PointerGetDatum(construct_array(outcome->memory_ids, outcome->nmemory_ids,
												 UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	values[13] = JsonbPGetDatum(outcome->tools_invoked);
	nulls[13] = outcome->tools_invoked ? ' ' : 'n';
	values[14] = Float8GetDatum(outcome->cost);
	nulls[14] = isnan(outcome->cost) ? 'n' : ' ';
	memai_statement_run(&insert_message, values, nulls, false, 0);
}

pg_uuid_t
memai_thread_append(const ChatThread *thread, const char *role, text *content, const ChatOutcome *outcome)
{
	const ChatOutcome none = {.prompt_tokens = -1, .completion_tokens = -1, .cost = NAN};
	MemaiEpisode episode = {
		.role = cstring_to_text(role),
		.content = content,
		.occurred_at = GetCurrentTimestamp(),
	};

	if (outcome != NULL)
	{
		episode.vector_model = outcome->vector.model;
		episode.vector = outcome->vector.vector;
	}
	memai_episodes_store(&thread->scope, &thread->id, "chat", outcome ? outcome->extract_with : NULL, 1, &episode);
	insert_message_row(thread, &episode.id, outcome ? outcome : &none);
	return episode.id;
}

/*
 * create_thread(user_id text, namespace text, title text, system_prompt text,
 * initial_message text, model text, metadata jsonb) returns uuid
 */
Datum
memai_create_thread(PG_FUNCTION_ARGS)
{
	ChatThread	thread = {0};
	text	   *title = PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2);
	text	   *initial_message = PG_ARGISNULL(4) ? NULL : PG_GETARG_TEXT_PP(4);
	Jsonb	   *metadata = PG_ARGISNULL(6) ? NULL : PG_GETARG_JSONB_P(6);
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	memai_scope_resolve(&thread.scope, PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0),
						PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1));
	if (title != NULL)
		memai_check_content("title", title);
	if (!PG_ARGISNULL(3))
	{
		thread.system_prompt = PG_GETARG_TEXT_PP(3);
		memai_check_content("system_prompt", thread.system_prompt);
	}
	if (initial_message != NULL)
		memai_check_content("initial_message", initial_message);
	if (!PG_ARGISNULL(5))
		thread.model = memai_model_lookup(text_to_cstring(PG_GETARG_TEXT_PP(5)), "chat")->name;
	memai_check_metadata(metadata);

	SPI_connect();
	memai_thread_open(&thread, title, metadata);
	if (initial_message != NULL)
		memai_thread_append(&thread, "assistant", initial_message, NULL);
	SPI_finish();
	*id = thread.id;
	PG_RETURN_UUID_P(id);
}
