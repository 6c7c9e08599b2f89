/*
 * tool.h
 *	  Tools that a chat model may call.  Private to chat/.
 */
#ifndef MEMAI_CHAT_TOOL_H
#define MEMAI_CHAT_TOOL_H

#include "chat/chat_int.h"
#include "json/json.h"

/* who does what a tool does */
typedef enum ChatToolKind
{
	CHAT_TOOL_FUNCTION,			/* a function of the database */
	CHAT_TOOL_HTTP,				/* an endpoint that an administrator registered */
	CHAT_TOOL_CALLER			/* whoever called chat */
} ChatToolKind;

typedef struct ChatTool
{
	char	   *name;
	char	   *description;	/* NULL: none */
	char	   *parameters;		/* JSON schema of its arguments, an object */
	ChatToolKind kind;
	char	   *function;		/* identity of a function, as regprocedure reads it */
	char	   *search_path;	/* with which the function runs */
	char	   *url;
	char	   *credential;		/* NULL: none */
	Oid			owner;			/* who registered it */
	int			timeout;		/* milliseconds */
	bool		needs_confirmation;
} ChatTool;

/* ---- tool.c ---- */

/*
 * The tools of a chat: those of its argument, registered names and definitions
 * (an array), and those of its intent.  With candidates, registered tools that
 * are not named, "*" or no argument, go there instead.  Raises 42704 for a name that the
 * current role has no such tool of, 22023 for a malformed definition.  The
 * caller is connected to SPI; palloc'd in the current context.
 */
extern List *memai_tools_load(Jsonb *tools, const char *intent, List **candidates);

/* What MemaiChatRequest.tools wants; NULL for no tools. */
extern char *memai_tools_json(List *tools);

/*
 * Runs a tool with arguments (an object) for a user and returns its result as
 * text of the server, palloc'd in the current context.  Arguments that break
 * the schema raise 22023; the tool raises what it likes.  The caller is
 * connected to SPI.  May call out.
 */
extern char *memai_tool_run(const ChatTool *tool, const MemaiScope *scope, MemaiJson *arguments);

/* ---- tool_function.c ---- */

/* The function of a name, with or without its argument types, under a search path; raises 42883, 42725. */
extern Oid	memai_tool_function_find(const char *function, const char *search_path);

/* Raises unless tools can call the function; returns its identity. */
extern char *memai_tool_function_identity(Oid function);

/* A JSON schema of a function's named arguments, palloc'd. */
extern char *memai_tool_function_schema(Oid function);

/* Calls a function with named arguments and returns its result as text. */
extern char *memai_tool_function_call(const ChatTool *tool, const MemaiScope *scope, MemaiJson *arguments);

/* ---- tool_loop.c ---- */

/*
 * Asks the chat's model until it answers without calling a tool, running the
 * tools that it calls; leaves the answer and what was invoked in chat.  Ends
 * early where a tool is the caller's or needs confirmation.  Raises class MA
 * errors and 57014; errors of tools go to the model.
 */
extern void memai_tool_loop(Chat *chat);

/*
 * The same step by step, for streams: start it with the chat's prompt; for each
 * request store the answer in chat->answer, and call memai_tool_loop_answer,
 * connected to SPI, which runs the tools that it calls.  It returns true while
 * there is another request.  All in the context that is current at start.
 */
typedef struct ChatLoop ChatLoop;
extern ChatLoop *memai_tool_loop_start(Chat *chat);
extern const MemaiChatRequest *memai_tool_loop_request(ChatLoop *loop);
extern bool memai_tool_loop_answer(ChatLoop *loop);

#endif							/* MEMAI_CHAT_TOOL_H */
