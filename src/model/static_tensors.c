/*
 * static_tensors.c
 *	  The head of a safetensors file: names, types, shapes and extents of its
 *	  tensors.  Pure: no allocation, no errors, no server state.
 *
 * Format: 8 bytes that tell the length of the head (little-endian), the head in
 * JSON, then the tensors' bytes, to which the extents in the head are relative.
 */
#include "postgres.h"

#include "model/static.h"

/* beyond it a product of sizes could leave 64 bits */
#define MAX_EXTENT (UINT64_C(1) << 40)

/* the names that Model2Vec and sentence-transformers give the matrix, best first */
static const char *const matrix_names[] = {"embeddings", "0", "embedding.weight"};

int
memai_static_type_size(MemaiStaticType type)
{
	static const int sizes[] = {0, 1, 2, 4, 8, 4, 8, 2};

	return sizes[type];
}

static MemaiStaticType
read_type(const MemaiJsonScan *member)
{
	static const char *const names[] = {"", "I8", "F16", "F32", "F64", "I32", "I64", "BF16"};

	for (int i = 1; i < (int) lengthof(names); i++)
		if (memai_static_string_is(member, names[i]))
			return (MemaiStaticType) i;
	return MEMAI_STATIC_NONE;
}

/* up to max whole numbers from 0 to MAX_EXTENT; how many, or -1 */
static int
read_numbers(const MemaiJsonScan *member, uint64 *numbers, int max)
{
	MemaiJsonScan scan = *member;
	bool		first = true;
	int			n = 0;

	if (member->at == NULL || !memai_json_scan_enter(&scan, '['))
		return -1;
	while (memai_json_scan_item(&scan, &first))
	{
		int64		value;

		if (n == max || !memai_json_scan_int(&scan, &value) || value < 0 || value > (int64) MAX_EXTENT)
			return -1;
		numbers[n++] = (uint64) value;
	}
	return scan.problem == NULL ? n : -1;
}

static bool
read_tensor(const MemaiJsonScan *value, uint64 data_start, uint64 file_size, const char *name,
			MemaiStaticTensor *tensor, MemaiStaticProblem *problem)
{
	static const char *const keys[] = {"dtype", "shape", "data_offsets"};
	MemaiJsonScan scan = *value;
	MemaiJsonScan found[3];
	uint64		shape[2] = {0, 1};
	uint64		extent[2];
	uint64		elements;

	if (!memai_static_members(&scan, 3, keys, found) ||
		read_numbers(&found[1], shape, 2) < 1 || read_numbers(&found[2], extent, 2) != 2)
	{
		snprintf(problem->text, sizeof(problem->text), "tensor \"%s\" has no shape of one or two dimensions or no extent", name);
		return false;
	}
	tensor->type = read_type(&found[0]);
	tensor->rows = shape[0];
	tensor->columns = shape[1];
	if (tensor->type == MEMAI_STATIC_NONE)
	{
		snprintf(problem->text, sizeof(problem->text), "tensor \"%s\" is of a type that static models do not have", name);
		return false;
	}
	/* each factor is at most 2^40, and checked before it is multiplied */
	if (shape[0] == 0 || shape[1] == 0 || shape[0] > MAX_EXTENT / shape[1])
		elements = 0;
	else
		elements = shape[0] * shape[1];
	if (elements == 0 || extent[0] > extent[1] || extent[1] > file_size - data_start ||
		(extent[1] - extent[0]) / memai_static_type_size(tensor->type) != elements ||
		(extent[1] - extent[0]) % memai_static_type_size(tensor->type) != 0)
	{
		snprintf(problem->text, sizeof(problem->text), "the extent of tensor \"%s\" does not fit its shape and the file", name);
		return false;
	}
	tensor->offset = data_start + extent[0];
	tensor->size = extent[1] - extent[0];
	return true;
}

static bool
check_tensors(const MemaiStaticTensors *tensors, MemaiStaticProblem *problem)
{
	const MemaiStaticTensor *matrix = &tensors->embeddings;
	const char *text = NULL;

	if (matrix->type == MEMAI_STATIC_NONE)
		text = "there is no tensor \"embeddings\"";
	else if (matrix->type != MEMAI_STATIC_F32 && matrix->type != MEMAI_STATIC_F16 &&
			 matrix->type != MEMAI_STATIC_BF16 && matrix->type != MEMAI_STATIC_I8)
		text = "the embeddings are neither F32, F16, BF16 nor I8";
	else if (matrix->rows > PG_INT32_MAX)
		text = "the embeddings have too many rows";
	else if (tensors->weights.columns != 1 || tensors->mapping.columns != 1)
		text = "the weights or the mapping are no list";
	else if (tensors->weights.type == MEMAI_STATIC_I8 || tensors->weights.type == MEMAI_STATIC_I32 ||
			 tensors->weights.type == MEMAI_STATIC_I64)
		text = "the weights are no floating-point numbers";
	else if (tensors->mapping.type != MEMAI_STATIC_NONE && tensors->mapping.type != MEMAI_STATIC_I32 &&
			 tensors->mapping.type != MEMAI_STATIC_I64)
		text = "the mapping holds no whole numbers";
	if (text != NULL)
		snprintf(problem->text, sizeof(problem->text), "%s", text);
	return text == NULL;
}

bool
memai_static_tensors_read(const char *head, size_t len, uint64 file_size,
						  MemaiStaticTensors *tensors, MemaiStaticProblem *problem)
{
	static const char *const keys[] = {
		"embeddings", "0", "embedding.weight", "weights", "mapping"
	};
	MemaiJsonScan scan;
	MemaiJsonScan found[5];
	uint64		data_start = 8 + (uint64) len;

	memset(tensors, 0, sizeof(MemaiStaticTensors));
	tensors->weights.columns = tensors->mapping.columns = 1;
	memai_json_scan_start(&scan, head, len);
	if (data_start > file_size || !memai_static_members(&scan, 5, keys, found) ||
		!memai_json_scan_done(&scan))
	{
		snprintf(problem->text, sizeof(problem->text), "its head is no JSON");
		return false;
	}
	for (int i = 0; i < (int) lengthof(matrix_names) && tensors->embeddings.type == MEMAI_STATIC_NONE; i++)
		if (found[i].at != NULL &&
			!read_tensor(&found[i], data_start, file_size, matrix_names[i], &tensors->embeddings, problem))
			return false;
	if (found[3].at != NULL &&
		!read_tensor(&found[3], data_start, file_size, keys[3], &tensors->weights, problem))
		return false;
	if (found[4].at != NULL &&
		!read_tensor(&found[4], data_start, file_size, keys[4], &tensors->mapping, problem))
		return false;
	return check_tensors(tensors, problem);
}
