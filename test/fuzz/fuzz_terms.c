/*
 * fuzz_terms.c
 *	  Any bytes as a payload are survived; any list of hashes as terms is read
 *	  back.
 */
/* sources: src/text/terms.c */
#include "postgres.h"

#include "text/terms.h"
#include "text/text.h"

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32
length_of(const unsigned char *payload, size_t size)
{
	MemaiTermsView view;

	memai_terms_open(payload, size, &view);
	return view.length;
}

static uint32
frequency_of(const unsigned char *payload, size_t size, uint32 hash)
{
	MemaiTermsView view;

	memai_terms_open(payload, size, &view);
	return memai_terms_frequency(&view, hash);
}

static void
check_round_trip(const uint8_t *data, size_t size)
{
	uint32		n = (uint32) (size / sizeof(uint32));
	uint32	   *hashes = malloc(n * sizeof(uint32) + 1);
	unsigned char *payload = malloc(memai_terms_max_size(n));
	size_t		payload_size;

	memcpy(hashes, data, n * sizeof(uint32));
	payload_size = memai_terms_build(hashes, n, 2, payload);
	if (payload_size > memai_terms_max_size(n) || length_of(payload, payload_size) != n)
		abort();
	for (uint32 i = 0; i < n; i++)
	{
		if (frequency_of(payload, payload_size, hashes[i]) == 0)
			abort();
	}
	free(hashes);
	free(payload);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32		hash = 0;

	memcpy(&hash, data, Min(size, sizeof(hash)));
	(void) frequency_of(data, size, hash);
	(void) length_of(data, size);
	check_round_trip(data, size);
	return 0;
}
