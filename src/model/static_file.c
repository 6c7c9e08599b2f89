/*
 * static_file.c
 *	  Files of models on the server: where they may lie and who may have
 *	  written them.
 *
 * Whoever can create models names a directory; a superuser decides below which
 * one it must lie (memai.model_directory).  A name is a path of plain words, each
 * opened from the one before without following links, so that nothing leads
 * elsewhere.  The files are data for memai's parsers, which trust no byte of
 * them; that nobody else may write them keeps embeddings what they were.
 *
 * Three descriptors are held while a model is loaded, without virtual files'
 * book-keeping: the server keeps some in reserve for that.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "miscadmin.h"
#include "model/static.h"
#include "model/static_file.h"
#include "utils/guc.h"

#define MAX_NAME_LENGTH 200
#define READ_SLICE (1024 * 1024)
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static char *model_directory = NULL;

static const char *const filenames[] = {"model.safetensors", "tokenizer.json", "config.json"};

/* why something could not be opened */
typedef struct Failure
{
	const char *part;
	int			error;			/* errno, or 0 */
	const char *detail;			/* NULL with an errno */
} Failure;

static void
check_name(const char *name)
{
	if (strlen(name) <= MAX_NAME_LENGTH && strspn(name, LETTERS "._-/") == strlen(name) &&
		name[0] != '/' && name[0] != '.' && name[0] != '\0' && name[strlen(name) - 1] != '/' &&
		strstr(name, "//") == NULL && strstr(name, "/.") == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("this names no model of provider \"static\""),
			 errdetail("The model must be the path of a directory below memai.model_directory: words of letters, digits and . _ - that do not start with a dot, with / between them."),
			 errhint("An example is minishlab/potion-base-8M.")));
}

static void
require_directory(void)
{
	if (model_directory == NULL || model_directory[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("models of provider \"static\" cannot be used: no directory is set"),
				 errhint("A superuser can set memai.model_directory.")));
}

static int
failed_open(Failure *failure, const char *part)
{
	failure->part = part;
	failure->error = errno;
	return -1;
}

/* file itself when nobody else can write it; otherwise closes it */
static int
check_safe(int file, const char *part, bool directory, Failure *failure)
{
	struct stat info;

	failure->part = part;
	failure->error = 0;
	failure->detail = NULL;
	if (fstat(file, &info) != 0)
		failure->detail = "It cannot be examined.";
	else if (directory ? !S_ISDIR(info.st_mode) : !S_ISREG(info.st_mode))
		failure->detail = "It is not of the right kind.";
	else if (info.st_uid != geteuid() && info.st_uid != 0)
		failure->detail = "It belongs to another user than the server's or root.";
	else if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		failure->detail = "Its group or others may write it.";
	if (failure->detail == NULL)
		return file;
	close(file);
	return -1;
}

/* walks to the directory of a model; -1 with *failure */
static int
open_directory(const char *name, Failure *failure)
{
	char	   *rest = pstrdup(name);
	const char *part;
	int			file = open(model_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (file < 0)
		return failed_open(failure, "memai.model_directory");
	file = check_safe(file, "memai.model_directory", true, failure);
	while (file >= 0 && (part = strsep(&rest, "/")) != NULL)
	{
		int			below = openat(file, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (below < 0)
			(void) failed_open(failure, part);
		close(file);
		file = below < 0 ? -1 : check_safe(below, part, true, failure);
	}
	return file;
}

static void
set_identity(MemaiStaticIdentity *identity, const struct stat *info)
{
	identity->device = (int64) info->st_dev;
	identity->inode = (int64) info->st_ino;
	identity->size = (int64) info->st_size;
	identity->modified = (int64) info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
	identity->changed = (int64) info->st_ctim.tv_sec * 1000000000 + info->st_ctim.tv_nsec;
}

/* false with *failure; a configuration may be missing */
static bool
open_part(int directory, int part, MemaiStaticFiles *files, Failure *failure)
{
	struct stat info;
	int			file = openat(directory, filenames[part], O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (file < 0)
	{
		(void) failed_open(failure, filenames[part]);
		return failure->error == ENOENT && part == MEMAI_STATIC_CONFIG;
	}
	file = check_safe(file, filenames[part], false, failure);
	files->descriptors[part] = file;
	if (file >= 0 && fstat(file, &info) == 0)
		set_identity(&files->identities[part], &info);
	return file >= 0;
}

static void
raise_failure(const char *name, const Failure *failure)
{
	bool		missing = failure->error == ENOENT || failure->error == ENOTDIR;

	if (failure->detail != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("\"%s\" of static model \"%s\" is not safe to use", failure->part, name),
				 errdetail("%s", failure->detail)));
	errno = failure->error;
	ereport(ERROR,
			(errcode(missing ? ERRCODE_UNDEFINED_FILE :
					 failure->error == ELOOP ? ERRCODE_INSUFFICIENT_PRIVILEGE : ERRCODE_IO_ERROR),
			 errmsg("could not open \"%s\" of static model \"%s\": %m", failure->part, name),
			 errhint("A model is a directory below memai.model_directory with model.safetensors and tokenizer.json; symbolic links are not followed.")));
}

void
memai_static_open(const char *name, MemaiStaticFiles *files)
{
	Failure		failure = {NULL, 0, NULL};
	int			directory;
	bool		opened = true;

	require_directory();
	check_name(name);
	memset(files, 0, sizeof(MemaiStaticFiles));
	files->name = name;
	for (int i = 0; i < MEMAI_STATIC_NPARTS; i++)
		files->descriptors[i] = -1;
	directory = open_directory(name, &failure);
	if (directory < 0)
		raise_failure(name, &failure);
	for (int i = 0; i < MEMAI_STATIC_NPARTS && opened; i++)
		opened = open_part(directory, i, files, &failure);
	close(directory);
	if (!opened)
	{
		memai_static_close(files);
		raise_failure(name, &failure);
	}
}

void
memai_static_close(MemaiStaticFiles *files)
{
	for (int i = 0; i < MEMAI_STATIC_NPARTS; i++)
	{
		if (files->descriptors[i] >= 0)
			close(files->descriptors[i]);
		files->descriptors[i] = -1;
	}
}

void
memai_static_identify(const char *name, MemaiStaticIdentity *identities)
{
	char		path[MAXPGPATH];
	struct stat info;

	require_directory();
	check_name(name);
	memset(identities, 0, sizeof(MemaiStaticIdentity) * MEMAI_STATIC_NPARTS);
	for (int i = 0; i < MEMAI_STATIC_NPARTS; i++)
	{
		snprintf(path, sizeof(path), "%s/%s/%s", model_directory, name, filenames[i]);
		if (lstat(path, &info) == 0)
			set_identity(&identities[i], &info);
	}
}

void
memai_static_read(const MemaiStaticFiles *files, MemaiStaticPart part, void *out, size_t len,
				  uint64 offset)
{
	char	   *next = out;

	while (len > 0)
	{
		ssize_t		n;

		CHECK_FOR_INTERRUPTS();
		errno = 0;
		n = pread(files->descriptors[part], next, Min(len, READ_SLICE), (off_t) offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			ereport(ERROR,
					(errcode(ERRCODE_IO_ERROR),
					 errmsg("could not read \"%s\" of static model \"%s\": %m", filenames[part],
							files->name)));
		if (n == 0)
			ereport(ERROR,
					(errcode(ERRCODE_IO_ERROR),
					 errmsg("could not read \"%s\" of static model \"%s\": it has become shorter",
							filenames[part], files->name)));
		next += n;
		offset += (uint64) n;
		len -= (size_t) n;
	}
}

void
memai_static_file_init(void)
{
	DefineCustomStringVariable("memai.model_directory",
							   "Sets the directory that models of provider static lie in.",
							   "Empty means that there are none.",
							   &model_directory, "", PGC_SUSET, 0,
							   NULL, NULL, NULL);
}
