/*
 * terms.c
 *	  The hashed terms of a document as they are stored.  Pure: no allocation,
 *	  no errors, no server state.
 *
 * Payload, the same on every machine:
 *
 *	 1 byte		format version, 1 or 2
 *	 1 byte		the language of the stems (language.h); of version 1 absent and 0
 *	 varint		occurrences: the document's length in terms, stop words apart
 *	 varint		n, the number of distinct terms
 *	 n * 4		their hashes, little-endian, ascending
 *	 n * 1		their frequencies in the same order, 255 for 255 and more
 *
 * A varint has seven bits a byte, the lowest first; the high bit says that
 * another byte follows.  The size of the payload follows from its header, so
 * readers check it whole in constant time and see anything else as empty.
 */
#include "postgres.h"

#include "text/terms.h"
#include "text/text.h"

#define ST_SORT sort_hashes
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

#define FORMAT_VERSION 2
#define FORMAT_WITHOUT_LANGUAGE 1
#define VARINT_MAX_BYTES 5
#define HASH_BYTES 4
#define MAX_FREQUENCY 255

static size_t
write_varint(unsigned char *out, uint32 value)
{
	size_t		n = 0;

	for (; value >= 0x80; value >>= 7)
		out[n++] = (unsigned char) (value | 0x80);
	out[n++] = (unsigned char) value;
	return n;
}

/* Reads a varint that ends before end; false when it does not or exceeds 32 bits. */
static bool
read_varint(const unsigned char **next, const unsigned char *end, uint32 *value)
{
	uint64		result = 0;

	for (int shift = 0; shift < 7 * VARINT_MAX_BYTES && *next < end; shift += 7)
	{
		unsigned char byte = *(*next)++;

		result |= (uint64) (byte & 0x7F) << shift;
		if (byte < 0x80)
		{
			*value = (uint32) result;
			return result <= PG_UINT32_MAX;
		}
	}
	return false;
}

static bool
read_header(const unsigned char *payload, size_t size, MemaiTermsView *view)
{
	const unsigned char *next = payload;
	const unsigned char *end = payload + size;

	view->language = 0;
	if (size < 2 || (payload[0] != FORMAT_VERSION && payload[0] != FORMAT_WITHOUT_LANGUAGE))
		return false;
	if (*next++ == FORMAT_VERSION)
		view->language = *next++;
	if (!read_varint(&next, end, &view->length) ||
		!read_varint(&next, end, &view->nterms))
		return false;
	if (view->length < view->nterms ||
		(view->nterms == 0 && view->length > 0) ||
		(uint64) (end - next) != (uint64) view->nterms * (HASH_BYTES + 1))
		return false;
	view->hashes = next;
	view->frequencies = next + (size_t) view->nterms * HASH_BYTES;
	return true;
}

static inline uint32
read_hash(const unsigned char *bytes)
{
	return (uint32) bytes[0] | ((uint32) bytes[1] << 8) |
		((uint32) bytes[2] << 16) | ((uint32) bytes[3] << 24);
}

size_t
memai_terms_max_size(uint32 n)
{
	return 2 + 2 * VARINT_MAX_BYTES + (size_t) n * (HASH_BYTES + 1);
}

uint32
memai_terms_distinct(uint32 *hashes, uint32 n)
{
	uint32		kept = 0;

	sort_hashes(hashes, n);
	for (uint32 i = 0; i < n; i++)
	{
		if (kept == 0 || hashes[kept - 1] != hashes[i])
			hashes[kept++] = hashes[i];
	}
	return kept;
}

static uint32
count_distinct(const uint32 *sorted, uint32 n)
{
	uint32		distinct = 0;

	for (uint32 i = 0; i < n; i++)
		distinct += (i == 0 || sorted[i] != sorted[i - 1]);
	return distinct;
}

size_t
memai_terms_build(uint32 *hashes, uint32 n, int language, unsigned char *payload)
{
	unsigned char *out = payload;
	unsigned char *frequency;
	uint32		nterms;

	sort_hashes(hashes, n);
	nterms = count_distinct(hashes, n);
	*out++ = FORMAT_VERSION;
	*out++ = (unsigned char) language;
	out += write_varint(out, n);
	out += write_varint(out, nterms);
	frequency = out + (size_t) nterms * HASH_BYTES;

	for (uint32 i = 0; i < n;)
	{
		uint32		hash = hashes[i];
		uint32		count = 0;

		while (i < n && hashes[i] == hash)
		{
			i++;
			count++;
		}
		for (int byte = 0; byte < HASH_BYTES; byte++)
			*out++ = (unsigned char) (hash >> (8 * byte));
		*frequency++ = (unsigned char) Min(count, MAX_FREQUENCY);
	}
	return frequency - payload;
}

void
memai_terms_open(const unsigned char *payload, size_t size, MemaiTermsView *view)
{
	if (!read_header(payload, size, view))
		memset(view, 0, sizeof(MemaiTermsView));
}

uint32
memai_terms_hash(const MemaiTermsView *view, uint32 i)
{
	return read_hash(view->hashes + (size_t) i * HASH_BYTES);
}

uint32
memai_terms_count(const MemaiTermsView *view, uint32 i)
{
	return view->frequencies[i];
}

uint32
memai_terms_frequency(const MemaiTermsView *view, uint32 hash)
{
	uint32		low = 0;
	uint32		high = view->nterms;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;
		uint32		found = memai_terms_hash(view, middle);

		if (hash < found)
			high = middle;
		else if (hash > found)
			low = middle + 1;
		else
			return view->frequencies[middle];
	}
	return 0;
}
