/*
 * test_terms.c
 *	  The stored form of a document's terms: its bytes, its readers, and what
 *	  readers answer on damaged bytes.
 */
/* sources: src/text/terms.c */
#include "postgres.h"

#include "text/terms.h"
#include "text/text.h"
#include "tap.h"

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

/* builds into memory of exactly the promised size */
static unsigned char *
build(const uint32 *hashes, uint32 n, size_t *size)
{
	uint32	   *copy = malloc(n * sizeof(uint32) + 1);
	unsigned char *payload = malloc(memai_terms_max_size(n));

	memcpy(copy, hashes, n * sizeof(uint32));
	*size = memai_terms_build(copy, n, 2, payload);
	free(copy);
	return payload;
}

/* the format is on disk: these bytes are fixed for good */
static void
test_bytes(void)
{
	static const uint32 hashes[] = {0xDEADBEEF, 7, 0xDEADBEEF, 0x01020304, 7, 7};
	static const unsigned char expected[] = {
		2, 2, 6, 3,
		7, 0, 0, 0, 4, 3, 2, 1, 0xEF, 0xBE, 0xAD, 0xDE,
		3, 1, 2
	};
	size_t		size;
	unsigned char *payload = build(hashes, lengthof(hashes), &size);

	ok(size == sizeof(expected) && memcmp(payload, expected, size) == 0, "known payload");
	ok(length_of(payload, size) == 6, "its length is the number of occurrences");
	ok(frequency_of(payload, size, 7) == 3, "frequency of the first term");
	ok(frequency_of(payload, size, 0x01020304) == 1, "frequency of the second");
	ok(frequency_of(payload, size, 0xDEADBEEF) == 2, "frequency of the last");
	ok(frequency_of(payload, size, 0) == 0 &&
	   frequency_of(payload, size, 8) == 0 &&
	   frequency_of(payload, size, PG_UINT32_MAX) == 0, "absent terms");
	free(payload);
}

/* the format before languages were told */
static void
test_first_version(void)
{
	static const unsigned char payload[] = {1, 6, 2, 7, 0, 0, 0, 4, 3, 2, 1, 5, 1};
	MemaiTermsView view;

	memai_terms_open(payload, sizeof(payload), &view);
	ok(view.length == 6 && view.language == 0 && memai_terms_frequency(&view, 7) == 5, "the first version is read, without a language");
	memai_terms_open((const unsigned char *) "\2\3\0", 4, &view);
	ok(view.length == 0 && view.language == 3, "a text without terms has a language");
}

static void
test_empty(void)
{
	static const unsigned char expected[] = {2, 2, 0, 0};
	uint32		none[1] = {0};
	size_t		size;
	unsigned char *payload = build(none, 0, &size);

	ok(size == sizeof(expected) && memcmp(payload, expected, size) == 0, "payload of no terms");
	ok(length_of(payload, size) == 0, "has length 0");
	ok(frequency_of(payload, size, 0) == 0, "and no term");
	free(payload);
}

/* many terms: counts of two varint bytes, frequencies that saturate */
static void
test_large(void)
{
	enum
	{
		distinct = 5000
	};
	uint32	   *hashes = malloc((distinct + 999) * sizeof(uint32));
	size_t		size;
	unsigned char *payload;
	bool		found = true;

	for (uint32 i = 0; i < distinct; i++)
		hashes[i] = i * 2654435761U;
	for (uint32 i = 0; i < 999; i++)
		hashes[distinct + i] = 2654435761U;
	payload = build(hashes, distinct + 999, &size);

	ok(size == 2 + 2 + 2 + distinct * 5, "size of 5000 terms");
	ok(length_of(payload, size) == distinct + 999, "their length");
	for (uint32 i = 0; i < distinct; i++)
		found &= frequency_of(payload, size, i * 2654435761U) == (i == 1 ? 255 : 1);
	ok(found, "every term is found; 1000 occurrences count as 255");
	ok(memai_terms_distinct(hashes, distinct + 999) == distinct, "distinct terms");
	free(hashes);
	free(payload);
}

/* every shorter and one longer size, every changed byte: an answer, no overrun */
static void
test_damaged(void)
{
	static const uint32 hashes[] = {1, 2, 3, 3, 4, 5, 5, 5};
	size_t		size;
	unsigned char *payload = build(hashes, lengthof(hashes), &size);
	bool		refused = true;

	for (size_t cut = 0; cut < size; cut++)
	{
		unsigned char *copy = malloc(cut);

		memcpy(copy, payload, cut);
		refused &= length_of(copy, cut) == 0 && frequency_of(copy, cut, 3) == 0;
		free(copy);
	}
	ok(refused, "a payload that is cut anywhere has no terms");

	for (size_t i = 0; i < size; i++)
	{
		for (int value = 0; value < 256; value++)
		{
			unsigned char *copy = malloc(size);

			memcpy(copy, payload, size);
			copy[i] = (unsigned char) value;
			(void) frequency_of(copy, size, 3);
			if (i == 0 && value != 2)
				refused &= length_of(copy, size) == 0;
			free(copy);
		}
	}
	ok(refused, "another version is refused; any changed byte is survived");
	free(payload);
}

static void
test_forged_headers(void)
{
	static const struct
	{
		unsigned char bytes[16];
		size_t		size;
	}			forged[] = {
		{{1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F}, 11},	/* 2^32 - 1 terms */
		{{1, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0}, 7},	/* more than 32 bits */
		{{1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}, 8},	/* endless varint */
		{{1, 5, 0}, 3},			/* occurrences of nothing */
		{{1, 0, 1, 1, 0, 0, 0, 1}, 8},	/* a term that does not occur */
		{{1}, 1},
	};

	for (size_t i = 0; i < lengthof(forged); i++)
		ok(length_of(forged[i].bytes, forged[i].size) == 0 &&
		   frequency_of(forged[i].bytes, forged[i].size, 1) == 0, "forged header %zu", i);
}

int
main(void)
{
	test_bytes();
	test_empty();
	test_large();
	test_first_version();
	test_damaged();
	test_forged_headers();
	return done_testing();
}
