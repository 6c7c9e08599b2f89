/*
 * fuzz_cron.c
 *	  Cron expressions: whatever is read has a next minute that matches and lies
 *	  after the one asked for, and reads the same with blanks around it.
 */
/* sources: src/ingest/cron.c */
#include "postgres.h"

#include "ingest/cron.h"

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

static void
check(bool condition)
{
	if (!condition)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	MemaiCron	cron;
	MemaiCron	again;
	MemaiCronTime after = {2026, 2, 27, 23, 58};
	MemaiCronTime next;
	const char *problem = NULL;
	char		padded[1100];

	if (size > 1024)
		return 0;
	if (!memai_cron_parse((const char *) data, size, &cron, &problem))
	{
		check(problem != NULL);
		return 0;
	}
	check(cron.minutes != 0 && (cron.minutes >> 60) == 0 && cron.hours != 0 && (cron.hours >> 24) == 0);
	check(cron.weekdays != 0 && (cron.weekdays >> 7) == 0 && (cron.days & 1) == 0 && (cron.months & 1) == 0);
	padded[0] = ' ';
	memcpy(padded + 1, data, size);
	padded[size + 1] = '\t';
	check(memai_cron_parse(padded, size + 2, &again, &problem) && memcmp(&cron, &again, sizeof(cron)) == 0);
	if (memai_cron_next(&cron, &after, &next))
	{
		check(memai_cron_matches(&cron, &next));
		check(next.year > 2026 || next.month > 2 || next.day > 27 || next.minute > 58);
	}
	return 0;
}
