/*
 * static.h
 *	  The parts of provider static: models of Model2Vec's format in files of the
 *	  server.  Private to model/.
 */
#ifndef MEMAI_MODEL_STATIC_H
#define MEMAI_MODEL_STATIC_H

#include "json/json.h"
#include "text/text.h"

/* what is wrong with a model's file, as the end of a sentence */
typedef struct MemaiStaticProblem
{
	char		text[200];
} MemaiStaticProblem;

/* memory that lives until the model is loaded, not zeroed; NULL when there is none */
typedef void *(*MemaiStaticAllocate) (size_t size);

/* ---- static_json.c: pure ---- */

/*
 * Finds members of the object that scan stands before: found[i] gets a cursor
 * before the value of keys[i] (the last one of that name), its at NULL when there
 * is none or it is null.  False when it is no object or no JSON; scan is then
 * behind it.
 */
extern bool memai_static_members(MemaiJsonScan *scan, int n, const char *const *keys,
								 MemaiJsonScan *found);

/* A member's value; false when it is missing or of another type. */
extern bool memai_static_bool(const MemaiJsonScan *member, bool *value);
extern bool memai_static_int(const MemaiJsonScan *member, int64 *value);

/* Reads a finite number of any size, as the nearest double. */
extern bool memai_static_number(MemaiJsonScan *scan, double *value);

/*
 * Reads a string without its escapes into out, which has room for as many bytes
 * as are left to read; -1 when there is none.  Lone surrogates become U+FFFD.
 */
extern int64 memai_static_string(MemaiJsonScan *scan, char *out);

/* True when the member is a string equal to text. */
extern bool memai_static_string_is(const MemaiJsonScan *member, const char *text);

/* ---- static_tensors.c: pure; the head of a safetensors file ---- */

typedef enum MemaiStaticType
{
	MEMAI_STATIC_NONE,			/* there is no such tensor */
	MEMAI_STATIC_I8,
	MEMAI_STATIC_F16,
	MEMAI_STATIC_F32,
	MEMAI_STATIC_F64,
	MEMAI_STATIC_I32,
	MEMAI_STATIC_I64,
	MEMAI_STATIC_BF16			/* the upper half of an F32 */
} MemaiStaticType;

/* a tensor whose extent was checked against its shape and the file's size */
typedef struct MemaiStaticTensor
{
	MemaiStaticType type;
	uint64		rows;
	uint64		columns;		/* 1 when there is one dimension */
	uint64		offset;			/* in the file */
	uint64		size;			/* in bytes */
} MemaiStaticTensor;

typedef struct MemaiStaticTensors
{
	MemaiStaticTensor embeddings;
	MemaiStaticTensor weights;
	MemaiStaticTensor mapping;
} MemaiStaticTensors;

/* the length that the first 8 bytes of a file tell, and the longest accepted */
#define MEMAI_STATIC_MAX_HEAD (1024 * 1024)

extern int	memai_static_type_size(MemaiStaticType type);

/*
 * Reads the head (len bytes of JSON that follow the file's first 8) of a file of
 * file_size bytes.  False with *problem.
 */
extern bool memai_static_tensors_read(const char *head, size_t len, uint64 file_size,
									  MemaiStaticTensors *tensors, MemaiStaticProblem *problem);

/* the number that a BF16 is */
static inline float
memai_static_bf16(uint16 half)
{
	uint32		bits = (uint32) half << 16;
	float		number;

	memcpy(&number, &bits, sizeof(number));
	return number;
}

/* ---- static_tokenizer.c: pure but for the memory it is given ---- */

#define MEMAI_STATIC_MAX_TOKENS (1 << 22)

/* a tokenizer and how long its parts are */
typedef struct MemaiStaticTokenizer
{
	MemaiSubword subword;
	uint32		nnodes;
	uint32		ntokens;		/* greatest token, plus one */
	uint32		strings_len;
	int32		median_chars;	/* of the tokens' lengths */
} MemaiStaticTokenizer;

/*
 * Reads a tokenizer.json.  False with *problem when it is broken or asks for
 * what memai does not do; a tokenizer that is accepted gives the tokens that
 * the library that wrote it gives.
 */
extern bool memai_static_tokenizer_read(const char *json, size_t len, MemaiStaticAllocate allocate,
										MemaiStaticTokenizer *tokenizer, MemaiStaticProblem *problem);

/* ---- static_image.c ---- */

/* a loaded model; everything is read-only and shared by all backends */
typedef struct MemaiStaticModel
{
	MemaiSubword subword;
	int32		dimensions;
	int32		median_chars;
	bool		normalize;
	MemaiStaticType type;		/* of the matrix */
	const uint32 *rows;			/* of the matrix, by token */
	const float *weights;		/* by token; NULL: all are 1 */
	const void *matrix;
} MemaiStaticModel;

/*
 * The model in a directory below memai.model_directory: loaded when no backend
 * did before, or when its files have changed.  Valid until the next call.
 * Raises 55000 without that setting, 22023 for a name that is none, 58P01 or
 * 42501 for files that are missing or not safe, 22000 for what is in them.
 */
extern const MemaiStaticModel *memai_static_model(const char *name);

/* ---- static.c ---- */

extern void memai_static_init(void);

#endif							/* MEMAI_MODEL_STATIC_H */
