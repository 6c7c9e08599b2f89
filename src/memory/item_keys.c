/*
 * item_keys.c
 *	  The keys under which the inverted indexes hold an item
 *	  (memory_words_idx, episode_words_idx).
 *
 * A key is 64 bits: the upper half of the scope, then a term.  So the keys of a
 * scope stand together, and an insert touches few pages.  Two scopes whose
 * upper halves are equal share keys; who reads them compares the scope of the
 * row.  Beside its terms each item has one of 16 keys that its id chooses: as
 * many random samples of a scope, which tell its size without reading it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(memai_item_keys);

#define SAMPLE_SEED UINT64CONST(0x6d656d61696b0001)

int64
memai_item_key(int64 scope, uint32 term)
{
	return (int64) (((uint64) scope & UINT64CONST(0xFFFFFFFF00000000)) | term);
}

Datum
memai_item_keys(PG_FUNCTION_ARGS)
{
	int64		scope = PG_GETARG_INT64(0);
	pg_uuid_t  *id = PG_GETARG_UUID_P(1);
	bytea	   *payload = PG_GETARG_BYTEA_PP(2);
	MemaiTermsView terms;
	ArrayType  *result;
	Size		size;
	int64	   *keys;

	memai_terms_open((unsigned char *) VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload), &terms);
	size = ARR_OVERHEAD_NONULLS(1) + ((Size) terms.nterms + 1) * sizeof(int64);
	result = palloc0(size);
	SET_VARSIZE(result, size);
	result->ndim = 1;
	result->elemtype = INT8OID;
	ARR_DIMS(result)[0] = (int) terms.nterms + 1;
	ARR_LBOUND(result)[0] = 1;
	keys = (int64 *) ARR_DATA_PTR(result);
	keys[0] = memai_item_key(scope, (uint32) (memai_hash64(id, UUID_LEN, SAMPLE_SEED) % MEMAI_ITEM_SAMPLES));
	for (uint32 i = 0; i < terms.nterms; i++)
	{
		CHECK_FOR_INTERRUPTS();
		keys[i + 1] = memai_item_key(scope, memai_terms_hash(&terms, i));
	}
	PG_RETURN_ARRAYTYPE_P(result);
}
