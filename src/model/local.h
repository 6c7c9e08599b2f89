/*
 * local.h
 *	  The parts of provider local.  Private to model/.
 */
#ifndef MEMAI_MODEL_LOCAL_H
#define MEMAI_MODEL_LOCAL_H

#include "model/model.h"

/* ---- local_embed.c: pure ---- */

#define MEMAI_LOCAL_DIMENSIONS 384

/* the embedder's working memory (about 280 kB): allocate once for many texts */
typedef struct MemaiLocalEmbedder MemaiLocalEmbedder;

extern size_t memai_local_embedder_size(void);

/* Prepares memory of memai_local_embedder_size bytes. */
extern void memai_local_embedder_init(MemaiLocalEmbedder *embedder);

/*
 * Embeds UTF-8 text, which stays where it is until the end: start, then step
 * while it returns true (a step takes some milliseconds at most), then finish.
 * out gets MEMAI_LOCAL_DIMENSIONS floats of length 1, the same bits on every
 * machine.  Any bytes are accepted, and none at all.
 */
extern void memai_local_embed_start(MemaiLocalEmbedder *embedder, const char *utf8, size_t len);
extern bool memai_local_embed_step(MemaiLocalEmbedder *embedder);
extern void memai_local_embed_finish(MemaiLocalEmbedder *embedder, float *out);

/* ---- local_extract.c ---- */

/* as MemaiProvider.complete, for the model extract */
extern void memai_local_extract(const MemaiChatRequest *request, MemaiChatResult *result);

/* ---- local_summary.c ---- */

/*
 * The sentences that hold most of what a text speaks of, word for word and in
 * its order, of at most max_words words (one sentence at least, cut if need be).
 * Palloc'd.
 */
extern char *memai_local_summarize(MemaiSpan input, int max_words);

#endif							/* MEMAI_MODEL_LOCAL_H */
