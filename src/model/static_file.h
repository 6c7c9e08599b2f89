/*
 * static_file.h
 *	  Files of models on the server, opened with care.  Private to model/.
 */
#ifndef MEMAI_MODEL_STATIC_FILE_H
#define MEMAI_MODEL_STATIC_FILE_H

#include "c.h"

typedef enum MemaiStaticPart
{
	MEMAI_STATIC_TENSORS,
	MEMAI_STATIC_TOKENIZER,
	MEMAI_STATIC_CONFIG
} MemaiStaticPart;

#define MEMAI_STATIC_NPARTS 3

/* what tells one version of a file from another; all 0: there is none */
typedef struct MemaiStaticIdentity
{
	int64		device;
	int64		inode;
	int64		size;
	int64		modified;		/* nanoseconds since 1970 */
	int64		changed;
} MemaiStaticIdentity;

/* a model's files, open; a descriptor is -1 when there is no such file */
typedef struct MemaiStaticFiles
{
	const char *name;
	int			descriptors[MEMAI_STATIC_NPARTS];
	MemaiStaticIdentity identities[MEMAI_STATIC_NPARTS];
} MemaiStaticFiles;

/*
 * Opens the files of the model in a directory below memai.model_directory.  Every
 * directory on the way and every file must be no symbolic link, belong to the
 * server's user or root, and be writable by nobody else.  Raises 55000, 22023,
 * 58P01, 42501 and 58030 with nothing left open; afterwards the caller closes
 * the files, on errors too.
 */
extern void memai_static_open(const char *name, MemaiStaticFiles *files);
extern void memai_static_close(MemaiStaticFiles *files);

/*
 * Looks at the files by their paths, without opening them: what open would put
 * into identities.  Raises 55000 and 22023.
 */
extern void memai_static_identify(const char *name, MemaiStaticIdentity *identities);

/*
 * Reads len bytes from a place of a file.  Interruptible.  Raises 58030 when the
 * file has become shorter.
 */
extern void memai_static_read(const MemaiStaticFiles *files, MemaiStaticPart part,
							  void *out, size_t len, uint64 offset);

extern void memai_static_file_init(void);

#endif							/* MEMAI_MODEL_STATIC_FILE_H */
