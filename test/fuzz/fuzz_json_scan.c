/*
 * fuzz_json_scan.c
 *	  Any bytes as JSON are survived, and a skipped value is skipped the same
 *	  way twice; number arrays and base64 stay inside their room.
 */
/* sources: src/json/scan.c src/json/floats.c src/json/utf8.c */
/* seconds: 30 */
#include "postgres.h"

#include <math.h>

#include "json/json.h"

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

static void
require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	/* exactly as large as the text, so that reading past it is seen */
	char	   *text = malloc(size ? size : 1);
	MemaiJsonScan scan;
	float		out[8];
	int			bad;
	int			count;
	int64		value;

	memcpy(text, data, size);
	memai_json_scan_start(&scan, text, size);
	if (memai_json_scan_skip(&scan) && memai_json_scan_done(&scan))
	{
		memai_json_scan_start(&scan, text, size);
		require(memai_json_scan_skip(&scan) && memai_json_scan_done(&scan));
	}
	else
		require(scan.problem != NULL && scan.at <= scan.end);

	memai_json_scan_start(&scan, text, size);
	count = memai_json_scan_floats(&scan, out, lengthof(out), &bad);
	require(count <= (int) lengthof(out) && bad <= (int) lengthof(out));
	for (int i = 0; i < count; i++)
		require(isfinite(out[i]));
	memai_json_scan_start(&scan, text, size);
	(void) memai_json_scan_int(&scan, &value);
	if (memai_base64_floats(text, size, out, lengthof(out), &count, &bad) == NULL)
		require(count <= (int) lengthof(out) && (size_t) count * 4 <= size);
	free(text);
	return 0;
}
