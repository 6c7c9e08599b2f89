/*
 * openai.h
 *	  OpenAI's wire format, for the providers that share it.  Private to
 *	  model/.
 */
#ifndef MEMAI_MODEL_OPENAI_H
#define MEMAI_MODEL_OPENAI_H

#include "model/wire.h"

/* Checks the options and fills the dimensions that are known. */
extern void memai_openai_check(MemaiModel *model);

extern void memai_openai_write_chat(const MemaiModel *model, const MemaiChatRequest *request,
									bool stream, MemaiWireRequest *out);
extern void memai_openai_read_chat(const MemaiModel *model, MemaiJson *root,
								   MemaiChatResult *result);
extern void memai_openai_read_event(const MemaiModel *model, MemaiJson *root, const char *data,
									MemaiWireStream *stream);

/* ,"messages":[...]; some copies want a call's arguments as an object */
extern void memai_openai_write_messages(StringInfo out, const MemaiChatRequest *request,
										bool arguments_as_text);

/* ,"tools":[...]; false when there are none */
extern bool memai_openai_write_tools(StringInfo out, const MemaiChatRequest *request);

/* The text of a message, or of the parts of its list; NULL when there is neither. */
extern char *memai_openai_read_content(MemaiJson *content);
extern char *memai_openai_read_tool_calls(MemaiJson *message);

extern void memai_openai_write_embed(const MemaiModel *model, MemaiInputType type, int ninputs,
									 const MemaiSpan *inputs, MemaiWireRequest *out);

/* Vectors by their index; any inconsistency is an error. */
extern void memai_openai_read_embed(const MemaiModel *model, const char *body, size_t len,
									int ninputs, MemaiVector **vectors);

#endif							/* MEMAI_MODEL_OPENAI_H */
