/*
 * check.c
 *	  What functions of language SQL ask of their arguments, with an error that
 *	  names the argument instead of a constraint.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/core.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(memai_check_word);
PG_FUNCTION_INFO_V1(memai_check_length);
PG_FUNCTION_INFO_V1(memai_check_range);
PG_FUNCTION_INFO_V1(memai_check);

/* The functions may be called by anybody who may call what uses them. */
static void
need_argument(FunctionCallInfo fcinfo, int argument)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument %d of a check must not be null", argument + 1)));
}

/* _check_word(name text, value text, VARIADIC words text[]): immutable; NULL for NULL, else value or 22023 */
Datum
memai_check_word(PG_FUNCTION_ARGS)
{
	text	   *value = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	Datum	   *words;
	bool	   *nulls;
	int			n;
	StringInfoData list;

	if (value == NULL)
		PG_RETURN_NULL();
	need_argument(fcinfo, 0);
	need_argument(fcinfo, 2);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &words, &nulls, &n);
	initStringInfo(&list);
	for (int i = 0; i < n; i++)
	{
		text	   *word;

		if (nulls[i])
			continue;
		word = DatumGetTextPP(words[i]);
		if (VARSIZE_ANY_EXHDR(word) == VARSIZE_ANY_EXHDR(value) &&
			memcmp(VARDATA_ANY(word), VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)) == 0)
			PG_RETURN_TEXT_P(value);
		appendStringInfo(&list, "%s%s", i == 0 ? "" : i == n - 1 ? " or " : ", ", text_to_cstring(word));
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value of %s: \"%.*s\"", text_to_cstring(PG_GETARG_TEXT_PP(0)),
					pg_mbcliplen(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), 100), VARDATA_ANY(value)),
			 errhint("It is %s.", list.data)));
}

/* _check_length(name text, value text, max_length integer): immutable; value or 22004, 22023 */
Datum
memai_check_length(PG_FUNCTION_ARGS)
{
	char	   *name;
	int			max_length;
	text	   *value;
	int			length;

	need_argument(fcinfo, 0);
	need_argument(fcinfo, 2);
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	max_length = PG_GETARG_INT32(2);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	value = PG_GETARG_TEXT_PP(1);
	length = pg_mbstrlen_with_len(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if (length < 1 || length > max_length)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must have 1 to %d characters", name, max_length),
				 errdetail("It has %d.", length)));
	PG_RETURN_TEXT_P(value);
}

/* _check_range(name text, value integer, low integer, high integer): immutable; NULL for NULL, else value or 22023 */
Datum
memai_check_range(PG_FUNCTION_ARGS)
{
	int			value;

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	need_argument(fcinfo, 0);
	need_argument(fcinfo, 2);
	need_argument(fcinfo, 3);
	value = PG_GETARG_INT32(1);
	if (value < PG_GETARG_INT32(2) || value > PG_GETARG_INT32(3))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is out of range: %d", text_to_cstring(PG_GETARG_TEXT_PP(0)), value),
				 errdetail("The range is %d to %d.", PG_GETARG_INT32(2), PG_GETARG_INT32(3))));
	PG_RETURN_INT32(value);
}

/* _check(ok boolean, sqlstate text, message text, hint text): immutable; true, or raises that; hint may be null */
Datum
memai_check(PG_FUNCTION_ARGS)
{
	char	   *state;

	if (!PG_ARGISNULL(0) && PG_GETARG_BOOL(0))
		PG_RETURN_BOOL(true);
	need_argument(fcinfo, 1);
	need_argument(fcinfo, 2);
	state = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (strlen(state) != 5)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an SQLSTATE has 5 characters")));
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4])),
			 errmsg("%s", text_to_cstring(PG_GETARG_TEXT_PP(2))),
			 PG_ARGISNULL(3) ? 0 : errhint("%s", text_to_cstring(PG_GETARG_TEXT_PP(3)))));
}
