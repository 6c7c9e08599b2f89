-- ---- chat: tasks ----

CREATE TABLE memai.task (
	tenant text NOT NULL,
	user_id text NOT NULL,
	namespace text NOT NULL,
	scope bigint NOT NULL,
	id uuid NOT NULL DEFAULT memai.new_id(),
	title text NOT NULL,
	description text,
	status text NOT NULL DEFAULT 'open',
	priority text NOT NULL DEFAULT 'normal',
	due_at timestamptz,
	metadata jsonb NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	completed_at timestamptz,
	CONSTRAINT task_pkey PRIMARY KEY (scope, id),
	CONSTRAINT task_scope_check CHECK (scope = memai.scope_hash(tenant, user_id, namespace)),
	CONSTRAINT task_title_check CHECK (title <> '' AND length(title) <= 1000),
	CONSTRAINT task_description_check CHECK (length(description) <= 100000),
	CONSTRAINT task_status_check CHECK (status IN ('open', 'in_progress', 'done', 'cancelled')),
	CONSTRAINT task_priority_check CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
	CONSTRAINT task_metadata_check CHECK (jsonb_typeof(metadata) = 'object'),
	CONSTRAINT task_completed_at_check CHECK ((status = 'done') = (completed_at IS NOT NULL))
);
COMMENT ON TABLE memai.task IS 'what a user wants done; the chat model can work with tasks when they are tools';
COMMENT ON COLUMN memai.task.status IS 'open, in_progress, done or cancelled';
COMMENT ON COLUMN memai.task.priority IS 'low, normal, high or urgent';
CREATE INDEX task_due_at_idx ON memai.task (scope, due_at) WHERE status IN ('open', 'in_progress');
COMMENT ON INDEX memai.task_due_at_idx IS 'what is to be done, by when it is due';

ALTER TABLE memai.task ENABLE ROW LEVEL SECURITY;
ALTER TABLE memai.task FORCE ROW LEVEL SECURITY;
CREATE POLICY isolation ON memai.task USING (tenant = (SELECT memai.current_tenant())
	AND user_id = coalesce((SELECT memai.current_user_id()), user_id));
COMMENT ON POLICY isolation ON memai.task IS 'own tenant only, and own user in a narrowed session';
CREATE TRIGGER task_pii_policy BEFORE INSERT OR UPDATE OF title, description, metadata ON memai.task
	FOR EACH ROW WHEN (memai._has_pii_policies()) EXECUTE FUNCTION memai._apply_pii_policy('title', 'description', 'metadata');
COMMENT ON TRIGGER task_pii_policy ON memai.task IS 'what the policy of the tenant says of personal data, however the row is stored';
GRANT SELECT, INSERT, DELETE ON memai.task TO memai_user;
GRANT UPDATE (title, description, status, priority, due_at, metadata, updated_at, completed_at) ON memai.task TO memai_user;
ALTER TABLE memai.task ALTER COLUMN title SET STATISTICS 0, ALTER COLUMN description SET STATISTICS 0, ALTER COLUMN metadata SET STATISTICS 0;
SELECT pg_catalog.pg_extension_config_dump('memai.task', '');

CREATE FUNCTION memai.create_task(title text, description text DEFAULT NULL, priority text DEFAULT 'normal', due_at timestamptz DEFAULT NULL,
		metadata jsonb DEFAULT '{}', user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS uuid
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	INSERT INTO memai.task (tenant, user_id, namespace, scope, title, description, priority, due_at, metadata)
	VALUES (memai.current_tenant(), memai._user(create_task.user_id), coalesce(create_task.namespace, 'default'),
		memai._scope(create_task.user_id, create_task.namespace), memai._check_length('title', create_task.title, 1000), create_task.description,
		coalesce(memai._check_word('priority', create_task.priority, 'low', 'normal', 'high', 'urgent'), 'normal'), create_task.due_at, coalesce(create_task.metadata, '{}'))
	RETURNING id;
END;
COMMENT ON FUNCTION memai.create_task(text, text, text, timestamptz, jsonb, text, text) IS 'note something that a user wants done and return its id';

CREATE FUNCTION memai.update_task(task_id uuid, title text DEFAULT NULL, description text DEFAULT NULL, status text DEFAULT NULL,
		priority text DEFAULT NULL, due_at timestamptz DEFAULT NULL, metadata jsonb DEFAULT NULL,
		user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH changed AS (
		UPDATE memai.task t SET title = CASE WHEN update_task.title IS NULL THEN t.title ELSE memai._check_length('title', update_task.title, 1000) END, description = coalesce(update_task.description, t.description),
			status = coalesce(memai._check_word('status', update_task.status, 'open', 'in_progress', 'done', 'cancelled'), t.status),
			priority = coalesce(memai._check_word('priority', update_task.priority, 'low', 'normal', 'high', 'urgent'), t.priority),
			due_at = coalesce(update_task.due_at, t.due_at), metadata = coalesce(update_task.metadata, t.metadata), updated_at = now(),
			completed_at = CASE WHEN coalesce(update_task.status, t.status) = 'done' THEN coalesce(t.completed_at, now()) END
		WHERE t.scope = memai._scope(update_task.user_id, update_task.namespace) AND t.id = update_task.task_id
		RETURNING 1
	)
	SELECT EXISTS (SELECT FROM changed);
END;
COMMENT ON FUNCTION memai.update_task(uuid, text, text, text, text, timestamptz, jsonb, text, text) IS
	'change what is given of a task and keep the rest; false when the user has no such task';

CREATE FUNCTION memai.complete_task(task_id uuid, user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT memai.update_task(complete_task.task_id, status => 'done', user_id => complete_task.user_id, namespace => complete_task.namespace);
END;
COMMENT ON FUNCTION memai.complete_task(uuid, text, text) IS 'mark a task as done; false when the user has no such task';

CREATE FUNCTION memai.delete_task(task_id uuid, user_id text DEFAULT NULL, namespace text DEFAULT NULL) RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH gone AS (
		DELETE FROM memai.task t
		WHERE t.scope = memai._scope(delete_task.user_id, delete_task.namespace) AND t.id = delete_task.task_id RETURNING 1
	)
	SELECT EXISTS (SELECT FROM gone);
END;
COMMENT ON FUNCTION memai.delete_task(uuid, text, text) IS 'remove a task; false when the user has no such task';

CREATE FUNCTION memai.tasks(status text DEFAULT NULL, priority text DEFAULT NULL, due_before timestamptz DEFAULT NULL, search text DEFAULT NULL,
		max_tasks integer DEFAULT 100, user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (id uuid, title text, description text, status text, priority text, due_at timestamptz, metadata jsonb,
		created_at timestamptz, updated_at timestamptz, completed_at timestamptz)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT t.id, t.title, t.description, t.status, t.priority, t.due_at, t.metadata, t.created_at, t.updated_at, t.completed_at
	FROM memai.task t
	WHERE t.scope = memai._scope(tasks.user_id, tasks.namespace)
		AND CASE WHEN tasks.status IS NULL THEN t.status IN ('open', 'in_progress') ELSE memai._check_word('status', tasks.status, 'open', 'in_progress', 'done', 'cancelled', 'all') IN (t.status, 'all') END
		AND (tasks.priority IS NULL OR t.priority = memai._check_word('priority', tasks.priority, 'low', 'normal', 'high', 'urgent'))
		AND (tasks.due_before IS NULL OR t.due_at < tasks.due_before)
		AND (tasks.search IS NULL OR strpos(lower(concat_ws(' ', t.title, t.description)), lower(tasks.search)) > 0)
	ORDER BY array_position(ARRAY['in_progress', 'open', 'done', 'cancelled'], t.status), t.due_at NULLS LAST,
		array_position(ARRAY['urgent', 'high', 'normal', 'low'], t.priority), t.id
	LIMIT memai._check_range('max_tasks', tasks.max_tasks, 0);
END;
COMMENT ON FUNCTION memai.tasks(text, text, timestamptz, text, integer, text, text) IS
	'a user''s tasks that are to be done, or those of a status (''all'': whatever it is), the next due first';

REVOKE ALL ON FUNCTION memai.create_task(text, text, text, timestamptz, jsonb, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.update_task(uuid, text, text, text, text, timestamptz, jsonb, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.complete_task(uuid, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.delete_task(uuid, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.tasks(text, text, timestamptz, text, integer, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memai.create_task(text, text, text, timestamptz, jsonb, text, text),
	memai.update_task(uuid, text, text, text, text, timestamptz, jsonb, text, text),
	memai.complete_task(uuid, text, text),
	memai.delete_task(uuid, text, text),
	memai.tasks(text, text, timestamptz, text, integer, text, text)
	TO memai_user;
