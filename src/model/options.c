/*
 * options.c
 *	  Options objects: read by key, checked against a table, so that a
 *	  misspelt option is an error and not silence.
 */
#include "postgres.h"

#include "model/registry.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

const MemaiOption memai_common_model_options[] = {
	{"cache_ttl", MEMAI_OPTION_INTEGER, 0, 366 * 86400.0},
	{"fallback", MEMAI_OPTION_ARRAY, 0, 0},
	{"fallback_on", MEMAI_OPTION_ARRAY, 0, 0},
	{"input_price", MEMAI_OPTION_NUMBER, 0, 1e6},	/* of a million tokens */
	{"output_price", MEMAI_OPTION_NUMBER, 0, 1e6},
	{NULL, MEMAI_OPTION_ANY, 0, 0}
};

/* the member of that key in *value; false when it is absent or null */
static bool
find_member(const Jsonb *options, const char *key, JsonbValue *value)
{
	JsonbValue *found;

	if (options == NULL || !JB_ROOT_IS_OBJECT(options))
		return false;
	found = getKeyJsonValueFromContainer((JsonbContainer *) &options->root,
										 key, (int) strlen(key), value);
	return found != NULL && found->type != jbvNull;
}

char *
memai_option_text(const Jsonb *options, const char *key)
{
	JsonbValue	value;

	if (!find_member(options, key, &value) || value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

double
memai_option_number(const Jsonb *options, const char *key, double missing)
{
	JsonbValue	value;

	if (!find_member(options, key, &value) || value.type != jbvNumeric)
		return missing;
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
											  NumericGetDatum(value.val.numeric)));
}

int
memai_option_int(const Jsonb *options, const char *key, int missing)
{
	double		number = memai_option_number(options, key, missing);

	return number >= PG_INT32_MIN && number <= PG_INT32_MAX ? (int) number : missing;
}

bool
memai_option_bool(const Jsonb *options, const char *key, bool missing)
{
	JsonbValue	value;

	if (!find_member(options, key, &value) || value.type != jbvBool)
		return missing;
	return value.val.boolean;
}

char *
memai_option_json(const Jsonb *options, const char *key)
{
	JsonbValue	value;
	Jsonb	   *member;

	if (!find_member(options, key, &value))
		return NULL;
	member = JsonbValueToJsonb(&value);
	return JsonbToCString(NULL, &member->root, VARSIZE(member));
}

static bool
has_type(const JsonbValue *value, MemaiOptionType type)
{
	if (value->type == jbvNull)
		return true;
	switch (type)
	{
		case MEMAI_OPTION_TEXT:
			return value->type == jbvString;
		case MEMAI_OPTION_NUMBER:
		case MEMAI_OPTION_INTEGER:
			return value->type == jbvNumeric;
		case MEMAI_OPTION_BOOLEAN:
			return value->type == jbvBool;
		case MEMAI_OPTION_OBJECT:
			return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
		case MEMAI_OPTION_ARRAY:
			return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data);
		case MEMAI_OPTION_ANY:
			return true;
	}
	return false;
}

static const MemaiOption *
find_option(const MemaiOption *known, const char *key)
{
	for (; known->key != NULL; known++)
		if (strcmp(known->key, key) == 0)
			return known;
	return NULL;
}

static void
append_keys(StringInfo keys, const MemaiOption *known)
{
	for (; known->key != NULL; known++)
		appendStringInfo(keys, "%s%s", keys->len > 0 ? ", " : "", known->key);
}

static char *
list_keys(const MemaiOption *known, const MemaiOption *also)
{
	StringInfoData keys;

	initStringInfo(&keys);
	append_keys(&keys, known);
	append_keys(&keys, also);
	return keys.data;
}

static void
check_bounds(const MemaiOption *option, const char *what, const JsonbValue *value)
{
	double		number;

	if (value->type != jbvNumeric || option->type == MEMAI_OPTION_ANY)
		return;
	number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
												NumericGetDatum(value->val.numeric)));
	/* written so that NaN fails */
	if (!(number >= option->minimum && number <= option->maximum) ||
		(option->type == MEMAI_OPTION_INTEGER && number != (double) (int64) number))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" of %s is out of range", option->key, what),
				 errdetail("It must be %s from %g to %g.",
						   option->type == MEMAI_OPTION_INTEGER ? "a whole number" : "a number",
						   option->minimum, option->maximum)));
}

static void
check_options(const Jsonb *options, const char *what, const MemaiOption *known, const MemaiOption *also)
{
	static const char *const type_names[] = {
		"a string", "a number", "a number", "a boolean", "an object", "an array", "a value"
	};
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;
	const MemaiOption *option = NULL;

	if (!JB_ROOT_IS_OBJECT(options))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options of %s must be a JSON object", what)));
	iterator = JsonbIteratorInit((JsonbContainer *) &options->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			char	   *key = pnstrdup(value.val.string.val, value.val.string.len);

			option = find_option(known, key);
			if (option == NULL)
				option = find_option(also, key);
			if (option == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("%s has no option \"%s\"", what, key),
						 errhint("The options are: %s.", list_keys(known, also))));
		}
		else if (token == WJB_VALUE)
		{
			if (!has_type(&value, option->type))
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("option \"%s\" of %s must be %s", option->key, what,
								type_names[option->type])));
			check_bounds(option, what, &value);
		}
	}
}

void
memai_options_check(const Jsonb *options, const char *what, const MemaiOption *known)
{
	static const MemaiOption nothing = {NULL, MEMAI_OPTION_ANY, 0, 0};

	check_options(options, what, known, &nothing);
}

void
memai_model_options_check(const Jsonb *options, const MemaiOption *known)
{
	check_options(options, "a model of this provider", known, memai_common_model_options);
}

Jsonb *
memai_options_empty(void)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
}
