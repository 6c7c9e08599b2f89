/*
 * test_tokens_used.c
 *	  The counts of tokens in answers, in the words of each provider and in
 *	  answers that lie about them.
 */
/* sources: src/model/tokens_used.c */
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>

#include "model/tokens_used.h"

static int	tests = 0;
static int	failures = 0;

static void
check(const char *name, const char *body, size_t len, int64 prompt, int64 completion)
{
	char	   *copy = malloc(len + 1);	/* so that a read beyond the end is seen */
	int64		got_prompt;
	int64		got_completion;
	bool		ok;

	memcpy(copy, body, len);
	memai_tokens_used(copy = realloc(copy, len > 0 ? len : 1), len, &got_prompt, &got_completion);
	ok = got_prompt == prompt && got_completion == completion;
	printf("%sok %d - %s\n", ok ? "" : "not ", ++tests, name);
	if (!ok)
	{
		printf("# got %lld and %lld\n", (long long) got_prompt, (long long) got_completion);
		failures++;
	}
	free(copy);
}

static const struct
{
	const char *name;
	const char *body;
	int64		prompt;
	int64		completion;
}			cases[] = {
	{"openai", "{\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":7,\"total_tokens\":19}}", 12, 7},
	{"with spaces", "{\"usage\": {\"prompt_tokens\" : 12, \"completion_tokens\" : 7 }}", 12, 7},
	{"embeddings", "{\"data\":[],\"usage\":{\"prompt_tokens\":5,\"total_tokens\":5}}", 5, -1},
	{"only a total", "{\"data\":[],\"usage\":{\"total_tokens\":9}}", 9, -1},
	{"anthropic", "{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}", 3, 4},
	{"gemini", "{\"usageMetadata\":{\"promptTokenCount\":8,\"candidatesTokenCount\":2}}", 8, 2},
	{"ollama", "{\"done\":true,\"prompt_eval_count\":26,\"eval_count\":298}", 26, 298},
	{"none", "{\"choices\":[]}", -1, -1},
	{"empty", "", -1, -1},
	{"negative", "{\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":-9}}", -1, -1},
	{"a fraction", "{\"usage\":{\"prompt_tokens\":1.5,\"completion_tokens\":2e3}}", -1, -1},
	{"a string", "{\"usage\":{\"prompt_tokens\":\"5\",\"completion_tokens\":null}}", -1, -1},
	{"too many", "{\"usage\":{\"prompt_tokens\":2147483648,\"completion_tokens\":99999999999999999999}}", -1, -1},
	{"the most", "{\"usage\":{\"prompt_tokens\":2147483647,\"completion_tokens\":0}}", PG_INT32_MAX, 0},
	{"a value of that name", "{\"a\":\"prompt_tokens\",\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":1}}", 4, 1},
	{"text that quotes it", "{\"content\":\"\\\"prompt_tokens\\\":99\",\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":1}}", 4, 1},
	{"no closing brace", "{\"usage\":{\"prompt_tokens\":4", -1, -1},
};

/* no prefix of an answer gives another number than the whole */
static void
check_prefixes(void)
{
	const char *body = cases[0].body;
	bool		ok = true;

	for (size_t len = 0; len <= strlen(body); len++)
	{
		int64		prompt;
		int64		completion;

		memai_tokens_used(body, len, &prompt, &completion);
		ok &= (prompt == -1 || prompt == 12) && (completion == -1 || completion == 7);
	}
	printf("%sok %d - no prefix gives another number\n", ok ? "" : "not ", ++tests);
	failures += !ok;
}

/* counts before or after a long answer are found */
static void
check_long(bool first)
{
	size_t		len = 1 << 20;
	char	   *body = malloc(len);
	const char *usage = "\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":2},";

	memset(body, '1', len);
	memcpy(first ? body : body + len - strlen(usage), usage, strlen(usage));
	check(first ? "before a long answer" : "after a long answer", body, len, 6, 2);
	free(body);
}

int
main(void)
{
	for (size_t i = 0; i < lengthof(cases); i++)
		check(cases[i].name, cases[i].body, strlen(cases[i].body), cases[i].prompt, cases[i].completion);
	check_prefixes();
	check_long(true);
	check_long(false);
	printf("1..%d\n", tests);
	return failures > 0;
}
