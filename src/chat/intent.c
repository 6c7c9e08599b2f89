/*
 * intent.c
 *	  What a chat is about, and what follows from it: instructions, sources;
 *	  and the user's preferences.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "chat/chat_int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

static MemaiStatement select_any_intent = {
	.sql = "SELECT 1 FROM memai.intent WHERE tenant = $1 LIMIT 1",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static MemaiStatement classify = {
	.sql = "SELECT intent FROM memai.classify_intent($1) LIMIT 1",
	.nargs = 1,
	.argtypes = {TEXTOID},
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

static MemaiStatement select_preferences = {
	.sql = "SELECT string_agg(p.key || ': ' || (p.value #>> '{}'), E'\\n' ORDER BY p.key) "
	"FROM jsonb_each(memai.get_preferences($1, $2)) p",
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

/* the only column of the first row, in the current context; NULL when it is null */
static text *
first_text(void)
{
	bool		null;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);

	return null ? NULL : DatumGetTextPCopy(value);
}

/* The name of the message's intent; NULL when it has none. */
static char *
find_intent(const Chat *chat, text *tenant)
{
	Datum		value = PointerGetDatum(tenant);
	text	   *name;

	/* most applications have none: no reason to call a model */
	if (memai_statement_run(&select_any_intent, &value, NULL, true, 0) == 0)
		return NULL;
	value = PointerGetDatum(chat->message);
	if (memai_statement_run(&classify, &value, NULL, false, 1) == 0)
		return NULL;
	name = first_text();
	return text_to_cstring(name);
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

void
memai_intent_choose(Chat *chat)
{
	text	   *tenant = memai_current_tenant_text();

	if (chat->intent == NULL)
		chat->intent = find_intent(chat, tenant);
	else if (strcmp(chat->intent, "none") == 0)
		chat->intent = NULL;
	if (chat->intent != NULL)
		load_intent(chat, tenant);
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
	Datum		values[2] = {PointerGetDatum(scope->user_id), PointerGetDatum(scope->namespace)};

	memai_statement_run(&select_preferences, values, NULL, true, 0);
	return first_text();
}
