/*
 * infer.h
 *	  What infer.c, operation.c and extract_job.c share: from messages to
 *	  operations on memories.  Private to memory/.
 */
#ifndef MEMAI_INFER_H
#define MEMAI_INFER_H

#include "json/json.h"
#include "memory/memory_int.h"

#define MEMAI_INFER_MAX_MESSAGES 200	/* of one question */
#define MEMAI_INFER_MAX_CANDIDATES 10

/* one message that memories are taken from */
typedef struct MemaiInferSource
{
	pg_uuid_t	id;
	char	   *speaker;
	char	   *content;		/* without contexts */
	char	   *folded;			/* for quotes: lower case, single blanks */
	TimestampTz occurred_at;
} MemaiInferSource;

/* one question to a model; everything is palloc'd in context */
typedef struct MemaiInference
{
	const MemaiScope *scope;
	MemoryContext context;
	int			nsources;
	MemaiInferSource *sources;
	int			ncandidates;
	pg_uuid_t  *candidates;
	ReturnSetInfo *rsinfo;		/* NULL: nobody reads the outcome */
	int			napplied;		/* out */
	int			nrefused;		/* out */
} MemaiInference;

/* one operation as the model wrote it; NULL: absent */
typedef struct MemaiOperation
{
	char	   *op;
	char	   *content;
	char	   *quote;
	char	   *category;
	char	   *slot;
	char	   *valid_at;
	int64		ref;			/* 0: none */
	const MemaiInferSource *source; /* that the quote stands in */
	const char *fault;			/* why it is not believed; NULL: it is */
	const char *embed_model;
	MemaiVector *vector;		/* of its content, once made */
} MemaiOperation;

/* ---- operation.c ---- */

/* Fills in the result of a statement whose columns are id, speaker, content, occurred_at. */
extern void memai_infer_take_sources(MemaiInference *inference, uint64 nrows);

/* Reads those of stored episodes that memories are taken from; raises 54000 when they are too many. */
extern void memai_infer_read_sources(MemaiInference *inference, int nepisodes, const MemaiEpisode *episodes);

/*
 * Reads an array of operations and finds what is wrong with each; raises 54000
 * when there are too many.
 */
extern MemaiOperation *memai_operations_read(const MemaiInference *inference, MemaiJson *array, int *noperations);

/* Makes the vectors of all that will be stored in one call of the embedding model. */
extern void memai_operations_embed(const MemaiModelInfo *model, int noperations, MemaiOperation *operations);

/* Applies what holds, in order, and reports all.  Connected to SPI; calls nobody. */
extern void memai_operations_apply(MemaiInference *inference, int noperations, MemaiOperation *operations);

/* ---- infer.c ---- */

/* What the messages are compared with: their texts, up to half a megabyte. */
extern MemaiSpan memai_infer_said(const MemaiInference *inference);

/*
 * The question: candidates are the nearest memories by vector (NULL: what was
 * said is embedded now).  Connected to SPI.
 */
extern char *memai_infer_question(MemaiInference *inference, const MemaiVector *vector);

/* Asks the model; the array of operations, or NULL and why there is none. */
extern MemaiJson *memai_infer_ask(const MemaiModelInfo *model, const char *question, const char **problem);

/* Raises MA010: the model does not do what it is asked. */
pg_noreturn extern void memai_infer_raise_unusable(const MemaiModelInfo *model, const char *problem);

/* ---- extract_job.c ---- */

/* Submits the job that takes memories from messages which wait for a model. */
extern void memai_extract_submit(const MemaiScope *scope, const char *model);


#endif							/* MEMAI_INFER_H */
