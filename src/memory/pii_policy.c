/*
 * pii_policy.c
 *	  What becomes of personal data on its way into memory: the tenant's policy
 *	  applied to texts and JSON, memai.find_pii and memai.redact.
 *
 * A policy is a row of memai.pii_policy a kind: redact replaces what is found
 * by "[kind]", refuse ends the statement.  A trigger applies it to every row
 * that is stored, by whatever statement.  Functions apply it before, where a
 * text is sent to a model, looked up, or made into terms and vectors.  As long
 * as the table has never had a row, nothing is looked up.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "text/text.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/jsonfuncs.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#define ALL_KINDS ((1u << MEMAI_PII_NKINDS) - 1)

static MemaiStatement select_policy = {
	.sql = "SELECT kind, action = 'refuse' FROM memai.pii_policy WHERE tenant = $1",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

PG_FUNCTION_INFO_V1(memai_apply_pii_policy);
PG_FUNCTION_INFO_V1(memai_has_pii_policies);
PG_FUNCTION_INFO_V1(memai_find_pii);
PG_FUNCTION_INFO_V1(memai_redact);

/* ---- the policy ---- */

/* The bit of a kind, 0 when there is none of this name. */
static unsigned
kind_bit(const char *name)
{
	for (int kind = 0; kind < MEMAI_PII_NKINDS; kind++)
	{
		if (strcmp(name, memai_pii_name(kind)) == 0)
			return 1u << kind;
	}
	return 0;
}

/* One look at the size of a file instead of a query. */
static bool
has_policies(void)
{
	Relation	relation = table_open(get_relname_relid("pii_policy", get_namespace_oid("memai", false)), AccessShareLock);
	bool		result = RelationGetNumberOfBlocks(relation) > 0;

	table_close(relation, AccessShareLock);
	return result;
}

/* tenant: text */
static void
read_policy(Datum tenant, MemaiPiiPolicy *policy)
{
	uint64		n;

	memset(policy, 0, sizeof(MemaiPiiPolicy));
	SPI_connect();
	n = memai_statement_run(&select_policy, &tenant, NULL, true, 0);
	for (uint64 i = 0; i < n; i++)
	{
		unsigned	bit = kind_bit(SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
		bool		null;

		policy->kinds |= bit;
		if (DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &null)))
			policy->refused |= bit;
	}
	SPI_finish();
}

void
memai_pii_policy(MemaiPiiPolicy *policy)
{
	if (has_policies())
		read_policy(PointerGetDatum(memai_current_tenant_text()), policy);
	else
		memset(policy, 0, sizeof(MemaiPiiPolicy));
}

/* The refusal names no more than the kind: an error is logged. */
static void
raise_refused(const char *what, MemaiPiiKind kind)
{
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("%s holds personal data that may not be stored", what),
			 errdetail("The policy of the tenant refuses the kind %s.", memai_pii_name(kind)),
			 errhint("Leave it out, or send memai.redact of it.")));
}

/* The text without what is found, or NULL when nothing is. */
static text *
clean(const MemaiPiiPolicy *policy, const char *what, const char *data, size_t size)
{
	size_t		len;
	const char *utf8 = memai_text_to_utf8(data, size, &len);
	MemaiPiiMatch match;
	StringInfoData out;
	size_t		copied = 0;
	char	   *server;

	if (!memai_pii_next(utf8, len, 0, policy->kinds, &match))
		return NULL;
	initStringInfo(&out);
	do
	{
		CHECK_FOR_INTERRUPTS();
		if (policy->refused & (1u << match.kind))
			raise_refused(what, match.kind);
		appendBinaryStringInfo(&out, utf8 + copied, (int) (match.start - copied));
		appendStringInfo(&out, "[%s]", memai_pii_name(match.kind));
		copied = match.end;
	} while (memai_pii_next(utf8, len, copied, policy->kinds, &match));
	appendBinaryStringInfo(&out, utf8 + copied, (int) (len - copied));
	server = pg_any_to_server(out.data, out.len, PG_UTF8);
	return cstring_to_text_with_len(server, server == out.data ? out.len : (int) strlen(server));
}

bool
memai_pii_refuses(const MemaiPiiPolicy *policy, const char *data)
{
	size_t		len;
	const char *utf8 = memai_text_to_utf8(data, strlen(data), &len);
	MemaiPiiMatch match;

	return policy->refused != 0 && memai_pii_next(utf8, len, 0, policy->refused, &match);
}

text *
memai_pii_clean(const MemaiPiiPolicy *policy, const char *what, text *content)
{
	text	   *cleaned;

	if (policy->kinds == 0 || content == NULL)
		return content;
	cleaned = clean(policy, what, VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content));
	return cleaned ? cleaned : content;
}

text *
memai_pii_clean_one(const char *what, text *content)
{
	MemaiPiiPolicy policy;

	if (content == NULL)
		return NULL;
	memai_pii_policy(&policy);
	return memai_pii_clean(&policy, what, content);
}

/* what a string of JSON is cleaned by */
typedef struct JsonCleaning
{
	const MemaiPiiPolicy *policy;
	const char *what;
} JsonCleaning;

static text *
clean_string(void *state, char *string, int len)
{
	const JsonCleaning *cleaning = state;
	text	   *cleaned = clean(cleaning->policy, cleaning->what, string, len);

	return cleaned ? cleaned : cstring_to_text_with_len(string, len);
}

Jsonb *
memai_pii_clean_jsonb(const MemaiPiiPolicy *policy, const char *what, Jsonb *json)
{
	JsonCleaning cleaning = {policy, what};

	if (policy->kinds == 0 || json == NULL)
		return json;
	return transform_jsonb_string_values(json, &cleaning, clean_string);
}

/* ---- the trigger ---- */

/* the row that a trigger is fired for, and what the policy makes of it */
typedef struct RowCleaning
{
	const MemaiPiiPolicy *policy;
	TupleDesc	desc;
	HeapTuple	row;
	HeapTuple	old;			/* NULL: the row is new */
} RowCleaning;

static Datum
column(const RowCleaning *cleaning, HeapTuple row, const char *name, bool *null)
{
	return SPI_getbinval(row, cleaning->desc, SPI_fnumber(cleaning->desc, name), null);
}

static text *
text_column(const RowCleaning *cleaning, const char *name)
{
	bool		null = true;
	Datum		value = SPI_fnumber(cleaning->desc, name) > 0 ? column(cleaning, cleaning->row, name, &null) : (Datum) 0;

	return null ? NULL : DatumGetTextPP(value);
}

static void
set_column(RowCleaning *cleaning, const char *name, Datum value)
{
	int			number = SPI_fnumber(cleaning->desc, name);
	bool		null = false;

	cleaning->row = heap_modify_tuple_by_cols(cleaning->row, cleaning->desc, 1, &number, &value, &null);
}

/* Cleans a column of type text or jsonb, unless it holds what it held before; returns whether it changed. */
static bool
clean_column(RowCleaning *cleaning, const char *name)
{
	int			number = SPI_fnumber(cleaning->desc, name);
	bool		null;
	bool		old_null = true;
	Datum		value = column(cleaning, cleaning->row, name, &null);
	Datum		old = cleaning->old ? column(cleaning, cleaning->old, name, &old_null) : (Datum) 0;
	Datum		cleaned;

	/* what was stored before the policy stays */
	if (null || (!old_null && datum_image_eq(value, old, false, -1)))
		return false;
	if (SPI_gettypeid(cleaning->desc, number) == JSONBOID)
		cleaned = JsonbPGetDatum(memai_pii_clean_jsonb(cleaning->policy, name, DatumGetJsonbP(value)));
	else
		cleaned = PointerGetDatum(memai_pii_clean(cleaning->policy, name, DatumGetTextPP(value)));
	if (datum_image_eq(value, cleaned, false, -1))
		return false;
	set_column(cleaning, name, cleaned);
	return true;
}

/* _has_pii_policies() returns boolean: what the trigger is fired on */
Datum
memai_has_pii_policies(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(has_policies());
}

/* What an item is found under goes with what it says. */
static void
renew_terms(RowCleaning *cleaning)
{
	MemaiSpan	span = memai_search_text(text_column(cleaning, "name"), text_column(cleaning, "content"));

	set_column(cleaning, "terms", memai_item_terms(false, 0, span.data, span.len));
}

/* _apply_pii_policy() returns trigger: before a row is stored; its arguments are the columns to look at */
Datum
memai_apply_pii_policy(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	MemaiPiiPolicy policy;
	RowCleaning cleaning = {.policy = &policy};
	bool		changed = false;
	bool		null;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		elog(ERROR, "_apply_pii_policy is a trigger before rows");
	cleaning.row = trigger->tg_trigtuple;
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		cleaning.old = trigger->tg_trigtuple;
		cleaning.row = trigger->tg_newtuple;
	}
	/* who may do without row-level security and does restores a dump: what it holds was stored before */
	if (!row_security)
		return PointerGetDatum(cleaning.row);
	cleaning.desc = RelationGetDescr(trigger->tg_relation);
	read_policy(column(&cleaning, cleaning.row, "tenant", &null), &policy);
	if (policy.kinds == 0 || null)
		return PointerGetDatum(cleaning.row);
	for (int i = 0; i < trigger->tg_trigger->tgnargs; i++)
		changed |= clean_column(&cleaning, trigger->tg_trigger->tgargs[i]);
	if (changed && SPI_fnumber(cleaning.desc, "terms") > 0)
		renew_terms(&cleaning);
	return PointerGetDatum(cleaning.row);
}

/* ---- in SQL ---- */

/* The kinds of an argument text[], all when it is NULL. */
static unsigned
kinds_argument(FunctionCallInfo fcinfo, int argument)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	unsigned	kinds = 0;

	if (PG_ARGISNULL(argument))
		return ALL_KINDS;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		unsigned	bit = nulls[i] ? 0 : kind_bit(TextDatumGetCString(elements[i]));

		if (bit == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unknown kind of personal data"),
					 errhint("The kinds are email, card, iban, phone, ip, national_id and api_key.")));
		kinds |= bit;
	}
	return kinds;
}

/* find_pii(content text, kinds text[]) returns setof (kind text, found text) */
Datum
memai_find_pii(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	unsigned	kinds = kinds_argument(fcinfo, 1);
	MemaiPiiMatch match;
	size_t		offset = 0;
	size_t		len;
	const char *utf8;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	utf8 = memai_text_to_utf8(VARDATA_ANY(PG_GETARG_TEXT_PP(0)), VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(0)), &len);
	while (memai_pii_next(utf8, len, offset, kinds, &match))
	{
		char	   *piece = pnstrdup(utf8 + match.start, match.end - match.start);
		Datum		values[2];
		bool		nulls[2] = {false, false};

		CHECK_FOR_INTERRUPTS();
		values[0] = CStringGetTextDatum(memai_pii_name(match.kind));
		values[1] = CStringGetTextDatum(pg_any_to_server(piece, strlen(piece), PG_UTF8));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		offset = match.end;
	}
	return (Datum) 0;
}

/* redact(content text, kinds text[]) returns text */
Datum
memai_redact(PG_FUNCTION_ARGS)
{
	MemaiPiiPolicy policy = {.kinds = kinds_argument(fcinfo, 1)};

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(memai_pii_clean(&policy, "content", PG_GETARG_TEXT_PP(0)));
}
