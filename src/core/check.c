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
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &words, &nulls, &n);
	initStringInfo(&list);
	for (int i = 0; i < n; i++)
	{
		text	   *word = DatumGetTextPP(words[i]);

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
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int			max_length = PG_GETARG_INT32(2);
	text	   *value;
	int			length;

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
