/*
 * fuzz_json_write.c
 *	  Any bytes as a string give valid JSON that reads back the same (JS13): what
 *	  is not a character is U+FFFD, everything else is itself.  So do numbers.
 */
/* sources: src/json/write.c src/json/scan.c src/json/utf8.c src/model/static_json.c */
/* seconds: 30 */
#include "postgres.h"

#include <math.h>

#include "model/static.h"
#include "server.h"

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

typedef struct Input
{
	const char *data;
	size_t		len;
} Input;

static void
require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

static void
write_and_read(void *arg)
{
	const Input *input = arg;
	StringInfoData out;
	MemaiJsonScan scan;
	char	   *clean;
	char	   *read;
	double		number;
	double		same;
	bool		first = true;
	int64		len;

	initStringInfo(&out);
	appendStringInfoChar(&out, '[');
	memai_json_write_string(&out, input->data, input->len);
	memcpy(&number, input->data, Min(input->len, sizeof(number)));
	if (input->len < sizeof(number) || !isfinite(number))
		number = (double) input->len;
	appendStringInfoChar(&out, ',');
	memai_json_write_number(&out, number);
	appendStringInfoChar(&out, ']');

	memai_json_scan_start(&scan, out.data, out.len);
	require(memai_json_scan_enter(&scan, '[') && memai_json_scan_item(&scan, &first));
	read = palloc(out.len);
	len = memai_static_string(&scan, read);
	require(len >= 0 && memai_json_scan_item(&scan, &first));
	require(memai_static_number(&scan, &same) && same == number);
	require(!memai_json_scan_item(&scan, &first) && memai_json_scan_done(&scan));

	/* the string without its escapes is the input with its broken bytes replaced */
	clean = memai_json_server_text(input->data, input->len);
	if (memchr(input->data, 0, input->len) == NULL)
		require(strlen(clean) == (size_t) len && memcmp(clean, read, len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	/* exactly as large as the text, so that reading past it is seen */
	char	   *text = malloc(size ? size : 1);
	Input		input = {text, size};

	memcpy(text, data, size);
	require(fuzz_run(write_and_read, &input));
	fuzz_release();
	free(text);
	return 0;
}
