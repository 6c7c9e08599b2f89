/*
 * vectors.c
 *	  Embeddings in answers, read without a document tree: lists of numbers or
 *	  base64, in order or by index.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "model/vectors.h"

void
memai_vectors_check_scan(const MemaiModel *model, const MemaiJsonScan *scan)
{
	if (scan->problem != NULL)
		memai_wire_bad_response(model, psprintf("the JSON is broken: %s", scan->problem));
}

bool
memai_vectors_key_is(const char *key, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(key, name, len) == 0;
}

MemaiVector *
memai_vectors_read_one(const MemaiModel *model, MemaiJsonScan *scan, float *buffer)
{
	int			max = model->info.dimensions;
	int			bad = 0;
	int			count = -1;
	const char *data;
	size_t		len;
	const char *problem = NULL;
	MemaiVector *vector;

	if (memai_json_scan_peek(scan) == '"')
	{
		if (memai_json_scan_string(scan, &data, &len))
			problem = memai_base64_floats(data, len, buffer, max, &count, &bad);
	}
	else
	{
		count = memai_json_scan_floats(scan, buffer, max, &bad);
		problem = scan->problem;
	}
	if (problem != NULL)
		memai_wire_bad_response(model, psprintf("element %d of a vector is wrong: %s", bad, problem));
	memai_vectors_check_scan(model, scan);
	vector = memai_wire_new_vector(model, count);
	memcpy(vector->x, buffer, sizeof(float) * count);
	return vector;
}

/* a vector, or with member an object that holds it under that key */
static MemaiVector *
read_element(const MemaiModel *model, MemaiJsonScan *scan, const char *member, float *buffer)
{
	MemaiVector *vector = NULL;
	bool		first = true;
	const char *key;
	size_t		len;

	if (member == NULL)
		return memai_vectors_read_one(model, scan, buffer);
	if (!memai_json_scan_enter(scan, '{'))
		memai_vectors_check_scan(model, scan);
	while (memai_json_scan_member(scan, &first, &key, &len))
	{
		if (memai_vectors_key_is(key, len, member) && vector == NULL)
			vector = memai_vectors_read_one(model, scan, buffer);
		else
			(void) memai_json_scan_skip(scan);
	}
	memai_vectors_check_scan(model, scan);
	if (vector == NULL)
		memai_wire_bad_response(model, "an element has no vector");
	return vector;
}

static int
read_list(const MemaiModel *model, MemaiJsonScan *scan, const char *member,
		  int ninputs, MemaiVector **vectors)
{
	float	   *buffer = palloc(sizeof(float) * model->info.dimensions);
	bool		first = true;
	int			count = 0;

	if (!memai_json_scan_enter(scan, '['))
		memai_vectors_check_scan(model, scan);
	while (memai_json_scan_item(scan, &first))
	{
		CHECK_FOR_INTERRUPTS();
		if (count >= ninputs)
			memai_wire_bad_response(model, psprintf("there are more than %d vectors", ninputs));
		vectors[count++] = read_element(model, scan, member, buffer);
	}
	pfree(buffer);
	return count;
}

/* finds the list below the first key of path; the number of vectors, or -1 */
static int
read_path(const MemaiModel *model, MemaiJsonScan *scan, const char *const *path,
		  const char *member, int ninputs, MemaiVector **vectors)
{
	bool		first = true;
	const char *key;
	size_t		len;
	int			count = -1;

	if (path[0] == NULL)
		return read_list(model, scan, member, ninputs, vectors);
	if (!memai_json_scan_enter(scan, '{'))
		memai_vectors_check_scan(model, scan);
	while (memai_json_scan_member(scan, &first, &key, &len))
	{
		if (memai_vectors_key_is(key, len, path[0]) && count < 0)
			count = read_path(model, scan, path + 1, member, ninputs, vectors);
		else
			(void) memai_json_scan_skip(scan);
	}
	memai_vectors_check_scan(model, scan);
	return count;
}

void
memai_vectors_read_plain(const MemaiModel *model, const char *body, size_t len,
						 const char *const *path, const char *member,
						 int ninputs, MemaiVector **vectors)
{
	MemaiJsonScan scan;
	int			count;

	memai_json_scan_start(&scan, body, len);
	count = read_path(model, &scan, path, member, ninputs, vectors);
	(void) memai_json_scan_done(&scan);
	memai_vectors_check_scan(model, &scan);
	if (count != ninputs)
		memai_wire_bad_response(model, psprintf("there are %d vectors for %d inputs",
												Max(count, 0), ninputs));
}
