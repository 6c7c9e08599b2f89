/*
 * ids.c
 *	  Time-ordered identifiers (RFC 9562, UUID version 7).
 *
 * Layout: 48 bits of milliseconds since 1970, 4 bits version, 12 bits of
 * counter, 2 bits variant, 62 random bits.  The counter makes ids of one
 * backend strictly increasing inside a millisecond; when it is used up the
 * backend borrows the next millisecond rather than wait.
 */
#include "postgres.h"

#include "core/core.h"
#include "datatype/timestamp.h"
#include "utils/timestamp.h"

#define COUNTER_LIMIT 0x1000

PG_FUNCTION_INFO_V1(memai_new_id_sql);

static void
next_tick(uint64 *milliseconds, uint32 *counter)
{
	static uint64 last_milliseconds = 0;
	static uint32 last_counter = 0;
	uint64		now;

	now = (uint64) (GetCurrentTimestamp() / 1000 +
					(int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000);

	if (now > last_milliseconds)
	{
		last_milliseconds = now;
		last_counter = 0;
	}
	else if (++last_counter >= COUNTER_LIMIT)
	{
		last_milliseconds++;
		last_counter = 0;
	}
	*milliseconds = last_milliseconds;
	*counter = last_counter;
}

void
memai_new_id(pg_uuid_t *id)
{
	uint64		milliseconds;
	uint32		counter;

	next_tick(&milliseconds, &counter);
	for (int i = 0; i < 6; i++)
		id->data[i] = (unsigned char) (milliseconds >> (8 * (5 - i)));
	id->data[6] = (unsigned char) (0x70 | (counter >> 8));
	id->data[7] = (unsigned char) (counter & 0xff);
	if (!pg_strong_random(&id->data[8], 8))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	id->data[8] = (id->data[8] & 0x3f) | 0x80;
}

/* new_id() returns uuid: volatile */
Datum
memai_new_id_sql(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	memai_new_id(id);
	PG_RETURN_UUID_P(id);
}
