/*
 * source_cache.c
 *	  Texts of sources that this session keeps for a while.
 *
 * In the session's own memory: nothing that one role read is ever looked for
 * by another session, nothing is written, and it works on a standby.  A
 * text may rest on rows that its transaction wrote, so every rollback empties the
 * cache.  Whether a text still holds is its user's to check (source.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "chat/source_cache.h"
#include "lib/ilist.h"
#include "utils/memutils.h"

#define MAX_ENTRIES 256
#define MAX_SIZE (4 * 1024 * 1024)	/* bytes of all texts and keys */

typedef struct Entry
{
	dlist_node	node;
	MemoryContext context;		/* holds this entry and its strings */
	const char *key;
	const char *xmin;
	const char *content;
	size_t		size;
	TimestampTz expires_at;
} Entry;

static dlist_head entries = DLIST_STATIC_INIT(entries); /* the oldest first */
static int	nentries;
static size_t total_size;
static MemoryContext cache_context; /* NULL: nothing was kept yet */

static void
drop(Entry *entry)
{
	dlist_delete(&entry->node);
	nentries--;
	total_size -= entry->size;
	MemoryContextDelete(entry->context);
}

static void
drop_all(void)
{
	while (!dlist_is_empty(&entries))
		drop(dlist_head_element(Entry, node, &entries));
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		drop_all();
}

static void
at_subtransaction_event(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		drop_all();
}

static void
set_up(void)
{
	if (cache_context != NULL)
		return;
	RegisterXactCallback(at_transaction_event, NULL);
	RegisterSubXactCallback(at_subtransaction_event, NULL);
	cache_context = AllocSetContextCreate(TopMemoryContext, "memai chat source cache", ALLOCSET_SMALL_SIZES);
}

static Entry *
find(const char *key)
{
	dlist_iter	iter;

	dlist_foreach(iter, &entries)
	{
		Entry	   *entry = dlist_container(Entry, node, iter.cur);

		if (strcmp(entry->key, key) == 0)
			return entry;
	}
	return NULL;
}

const char *
memai_source_cache_get(const char *key, const char **xmin)
{
	Entry	   *entry = find(key);

	if (entry == NULL)
		return NULL;
	if (GetCurrentTimestamp() >= entry->expires_at)
	{
		drop(entry);
		return NULL;
	}
	*xmin = entry->xmin;
	return entry->content;
}

void
memai_source_cache_put(const char *key, const char *xmin, TimestampTz expires_at, const char *content)
{
	size_t		size = strlen(key) + strlen(xmin) + strlen(content);
	Entry	   *entry = find(key);
	MemoryContext context;

	if (entry != NULL)
		drop(entry);
	if (size > MAX_SIZE / 4)
		return;
	while (!dlist_is_empty(&entries) && (nentries >= MAX_ENTRIES || total_size + size > MAX_SIZE))
		drop(dlist_head_element(Entry, node, &entries));
	set_up();
	/* a child of the current context until it is whole, so that an error leaves nothing */
	context = AllocSetContextCreate(CurrentMemoryContext, "memai chat source cache entry", ALLOCSET_SMALL_SIZES);
	entry = MemoryContextAlloc(context, sizeof(Entry));
	entry->context = context;
	entry->key = MemoryContextStrdup(context, key);
	entry->xmin = MemoryContextStrdup(context, xmin);
	entry->content = MemoryContextStrdup(context, content);
	entry->size = size;
	entry->expires_at = expires_at;
	MemoryContextSetParent(context, cache_context);
	dlist_push_tail(&entries, &entry->node);
	nentries++;
	total_size += size;
}
