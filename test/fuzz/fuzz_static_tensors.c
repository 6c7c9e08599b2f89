/*
 * fuzz_static_tensors.c
 *	  The head of a safetensors file: any bytes are survived, and an extent that
 *	  is accepted lies in the file and fits its shape.
 */
/* sources: src/model/static_tensors.c src/model/static_json.c src/json/scan.c src/json/utf8.c */
#include "postgres.h"

#include "model/static.h"

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

static void
check_tensor(const MemaiStaticTensor *tensor, uint64 file_size)
{
	if (tensor->type == MEMAI_STATIC_NONE)
		return;
	if (tensor->offset > file_size || tensor->size > file_size - tensor->offset ||
		tensor->rows == 0 || tensor->columns == 0 ||
		tensor->size / tensor->rows / tensor->columns != (uint64) memai_static_type_size(tensor->type) ||
		tensor->size % (tensor->rows * tensor->columns) != 0)
		__builtin_trap();
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	char	   *head = malloc(size ? size : 1);
	MemaiStaticTensors tensors;
	MemaiStaticProblem problem;
	uint64		file_size = 8 + size + (size > 0 ? (uint64) data[0] * data[0] : 0);

	memcpy(head, data, size);
	if (memai_static_tensors_read(head, size, file_size, &tensors, &problem))
	{
		check_tensor(&tensors.embeddings, file_size);
		check_tensor(&tensors.weights, file_size);
		check_tensor(&tensors.mapping, file_size);
		if (tensors.embeddings.type == MEMAI_STATIC_NONE)
			__builtin_trap();
	}
	else if (memchr(problem.text, '\0', sizeof(problem.text)) == NULL || problem.text[0] == '\0')
		__builtin_trap();
	free(head);
	return 0;
}
