/*
 * prompt.c
 *	  What a chat model gets to read, in the order of ChatPart and within its
 *	  context window.
 *
 * The system message holds nothing but instructions that the application or
 * memai wrote.  Everything that anyone may have written, persona and memories
 * included, comes as messages of the user, in sections that memory/context.c
 * marks as data; the instructions say what the marks mean.  Neighbouring
 * messages of one role are joined, because some models insist on turns.
 *
 * The caller's context is given its room before memories are, and both before
 * the thread; a turn that is shown is not shown a second time as memory.
 */
#include "postgres.h"

#include "chat/chat_int.h"
#include "miscadmin.h"
#include "text/text.h"
#include "utils/builtins.h"

#define DEFAULT_INSTRUCTIONS \
	"You are a helpful assistant who remembers earlier conversations with this user. " \
	"Answer from what you know of the user where it helps, and say so when you do not know something."

/* tokens of a model whose context window nobody stated */
#define DEFAULT_CONTEXT_WINDOW 8192

/* what a provider's format adds to a message, about */
#define TOKENS_PER_MESSAGE 4

const char *const memai_chat_part_names[CHAT_NPARTS] = {
	"instructions", "persona", "preferences", "summary", "history", "memories", "business", "message"
};

/* a prompt while it is made */
typedef struct PromptMaker
{
	const Chat *chat;
	ChatPrompt *prompt;
	MemaiContextWriter *writer;
	StringInfoData persona;		/* persona, preferences, summary */
	StringInfoData looked_up;	/* memories, business context */
	int			capacity;		/* of messages */
	MemaiChatMessage *messages;
	StringInfoData *texts;		/* of the messages */
} PromptMaker;

static int
estimate_text(const text *value)
{
	return memai_text_estimate_tokens(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

static MemaiSpan
text_span(const text *value)
{
	MemaiSpan	span = {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};

	return span;
}

int
memai_prompt_context_tokens(const ChatPrompt *prompt)
{
	return prompt->tokens[CHAT_PERSONA] + prompt->tokens[CHAT_PREFERENCES] + prompt->tokens[CHAT_SUMMARY] +
		prompt->tokens[CHAT_MEMORIES] + prompt->tokens[CHAT_BUSINESS];
}

static int
all_tokens(const ChatPrompt *prompt)
{
	int			tokens = 0;

	for (int part = 0; part < CHAT_NPARTS; part++)
		tokens += prompt->tokens[part];
	return tokens;
}

/* ---- sections ---- */

/* Notes under a part what the writer has spent since it had before tokens left. */
static void
note_spent(PromptMaker *maker, ChatPart part, int before)
{
	maker->prompt->tokens[part] += before - memai_context_tokens_left(maker->writer);
}

static void
write_text_section(PromptMaker *maker, ChatPart part, StringInfo out, const text *value)
{
	int			before = memai_context_tokens_left(maker->writer);
	MemaiSpan	span;

	if (value == NULL)
		return;
	span = text_span(value);
	if (!memai_context_text(maker->writer, out, memai_chat_part_names[part], span.data, span.len) && part == CHAT_BUSINESS)
		maker->prompt->context_cut = true;
	note_spent(maker, part, before);
}

static void
write_persona(PromptMaker *maker, text *preferences)
{
	MemaiContext shown = {0};
	int			before = memai_context_tokens_left(maker->writer);

	if (maker->chat->use_memory)
		memai_context_blocks(maker->writer, &maker->persona, &maker->chat->scope, &shown);
	note_spent(maker, CHAT_PERSONA, before);
	maker->prompt->persona_included = shown.persona_included;
	write_text_section(maker, CHAT_PREFERENCES, &maker->persona, preferences);
	write_text_section(maker, CHAT_SUMMARY, &maker->persona, maker->chat->thread.summary);
}

static void
note_shown(ChatPrompt *prompt, const MemaiContext *shown)
{
	ListCell   *cell;

	prompt->memory_ids = palloc(sizeof(Datum) * Max(list_length(shown->items), 1));
	foreach(cell, shown->items)
	{
		MemaiRecalled *item = lfirst(cell);

		prompt->memory_ids[prompt->nmemory_ids++] = UUIDPGetDatum(&item->id);
	}
}

static void
write_memories(PromptMaker *maker, List *recalled)
{
	MemaiContext shown = {0};
	int			before = memai_context_tokens_left(maker->writer);
	StringInfoData memories;

	initStringInfo(&memories);
	memai_context_memories(maker->writer, &memories, recalled, &shown);
	note_spent(maker, CHAT_MEMORIES, before);
	note_shown(maker->prompt, &shown);
	/* shown before the business context, though that was written first */
	appendBinaryStringInfo(&memories, maker->looked_up.data, maker->looked_up.len);
	maker->looked_up = memories;
}

static bool
is_turn(const pg_uuid_t *id, List *turns)
{
	ListCell   *cell;

	foreach(cell, turns)
	{
		if (memcmp(&((ChatTurn *) lfirst(cell))->id, id, UUID_LEN) == 0)
			return true;
	}
	return false;
}

static List *
without_turns(List *recalled, List *turns)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, recalled)
	{
		MemaiRecalled *item = lfirst(cell);

		if (!is_turn(&item->id, turns))
			result = lappend(result, item);
	}
	return result;
}

/* The newest turns that fit into tokens, oldest first; what they take is noted. */
static List *
fitting_turns(ChatPrompt *prompt, List *turns, int tokens)
{
	int			first = list_length(turns);

	while (first > 0)
	{
		ChatTurn   *turn = list_nth(turns, first - 1);
		int			needed = estimate_text(turn->content) + TOKENS_PER_MESSAGE;

		if (needed > tokens)
			break;
		tokens -= needed;
		prompt->tokens[CHAT_HISTORY] += needed;
		first--;
	}
	prompt->nturns = list_length(turns) - first;
	prompt->turns_cut = first > 0;
	return list_copy_tail(turns, first);
}

/* ---- messages ---- */

/* Appends to the last message when it has the same role, else begins one. */
static void
add_message(PromptMaker *maker, const char *role, MemaiSpan content)
{
	MemaiChatRequest *request = &maker->prompt->request;
	int			n = request->nmessages;

	if (content.len == 0)
		return;
	if (n == 0 || strcmp(maker->messages[n - 1].role, role) != 0)
	{
		Assert(n < maker->capacity);
		maker->messages[n].role = role;
		initStringInfo(&maker->texts[n]);
		request->nmessages = ++n;
	}
	else if (maker->texts[n - 1].len > 0 && maker->texts[n - 1].data[maker->texts[n - 1].len - 1] != '\n')
		appendStringInfoString(&maker->texts[n - 1], "\n\n");
	else
		appendStringInfoChar(&maker->texts[n - 1], '\n');
	appendBinaryStringInfo(&maker->texts[n - 1], content.data, (int) content.len);
}

static MemaiSpan
buffer_span(const StringInfoData *buffer)
{
	MemaiSpan	span = {buffer->data, buffer->len};

	return span;
}

static void
add_messages(PromptMaker *maker, const char *instructions, List *turns)
{
	MemaiChatRequest *request = &maker->prompt->request;
	MemaiSpan	system = {instructions, strlen(instructions)};
	ListCell   *cell;

	maker->capacity = list_length(turns) + 4;
	maker->messages = palloc0(sizeof(MemaiChatMessage) * maker->capacity);
	maker->texts = palloc0(sizeof(StringInfoData) * maker->capacity);
	add_message(maker, "system", system);
	add_message(maker, "user", buffer_span(&maker->persona));
	foreach(cell, turns)
	{
		ChatTurn   *turn = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		add_message(maker, turn->role, text_span(turn->content));
	}
	add_message(maker, "user", buffer_span(&maker->looked_up));
	add_message(maker, "user", text_span(maker->chat->message));
	for (int i = 0; i < request->nmessages; i++)
		maker->messages[i].content = buffer_span(&maker->texts[i]);
	request->messages = maker->messages;
	request->question = text_span(maker->chat->message);
}

static MemaiGrounding *
make_grounding(List *recalled)
{
	MemaiGrounding *grounding = palloc(sizeof(MemaiGrounding) * Max(list_length(recalled), 1));
	int			n = 0;
	ListCell   *cell;

	foreach(cell, recalled)
	{
		MemaiRecalled *item = lfirst(cell);

		grounding[n++] = (MemaiGrounding) {
			.content = text_span(item->content),
			.occurred_at = item->occurred_at,
			.score = item->score,
		};
	}
	return grounding;
}

static char *
make_instructions(const Chat *chat, const text *preferences)
{
	text	   *own = chat->system_prompt;

	if (own == NULL)
		own = chat->intent_prompt ? chat->intent_prompt : chat->thread.system_prompt;
	return psprintf("%s" MEMAI_DATA_NOTICE "%s", own ? text_to_cstring(own) : DEFAULT_INSTRUCTIONS,
					memai_language_note(chat, own, preferences));
}

/* Sets the budget and what instructions and message take of it. */
static void
measure_fixed_parts(ChatPrompt *prompt, const Chat *chat, const char *instructions)
{
	int			window = chat->model->context_window > 0 ? chat->model->context_window : DEFAULT_CONTEXT_WINDOW;
	int			answer = chat->max_tokens > 0 ? chat->max_tokens : window / 4;

	prompt->budget = Max(window - answer, 0);
	prompt->tokens[CHAT_INSTRUCTIONS] = memai_text_estimate_tokens(instructions, strlen(instructions)) + TOKENS_PER_MESSAGE;
	/* persona and what was looked up are joined to messages of the user */
	prompt->tokens[CHAT_MESSAGE] = estimate_text(chat->message) + 3 * TOKENS_PER_MESSAGE;
	if (all_tokens(prompt) > prompt->budget)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the message does not fit into the context of model \"%s\"", chat->model->name),
				 errdetail("Instructions and message take about %d tokens; of a context of %d tokens %d are kept for the answer.",
						   all_tokens(prompt), window, Min(answer, window)),
				 errhint("Shorten the message, lower max_tokens, or use a model with a larger context.")));
}

static void
copy_parameters(MemaiChatRequest *request, const Chat *chat)
{
	request->temperature = chat->temperature;
	request->max_tokens = chat->max_tokens;
	request->top_p = chat->top_p;
	request->presence_penalty = chat->presence_penalty;
	request->frequency_penalty = chat->frequency_penalty;
	request->stop = chat->stop;
	request->json_schema = chat->response_schema;
}

ChatPrompt *
memai_prompt_build(const Chat *chat, text *preferences, List *turns, List *recalled)
{
	PromptMaker maker = {.chat = chat, .prompt = palloc0(sizeof(ChatPrompt))};
	ChatPrompt *prompt = maker.prompt;
	char	   *instructions = make_instructions(chat, preferences);
	int			room;

	measure_fixed_parts(prompt, chat, instructions);
	room = prompt->budget - all_tokens(prompt);
	/* half of what is left is the thread's, whatever max_context_tokens says */
	maker.writer = memai_context_open(Min(chat->max_context_tokens, room / 2));
	initStringInfo(&maker.persona);
	initStringInfo(&maker.looked_up);
	write_persona(&maker, preferences);
	write_text_section(&maker, CHAT_BUSINESS, &maker.looked_up, chat->context);
	turns = fitting_turns(prompt, turns, (room - memai_context_tokens_left(maker.writer) - memai_prompt_context_tokens(prompt)));
	write_memories(&maker, without_turns(recalled, turns));

	copy_parameters(&prompt->request, chat);
	prompt->request.grounding = make_grounding(recalled);
	prompt->request.ngrounding = list_length(recalled);
	add_messages(&maker, instructions, turns);
	return prompt;
}
