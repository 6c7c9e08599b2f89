/*
 * static_image.c
 *	  Static models in the form that backends use: one file of numbers and
 *	  offsets, made once from a model's files and mapped read-only by all.
 *
 * The model's own file is not mapped: whoever truncates it, as cp does before it
 * writes, would end every backend that looks at it with SIGBUS, and with them
 * the server.  The image is a file of the server's own, among its temporary
 * files (base/pgsql_tmp: gone after a restart, in no base backup), written
 * whole under another name before it gets its own; nobody else may open it, and
 * an unlinked image stays as long as somebody maps it.  Its name is a hash of
 * what it was made from, so two backends that make one at a time make the same.
 *
 * A backend looks at the model's files at each call (three lstat) and loads
 * anew when one was replaced.  Everything in the image was checked when it was
 * made.
 */
#include "postgres.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "common/file_utils.h"	/* PG_TEMP_FILES_DIR from 17 on */
#include "core/core.h"
#include "miscadmin.h"
#include "model/static.h"
#include "model/static_file.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "vector/kernel.h"
#include "vector/vector.h"

/* changes whenever the image of the same files would change */
#define IMAGE_VERSION "memai static 1\n"
#define IMAGE_DIRECTORY "base/" PG_TEMP_FILES_DIR
#define IMAGE_ALIGNMENT 64

#define MAX_TOKENIZER_SIZE (256 * 1024 * 1024)
#define MAX_CONFIG_SIZE (1024 * 1024)

typedef enum Section
{
	SECTION_EDGES,
	SECTION_NODES,
	SECTION_SCORES,
	SECTION_REWRITES,
	SECTION_ADDED,
	SECTION_STRINGS,
	SECTION_ROWS,
	SECTION_WEIGHTS,
	SECTION_MATRIX
} Section;

#define NSECTIONS 9

/* the beginning of an image; zeroed first, so that its padding is, too */
typedef struct ImageHead
{
	char		version[16];
	uint64		size;			/* of the whole file */
	MemaiStaticIdentity identities[MEMAI_STATIC_NPARTS];
	MemaiSubword subword;		/* its pointers mean nothing in the file */
	int32		dimensions;
	int32		median_chars;
	int32		normalize;
	int32		type;
	uint64		offsets[NSECTIONS];
	uint64		lengths[NSECTIONS];
} ImageHead;

/* an image being made */
typedef struct Maker
{
	MemaiStaticFiles files;
	MemaiStaticTensors tensors;
	MemaiStaticTokenizer tokenizer;
	uint32	   *rows;
	float	   *weights;		/* NULL: all are 1 */
	ImageHead	head;
} Maker;

/* a mapped image; the list holds the models that this backend has used */
typedef struct Loaded
{
	struct Loaded *next;
	char	   *name;
	char		path[MAXPGPATH];
	void	   *image;
	size_t		size;
	MemaiStaticIdentity identities[MEMAI_STATIC_NPARTS];
	MemaiStaticModel model;
} Loaded;

static Loaded *loaded_models = NULL;

static void
raise_bad_file(const char *name, const char *filename, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("\"%s\" of static model \"%s\" cannot be used: %s", filename, name, problem),
			 errhint("What models memai reads is told in docs/static-models.md.")));
}

static void *
allocate(size_t size)
{
	return palloc_extended(size, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
}

/* the same, or an error */
static void *
allocate_huge(size_t size)
{
	return MemoryContextAllocHuge(CurrentMemoryContext, Max(size, 1));
}

/* writes the path of the image of these files; MAXPGPATH bytes */
static void
name_image(char *path, const MemaiStaticIdentity *identities)
{
	uint64		hash = memai_hash64(identities, sizeof(MemaiStaticIdentity) * MEMAI_STATIC_NPARTS, 0);

	snprintf(path, MAXPGPATH, "%s/%s_memai_static_%016" PRIx64,
			 IMAGE_DIRECTORY, PG_TEMP_FILE_PREFIX, hash);
}

/* ---- reading a model's files ---- */

static char *
read_whole(Maker *maker, MemaiStaticPart part, const char *filename, int64 max, size_t *len)
{
	int64		size = maker->files.identities[part].size;
	char	   *data;

	if (size > max)
		raise_bad_file(maker->files.name, filename, "it is too large");
	data = allocate_huge((size_t) size);
	memai_static_read(&maker->files, part, data, (size_t) size, 0);
	*len = (size_t) size;
	return data;
}

static void
read_tensors(Maker *maker)
{
	static const char filename[] = "model.safetensors";
	uint64		file_size = (uint64) maker->files.identities[MEMAI_STATIC_TENSORS].size;
	unsigned char bytes[8];
	uint64		len = 0;
	char	   *head;
	MemaiStaticProblem problem;

	if (file_size < sizeof(bytes))
		raise_bad_file(maker->files.name, filename, "it is too short");
	memai_static_read(&maker->files, MEMAI_STATIC_TENSORS, bytes, sizeof(bytes), 0);
	for (int i = 7; i >= 0; i--)
		len = len << 8 | bytes[i];
	if (len > MEMAI_STATIC_MAX_HEAD || len > file_size - sizeof(bytes))
		raise_bad_file(maker->files.name, filename, "its head is longer than the file or 1 MB");
	head = palloc(len + 1);
	memai_static_read(&maker->files, MEMAI_STATIC_TENSORS, head, len, sizeof(bytes));
	if (!memai_static_tensors_read(head, len, file_size, &maker->tensors, &problem))
		raise_bad_file(maker->files.name, filename, problem.text);
	if (maker->tensors.embeddings.columns > MEMAI_VECTOR_MAX_DIM)
		raise_bad_file(maker->files.name, filename, "the embeddings have too many dimensions");
}

static void
read_tokenizer(Maker *maker)
{
	static const char filename[] = "tokenizer.json";
	MemaiStaticProblem problem;
	size_t		len;
	char	   *json = read_whole(maker, MEMAI_STATIC_TOKENIZER, filename, MAX_TOKENIZER_SIZE, &len);

	if (!memai_static_tokenizer_read(json, len, allocate, &maker->tokenizer, &problem))
		raise_bad_file(maker->files.name, filename, problem.text);
	pfree(json);
}

/* Model2Vec's models are normalized unless they say otherwise */
static void
read_config(Maker *maker)
{
	static const char *const keys[] = {"normalize"};
	MemaiJsonScan scan;
	MemaiJsonScan found;
	bool		normalize = true;
	size_t		len;
	char	   *json;

	if (maker->files.descriptors[MEMAI_STATIC_CONFIG] >= 0)
	{
		json = read_whole(maker, MEMAI_STATIC_CONFIG, "config.json", MAX_CONFIG_SIZE, &len);
		memai_json_scan_start(&scan, json, len);
		if (!memai_static_members(&scan, 1, keys, &found) || !memai_json_scan_done(&scan))
			raise_bad_file(maker->files.name, "config.json", "it is no JSON");
		(void) memai_static_bool(&found, &normalize);
	}
	maker->head.normalize = normalize;
}

static char *
read_tensor(Maker *maker, const MemaiStaticTensor *tensor)
{
	char	   *data = allocate_huge(tensor->size);

	memai_static_read(&maker->files, MEMAI_STATIC_TENSORS, data, tensor->size, tensor->offset);
	return data;
}

/* the row of each token: its number, or what the mapping says */
static void
make_rows(Maker *maker)
{
	const MemaiStaticTensor *mapping = &maker->tensors.mapping;
	uint32		n = maker->tokenizer.ntokens;
	char	   *data = mapping->type != MEMAI_STATIC_NONE ? read_tensor(maker, mapping) : NULL;

	maker->rows = allocate_huge((size_t) n * sizeof(uint32));
	for (uint32 i = 0; i < n; i++)
	{
		int64		row = i;
		int32		row32;

		if (data != NULL && i < mapping->rows && mapping->type == MEMAI_STATIC_I64)
			memcpy(&row, data + (size_t) i * 8, 8);
		else if (data != NULL && i < mapping->rows)
		{
			memcpy(&row32, data + (size_t) i * 4, 4);
			row = row32;
		}
		if (row < 0 || (uint64) row >= maker->tensors.embeddings.rows)
			raise_bad_file(maker->files.name, "model.safetensors",
						   psprintf("token %u of its tokenizer has no row among the embeddings", i));
		maker->rows[i] = (uint32) row;
	}
}

static float
read_weight(const char *data, MemaiStaticType type, uint32 i)
{
	double		wide;
	float		narrow;
	MemaiHalf	half;
	uint16		upper;

	if (type == MEMAI_STATIC_F64)
	{
		memcpy(&wide, data + (size_t) i * 8, 8);
		return (float) wide;
	}
	if (type == MEMAI_STATIC_F32)
	{
		memcpy(&narrow, data + (size_t) i * 4, 4);
		return narrow;
	}
	if (type == MEMAI_STATIC_BF16)
	{
		memcpy(&upper, data + (size_t) i * 2, 2);
		return memai_static_bf16(upper);
	}
	memcpy(&half, data + (size_t) i * 2, 2);
	memai_kernels->f16_to_f32(1, &half, &narrow);
	return narrow;
}

static void
make_weights(Maker *maker)
{
	const MemaiStaticTensor *weights = &maker->tensors.weights;
	uint32		n = maker->tokenizer.ntokens;
	char	   *data;

	if (weights->type == MEMAI_STATIC_NONE)
		return;
	data = read_tensor(maker, weights);
	maker->weights = allocate_huge((size_t) n * sizeof(float));
	for (uint32 i = 0; i < n; i++)
	{
		maker->weights[i] = i < weights->rows ? read_weight(data, weights->type, i) : 1.0f;
		if (!isfinite(maker->weights[i]))
			raise_bad_file(maker->files.name, "model.safetensors", "a weight is not finite");
	}
}

/* ---- writing an image ---- */

static void
place(ImageHead *head, Section section, uint64 len)
{
	head->offsets[section] = TYPEALIGN64(IMAGE_ALIGNMENT, head->size);
	head->lengths[section] = len;
	head->size = head->offsets[section] + len;
}

static void
lay_out(Maker *maker)
{
	ImageHead  *head = &maker->head;
	const MemaiStaticTokenizer *tokenizer = &maker->tokenizer;
	const MemaiSubword *subword = &tokenizer->subword;
	uint64		ntokens = tokenizer->ntokens;

	strlcpy(head->version, IMAGE_VERSION, sizeof(head->version));
	memcpy(head->identities, maker->files.identities, sizeof(head->identities));
	head->subword = tokenizer->subword;
	head->dimensions = (int32) maker->tensors.embeddings.columns;
	head->median_chars = tokenizer->median_chars;
	head->type = maker->tensors.embeddings.type;
	head->size = sizeof(ImageHead);
	place(head, SECTION_EDGES, ((uint64) subword->edge_mask + 1) * sizeof(MemaiSubwordEdge));
	place(head, SECTION_NODES, (uint64) tokenizer->nnodes * sizeof(int32));
	place(head, SECTION_SCORES, subword->unigram ? ntokens * sizeof(double) : 0);
	place(head, SECTION_REWRITES, (uint64) subword->nrewrites * sizeof(MemaiRewrite));
	place(head, SECTION_ADDED, (uint64) subword->nadded * sizeof(MemaiAddedToken));
	place(head, SECTION_STRINGS, tokenizer->strings_len);
	place(head, SECTION_ROWS, ntokens * sizeof(uint32));
	place(head, SECTION_WEIGHTS, maker->weights ? ntokens * sizeof(float) : 0);
	place(head, SECTION_MATRIX, maker->tensors.embeddings.size);
}

static void
write_at(int file, const char *path, const void *data, size_t len, uint64 offset)
{
	const char *next = data;

	while (len > 0)
	{
		ssize_t		n;

		CHECK_FOR_INTERRUPTS();
		errno = 0;
		n = pwrite(file, next, Min(len, 1024 * 1024), (off_t) offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
		{
			if (errno == 0)
				errno = ENOSPC;
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not write file \"%s\": %m", path)));
		}
		next += n;
		offset += (uint64) n;
		len -= (size_t) n;
	}
}

/* the matrix goes through a buffer: it may be larger than memory for one backend */
static void
copy_matrix(Maker *maker, int file, const char *path)
{
	const MemaiStaticTensor *matrix = &maker->tensors.embeddings;
	size_t		slice = 1024 * 1024;
	char	   *buffer = palloc(slice);

	for (uint64 done = 0; done < matrix->size; done += slice)
	{
		size_t		n = (size_t) Min(matrix->size - done, slice);

		memai_static_read(&maker->files, MEMAI_STATIC_TENSORS, buffer, n, matrix->offset + done);
		write_at(file, path, buffer, n, maker->head.offsets[SECTION_MATRIX] + done);
	}
	pfree(buffer);
}

static void
write_sections(Maker *maker, int file, const char *path)
{
	const ImageHead *head = &maker->head;
	const MemaiSubword *subword = &maker->tokenizer.subword;
	const void *sections[] = {
		subword->edges, subword->node_tokens, subword->scores, subword->rewrites, subword->added,
		subword->strings, maker->rows, maker->weights
	};

	for (int i = 0; i < (int) lengthof(sections); i++)
		write_at(file, path, sections[i], head->lengths[i], head->offsets[i]);
	copy_matrix(maker, file, path);
	/* last, and by then everything else is there */
	write_at(file, path, head, sizeof(ImageHead), 0);
}

/* writes an image under a name of this backend's and gives it its own */
static void
write_image(Maker *maker, const char *path)
{
	char	   *temporary = psprintf("%s.%d", path, MyProcPid);
	int			file;

	(void) MakePGDirectory(IMAGE_DIRECTORY);
	(void) unlink(temporary);
	file = OpenTransientFilePerm(temporary, O_RDWR | O_CREAT | O_EXCL | PG_BINARY, PG_FILE_MODE_OWNER);
	if (file < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", temporary)));
	PG_TRY();
	{
		write_sections(maker, file, temporary);
		if (rename(temporary, path) != 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not rename file \"%s\" to \"%s\": %m", temporary, path)));
	}
	PG_CATCH();
	{
		(void) unlink(temporary);
		PG_RE_THROW();
	}
	PG_END_TRY();
	CloseTransientFile(file);
}

/* reads a model's files and makes its image; *path gets the image's name */
static void
make_image(const char *name, char *path)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "memai static model",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Maker	   *maker = palloc0(sizeof(Maker));

	memai_static_open(name, &maker->files);
	PG_TRY();
	{
		name_image(path, maker->files.identities);
		read_tensors(maker);
		read_tokenizer(maker);
		read_config(maker);
		make_rows(maker);
		make_weights(maker);
		lay_out(maker);
		write_image(maker, path);
	}
	PG_FINALLY();
	{
		memai_static_close(&maker->files);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* ---- using an image ---- */

static void
set_pointers(Loaded *loaded, const ImageHead *head)
{
	const char *base = loaded->image;
	MemaiStaticModel *model = &loaded->model;
	MemaiSubword *subword = &model->subword;

	*subword = head->subword;
	subword->edges = (const MemaiSubwordEdge *) (base + head->offsets[SECTION_EDGES]);
	subword->node_tokens = (const int32 *) (base + head->offsets[SECTION_NODES]);
	subword->scores = (const double *) (base + head->offsets[SECTION_SCORES]);
	subword->rewrites = (const MemaiRewrite *) (base + head->offsets[SECTION_REWRITES]);
	subword->added = (const MemaiAddedToken *) (base + head->offsets[SECTION_ADDED]);
	subword->strings = base + head->offsets[SECTION_STRINGS];
	model->dimensions = head->dimensions;
	model->median_chars = head->median_chars;
	model->normalize = head->normalize != 0;
	model->type = (MemaiStaticType) head->type;
	model->rows = (const uint32 *) (base + head->offsets[SECTION_ROWS]);
	model->weights = head->lengths[SECTION_WEIGHTS] > 0
		? (const float *) (base + head->offsets[SECTION_WEIGHTS]) : NULL;
	model->matrix = base + head->offsets[SECTION_MATRIX];
}

/* maps an image that exists and is of these files; false when there is none */
static bool
map_image(Loaded *loaded, const MemaiStaticIdentity *identities)
{
	int			file = OpenTransientFile(loaded->path, O_RDONLY | PG_BINARY);
	struct stat info;
	const ImageHead *head;

	if (file < 0)
		return false;
	if (fstat(file, &info) == 0 && info.st_size >= (off_t) sizeof(ImageHead))
	{
		loaded->size = (size_t) info.st_size;
		loaded->image = mmap(NULL, loaded->size, PROT_READ, MAP_SHARED, file, 0);
	}
	else
		loaded->image = MAP_FAILED;
	CloseTransientFile(file);
	if (loaded->image == MAP_FAILED)
	{
		loaded->image = NULL;
		return false;
	}
	head = loaded->image;
	if (strncmp(head->version, IMAGE_VERSION, sizeof(head->version)) != 0 || head->size != loaded->size ||
		memcmp(head->identities, identities, sizeof(head->identities)) != 0)
	{
		(void) munmap(loaded->image, loaded->size);
		loaded->image = NULL;
		return false;
	}
	memcpy(loaded->identities, head->identities, sizeof(loaded->identities));
	set_pointers(loaded, head);
	return true;
}

static void
unload(Loaded *loaded)
{
	if (loaded->image == NULL)
		return;
	(void) munmap(loaded->image, loaded->size);
	loaded->image = NULL;
	/* who still maps it keeps it; who needs these files again makes it again */
	(void) unlink(loaded->path);
}

static Loaded *
find_loaded(const char *name)
{
	Loaded	   *loaded;

	for (loaded = loaded_models; loaded != NULL; loaded = loaded->next)
		if (strcmp(loaded->name, name) == 0)
			return loaded;
	loaded = MemoryContextAllocZero(TopMemoryContext, sizeof(Loaded));
	loaded->name = MemoryContextStrdup(TopMemoryContext, name);
	loaded->next = loaded_models;
	loaded_models = loaded;
	return loaded;
}

const MemaiStaticModel *
memai_static_model(const char *name)
{
	MemaiStaticIdentity identities[MEMAI_STATIC_NPARTS];
	MemaiStaticFiles files;
	Loaded	   *loaded;

	memai_static_identify(name, identities);
	loaded = find_loaded(name);
	if (loaded->image != NULL && memcmp(loaded->identities, identities, sizeof(identities)) == 0)
		return &loaded->model;
	unload(loaded);

	/* looking at paths is enough to see a change, not to trust what is new */
	memai_static_open(name, &files);
	memai_static_close(&files);
	name_image(loaded->path, files.identities);
	if (map_image(loaded, files.identities))
		return &loaded->model;
	make_image(name, loaded->path);
	memai_static_identify(name, identities);
	if (!map_image(loaded, identities))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the files of static model \"%s\" changed while they were read", name),
				 errhint("Try again.")));
	return &loaded->model;
}
