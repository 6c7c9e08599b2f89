/*
 * server.h
 *	  As much of the server as a fuzzer or unit test needs of it: memory that a run leaves
 *	  behind is freed at its end, and an error ends the run's body instead of
 *	  the process.  A program includes it once, after postgres.h.
 */
#ifndef MEMAI_FUZZ_SERVER_H
#define MEMAI_FUZZ_SERVER_H

#include <setjmp.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

typedef union Block
{
	struct
	{
		union Block *next;
		union Block *previous;
	}			link;
	max_align_t alignment;
} Block;

MemoryContext CurrentMemoryContext = NULL;
static int	fuzz_sqlstate;

static Block blocks = {.link = {&blocks, &blocks}};
static MemoryContextCallback *callbacks;
static jmp_buf *handler;

/* ---- memory ---- */

void *
palloc(Size size)
{
	Block	   *block = malloc(sizeof(Block) + size);

	block->link.next = blocks.link.next;
	block->link.previous = &blocks;
	blocks.link.next->link.previous = block;
	blocks.link.next = block;
	return block + 1;
}

void
pfree(void *pointer)
{
	Block	   *block = (Block *) pointer - 1;

	block->link.previous->link.next = block->link.next;
	block->link.next->link.previous = block->link.previous;
	free(block);
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void *
repalloc(void *pointer, Size size)
{
	Block	   *block = (Block *) pointer - 1;

	block = realloc(block, sizeof(Block) + size);
	block->link.previous->link.next = block;
	block->link.next->link.previous = block;
	return block + 1;
}

void *
MemoryContextAllocExtended(MemoryContext context, Size size, int flags)
{
	return palloc(size);
}

char *
pnstrdup(const char *text, Size len)
{
	char	   *copy;

	len = strnlen(text, len);
	copy = palloc(len + 1);
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

char *
pstrdup(const char *text)
{
	return pnstrdup(text, strlen(text));
}

void
MemoryContextRegisterResetCallback(MemoryContext context, MemoryContextCallback *callback)
{
	callback->next = callbacks;
	callbacks = callback;
}

static void
fuzz_release(void)
{
	for (; callbacks != NULL; callbacks = callbacks->next)
		callbacks->func(callbacks->arg);
	while (blocks.link.next != &blocks)
		pfree(blocks.link.next + 1);
}

/* ---- errors ---- */

bool
errstart(int elevel, const char *domain)
{
	return true;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return true;
}

int
errcode(int sqlstate)
{
	fuzz_sqlstate = sqlstate;
	return 0;
}

int
errmsg(const char *format,...)
{
	return 0;
}

int
errdetail(const char *format,...)
{
	return 0;
}

int
errhint(const char *format,...)
{
	return 0;
}

void
errfinish(const char *filename, int lineno, const char *funcname)
{
	longjmp(*handler, 1);
}

/*
 * Runs body with arg; false when it raised an error, whose SQLSTATE is then in
 * fuzz_sqlstate.  What was allocated lives until fuzz_release.
 */
static bool
fuzz_run(void (*body) (void *), void *arg)
{
	jmp_buf		here;
	bool		ended = false;

	handler = &here;
	fuzz_sqlstate = 0;
	if (setjmp(here) == 0)
	{
		body(arg);
		ended = true;
	}
	return fuzz_sqlstate == 0 || ended;
}

/* ---- encodings: the database's is UTF-8 ---- */

int
GetDatabaseEncoding(void)
{
	return PG_UTF8;
}

char *
pg_server_to_any(const char *text, int len, int encoding)
{
	return unconstify(char *, text);
}

char *
pg_any_to_server(const char *text, int len, int encoding)
{
	return unconstify(char *, text);
}

int32
pg_strtoint32(const char *text)
{
	return (int32) strtol(text, NULL, 10);
}

#endif							/* MEMAI_FUZZ_SERVER_H */
