/*
 * thread.c
 *	  Conversations: opening, reading and extending a thread.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "chat/chat_int.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static MemaiStatement select_thread = {
	.sql = "SELECT system_prompt, model FROM memai.thread WHERE scope = $1 AND id = $2",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDOID},
};

static MemaiStatement insert_thread = {
	.sql = "INSERT INTO memai.thread (tenant, user_id, namespace, scope, id, title, system_prompt, model, metadata) "
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, '{}'))",
	.nargs = 9,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID},
};

static MemaiStatement select_turns = {
	.sql = "SELECT m.id, e.role, e.content "
	"FROM (SELECT scope, id FROM memai.message WHERE scope = $1 AND thread_id = $2 ORDER BY id DESC LIMIT $3) m "
	"JOIN memai.episode e ON e.scope = m.scope AND e.id = m.id ORDER BY m.id",
	.nargs = 3,
	.argtypes = {INT8OID, UUIDOID, INT8OID},
};

static MemaiStatement insert_message = {
	.sql = "INSERT INTO memai.message (tenant, user_id, namespace, scope, id, thread_id, model, "
	"prompt_tokens, completion_tokens, finish_reason, memory_ids) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
	.nargs = 11,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, INT8OID, UUIDOID, UUIDOID, TEXTOID, INT4OID, INT4OID, TEXTOID, UUIDARRAYOID},
};

PG_FUNCTION_INFO_V1(memai_create_thread);

void
memai_thread_load(const MemaiScope *scope, const pg_uuid_t *id, ChatThread *thread)
{
	Datum		values[2] = {Int64GetDatum(scope->scope), UUIDPGetDatum(id)};
	HeapTuple	tuple;
	bool		null;
	Datum		value;

	if (memai_statement_run(&select_thread, values, NULL, true, 0) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("there is no such thread"),
				 errdetail("The user has no thread with this id in this namespace."),
				 errhint("Open one with memai.create_thread, or leave thread_id out.")));
	tuple = SPI_tuptable->vals[0];
	thread->id = *id;
	value = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &null);
	thread->system_prompt = null ? NULL : DatumGetTextPCopy(value);
	value = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &null);
	thread->model = null ? NULL : TextDatumGetCString(value);
	SPI_freetuptable(SPI_tuptable);
}

void
memai_thread_open(const MemaiScope *scope, ChatThread *thread, text *title, Jsonb *metadata)
{
	Datum		values[9];
	char		nulls[9];

	memai_new_id(&thread->id);
	memset(nulls, ' ', sizeof(nulls));
	memai_scope_values(scope, values);
	values[4] = UUIDPGetDatum(&thread->id);
	values[5] = PointerGetDatum(title);
	nulls[5] = title ? ' ' : 'n';
	values[6] = PointerGetDatum(thread->system_prompt);
	nulls[6] = thread->system_prompt ? ' ' : 'n';
	values[7] = thread->model ? CStringGetTextDatum(thread->model) : (Datum) 0;
	nulls[7] = thread->model ? ' ' : 'n';
	values[8] = JsonbPGetDatum(metadata);
	nulls[8] = metadata ? ' ' : 'n';
	memai_statement_run(&insert_thread, values, nulls, false, 0);
}

List *
memai_thread_turns(const MemaiScope *scope, const ChatThread *thread, int max_turns)
{
	Datum		values[3] = {Int64GetDatum(scope->scope), UUIDPGetDatum(&thread->id), Int64GetDatum(max_turns)};
	uint64		nrows = memai_statement_run(&select_turns, values, NULL, true, 0);
	List	   *turns = NIL;

	for (uint64 row = 0; row < nrows; row++)
	{
		ChatTurn   *turn = palloc(sizeof(ChatTurn));
		HeapTuple	tuple = SPI_tuptable->vals[row];
		bool		null;

		CHECK_FOR_INTERRUPTS();
		turn->id = *DatumGetUUIDP(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &null));
		turn->role = TextDatumGetCString(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &null));
		turn->content = DatumGetTextPCopy(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 3, &null));
		turns = lappend(turns, turn);
	}
	SPI_freetuptable(SPI_tuptable);
	return turns;
}

static void
insert_message_row(const MemaiScope *scope, const ChatThread *thread, const pg_uuid_t *id,
				   const ChatOutcome *outcome)
{
	Datum		values[11];
	char		nulls[11];

	memset(nulls, ' ', sizeof(nulls));
	memai_scope_values(scope, values);
	values[4] = UUIDPGetDatum(id);
	values[5] = UUIDPGetDatum(&thread->id);
	values[6] = outcome->model ? CStringGetTextDatum(outcome->model) : (Datum) 0;
	nulls[6] = outcome->model ? ' ' : 'n';
	values[7] = Int32GetDatum(outcome->prompt_tokens);
	nulls[7] = outcome->prompt_tokens >= 0 ? ' ' : 'n';
	values[8] = Int32GetDatum(outcome->completion_tokens);
	nulls[8] = outcome->completion_tokens >= 0 ? ' ' : 'n';
	values[9] = outcome->finish_reason ? CStringGetTextDatum(outcome->finish_reason) : (Datum) 0;
	nulls[9] = outcome->finish_reason ? ' ' : 'n';
	values[10] = PointerGetDatum(construct_array(outcome->memory_ids, outcome->nmemory_ids,
												 UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	memai_statement_run(&insert_message, values, nulls, false, 0);
}

void
memai_thread_append(const MemaiScope *scope, const ChatThread *thread, const char *role,
					text *content, const ChatOutcome *outcome)
{
	const ChatOutcome none = {.prompt_tokens = -1, .completion_tokens = -1};
	MemaiEpisode episode = {
		.role = cstring_to_text(role),
		.content = content,
		.occurred_at = GetCurrentTimestamp(),
	};

	memai_episodes_store(scope, &thread->id, "chat", 1, &episode);
	insert_message_row(scope, thread, &episode.id, outcome ? outcome : &none);
}

/*
 * create_thread(user_id text, namespace text, title text, system_prompt text,
 * model text, metadata jsonb) returns uuid
 */
Datum
memai_create_thread(PG_FUNCTION_ARGS)
{
	MemaiScope	scope;
	ChatThread	thread = {0};
	text	   *title = PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2);
	Jsonb	   *metadata = PG_ARGISNULL(5) ? NULL : PG_GETARG_JSONB_P(5);
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	memai_scope_resolve(&scope, PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0),
						PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1));
	if (title != NULL)
		memai_check_content("title", title);
	if (!PG_ARGISNULL(3))
	{
		thread.system_prompt = PG_GETARG_TEXT_PP(3);
		memai_check_content("system_prompt", thread.system_prompt);
	}
	if (!PG_ARGISNULL(4))
		thread.model = memai_model_lookup(text_to_cstring(PG_GETARG_TEXT_PP(4)), "chat")->name;
	memai_check_metadata(metadata);

	SPI_connect();
	memai_thread_open(&scope, &thread, title, metadata);
	SPI_finish();
	*id = thread.id;
	PG_RETURN_UUID_P(id);
}
