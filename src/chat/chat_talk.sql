-- ---- chat: talking with a model that remembers ----
--
-- All forms take the same arguments, in the order of ChatArgument in chat_int.h.

CREATE FUNCTION memai.chat(message text, user_id text DEFAULT NULL, thread_id uuid DEFAULT NULL, namespace text DEFAULT NULL,
		model text DEFAULT NULL, system_prompt text DEFAULT NULL, temperature double precision DEFAULT NULL,
		max_tokens integer DEFAULT NULL, top_p double precision DEFAULT NULL, presence_penalty double precision DEFAULT NULL,
		frequency_penalty double precision DEFAULT NULL, stop text[] DEFAULT NULL, response_schema jsonb DEFAULT NULL,
		tools jsonb DEFAULT NULL, use_memory boolean DEFAULT true, k integer DEFAULT 8, max_context_tokens integer DEFAULT 2000,
		context text DEFAULT NULL, intent text DEFAULT NULL, filter jsonb DEFAULT NULL, max_messages integer DEFAULT 50,
		on_error text DEFAULT 'raise', router text DEFAULT NULL, max_cost double precision DEFAULT NULL, size text DEFAULT NULL,
		OUT content text, OUT thread_id uuid, OUT model text, OUT intent text,
		OUT prompt_tokens integer, OUT completion_tokens integer, OUT total_tokens integer, OUT cost numeric,
		OUT context_used boolean, OUT context_length integer, OUT memory_ids uuid[], OUT persona_included boolean,
		OUT tools_invoked jsonb, OUT finish_reason text, OUT cached boolean, OUT processing_ms double precision,
		OUT error text, OUT router jsonb)
	AS 'MODULE_PATHNAME', 'memai_chat' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.chat IS
	'say something: recalls, stores the message, asks the model with the thread and what was recalled, stores the answer; without thread_id it opens a thread and shows the model the last such exchanges; on_error => ''null'' returns a failed call''s error instead of raising it';
REVOKE ALL ON FUNCTION memai.chat FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.chat TO memai_user;

CREATE FUNCTION memai.chat_preview(message text, user_id text DEFAULT NULL, thread_id uuid DEFAULT NULL, namespace text DEFAULT NULL,
		model text DEFAULT NULL, system_prompt text DEFAULT NULL, temperature double precision DEFAULT NULL,
		max_tokens integer DEFAULT NULL, top_p double precision DEFAULT NULL, presence_penalty double precision DEFAULT NULL,
		frequency_penalty double precision DEFAULT NULL, stop text[] DEFAULT NULL, response_schema jsonb DEFAULT NULL,
		tools jsonb DEFAULT NULL, use_memory boolean DEFAULT true, k integer DEFAULT 8, max_context_tokens integer DEFAULT 2000,
		context text DEFAULT NULL, intent text DEFAULT NULL, filter jsonb DEFAULT NULL, max_messages integer DEFAULT 50,
		on_error text DEFAULT 'raise', router text DEFAULT NULL, max_cost double precision DEFAULT NULL, size text DEFAULT NULL,
		OUT messages jsonb, OUT model text, OUT intent text, OUT tokens jsonb, OUT total_tokens integer,
		OUT max_prompt_tokens integer, OUT memory_ids uuid[], OUT context_cut boolean, OUT router jsonb)
	AS 'MODULE_PATHNAME', 'memai_chat_preview' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.chat_preview IS
	'what memai.chat with the same arguments would send to the model, without sending or storing anything; tokens are estimated, for each part';
REVOKE ALL ON FUNCTION memai.chat_preview FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.chat_preview TO memai_user;

CREATE FUNCTION memai.chat_stream(message text, user_id text DEFAULT NULL, thread_id uuid DEFAULT NULL, namespace text DEFAULT NULL,
		model text DEFAULT NULL, system_prompt text DEFAULT NULL, temperature double precision DEFAULT NULL,
		max_tokens integer DEFAULT NULL, top_p double precision DEFAULT NULL, presence_penalty double precision DEFAULT NULL,
		frequency_penalty double precision DEFAULT NULL, stop text[] DEFAULT NULL, response_schema jsonb DEFAULT NULL,
		tools jsonb DEFAULT NULL, use_memory boolean DEFAULT true, k integer DEFAULT 8, max_context_tokens integer DEFAULT 2000,
		context text DEFAULT NULL, intent text DEFAULT NULL, filter jsonb DEFAULT NULL, max_messages integer DEFAULT 50,
		on_error text DEFAULT 'raise', router text DEFAULT NULL, max_cost double precision DEFAULT NULL, size text DEFAULT NULL,
		OUT delta text, OUT done boolean, OUT result jsonb)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'memai_chat_stream' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.chat_stream IS
	'chat with the answer in pieces: rows with delta as the model speaks, then one with done and the result; called in the select list its rows arrive as they come';
REVOKE ALL ON FUNCTION memai.chat_stream FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.chat_stream TO memai_user;

CREATE PROCEDURE memai.converse(message text, user_id text DEFAULT NULL, thread_id uuid DEFAULT NULL, namespace text DEFAULT NULL,
		model text DEFAULT NULL, system_prompt text DEFAULT NULL, temperature double precision DEFAULT NULL,
		max_tokens integer DEFAULT NULL, top_p double precision DEFAULT NULL, presence_penalty double precision DEFAULT NULL,
		frequency_penalty double precision DEFAULT NULL, stop text[] DEFAULT NULL, response_schema jsonb DEFAULT NULL,
		tools jsonb DEFAULT NULL, use_memory boolean DEFAULT true, k integer DEFAULT 8, max_context_tokens integer DEFAULT 2000,
		context text DEFAULT NULL, intent text DEFAULT NULL, filter jsonb DEFAULT NULL, max_messages integer DEFAULT 50,
		on_error text DEFAULT 'raise', router text DEFAULT NULL, max_cost double precision DEFAULT NULL, size text DEFAULT NULL,
		INOUT result jsonb DEFAULT NULL)
	LANGUAGE C AS 'MODULE_PATHNAME', 'memai_converse';
COMMENT ON PROCEDURE memai.converse IS
	'chat in short transactions: stores the message and commits, asks the model while no snapshot is held, stores the answer; result is the row of memai.chat';
REVOKE ALL ON PROCEDURE memai.converse FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE memai.converse TO memai_user;
