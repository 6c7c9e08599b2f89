/*
 * ingest_int.h
 *	  What the files of ingest/ share with each other only.
 */
#ifndef MEMAI_INGEST_INT_H
#define MEMAI_INGEST_INT_H

#include "core/core.h"
#include "ingest/ingest.h"
#include "text/text.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#define MEMAI_DOCUMENT_MAX_BYTES (32 * 1024 * 1024)
#define MEMAI_DOCUMENT_MAX_CHUNKS 100000

/* a document as its row has it; NULL texts are absent */
typedef struct MemaiDocument
{
	pg_uuid_t	id;
	text	   *source_uri;
	text	   *title;
	MemaiTextFormat format;
	text	   *content;		/* clean, in the server's encoding */
	const char *utf8;			/* the same in UTF-8, not NUL-terminated */
	size_t		len;			/* of utf8 */
	Jsonb	   *metadata;
	Jsonb	   *chunking;		/* as it was given, {} for none */
	MemaiChunking how;
	bytea	   *fingerprint;	/* of all of the above but id */
	TimestampTz created_at;
} MemaiDocument;

/* ---- document_input.c ---- */

/* the arguments of memai.add_document; NULL: not given */
typedef struct MemaiDocumentInput
{
	const char *data;
	size_t		len;
	bool		is_bytes;		/* must be UTF-8; else a text of the server's
								 * encoding */
	text	   *title;
	text	   *source_uri;
	Jsonb	   *metadata;
	Jsonb	   *chunking;
	text	   *format;
} MemaiDocumentInput;

/*
 * Checks, cleans and fingerprints a document; palloc'd in the current context.
 * Raises 22023, 22021, 54000, and 0A000 for files that are no text.
 */
extern void memai_document_read(const MemaiDocumentInput *input, MemaiDocument *document);

/* Fills how from the chunking and format of a document.  Raises 22023. */
extern void memai_document_set_chunking(MemaiDocument *document);

/* ---- document_chunk.c ---- */

/*
 * Replaces the stored chunks of a document by those of its content and returns
 * how many there are.  Chunks that stay the same keep their episodes and
 * vectors; embed: the vectors of the others are made now, by a model that calls
 * nobody.  The caller is connected to SPI and has locked the document's row.
 */
extern int	memai_document_chunk(const MemaiScope *scope, const MemaiDocument *document, bool embed);

/* ---- document_job.c ---- */

/* Registers the kind of jobs that prepares documents. */
extern void memai_document_init(void);

#endif							/* MEMAI_INGEST_INT_H */
