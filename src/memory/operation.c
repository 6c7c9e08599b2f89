/*
 * operation.c
 *	  Operations on memories that a model, or anybody, derived from messages:
 *	  what of them is believed, and applying it.
 *
 * ADD, UPDATE (it was never so), SUPERSEDE (it is no longer so), NOOP.  None is
 * applied before it is checked: its quote must stand in one of the messages,
 * its number must be one that was given, its date is understood from the day of
 * that message.  A refused operation is reported and changes nothing.
 *
 * What memai itself put into a message, a context between its markers, is cut
 * out before anything is asked or quoted: memories do not breed memories.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "memory/infer.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/formatting.h"

#define MAX_OPERATIONS 100
#define MIN_QUOTE_LENGTH 3
#define MARKER_LENGTH 16		/* of context.c */

static MemaiStatement select_sources = {
	.sql = "SELECT id, coalesce(name, role), content, occurred_at FROM memai.episode WHERE scope = $1 AND id = ANY ($2) "
	"AND role IN ('user', 'tool') AND (source <> 'chat' OR role = 'user') ORDER BY occurred_at, id",
	.nargs = 2,
	.argtypes = {INT8OID, UUIDARRAYOID},
};

PG_FUNCTION_INFO_V1(memai_apply_operations);

/* ---- messages ---- */

/* The end of a context that starts at start, or NULL: "<name 0123456789abcdef>" to "</name 0123456789abcdef>". */
static char *
context_end(char *start)
{
	char	   *name = start + 1;
	size_t		len = strspn(name, "abcdefghijklmnopqrstuvwxyz");
	char	   *marker = name + len + 1;
	char	   *closing;
	char	   *end;

	if (*start != '<' || len == 0 || name[len] != ' ' ||
		strspn(marker, "0123456789abcdef") != MARKER_LENGTH || marker[MARKER_LENGTH] != '>')
		return NULL;
	closing = psprintf("</%.*s>", (int) (len + 1 + MARKER_LENGTH), name);
	end = strstr(marker, closing);
	end = end ? end + strlen(closing) : start + strlen(start);
	pfree(closing);
	return end;
}

/* Removes contexts in place. */
static void
cut_contexts(char *content)
{
	char	   *from = content;
	char	   *to = content;

	while (*from)
	{
		char	   *end = context_end(from);

		if (end != NULL)
			from = end;
		else
			*to++ = *from++;
	}
	*to = '\0';
}

/* A copy in lower case with single blanks, for comparing quotes. */
static char *
fold(const char *original)
{
	char	   *lower = str_tolower(original, strlen(original), DEFAULT_COLLATION_OID);
	char	   *to = lower;
	bool		blank = true;

	for (const char *from = lower; *from; from++)
	{
		bool		is_blank = isspace((unsigned char) *from);

		if (!is_blank)
			*to++ = *from;
		else if (!blank)
			*to++ = ' ';
		blank = is_blank;
	}
	if (to > lower && to[-1] == ' ')
		to--;
	*to = '\0';
	return lower;
}

void
memai_infer_take_sources(MemaiInference *inference, uint64 nrows)
{
	MemoryContext old = MemoryContextSwitchTo(inference->context);

	inference->sources = palloc(sizeof(MemaiInferSource) * Max(nrows, 1));
	for (uint64 i = 0; i < nrows; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemaiInferSource *source = &inference->sources[inference->nsources++];
		bool		null;

		source->id = *DatumGetUUIDP(SPI_getbinval(tuple, desc, 1, &null));
		source->speaker = TextDatumGetCString(SPI_getbinval(tuple, desc, 2, &null));
		source->content = TextDatumGetCString(SPI_getbinval(tuple, desc, 3, &null));
		source->occurred_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 4, &null));
		cut_contexts(source->content);
		source->folded = fold(source->content);
	}
	MemoryContextSwitchTo(old);
}

static void
read_sources(MemaiInference *inference, ArrayType *ids)
{
	Datum		values[2] = {Int64GetDatum(inference->scope->scope), PointerGetDatum(ids)};
	uint64		n = memai_statement_run(&select_sources, values, NULL, false, 0);

	if (n > MEMAI_INFER_MAX_MESSAGES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many messages to infer memories from"),
				 errdetail("There are %llu, the limit of one call is %d.", (unsigned long long) n, MEMAI_INFER_MAX_MESSAGES)));
	memai_infer_take_sources(inference, n);
	SPI_freetuptable(SPI_tuptable);
}

void
memai_infer_read_sources(MemaiInference *inference, int nepisodes, const MemaiEpisode *episodes)
{
	Datum	   *ids = palloc(sizeof(Datum) * Max(nepisodes, 1));

	for (int i = 0; i < nepisodes; i++)
		ids[i] = UUIDPGetDatum(&episodes[i].id);
	read_sources(inference, construct_array(ids, nepisodes, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

/* ---- operations ---- */

static const MemaiInferSource *
find_quote(const MemaiInference *inference, const char *quote)
{
	char	   *folded;

	if (quote == NULL || strlen(folded = fold(quote)) < MIN_QUOTE_LENGTH)
		return NULL;
	for (int i = 0; i < inference->nsources; i++)
	{
		if (strstr(inference->sources[i].folded, folded) != NULL)
			return &inference->sources[i];
	}
	return NULL;
}

static void
read_operation(const MemaiInference *inference, MemaiJson *json, MemaiOperation *operation)
{
	memset(operation, 0, sizeof(MemaiOperation));
	operation->op = memai_json_text(memai_json_get(json, "op"));
	operation->content = memai_json_text(memai_json_get(json, "content"));
	operation->quote = memai_json_text(memai_json_get(json, "quote"));
	operation->category = memai_json_text(memai_json_get(json, "category"));
	operation->slot = memai_json_text(memai_json_get(json, "slot"));
	operation->valid_at = memai_json_text(memai_json_get(json, "valid_at"));
	(void) memai_json_int(memai_json_get(json, "ref"), &operation->ref);
	operation->source = find_quote(inference, operation->quote);
}

static bool
label_fits(const char *label)
{
	return label == NULL || (label[0] != '\0' && strlen(label) <= MEMAI_KEY_MAX_LENGTH);
}

static bool
replaces(const MemaiOperation *operation)
{
	return strcmp(operation->op, "UPDATE") == 0 || strcmp(operation->op, "SUPERSEDE") == 0;
}

/* Why an operation cannot be believed; NULL when it can. */
static const char *
find_fault(const MemaiInference *inference, const MemaiOperation *operation)
{
	if (operation->op == NULL || (strcmp(operation->op, "ADD") != 0 && strcmp(operation->op, "NOOP") != 0 && !replaces(operation)))
		return "unknown operation";
	if (strcmp(operation->op, "NOOP") == 0)
		return NULL;
	if (operation->content == NULL || strspn(operation->content, " \t\r\n") == strlen(operation->content))
		return "no content";
	if (strlen(operation->content) > MEMAI_CONTENT_MAX_LENGTH)
		return "the content is too long";
	if (!label_fits(operation->category) || !label_fits(operation->slot))
		return "category or slot is empty or too long";
	if (operation->source == NULL)
		return "the quote stands in no message";
	if (replaces(operation) && (operation->ref < 1 || operation->ref > inference->ncandidates))
		return "no memory of this number was given";
	return NULL;
}

static ArrayType *
one_id(const pg_uuid_t *id)
{
	Datum		element = UUIDPGetDatum(id);

	return construct_array(&element, 1, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
}

/* The time that the operation gives, seen from its message, or the message's. */
static TimestampTz
operation_time(const MemaiOperation *operation)
{
	MemaiDaySpan days;

	if (operation->valid_at == NULL ||
		!memai_days_of(cstring_to_text(operation->valid_at), operation->source->occurred_at, &days))
		return operation->source->occurred_at;
	return (int64) (days.first - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
}

/* an operation on its way, for memai_catch */
typedef struct Application
{
	const MemaiInference *inference;
	const MemaiOperation *operation;
	pg_uuid_t	id;				/* out */
	const char *fault;			/* out */
} Application;

/* Applies a checked operation, or says why it could not be. */
static void
apply(void *arg)
{
	Application *application = arg;
	const MemaiInference *inference = application->inference;
	const MemaiOperation *operation = application->operation;
	bool		correct = strcmp(operation->op, "UPDATE") == 0;
	MemaiLiveFact *old;
	MemaiFact	fact = {
		.scope = inference->scope,
		.content = cstring_to_text(operation->content),
		.category = cstring_to_text(operation->category ? operation->category : "fact"),
		.memory_type = cstring_to_text("semantic"),
		.provenance = cstring_to_text("inference"),
		.slot = operation->slot ? cstring_to_text(operation->slot) : NULL,
		.importance = 0.5,
		.confidence = 1.0,
		.valid_at = operation_time(operation),
		.invalid_at = DT_NOEND,
		.expires_at = DT_NOEND,
		.sources = one_id(&operation->source->id),
		.or_similar = true,
		.embed_model = operation->embed_model,
		.vector = operation->vector,
	};

	if (!replaces(operation))
	{
		memai_fact_remember(&fact);
		application->id = fact.id;
		return;
	}
	old = memai_fact_find(inference->scope, &inference->candidates[operation->ref - 1]);
	if (old == NULL)
	{
		application->fault = "the memory is not live any more";
		return;
	}
	fact.slot = old->slot;
	fact.category = old->category;
	fact.memory_type = old->memory_type;
	if (correct || fact.valid_at < old->valid_at)
		fact.valid_at = old->valid_at;
	/* no quote as the reason: the history keeps no copy of a message */
	memai_fact_replace(&fact, old, correct, cstring_to_text(correct ? "a message corrects it" : "a message says that it ended"));
	application->id = fact.id;
}

/* what is wrong with one operation need not stop the others */
static bool
is_data_error(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION;
}

static void
report(const MemaiInference *inference, const MemaiOperation *operation, const pg_uuid_t *id, const char *fault)
{
	Datum		values[4];
	bool		nulls[4];

	if (inference->rsinfo == NULL)
		return;
	values[0] = operation->op ? CStringGetTextDatum(operation->op) : (Datum) 0;
	nulls[0] = operation->op == NULL;
	values[1] = UUIDPGetDatum(id);
	nulls[1] = fault != NULL || strcmp(operation->op, "NOOP") == 0;
	values[2] = operation->content ? CStringGetTextDatum(operation->content) : (Datum) 0;
	nulls[2] = operation->content == NULL;
	values[3] = fault ? CStringGetTextDatum(fault) : (Datum) 0;
	nulls[3] = fault == NULL;
	tuplestore_putvalues(inference->rsinfo->setResult, inference->rsinfo->setDesc, values, nulls);
}

/* A model may give back what a message held before the policy was set. */
static void
apply_policy(const MemaiPiiPolicy *policy, MemaiOperation *operation)
{
	char	  **texts[] = {&operation->content, &operation->slot, &operation->category};

	for (size_t i = 0; i < lengthof(texts); i++)
	{
		if (*texts[i] == NULL)
			continue;
		if (memai_pii_refuses(policy, *texts[i]))
		{
			operation->fault = "personal data that may not be stored";
			return;
		}
		*texts[i] = text_to_cstring(memai_pii_clean(policy, "content", cstring_to_text(*texts[i])));
	}
}

MemaiOperation *
memai_operations_read(const MemaiInference *inference, MemaiJson *array, int *noperations)
{
	int			n = memai_json_length(array);
	MemaiOperation *operations;
	MemaiPiiPolicy policy;

	if (n > MAX_OPERATIONS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many operations on memories"),
				 errdetail("There are %d, the limit of one call is %d.", n, MAX_OPERATIONS)));
	memai_pii_policy(&policy);
	operations = palloc(sizeof(MemaiOperation) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		read_operation(inference, memai_json_item(array, i), &operations[i]);
		operations[i].fault = find_fault(inference, &operations[i]);
		if (policy.kinds != 0 && operations[i].fault == NULL)
			apply_policy(&policy, &operations[i]);
	}
	*noperations = n;
	return operations;
}

static bool
stores(const MemaiOperation *operation)
{
	return operation->fault == NULL && strcmp(operation->op, "NOOP") != 0;
}

void
memai_operations_embed(const MemaiModelInfo *model, int noperations, MemaiOperation *operations)
{
	MemaiSpan  *texts = palloc(sizeof(MemaiSpan) * Max(noperations, 1));
	MemaiVector **vectors = palloc(sizeof(MemaiVector *) * Max(noperations, 1));
	int			n = 0;

	for (int i = 0; i < noperations; i++)
	{
		if (stores(&operations[i]))
			texts[n++] = (MemaiSpan) {operations[i].content, strlen(operations[i].content)};
	}
	if (n == 0)
		return;
	memai_model_embed(model, MEMAI_INPUT_DOCUMENT, n, texts, vectors);
	n = 0;
	for (int i = 0; i < noperations; i++)
	{
		if (!stores(&operations[i]))
			continue;
		operations[i].embed_model = model->name;
		operations[i].vector = vectors[n++];
	}
}

void
memai_operations_apply(MemaiInference *inference, int noperations, MemaiOperation *operations)
{
	for (int i = 0; i < noperations; i++)
	{
		Application application = {.inference = inference,.operation = &operations[i],.fault = operations[i].fault};

		CHECK_FOR_INTERRUPTS();
		if (stores(&operations[i]))
		{
			ErrorData  *error = memai_catch(apply, &application, is_data_error);

			if (error != NULL)
				application.fault = error->message;
			inference->napplied += application.fault == NULL;
		}
		inference->nrefused += application.fault != NULL;
		report(inference, &operations[i], &application.id, application.fault);
	}
}

/*
 * apply_operations(operations jsonb, episodes uuid[], memories uuid[],
 * user_id text, namespace text) returns setof record
 */
Datum
memai_apply_operations(PG_FUNCTION_ARGS)
{
	MemaiScope	scope;
	MemaiInference inference = {.scope = &scope,.context = CurrentMemoryContext};
	const char *problem = NULL;
	MemaiJson  *array;
	MemaiOperation *operations;
	int			noperations;
	Datum	   *elements;
	bool	   *nulls;

	for (int i = 0; i < 3; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("operations, episodes and memories must not be null")));
	}
	memai_scope_resolve(&scope, PG_ARGISNULL(3) ? NULL : PG_GETARG_TEXT_PP(3),
						PG_ARGISNULL(4) ? NULL : PG_GETARG_TEXT_PP(4));
	array = memai_json_parse_server(JsonbToCString(NULL, &PG_GETARG_JSONB_P(0)->root, -1), &problem);
	if (!memai_json_is_array(array))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("operations must be a JSON array")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &elements, &nulls, &inference.ncandidates);
	inference.candidates = palloc0(sizeof(pg_uuid_t) * Max(inference.ncandidates, 1));
	for (int i = 0; i < inference.ncandidates; i++)
	{
		if (!nulls[i])
			inference.candidates[i] = *DatumGetUUIDP(elements[i]);
	}
	InitMaterializedSRF(fcinfo, 0);
	inference.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SPI_connect();
	read_sources(&inference, PG_GETARG_ARRAYTYPE_P(1));
	operations = memai_operations_read(&inference, array, &noperations);
	memai_operations_embed(memai_model_lookup_for(&scope, NULL, "embed"), noperations, operations);
	memai_operations_apply(&inference, noperations, operations);
	SPI_finish();
	return (Datum) 0;
}
