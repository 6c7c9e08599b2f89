/*
 * buffer.c
 *	  The memory that records lie in until they are in the table: a file, mapped
 *	  by the postmaster and inherited by its children.
 *
 * What a process wrote there is the kernel's, so it is still there when that
 * process, or all of them, are killed.  At the next start, or when the
 * postmaster starts its children again, records are read as far as they are
 * whole; one that was under way says that its outcome is unknown.  The file
 * lies where base backups do not look: a copy of the server would count the
 * same calls twice.  A clean stop writes the records to pg_stat instead.
 * This does not guard against a crash of the machine.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pgstat.h"
#include "stats/stats_int.h"
#include "storage/fd.h"

#define LIVE_FILE PG_STAT_TMP_DIR "/memai.usage"
#define SAVE_FILE PGSTAT_STAT_PERMANENT_DIRECTORY "/memai.usage"
#define MAGIC 0x4D555348

static MemaiUsageBuffer *buffer = NULL;

uint64
memai_record_check(const MemaiRecord *record)
{
	Size		skipped = sizeof(record->check);

	return memai_hash64((const char *) record + skipped, record->size - skipped, MAGIC);
}

/* ---- the mapping ---- */

/* the file, as large as that; NULL when it cannot be had */
static void *
map_file(Size total)
{
	int			file = OpenTransientFile(LIVE_FILE, O_RDWR | O_CREAT | PG_BINARY);
	void	   *map = MAP_FAILED;

	/* blocks that are missing when a page is written would end the process */
	if (file >= 0 && ftruncate(file, (off_t) total) == 0 &&
		(errno = posix_fallocate(file, 0, (off_t) total)) == 0)
		map = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (map == MAP_FAILED)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not map file \"%s\": %m", LIVE_FILE),
				 errdetail("Usage records will not survive a crash.")));
	if (file >= 0)
		CloseTransientFile(file);
	return map == MAP_FAILED ? NULL : map;
}

static void
map_buffer(Size size)
{
	Size		total = add_size(offsetof(MemaiUsageBuffer, data), size);
	void	   *map = map_file(total);

	if (map == NULL)
		map = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		ereport(FATAL,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not map memory for usage records: %m")));
	buffer = map;
}

/* ---- what was there before ---- */

/* is there a whole record at the start of len bytes? */
static bool
is_whole(const MemaiRecord *record, Size len)
{
	return len >= sizeof(MemaiRecord) && record->size >= sizeof(MemaiRecord) && record->size <= len &&
		record->size == MAXALIGN(record->size) && record->check == memai_record_check(record);
}

/* keeps the records that are whole, up to the first that is not */
static void
recover(Size used)
{
	Size		at = 0;
	int			n = 0;

	while (at < used && is_whole((MemaiRecord *) (buffer->data + at), used - at))
	{
		MemaiRecord *record = (MemaiRecord *) (buffer->data + at);

		if (record->under_way)
		{
			record->under_way = false;
			record->check = memai_record_check(record);
		}
		at += record->size;
		n++;
	}
	if (at < used)
		ereport(LOG,
				(errmsg("usage records after the first %d were damaged by a crash", n)));
	buffer->used = at;
}

static void
load_saved(void)
{
	MemaiUsageBuffer head;
	FILE	   *file = AllocateFile(SAVE_FILE, PG_BINARY_R);

	if (file == NULL)
		return;
	if (fread(&head, offsetof(MemaiUsageBuffer, data), 1, file) == 1 && head.magic == MAGIC &&
		head.record_size == sizeof(MemaiRecord) && head.used <= buffer->size &&
		(head.used == 0 || fread(buffer->data, head.used, 1, file) == 1))
	{
		buffer->dropped = head.dropped;
		buffer->last_id = head.last_id;
		recover(head.used);
	}
	else
		ereport(LOG,
				(errmsg("ignoring file \"%s\": it does not fit this server", SAVE_FILE)));
	FreeFile(file);
	(void) unlink(SAVE_FILE);
}

MemaiUsageBuffer *
memai_buffer_attach(Size size)
{
	if (buffer == NULL)
		map_buffer(size);
	if (buffer->magic == MAGIC && buffer->record_size == sizeof(MemaiRecord))
		recover(Min(buffer->used, size));
	else
		memset(buffer, 0, offsetof(MemaiUsageBuffer, data));
	buffer->magic = MAGIC;
	buffer->record_size = sizeof(MemaiRecord);
	buffer->size = size;
	if (buffer->used == 0)
		load_saved();
	return buffer;
}

/* ---- a clean stop ---- */

void
memai_buffer_save(void)
{
	Size		size = offsetof(MemaiUsageBuffer, data) + buffer->used;
	FILE	   *file;

	if (buffer->used > 0 || buffer->dropped > 0)
	{
		file = AllocateFile(SAVE_FILE, PG_BINARY_W);
		if (file == NULL || fwrite(buffer, size, 1, file) != 1 || FreeFile(file) != 0)
		{
			ereport(LOG,
					(errcode_for_file_access(),
					 errmsg("could not write file \"%s\": %m", SAVE_FILE)));
			(void) unlink(SAVE_FILE);
			return;
		}
	}
	(void) unlink(LIVE_FILE);
}
