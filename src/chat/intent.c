/*
 * intent.c
 *	  What a chat is about, and what follows from it: instructions, sources;
 *	  and the user's preferences.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "chat/chat_int.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

static MemaiStatement select_any_intent = {
	.sql = "SELECT 1 FROM memai.intent WHERE tenant = $1 LIMIT 1",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static MemaiStatement select_by_keywords = {
	.sql = "SELECT intent FROM memai._intents_by_keywords($1) LIMIT 1",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static MemaiStatement select_model = {
	.sql = "SELECT memai._intent_model()",
};

static MemaiStatement select_by_meaning = {
	.sql = "SELECT intent FROM memai._intents_by_meaning($1, $2, 0.35) LIMIT 1",
	.nargs = 2,
	.argtypes = {TEXTOID, FLOAT4ARRAYOID},
};

static MemaiStatement select_intent = {
	.sql = "SELECT system_prompt FROM memai.intent WHERE tenant = $1 AND name = $2",
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

static MemaiStatement make_parameters = {
	.sql = "SELECT jsonb_build_object('user_id', $1::text, 'namespace', $2::text, 'message', $3::text)",
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID},
};

/* as memai.get_preferences, which would be planned for each chat */
static MemaiStatement select_preferences = {
	.sql = "SELECT string_agg(p.key || ': ' || (p.value #>> '{}'), E'\\n' ORDER BY p.key) "
	"FROM jsonb_each(coalesce((SELECT preferences FROM memai.preference WHERE scope = $1), '{}') || "
	"coalesce((SELECT preferences FROM memai.preference WHERE scope = $2), '{}')) p",
	.nargs = 2,
	.argtypes = {INT8OID, INT8OID},
};

/* the only column of the first row, in the current context; NULL when it is null */
static text *
first_text(void)
{
	bool		null;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);

	return null ? NULL : DatumGetTextPCopy(value);
}

static void
load_intent(Chat *chat, text *tenant)
{
	Datum		values[2] = {PointerGetDatum(tenant), CStringGetTextDatum(chat->intent)};

	if (memai_statement_run(&select_intent, values, NULL, true, 0) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no intent \"%s\"", chat->intent),
				 errhint("The view memai.intents lists them; 'none' is no intent.")));
	chat->intent_prompt = first_text();
}

/* The caller's context comes first, then what the sources say. */
static void
append_sources(Chat *chat)
{
	Datum		values[3] = {PointerGetDatum(chat->scope.user_id), PointerGetDatum(chat->scope.namespace), PointerGetDatum(chat->message)};
	StringInfoData context;
	bool		null;
	Jsonb	   *parameters;

	memai_statement_run(&make_parameters, values, NULL, true, 0);
	parameters = DatumGetJsonbPCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	initStringInfo(&context);
	if (chat->context != NULL)
	{
		appendBinaryStringInfo(&context, VARDATA_ANY(chat->context), VARSIZE_ANY_EXHDR(chat->context));
		appendStringInfoChar(&context, '\n');
	}
	memai_sources_append(&context, chat->intent, parameters);
	chat->context = context.len > 0 ? cstring_to_text_with_len(context.data, context.len) : NULL;
}

static char *
first_string(void)
{
	text	   *value = first_text();

	return value ? text_to_cstring(value) : NULL;
}

char *
memai_intent_by_words(Chat *chat)
{
	Datum		value = PointerGetDatum(memai_current_tenant_text());

	/* most applications have none: no reason to call a model */
	if (chat->intent != NULL || memai_statement_run(&select_any_intent, &value, NULL, true, 0) == 0)
		return NULL;
	value = PointerGetDatum(chat->message);
	if (memai_statement_run(&select_by_keywords, &value, NULL, true, 1) > 0)
	{
		chat->intent = first_string();
		return NULL;
	}
	memai_statement_run(&select_model, NULL, NULL, true, 1);
	return first_string();
}

void
memai_intent_by_meaning(Chat *chat, const char *model)
{
	const MemaiVector *question = chat->question.vector;
	Datum	   *elements = palloc(sizeof(Datum) * question->dim);
	Datum		values[2];

	for (int i = 0; i < question->dim; i++)
		elements[i] = Float4GetDatum(question->x[i]);
	values[0] = CStringGetTextDatum(model);
	values[1] = PointerGetDatum(construct_array(elements, question->dim, FLOAT4OID, sizeof(float4), true, TYPALIGN_INT));
	if (memai_statement_run(&select_by_meaning, values, NULL, true, 1) > 0)
		chat->intent = first_string();
}

void
memai_intent_load(Chat *chat)
{
	if (chat->intent != NULL && strcmp(chat->intent, "none") == 0)
		chat->intent = NULL;
	if (chat->intent != NULL)
		load_intent(chat, memai_current_tenant_text());
}

void
memai_intent_apply(Chat *chat)
{
	if (chat->intent != NULL)
		append_sources(chat);
}

text *
memai_preferences_text(const MemaiScope *scope)
{
	MemaiScope	everywhere;
	Datum		values[2];

	memai_scope_resolve(&everywhere, scope->user_id, NULL);
	values[0] = Int64GetDatum(everywhere.scope);
	values[1] = Int64GetDatum(scope->scope);
	memai_statement_run(&select_preferences, values, NULL, true, 0);
	return first_text();
}
