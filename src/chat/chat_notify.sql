-- ---- chat: an answer in pieces, by notification ----

CREATE FUNCTION memai.chat_notify(message text, user_id text DEFAULT NULL, thread_id uuid DEFAULT NULL, namespace text DEFAULT NULL,
		model text DEFAULT NULL, system_prompt text DEFAULT NULL, temperature double precision DEFAULT NULL,
		max_tokens integer DEFAULT NULL, top_p double precision DEFAULT NULL, presence_penalty double precision DEFAULT NULL,
		frequency_penalty double precision DEFAULT NULL, stop text[] DEFAULT NULL, response_schema jsonb DEFAULT NULL,
		tools jsonb DEFAULT NULL, use_memory boolean DEFAULT true, k integer DEFAULT 8, max_context_tokens integer DEFAULT 2000,
		context text DEFAULT NULL, intent text DEFAULT NULL, filter jsonb DEFAULT NULL, max_messages integer DEFAULT 50,
		on_error text DEFAULT 'raise', router text DEFAULT NULL, max_cost double precision DEFAULT NULL, size text DEFAULT NULL,
		channel text DEFAULT NULL,
		OUT job_id uuid, OUT thread_id uuid, OUT channel text)
	AS 'MODULE_PATHNAME', 'memai_chat_notify' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.chat_notify IS
	'chat in the background: stores the message and submits a job that sends the answer in pieces by NOTIFY as the model speaks; without a channel it makes a name that nobody can guess and this session listens; cancel_job(job_id) stops it';
REVOKE ALL ON FUNCTION memai.chat_notify FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.chat_notify TO memai_user;
