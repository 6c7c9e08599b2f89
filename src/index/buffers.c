/*
 * buffers.c
 *	  Reading a page that was read before without a look-up in the buffer table.
 *
 * A search touches hundreds of pages, and finding each in the table of a large
 * buffer pool is a cache miss that costs more than the page's arithmetic.  So
 * the session remembers in which buffer it last saw each block of the indexes
 * that it searches.  ReadRecentBuffer verifies the guess.
 */
#include "postgres.h"

#include "pgstat.h"
#include "storage/buf_internals.h"
#include "utils/memutils.h"

#include "index/index_int.h"

/* indexes remembered, and blocks of each (4 bytes a block) */
#define REMEMBERED 8
#define MAX_BLOCKS (4 * 1024 * 1024)

typedef struct Hints
{
	MemaiRelFile file;
	Buffer	   *buffers;
	BlockNumber size;
} Hints;

static Hints hints[REMEMBERED];
static int	last;				/* the one used last */
static int	next_victim;

static Hints *
find_hints(Relation relation)
{
	MemaiRelFile file = memai_relation_file(relation);
	Hints	   *h = &hints[last];

	if (h->buffers && memcmp(&h->file, &file, sizeof(file)) == 0)
		return h;
	for (int i = 0; i < REMEMBERED; i++)
		if (hints[i].buffers && memcmp(&hints[i].file, &file, sizeof(file)) == 0)
		{
			last = i;
			return &hints[i];
		}
	last = next_victim;
	next_victim = (next_victim + 1) % REMEMBERED;
	h = &hints[last];
	if (h->buffers == NULL)
	{
		h->size = 1024;
		h->buffers = MemoryContextAlloc(TopMemoryContext, sizeof(Buffer) * h->size);
	}
	memset(h->buffers, 0, sizeof(Buffer) * h->size);
	h->file = file;
	return h;
}

/* a link may be damaged: what it leads to must exist */
static Buffer
read_existing(Relation relation, BlockNumber blkno)
{
	if (blkno >= RelationGetNumberOfBlocks(relation))
		memai_report_corrupted(relation, blkno, "The page is pointed to but does not exist.");
	return ReadBuffer(relation, blkno);
}

Buffer
memai_buffer_read(Relation relation, BlockNumber blkno)
{
	Hints	   *h;
	Buffer		buffer;

	if (RelationUsesLocalBuffers(relation) || blkno >= MAX_BLOCKS)
		return read_existing(relation, blkno);
	h = find_hints(relation);
	if (blkno < h->size && h->buffers[blkno] != InvalidBuffer &&
		ReadRecentBuffer(h->file, MAIN_FORKNUM, blkno, h->buffers[blkno]))
	{
		pgstat_count_buffer_read(relation);
		pgstat_count_buffer_hit(relation);
		return h->buffers[blkno];
	}
	buffer = read_existing(relation, blkno);
	if (blkno >= h->size)
	{
		BlockNumber size = h->size;

		while (h->size <= blkno)
			h->size *= 2;
		h->buffers = repalloc(h->buffers, sizeof(Buffer) * h->size);
		memset(h->buffers + size, 0, sizeof(Buffer) * (h->size - size));
	}
	h->buffers[blkno] = buffer;
	return buffer;
}

/* the buffer that the block was seen in, or invalid */
static Buffer
remembered(Relation relation, BlockNumber blkno)
{
	Hints	   *h;

	if (RelationUsesLocalBuffers(relation) || blkno >= MAX_BLOCKS)
		return InvalidBuffer;
	h = find_hints(relation);
	return blkno < h->size ? h->buffers[blkno] : InvalidBuffer;
}

static inline char *
page_of(Buffer buffer)
{
	return (char *) BufferBlocks + (Size) (buffer - 1) * BLCKSZ;
}

Page
memai_buffer_guess(Relation relation, BlockNumber blkno)
{
	Buffer		buffer = remembered(relation, blkno);

	return buffer == InvalidBuffer ? NULL : (Page) page_of(buffer);
}

/* nothing is pinned: at worst the bytes of another page are fetched */
void
memai_buffer_prefetch(Relation relation, BlockNumber blkno, int offset, int bytes)
{
	Buffer		buffer = remembered(relation, blkno);

	if (buffer == InvalidBuffer)
		return;
	__builtin_prefetch(page_of(buffer));
	__builtin_prefetch(page_of(buffer) + BLCKSZ - 1);
	for (int at = 0; at < bytes; at += MEMAI_CACHE_LINE)
		__builtin_prefetch(page_of(buffer) + offset + at);
}

/* the descriptor, which pinning writes to, and the page's header */
void
memai_buffer_expect(Relation relation, BlockNumber blkno)
{
	Buffer		buffer = remembered(relation, blkno);

	if (buffer == InvalidBuffer)
		return;
	__builtin_prefetch(GetBufferDescriptor(buffer - 1), 1);
	__builtin_prefetch(page_of(buffer));
	__builtin_prefetch(page_of(buffer) + BLCKSZ - 1);
}
