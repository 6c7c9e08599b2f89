/*
 * tokens_used.h
 *	  The counts of tokens in an answer.  Private to model/.
 */
#ifndef MEMAI_MODEL_TOKENS_USED_H
#define MEMAI_MODEL_TOKENS_USED_H

/*
 * Finds what an answer says about its cost, in whichever provider's words,
 * near its beginning or end.  Sets what it does not find to -1.  Pure.
 */
extern void memai_tokens_used(const char *body, size_t len, int64 *prompt_tokens, int64 *completion_tokens);

#endif							/* MEMAI_MODEL_TOKENS_USED_H */
