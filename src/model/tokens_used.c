/*
 * tokens_used.c
 *	  The counts of tokens in an answer, found without parsing it.  Pure: no
 *	  palloc, no ereport.
 *
 * Answers full of numbers are read by a fast path that skips everything else,
 * and answers that turn out to be useless are never read to the end; both cost
 * money.  Providers put their counts before or after the content, so only the
 * ends of a body are searched.  A name in quotes that a colon and a number
 * follow is a member: quotes inside strings are escaped.
 */
#include "postgres.h"

#include "model/tokens_used.h"

#define HEAD_BYTES 2048
#define TAIL_BYTES 4096

/* the number of the member of that name in a span; -1 for none that makes sense */
static int64
find_member(const char *data, size_t len, const char *name)
{
	size_t		name_len = strlen(name);
	const char *end = data + len;
	const char *found = data;

	while ((found = memmem(found, end - found, name, name_len)) != NULL)
	{
		const char *next = found + name_len;
		int64		number = 0;
		int			digits = 0;

		while (next < end && (*next == ' ' || *next == ':'))
			next++;
		for (; next < end && *next >= '0' && *next <= '9' && digits < 11; digits++)
			number = number * 10 + (*next++ - '0');
		/* neither cut off, nor a fraction, nor more than any answer has */
		if (next[-1] != '"' && digits > 0 && next < end && number <= PG_INT32_MAX &&
			strchr(",}] \r\n\t", *next) != NULL && *next != '\0')
			return number;
		found += name_len;
	}
	return -1;
}

static int64
find_first(const char *body, size_t len, const char *const *names)
{
	size_t		head = Min(len, HEAD_BYTES);
	size_t		tail = Min(len - head, TAIL_BYTES);

	for (; *names != NULL; names++)
	{
		int64		number = find_member(body, head, *names);

		if (number < 0)
			number = find_member(body + len - tail, tail, *names);
		if (number >= 0)
			return number;
	}
	return -1;
}

void
memai_tokens_used(const char *body, size_t len, int64 *prompt_tokens, int64 *completion_tokens)
{
	static const char *const prompt_names[] = {
		"\"prompt_tokens\"", "\"input_tokens\"", "\"promptTokenCount\"", "\"prompt_eval_count\"",
		"\"total_tokens\"", NULL
	};
	static const char *const completion_names[] = {
		"\"completion_tokens\"", "\"output_tokens\"", "\"candidatesTokenCount\"", "\"eval_count\"", NULL
	};

	*prompt_tokens = find_first(body, len, prompt_names);
	*completion_tokens = find_first(body, len, completion_names);
}
