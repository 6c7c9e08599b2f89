/*
 * check.c
 *	  The errors and checks that the three vector types have in common.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/array.h"

#include "vector/types.h"

/* so much of a wrong input is repeated in the error message */
#define EXCERPT_LENGTH 100

const MemaiVectorType memai_vector_type = {"vector", "[", MEMAI_VECTOR_MAX_DIM};
const MemaiVectorType memai_halfvec_type = {"halfvec", "[", MEMAI_VECTOR_MAX_DIM};
const MemaiVectorType memai_sparsevec_type = {"sparsevec", "{", MEMAI_SPARSEVEC_MAX_DIM};

/* the beginning of a text, cut between characters, palloc'd */
static char *
excerpt(const char *text, size_t length)
{
	if (length <= EXCERPT_LENGTH)
		return pnstrdup(text, length);
	return psprintf("%.*s...", pg_mbcliplen(text, EXCERPT_LENGTH, EXCERPT_LENGTH), text);
}

/* detail is NULL or a sentence */
static void
report_syntax(const MemaiVectorType *type, const char *text, size_t length, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type %s: \"%s\"", type->name, excerpt(text, length)),
			 detail ? errdetail("%s", detail) : 0));
}

/* what follows the type's name in messages of class 22000 */
static const char *
element_fault(MemaiParseStatus status)
{
	switch (status)
	{
		case MEMAI_PARSE_INDEX:
			return "index out of bounds";
		case MEMAI_PARSE_ORDER:
			return "indices must be in ascending order";
		case MEMAI_PARSE_DUPLICATE:
			return "indices must not contain duplicates";
		case MEMAI_PARSE_NEGATIVE_COUNT:
			return "cannot have negative number of elements";
		case MEMAI_PARSE_EMPTY:
			return "must have at least 1 dimension";
		default:
			return "is invalid";
	}
}

static void
report_limit(const MemaiVectorType *type, MemaiParseStatus status)
{
	switch (status)
	{
		case MEMAI_PARSE_TOO_MANY:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("%s cannot have more than %d dimensions", type->name, type->max_dim)));
			break;
		case MEMAI_PARSE_TOO_MANY_ELEMENTS:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("%s cannot have more than %d non-zero elements",
							type->name, MEMAI_SPARSEVEC_MAX_NNZ)));
			break;
		case MEMAI_PARSE_MORE_THAN_DIM:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("%s cannot have more elements than dimensions", type->name)));
			break;
		default:
			break;
	}
}

static void
report_binary(const MemaiVectorType *type, MemaiParseStatus status, const MemaiParseError *error)
{
	switch (status)
	{
		case MEMAI_PARSE_TRUNCATED:
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("insufficient data left in message")));
			break;
		case MEMAI_PARSE_UNUSED:
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("expected unused to be 0, not %d", error->unused)));
			break;
		case MEMAI_PARSE_ZERO:
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("binary representation of %s cannot contain zero values", type->name)));
			break;
		default:
			break;
	}
}

void
memai_report_status(const MemaiVectorType *type, MemaiParseStatus status,
					const MemaiParseError *error, const char *text, size_t length)
{
	switch (status)
	{
		case MEMAI_PARSE_OK:
		case MEMAI_PARSE_UNDERFLOW:
			return;
		case MEMAI_PARSE_SYNTAX:
			report_syntax(type, text, length, NULL);
			break;
		case MEMAI_PARSE_NO_START:
			report_syntax(type, text, length,
						  psprintf("Vector contents must start with \"%s\".", type->bracket));
			break;
		case MEMAI_PARSE_NO_DIM:
			report_syntax(type, text, length, "Unexpected end of input.");
			break;
		case MEMAI_PARSE_JUNK:
			report_syntax(type, text, length,
						  type == &memai_sparsevec_type ? "Junk after closing." :
						  "Junk after closing right brace.");
			break;
		case MEMAI_PARSE_RANGE:
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("\"%s\" is out of range for type %s",
							excerpt(error->token, error->length), type->name)));
			break;
		case MEMAI_PARSE_NAN:
		case MEMAI_PARSE_INFINITE:
			memai_report_not_finite(type, status == MEMAI_PARSE_NAN);
			break;
		default:
			report_limit(type, status);
			report_binary(type, status, error);
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("%s %s", type->name, element_fault(status))));
	}
}

void
memai_check_dim(const MemaiVectorType *type, int dim)
{
	if (unlikely(dim < 1))
		memai_report_status(type, MEMAI_PARSE_EMPTY, NULL, NULL, 0);
	if (unlikely(dim > type->max_dim))
		memai_report_status(type, MEMAI_PARSE_TOO_MANY, NULL, NULL, 0);
}

void
memai_check_same_dims(const MemaiVectorType *type, int a, int b)
{
	if (unlikely(a != b))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different %s dimensions %d and %d", type->name, a, b)));
}

void
memai_check_typmod(int32 typmod, int dim)
{
	if (unlikely(typmod != -1 && typmod != dim))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", typmod, dim)));
}

void
memai_report_not_finite(const MemaiVectorType *type, bool nan)
{
	if (nan)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("NaN not allowed in %s", type->name)));
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("infinite value not allowed in %s", type->name)));
}

void
memai_report_corrupt(const MemaiVectorType *type, const void *value)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("invalid %s value", type->name),
			 errdetail("Its size of %u bytes or its content contradicts its header.",
					   (unsigned) VARSIZE(value))));
}

int32
memai_dimensions_typmod(const MemaiVectorType *type, ArrayType *modifiers)
{
	int			n;
	int32	   *values = ArrayGetIntegerTypmods(modifiers, &n);

	if (n != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid type modifier")));
	if (values[0] < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s must be at least 1", type->name)));
	if (values[0] > type->max_dim)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s cannot exceed %d", type->name, type->max_dim)));
	return values[0];
}

void
memai_subvector_bounds(const MemaiVectorType *type, int dim, int32 start, int32 count,
					   int *from, int *to)
{
	int64		first = (int64) start - 1;
	int64		end = first + count;

	*from = (int) Min(Max(first, 0), dim);
	*to = (int) Min(Max(end, 0), dim);
	if (count < 1 || *from >= *to)
		memai_check_dim(type, 0);
}
