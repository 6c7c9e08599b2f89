-- ---- memory: looking after it ----

CREATE FUNCTION memai._memory_status(expired_at timestamptz, superseded_by uuid, invalid_at timestamptz, needs_review boolean) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT CASE WHEN expired_at IS NOT NULL AND superseded_by IS NOT NULL THEN 'revised'
		WHEN expired_at IS NOT NULL THEN 'forgotten'
		WHEN superseded_by IS NOT NULL THEN 'superseded'
		WHEN invalid_at IS NOT NULL THEN 'ended'
		WHEN needs_review THEN 'needs_review'
		ELSE 'live' END;
END;
COMMENT ON FUNCTION memai._memory_status(timestamptz, uuid, timestamptz, boolean) IS 'private: the state of a memory in a word';

CREATE FUNCTION memai._entity_id(scope bigint, name text) RETURNS uuid
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT coalesce(e.merged_into, e.id) FROM memai.entity e WHERE e.scope = _entity_id.scope AND lower(e.name) = lower(_entity_id.name);
END;
COMMENT ON FUNCTION memai._entity_id(bigint, text) IS 'private: the entity of a name or of what the name was merged into';

CREATE FUNCTION memai.history(id uuid, user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (history_id uuid, event text, old_content text, new_content text, related_id uuid, reason text,
		actor name, job_id uuid, xid xid8, created_at timestamptz)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT h.id, h.event, h.old_content, coalesce(h.new_content, r.content), h.related_id, h.reason, h.actor, h.job_id, h.xid, h.created_at
	FROM memai.memory_history h
		LEFT JOIN memai.memory r ON r.scope = h.scope AND r.id = h.related_id AND h.event IN ('SUPERSEDE', 'UPDATE')
	WHERE h.scope = memai._scope(history.user_id, history.namespace) AND h.memory_id = history.id
	ORDER BY h.id;
END;
COMMENT ON FUNCTION memai.history(uuid, text, text) IS
	'what happened to a memory, oldest first';

CREATE FUNCTION memai.get_memory(id uuid, user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (content text, memory_type text, category text, slot text, subject text, predicate text, object text,
		provenance text, metadata jsonb, importance real, confidence real, is_pinned boolean, status text, valid_at timestamptz,
		invalid_at timestamptz, created_at timestamptz, expired_at timestamptz, expires_at timestamptz, superseded_by uuid)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT m.content, m.memory_type, m.category, m.slot, s.name, m.predicate, o.name, m.provenance, m.metadata, m.importance,
		m.confidence, m.is_pinned, memai._memory_status(m.expired_at, m.superseded_by, m.invalid_at, m.needs_review),
		m.valid_at, m.invalid_at, m.created_at, m.expired_at, m.expires_at, m.superseded_by
	FROM memai.memory m
		LEFT JOIN memai.entity s ON s.scope = m.scope AND s.id = m.subject_id
		LEFT JOIN memai.entity o ON o.scope = m.scope AND o.id = m.object_id
	WHERE m.scope = memai._scope(get_memory.user_id, get_memory.namespace) AND m.id = get_memory.id;
END;
COMMENT ON FUNCTION memai.get_memory(uuid, text, text) IS
	'one memory with all that is known of it; no row when there is none';

CREATE FUNCTION memai.sources(id uuid, user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (episode_id uuid, role text, name text, content text, occurred_at timestamptz, thread_id uuid)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT e.id, e.role, e.name, e.content, e.occurred_at, e.thread_id
	FROM memai.memory_source s JOIN memai.episode e ON e.scope = s.scope AND e.id = s.episode_id
	WHERE s.scope = memai._scope(sources.user_id, sources.namespace) AND s.memory_id = sources.id
	ORDER BY e.occurred_at, e.id;
END;
COMMENT ON FUNCTION memai.sources(uuid, text, text) IS
	'the episodes that a memory was taken from';

CREATE FUNCTION memai.dependents(id uuid, user_id text DEFAULT NULL, namespace text DEFAULT NULL, max_depth integer DEFAULT 20)
	RETURNS TABLE (memory_id uuid, depth integer, kind text, content text, status text)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	WITH RECURSIVE dependent (id, depth, kind) AS (
		SELECT l.from_id, 1, l.kind FROM memai.memory_link l
		WHERE l.scope = memai._scope(dependents.user_id, dependents.namespace) AND l.to_id = dependents.id AND l.kind IN ('depends_on', 'derives')
		UNION
		SELECT l.from_id, d.depth + 1, l.kind FROM dependent d
			JOIN memai.memory_link l ON l.scope = memai._scope(dependents.user_id, dependents.namespace) AND l.to_id = d.id AND l.kind IN ('depends_on', 'derives')
		WHERE d.depth < least(dependents.max_depth, 20))
	SELECT m.id, d.depth, d.kind, m.content, memai._memory_status(m.expired_at, m.superseded_by, m.invalid_at, m.needs_review)
	FROM (SELECT DISTINCT ON (id) id, depth, kind FROM dependent ORDER BY id, depth, kind) d
		JOIN memai.memory m ON m.scope = memai._scope(dependents.user_id, dependents.namespace) AND m.id = d.id
	WHERE m.id <> dependents.id
	ORDER BY d.depth, m.id;
END;
COMMENT ON FUNCTION memai.dependents(uuid, text, text, integer) IS
	'what rests on a memory, directly or through others, nearest first';

CREATE FUNCTION memai.link(from_id uuid, to_id uuid, kind text DEFAULT 'depends_on', user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH linked AS (
		INSERT INTO memai.memory_link (tenant, user_id, namespace, scope, from_id, to_id, kind)
		SELECT m.tenant, m.user_id, m.namespace, m.scope, m.id, link.to_id, link.kind
		FROM memai.memory m
		WHERE m.scope = memai._scope(link.user_id, link.namespace) AND m.id = link.from_id
		ON CONFLICT DO NOTHING
		RETURNING 1)
	SELECT count(*) > 0 FROM linked;
END;
COMMENT ON FUNCTION memai.link(uuid, uuid, text, text, text) IS
	'note that a memory rests on another (depends_on, derives) or is related to it (extends, contradicts, causes); false when that was known or there is no from_id';

CREATE FUNCTION memai.unlink(from_id uuid, to_id uuid, kind text DEFAULT 'depends_on', user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH gone AS (
		DELETE FROM memai.memory_link l
		WHERE l.scope = memai._scope(unlink.user_id, unlink.namespace) AND l.from_id = unlink.from_id AND l.to_id = unlink.to_id AND l.kind = unlink.kind
		RETURNING 1)
	SELECT count(*) > 0 FROM gone;
END;
COMMENT ON FUNCTION memai.unlink(uuid, uuid, text, text, text) IS
	'remove a link; false when there is none';

CREATE FUNCTION memai.review(user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (memory_id uuid, content text, base_id uuid, base_content text, successor_id uuid, successor_content text)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT m.id, m.content, b.id, b.content, s.id, s.content
	FROM memai.memory m
		LEFT JOIN memai.memory_link l ON l.scope = m.scope AND l.from_id = m.id AND l.kind IN ('depends_on', 'derives')
		LEFT JOIN memai.memory b ON b.scope = l.scope AND b.id = l.to_id
			AND (b.invalid_at IS NOT NULL OR b.expired_at IS NOT NULL OR b.needs_review)
		LEFT JOIN memai.memory s ON s.scope = b.scope AND s.id = b.superseded_by
	WHERE m.scope = memai._scope(review.user_id, review.namespace) AND m.needs_review AND m.invalid_at IS NULL AND m.expired_at IS NULL
		AND (b.id IS NOT NULL OR NOT EXISTS (SELECT FROM memai.memory_link x JOIN memai.memory y ON y.scope = x.scope AND y.id = x.to_id
			AND (y.invalid_at IS NOT NULL OR y.expired_at IS NOT NULL OR y.needs_review)
			WHERE x.scope = m.scope AND x.from_id = m.id AND x.kind IN ('depends_on', 'derives')))
	ORDER BY m.id, b.id;
END;
COMMENT ON FUNCTION memai.review(text, text) IS
	'the live memories that need review, with what they rest on that has ended or needs review itself, and what took its place; confirm, supersede, revise or forget each';

CREATE FUNCTION memai.confirm(id uuid, user_id text DEFAULT NULL, namespace text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH changed AS (
		UPDATE memai.memory m SET needs_review = false, reason = confirm.reason
		WHERE m.scope = memai._scope(confirm.user_id, confirm.namespace) AND m.id = confirm.id AND m.invalid_at IS NULL AND m.expired_at IS NULL AND m.needs_review
		RETURNING 1)
	SELECT count(*) > 0 FROM changed;
END;
COMMENT ON FUNCTION memai.confirm(uuid, text, text, text) IS
	'a memory that needed review holds as it is; false when it needed none';

CREATE FUNCTION memai.pin(id uuid, pinned boolean DEFAULT true, user_id text DEFAULT NULL, namespace text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH changed AS (
		UPDATE memai.memory m SET is_pinned = pin.pinned, reason = pin.reason
		WHERE m.scope = memai._scope(pin.user_id, pin.namespace) AND m.id = pin.id AND m.is_pinned <> pin.pinned
		RETURNING 1)
	SELECT count(*) > 0 FROM changed;
END;
COMMENT ON FUNCTION memai.pin(uuid, boolean, text, text, text) IS
	'pin a memory: it never expires and weighs most in recall; pinned => false undoes it; false when nothing changed';

CREATE FUNCTION memai.expire(id uuid, expires_at timestamptz, user_id text DEFAULT NULL, namespace text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH changed AS (
		UPDATE memai.memory m SET expires_at = expire.expires_at, reason = expire.reason
		WHERE m.scope = memai._scope(expire.user_id, expire.namespace) AND m.id = expire.id AND m.expired_at IS NULL
		RETURNING m.user_id, m.namespace, m.expires_at),
	submitted AS (
		SELECT memai.submit_job('expire', '{}', c.user_id, c.namespace, '', 2, c.expires_at, 5, 'expire') AS job
		FROM changed c WHERE c.expires_at IS NOT NULL)
	SELECT count(*) + 0 * (SELECT count(job) FROM submitted) > 0 FROM changed;
END;
COMMENT ON FUNCTION memai.expire(uuid, timestamptz, text, text, text) IS
	'set when a memory is due to be removed, NULL for never; recall leaves it out from then on, a job removes it; false when there is no such id';

CREATE FUNCTION memai.set_importance(id uuid, importance double precision, user_id text DEFAULT NULL, namespace text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH changed AS (
		UPDATE memai.memory m SET importance = set_importance.importance, reason = set_importance.reason
		WHERE m.scope = memai._scope(set_importance.user_id, set_importance.namespace) AND m.id = set_importance.id AND m.expired_at IS NULL
		RETURNING 1)
	SELECT count(*) > 0 FROM changed;
END;
COMMENT ON FUNCTION memai.set_importance(uuid, double precision, text, text, text) IS
	'set how much a memory weighs in recall, 0 to 1; false when there is no such id';

CREATE FUNCTION memai.remove_expired(user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS bigint
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH gone AS (
		DELETE FROM memai.memory m
		WHERE m.scope = memai._scope(remove_expired.user_id, remove_expired.namespace) AND m.expires_at <= now() AND NOT m.is_pinned
		RETURNING 1)
	SELECT count(*) FROM gone;
END;
COMMENT ON FUNCTION memai.remove_expired(text, text) IS
	'remove for good the memories of a user that are past expires_at, except pinned ones; returns how many';

CREATE FUNCTION memai.promote(user_id text DEFAULT NULL, namespace text DEFAULT NULL, min_uses integer DEFAULT 3,
		min_importance double precision DEFAULT 0.8, dry_run boolean DEFAULT false)
	RETURNS TABLE (memory_id uuid, content text, uses bigint, importance real, expires_at timestamptz)
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH worth AS (
		SELECT m.id, m.content, coalesce(t.uses, 0) AS uses, m.importance, m.expires_at
		FROM memai.memory m LEFT JOIN memai.memory_stat t ON t.scope = m.scope AND t.memory_id = m.id
		WHERE m.scope = memai._scope(promote.user_id, promote.namespace) AND m.expires_at > now()
			AND m.invalid_at IS NULL AND m.expired_at IS NULL AND coalesce(t.useful >= t.harmful, true)
			AND (coalesce(t.uses, 0) + coalesce(t.useful, 0) >= promote.min_uses OR m.importance >= promote.min_importance)),
	promoted AS (
		UPDATE memai.memory m SET expires_at = NULL, reason = 'promoted to long term'
		FROM worth w
		WHERE m.scope = memai._scope(promote.user_id, promote.namespace) AND m.id = w.id AND NOT promote.dry_run)
	SELECT w.id, w.content, w.uses, w.importance, w.expires_at FROM worth w ORDER BY w.expires_at, w.id;
END;
COMMENT ON FUNCTION memai.promote(text, text, integer, double precision, boolean) IS
	'keep short-term memories (those that expire) that proved their worth: used or found useful min_uses times and not found harmful more often than useful, or as important as min_importance; shows them with when they would have expired';

CREATE FUNCTION memai.feedback(id uuid, useful boolean, user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH counted AS (
		INSERT INTO memai.memory_stat AS t (tenant, user_id, namespace, scope, memory_id, useful, harmful)
		SELECT m.tenant, m.user_id, m.namespace, m.scope, m.id, feedback.useful::integer, (NOT feedback.useful)::integer
		FROM memai.memory m
		WHERE m.scope = memai._scope(feedback.user_id, feedback.namespace) AND m.id = feedback.id AND feedback.useful IS NOT NULL
		ON CONFLICT ON CONSTRAINT memory_stat_pkey
			DO UPDATE SET useful = t.useful + excluded.useful, harmful = t.harmful + excluded.harmful
		RETURNING 1)
	SELECT count(*) > 0 FROM counted;
END;
COMMENT ON FUNCTION memai.feedback(uuid, boolean, text, text) IS
	'count what a user said of a memory: useful, or not; weighs in recall; false when there is no such id';

CREATE FUNCTION memai.mark_used(ids uuid[], user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS bigint
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH counted AS (
		INSERT INTO memai.memory_stat AS t (tenant, user_id, namespace, scope, memory_id, uses, last_used_at)
		SELECT m.tenant, m.user_id, m.namespace, m.scope, m.id, 1, now()
		FROM memai.memory m
		WHERE m.scope = memai._scope(mark_used.user_id, mark_used.namespace) AND m.id = ANY (mark_used.ids)
		ORDER BY m.id
		ON CONFLICT ON CONSTRAINT memory_stat_pkey
			DO UPDATE SET uses = t.uses + 1, last_used_at = excluded.last_used_at
		RETURNING 1)
	SELECT count(*) FROM counted;
END;
COMMENT ON FUNCTION memai.mark_used(uuid[], text, text) IS
	'count a use of memories, such as those of an answer; recall itself never writes; returns how many were found';

CREATE FUNCTION memai.profile(user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (slot text, content text, category text, since timestamptz, memory_id uuid, needs_review boolean)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT m.slot, m.content, m.category, m.valid_at, m.id, m.needs_review
	FROM memai.memory m
	WHERE m.scope = memai._scope(profile.user_id, profile.namespace) AND m.invalid_at IS NULL AND m.expired_at IS NULL
		AND m.valid_at <= now() AND (m.expires_at IS NULL OR m.is_pinned OR m.expires_at > now())
		AND (m.slot IS NOT NULL OR m.category = 'preference' OR m.is_pinned)
	ORDER BY m.slot NULLS LAST, m.category, m.id;
END;
COMMENT ON FUNCTION memai.profile(text, text) IS
	'what is known of a user in short: the values of slots, preferences, pinned memories';

CREATE FUNCTION memai.timeline(user_id text DEFAULT NULL, namespace text DEFAULT NULL, entity text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
		max_rows integer DEFAULT 100)
	RETURNS TABLE (at timestamptz, kind text, id uuid, content text, status text)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT t.at, t.kind, t.id, t.content, t.status
	FROM (SELECT e.occurred_at AS at, 'episode' AS kind, e.id, e.content, NULL::text AS status
			FROM memai.episode e
			WHERE e.scope = memai._scope(timeline.user_id, timeline.namespace) AND timeline.entity IS NULL
		UNION ALL
		SELECT m.valid_at, 'memory', m.id, m.content, memai._memory_status(m.expired_at, m.superseded_by, m.invalid_at, m.needs_review)
			FROM memai.memory m
			WHERE m.scope = memai._scope(timeline.user_id, timeline.namespace) AND m.expired_at IS NULL
				AND (timeline.entity IS NULL OR EXISTS (SELECT FROM memai.entity x
					WHERE x.scope = m.scope AND x.id IN (m.subject_id, m.object_id)
						AND coalesce(x.merged_into, x.id) = memai._entity_id(m.scope, timeline.entity)))) t
	WHERE (timeline.since IS NULL OR t.at >= timeline.since) AND (timeline.until IS NULL OR t.at < timeline.until)
	ORDER BY t.at, t.id
	LIMIT memai._check_range('max_rows', timeline.max_rows, 0);
END;
COMMENT ON FUNCTION memai.timeline(text, text, text, timestamptz, timestamptz, integer) IS
	'what happened and what became true, in order, from since until before until; with entity the memories about it alone';

CREATE FUNCTION memai.merge_entities(kept text, merged text, user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH pair AS (
		SELECT memai._scope(merge_entities.user_id, merge_entities.namespace) AS scope,
			memai._entity_id(memai._scope(merge_entities.user_id, merge_entities.namespace), merge_entities.kept) AS kept_id,
			memai._entity_id(memai._scope(merge_entities.user_id, merge_entities.namespace), merge_entities.merged) AS merged_id),
	changed AS (
		UPDATE memai.entity e SET merged_into = p.kept_id
		FROM pair p
		WHERE e.scope = p.scope AND (e.id = p.merged_id OR e.merged_into = p.merged_id) AND p.kept_id <> p.merged_id
		RETURNING 1)
	SELECT count(*) > 0 FROM changed;
END;
COMMENT ON FUNCTION memai.merge_entities(text, text, text, text) IS
	'two names are of one entity: what is known of merged is found under kept from now on, and its name is an alias; false when one is unknown or they are one already; unmerge_entity takes it back';

CREATE FUNCTION memai.unmerge_entity(name text, user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS boolean
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH changed AS (
		UPDATE memai.entity e SET merged_into = NULL
		WHERE e.scope = memai._scope(unmerge_entity.user_id, unmerge_entity.namespace) AND lower(e.name) = lower(unmerge_entity.name)
			AND e.merged_into IS NOT NULL
		RETURNING 1)
	SELECT count(*) > 0 FROM changed;
END;
COMMENT ON FUNCTION memai.unmerge_entity(text, text, text) IS
	'an alias is an entity of its own again, with what was known of it; false when it is no alias';

CREATE FUNCTION memai.entities(user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (id uuid, name text, memories bigint, created_at timestamptz, aliases text[])
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT e.id, e.name, (SELECT count(*) FROM memai.memory m WHERE m.scope = e.scope AND m.invalid_at IS NULL AND m.expired_at IS NULL
			AND (m.subject_id IN (SELECT x.id FROM memai.entity x WHERE x.scope = e.scope AND (x.id = e.id OR x.merged_into = e.id))
				OR m.object_id IN (SELECT x.id FROM memai.entity x WHERE x.scope = e.scope AND (x.id = e.id OR x.merged_into = e.id)))), e.created_at,
		(SELECT array_agg(x.name ORDER BY lower(x.name)) FROM memai.entity x WHERE x.scope = e.scope AND x.merged_into = e.id)
	FROM memai.entity e
	WHERE e.scope = memai._scope(entities.user_id, entities.namespace) AND e.merged_into IS NULL
	ORDER BY 3 DESC, lower(e.name);
END;
COMMENT ON FUNCTION memai.entities(text, text) IS
	'the entities of a user, with how many live memories are about each and the names merged into it';

CREATE FUNCTION memai.graph(entity text, user_id text DEFAULT NULL, namespace text DEFAULT NULL, depth integer DEFAULT 1, as_of timestamptz DEFAULT NULL)
	RETURNS TABLE (hops integer, subject text, predicate text, object text, memory_id uuid, content text)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	WITH RECURSIVE edge AS (
		SELECT m.id, coalesce(s.merged_into, s.id) AS subject_id, m.predicate, coalesce(o.merged_into, o.id) AS object_id, m.content
		FROM memai.memory m
			JOIN memai.entity s ON s.scope = m.scope AND s.id = m.subject_id
			JOIN memai.entity o ON o.scope = m.scope AND o.id = m.object_id
		WHERE m.scope = memai._scope(graph.user_id, graph.namespace) AND m.expired_at IS NULL
			AND m.valid_at <= coalesce(graph.as_of, now()) AND (m.invalid_at IS NULL OR m.invalid_at > coalesce(graph.as_of, now()))),
	reached (id, hops) AS (
		SELECT memai._entity_id(memai._scope(graph.user_id, graph.namespace), graph.entity), 0
		UNION
		SELECT CASE WHEN g.subject_id = r.id THEN g.object_id ELSE g.subject_id END, r.hops + 1
		FROM reached r JOIN edge g ON r.id IN (g.subject_id, g.object_id)
		WHERE r.hops < least(graph.depth, 10))
	SELECT min(r.hops) + 1, s.name, g.predicate, o.name, g.id, g.content
	FROM reached r
		JOIN edge g ON r.id IN (g.subject_id, g.object_id)
		JOIN memai.entity s ON s.scope = memai._scope(graph.user_id, graph.namespace) AND s.id = g.subject_id
		JOIN memai.entity o ON o.scope = memai._scope(graph.user_id, graph.namespace) AND o.id = g.object_id
	WHERE r.hops < least(graph.depth, 10)
	GROUP BY s.name, g.predicate, o.name, g.id, g.content
	ORDER BY 1, g.id;
END;
COMMENT ON FUNCTION memai.graph(text, text, text, integer, timestamptz) IS
	'the triplets around an entity, up to depth steps away (at most 10), true at as_of; aliases count as what they were merged into';

CREATE FUNCTION memai.stats(user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (episodes bigint, memories bigint, superseded bigint, forgotten bigint, needs_review bigint,
		pinned bigint, entities bigint, blocks bigint, embeddings bigint, content_bytes bigint, first_at timestamptz, last_at timestamptz,
		documents bigint, chunks bigint)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	WITH e AS (SELECT count(*) AS n, count(document_id) AS chunks, sum(octet_length(content)) AS bytes, min(occurred_at) AS first_at, max(occurred_at) AS last_at
			FROM memai.episode WHERE scope = memai._scope(stats.user_id, stats.namespace)),
		m AS (SELECT count(*) FILTER (WHERE m.invalid_at IS NULL AND m.expired_at IS NULL) AS live,
				count(*) FILTER (WHERE invalid_at IS NOT NULL AND expired_at IS NULL) AS superseded,
				count(*) FILTER (WHERE expired_at IS NOT NULL) AS forgotten,
				count(*) FILTER (WHERE m.needs_review AND m.invalid_at IS NULL AND m.expired_at IS NULL) AS review, count(*) FILTER (WHERE is_pinned) AS pinned,
				sum(octet_length(content)) AS bytes, min(valid_at) AS first_at, max(valid_at) AS last_at
			FROM memai.memory m WHERE scope = memai._scope(stats.user_id, stats.namespace))
	SELECT e.n, m.live, m.superseded, m.forgotten, m.review, m.pinned,
		(SELECT count(*) FROM memai.entity WHERE scope = memai._scope(stats.user_id, stats.namespace)),
		(SELECT count(*) FROM memai.block WHERE scope = memai._scope(stats.user_id, stats.namespace)),
		(SELECT count(*) FROM memai.embedding WHERE scope = memai._scope(stats.user_id, stats.namespace)),
		coalesce(e.bytes, 0) + coalesce(m.bytes, 0), least(e.first_at, m.first_at), greatest(e.last_at, m.last_at),
		(SELECT count(*) FROM memai.document WHERE scope = memai._scope(stats.user_id, stats.namespace)), e.chunks
	FROM e, m;
END;
COMMENT ON FUNCTION memai.stats(text, text) IS
	'how much memory a user has';

CREATE FUNCTION memai.memory_status(user_id text DEFAULT NULL)
	RETURNS TABLE (user_id text, namespace text, episodes bigint, memories bigint, needs_review bigint, without_embedding bigint)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT i.user_id, i.namespace, count(*) FILTER (WHERE i.is_episode), count(*) FILTER (WHERE NOT i.is_episode),
		count(*) FILTER (WHERE i.needs_review),
		count(*) FILTER (WHERE NOT EXISTS (SELECT FROM memai.embedding v WHERE v.scope = i.scope AND v.id = i.id))
	FROM (SELECT e.tenant, e.user_id, e.namespace, e.scope, e.id, true AS is_episode, false AS needs_review FROM memai.episode e
		UNION ALL
		SELECT m.tenant, m.user_id, m.namespace, m.scope, m.id, false, m.needs_review FROM memai.memory m
		WHERE m.invalid_at IS NULL AND m.expired_at IS NULL) i
	WHERE i.tenant = (SELECT memai.current_tenant())
		AND i.user_id = coalesce(memory_status.user_id, (SELECT memai.current_user_id()), i.user_id)
	GROUP BY i.user_id, i.namespace
	ORDER BY i.user_id, i.namespace;
END;
COMMENT ON FUNCTION memai.memory_status(text) IS
	'the namespaces of a user, or of every user of the tenant: what they hold and what is left to do; reads all of it';

CREATE FUNCTION memai.clear_memory(user_id text DEFAULT NULL, namespace text DEFAULT NULL, keep_pinned boolean DEFAULT true,
		confirm boolean DEFAULT false, episodes boolean DEFAULT false)
	RETURNS bigint
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH gone AS (
		DELETE FROM memai.memory m
		WHERE m.scope = memai._scope(clear_memory.user_id, clear_memory.namespace) AND NOT (m.is_pinned AND clear_memory.keep_pinned)
			AND clear_memory.confirm
		RETURNING 1
	), gone_episodes AS (
		DELETE FROM memai.episode e
		WHERE e.scope = memai._scope(clear_memory.user_id, clear_memory.namespace) AND e.document_id IS NULL
			AND clear_memory.confirm AND clear_memory.episodes AND NOT (clear_memory.keep_pinned AND EXISTS (
				SELECT FROM memai.memory_source s JOIN memai.memory m ON m.scope = s.scope AND m.id = s.memory_id
				WHERE s.scope = e.scope AND s.episode_id = e.id AND m.is_pinned))
		RETURNING 1
	)
	SELECT CASE WHEN clear_memory.confirm THEN (SELECT count(*) FROM gone) + (SELECT count(*) FROM gone_episodes)
		ELSE (SELECT count(*) FROM memai.memory m
				WHERE m.scope = memai._scope(clear_memory.user_id, clear_memory.namespace) AND NOT (m.is_pinned AND clear_memory.keep_pinned))
			+ (SELECT count(*) FROM memai.episode e
				WHERE e.scope = memai._scope(clear_memory.user_id, clear_memory.namespace) AND e.document_id IS NULL
					AND clear_memory.episodes AND NOT (clear_memory.keep_pinned AND EXISTS (
						SELECT FROM memai.memory_source s JOIN memai.memory m ON m.scope = s.scope AND m.id = s.memory_id
						WHERE s.scope = e.scope AND s.episode_id = e.id AND m.is_pinned))) END;
END;
COMMENT ON FUNCTION memai.clear_memory(text, text, boolean, boolean, boolean) IS
	'remove the memories of a namespace for good, except pinned ones, and their texts from the history; episodes => true: what was said there, too, but not documents, nor what pinned ones rest on; blocks stay; returns how many, and without confirm only that';

CREATE FUNCTION memai.find_duplicates(user_id text DEFAULT NULL, namespace text DEFAULT NULL, min_similarity double precision DEFAULT 0.95, min_overlap double precision DEFAULT 0.9,
		max_pairs integer DEFAULT 100)
	RETURNS TABLE (first_id uuid, first_content text, second_id uuid, second_content text, similarity double precision, overlap double precision)
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT a.id, a.content, b.id, b.content, p.similarity, p.overlap
	FROM memai.memory a
		JOIN memai.embedding va ON va.scope = a.scope AND va.id = a.id
		JOIN memai.embedding vb ON vb.scope = va.scope AND vb.model = va.model AND vb.id > va.id
		JOIN memai.memory b ON b.scope = vb.scope AND b.id = vb.id,
		LATERAL (SELECT 1 - (va.embedding OPERATOR(@extschema@.<=>) vb.embedding) AS similarity,
			memai._statement_overlap(a.terms, b.terms, a.content, b.content) AS overlap) p
	WHERE a.scope = memai._scope(find_duplicates.user_id, find_duplicates.namespace) AND a.invalid_at IS NULL AND a.expired_at IS NULL
		AND b.invalid_at IS NULL AND b.expired_at IS NULL AND a.slot IS NOT DISTINCT FROM b.slot
		AND (p.similarity >= find_duplicates.min_similarity OR p.overlap >= find_duplicates.min_overlap)
		AND memai._same_claim(a.content, b.content)
	ORDER BY greatest(p.similarity, p.overlap) DESC, a.id, b.id
	LIMIT memai._check_range('max_pairs', find_duplicates.max_pairs, 0);
END;
COMMENT ON FUNCTION memai.find_duplicates(text, text, double precision, double precision, integer) IS
	'pairs of live memories that say nearly the same: by cosine of their vectors or by overlap of their words (of one root or meaning), with the same numbers, both or neither a denial, and no word''s opposite; compares all pairs of the scope';

CREATE FUNCTION memai.consolidate(user_id text DEFAULT NULL, namespace text DEFAULT NULL, dry_run boolean DEFAULT true, min_similarity double precision DEFAULT 0.95,
		min_overlap double precision DEFAULT 0.9)
	RETURNS TABLE (op text, kept_id uuid, kept_content text, dropped_id uuid, dropped_content text, similarity double precision, overlap double precision)
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH pair AS (
		SELECT DISTINCT ON (d.second_id) d.*
		FROM memai.find_duplicates(consolidate.user_id, consolidate.namespace, consolidate.min_similarity, consolidate.min_overlap, 10000) d
			JOIN memai.memory m ON m.scope = memai._scope(consolidate.user_id, consolidate.namespace) AND m.id = d.second_id AND NOT m.is_pinned
		ORDER BY d.second_id, d.first_id),
	sourced AS (
		INSERT INTO memai.memory_source (tenant, user_id, namespace, scope, memory_id, episode_id)
		SELECT s.tenant, s.user_id, s.namespace, s.scope, p.first_id, s.episode_id
		FROM pair p JOIN memai.memory_source s ON s.scope = memai._scope(consolidate.user_id, consolidate.namespace) AND s.memory_id = p.second_id
		WHERE NOT consolidate.dry_run
			AND EXISTS (SELECT FROM memai.memory_source k WHERE k.scope = s.scope AND k.memory_id = p.first_id)
		ON CONFLICT DO NOTHING),
	merged AS (
		UPDATE memai.memory m SET expired_at = now(), superseded_by = p.first_id, reason = 'says the same'
		FROM pair p
		WHERE m.scope = memai._scope(consolidate.user_id, consolidate.namespace) AND m.id = p.second_id AND NOT consolidate.dry_run)
	SELECT 'MERGE', p.first_id, p.first_content, p.second_id, p.second_content, p.similarity, p.overlap
	FROM pair p ORDER BY p.first_id, p.second_id;
END;
COMMENT ON FUNCTION memai.consolidate(text, text, boolean, double precision, double precision) IS
	'merge memories that say nearly the same: the older one stays and takes the sources of the other, which memai.undo can bring back; dry_run only shows what would be done';

CREATE FUNCTION memai.forget_matching(query text, user_id text DEFAULT NULL, namespace text DEFAULT NULL, dry_run boolean DEFAULT true, k integer DEFAULT 10,
		filter jsonb DEFAULT NULL, min_score double precision DEFAULT 0, mode text DEFAULT 'hard', layer text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS TABLE (id uuid, kind text, content text, score double precision, forgotten boolean)
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT r.id, r.kind, r.content, r.score,
		CASE WHEN forget_matching.dry_run THEN false
			ELSE memai.forget(r.id, forget_matching.user_id, forget_matching.namespace, forget_matching.mode, forget_matching.reason) END
	FROM memai.recall(forget_matching.query, forget_matching.user_id, forget_matching.namespace, forget_matching.k, forget_matching.filter,
		forget_matching.min_score, layer => forget_matching.layer, include_answers => true) r;
END;
COMMENT ON FUNCTION memai.forget_matching(text, text, text, boolean, integer, jsonb, double precision, text, text, text) IS
	'what memai.recall finds by the same arguments; with dry_run => false each is forgotten';

CREATE FUNCTION memai.undo(history_id uuid DEFAULT NULL, since timestamptz DEFAULT NULL, job uuid DEFAULT NULL, user_id text DEFAULT NULL, namespace text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint
	AS 'MODULE_PATHNAME', 'memai_undo' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.undo(uuid, timestamptz, uuid, text, text, text) IS
	'take changes of memories back, newest first: one of memai.history, all of a user since a time, or all of a background job; what was removed for good stays removed; returns how many';

CREATE FUNCTION memai.forget_user(user_id text, confirm boolean DEFAULT false, namespace text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS TABLE (what text, removed bigint)
	AS 'MODULE_PATHNAME', 'memai_forget_user' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 20
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.forget_user(text, boolean, text, text) IS
	'remove everything of a user for good, in one namespace or all, and keep a certificate in memai.erasure; without confirm => true it only counts';

CREATE FUNCTION memai.compact()
	RETURNS bigint
	AS 'MODULE_PATHNAME', 'memai_compact' LANGUAGE C VOLATILE PARALLEL UNSAFE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.compact() IS
	'rewrite the tables that hold users'' data, so that no byte of what was removed before this transaction stays in their files; locks each of them; returns how many';

CREATE FUNCTION memai.fill_embeddings(model text DEFAULT NULL, user_id text DEFAULT NULL, namespace text DEFAULT NULL, max_rows integer DEFAULT 1000)
	RETURNS bigint
	AS 'MODULE_PATHNAME', 'memai_reembed' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.fill_embeddings(text, text, text, integer) IS
	'make the vectors of a model that a user''s items lack, up to max_rows of them; returns how many were made, 0 when all are there';

CREATE FUNCTION memai.export_user(user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS SETOF jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT x.line FROM (
	SELECT -1, row_number() OVER (ORDER BY t.id), jsonb_build_object('table', 'document')
		|| (to_jsonb(t) - '{tenant,user_id,namespace,scope,job_id}'::text[])
	FROM memai.document t WHERE t.scope = memai._scope(export_user.user_id, export_user.namespace)
	UNION ALL
	SELECT 0, row_number() OVER (ORDER BY t.id), jsonb_build_object('table', 'episode')
		|| (to_jsonb(t) - '{tenant,user_id,namespace,scope,terms,content_hash}'::text[])
	FROM memai.episode t WHERE t.scope = memai._scope(export_user.user_id, export_user.namespace)
	UNION ALL
	SELECT 1, row_number() OVER (ORDER BY t.id), jsonb_build_object('table', 'entity')
		|| (to_jsonb(t) - '{tenant,user_id,namespace,scope,terms,content_hash}'::text[])
	FROM memai.entity t WHERE t.scope = memai._scope(export_user.user_id, export_user.namespace)
	UNION ALL
	SELECT 2, row_number() OVER (ORDER BY t.id), jsonb_build_object('table', 'memory')
		|| (to_jsonb(t) - '{tenant,user_id,namespace,scope,terms,content_hash}'::text[])
	FROM memai.memory t WHERE t.scope = memai._scope(export_user.user_id, export_user.namespace)
	UNION ALL
	SELECT 3, row_number() OVER (ORDER BY t.memory_id, t.episode_id), jsonb_build_object('table', 'memory_source')
		|| (to_jsonb(t) - '{tenant,user_id,namespace,scope,terms,content_hash}'::text[])
	FROM memai.memory_source t WHERE t.scope = memai._scope(export_user.user_id, export_user.namespace)
	UNION ALL
	SELECT 4, row_number() OVER (ORDER BY t.from_id, t.to_id, t.kind), jsonb_build_object('table', 'memory_link')
		|| (to_jsonb(t) - '{tenant,user_id,namespace,scope,terms,content_hash}'::text[])
	FROM memai.memory_link t WHERE t.scope = memai._scope(export_user.user_id, export_user.namespace)
	UNION ALL
	SELECT 5, row_number() OVER (ORDER BY t.memory_id), jsonb_build_object('table', 'memory_stat')
		|| (to_jsonb(t) - '{tenant,user_id,namespace,scope,terms,content_hash}'::text[])
	FROM memai.memory_stat t WHERE t.scope = memai._scope(export_user.user_id, export_user.namespace)
	UNION ALL
	SELECT 6, row_number() OVER (ORDER BY t.label), jsonb_build_object('table', 'block')
		|| (to_jsonb(t) - '{tenant,user_id,namespace,scope,terms,content_hash}'::text[])
	FROM memai.block t WHERE t.scope = memai._scope(export_user.user_id, export_user.namespace)
	UNION ALL
	SELECT 7, row_number() OVER (ORDER BY t.document_id, t.seq), jsonb_build_object('table', 'document_chunk')
		|| (to_jsonb(t) - '{tenant,user_id,namespace,scope}'::text[])
	FROM memai.document_chunk t WHERE t.scope = memai._scope(export_user.user_id, export_user.namespace)) x (place, number, line)
	ORDER BY x.place, x.number;
END;
COMMENT ON FUNCTION memai.export_user(text, text) IS
	'everything that is kept of a user in a namespace, one JSON object a row, for memai.import_user; without vectors, which are made again, and without history';

CREATE FUNCTION memai.import_user(lines jsonb, user_id text DEFAULT NULL, namespace text DEFAULT NULL)
	RETURNS TABLE (what text, imported bigint)
	AS 'MODULE_PATHNAME', 'memai_import_user' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 9
	SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION memai.import_user(jsonb, text, text) IS
	'store what memai.export_user gave, as a JSON array, under a user of this tenant; what is there already stays; call memai.fill_embeddings for the vectors; whose word a memory is becomes import';

-- ---- rights ----

REVOKE ALL ON FUNCTION memai.history(uuid, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.get_memory(uuid, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.sources(uuid, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.dependents(uuid, text, text, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.link(uuid, uuid, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.unlink(uuid, uuid, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.review(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.confirm(uuid, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.pin(uuid, boolean, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.expire(uuid, timestamptz, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.set_importance(uuid, double precision, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.remove_expired(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai._entity_id(bigint, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.merge_entities(text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.unmerge_entity(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.promote(text, text, integer, double precision, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.feedback(uuid, boolean, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.mark_used(uuid[], text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.profile(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.timeline(text, text, text, timestamptz, timestamptz, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.entities(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.graph(text, text, text, integer, timestamptz) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.stats(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.memory_status(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.clear_memory(text, text, boolean, boolean, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.find_duplicates(text, text, double precision, double precision, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.consolidate(text, text, boolean, double precision, double precision) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.forget_matching(text, text, text, boolean, integer, jsonb, double precision, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.undo(uuid, timestamptz, uuid, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.forget_user(text, boolean, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.compact() FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.fill_embeddings(text, text, text, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.export_user(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION memai.import_user(jsonb, text, text) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION memai.history(uuid, text, text),
	memai.get_memory(uuid, text, text),
	memai.sources(uuid, text, text),
	memai.dependents(uuid, text, text, integer),
	memai.link(uuid, uuid, text, text, text),
	memai.unlink(uuid, uuid, text, text, text),
	memai.review(text, text),
	memai.confirm(uuid, text, text, text),
	memai.pin(uuid, boolean, text, text, text),
	memai.expire(uuid, timestamptz, text, text, text),
	memai.set_importance(uuid, double precision, text, text, text),
	memai.remove_expired(text, text),
	memai._entity_id(bigint, text),
	memai.merge_entities(text, text, text, text),
	memai.unmerge_entity(text, text, text),
	memai.promote(text, text, integer, double precision, boolean),
	memai.feedback(uuid, boolean, text, text),
	memai.mark_used(uuid[], text, text),
	memai.profile(text, text),
	memai.timeline(text, text, text, timestamptz, timestamptz, integer),
	memai.entities(text, text),
	memai.graph(text, text, text, integer, timestamptz),
	memai.stats(text, text),
	memai.memory_status(text),
	memai.clear_memory(text, text, boolean, boolean, boolean),
	memai.find_duplicates(text, text, double precision, double precision, integer),
	memai.consolidate(text, text, boolean, double precision, double precision),
	memai.forget_matching(text, text, text, boolean, integer, jsonb, double precision, text, text, text),
	memai.undo(uuid, timestamptz, uuid, text, text, text),
	memai.forget_user(text, boolean, text, text),
	memai.fill_embeddings(text, text, text, integer),
	memai.export_user(text, text),
	memai.import_user(jsonb, text, text)
	TO memai_user;
GRANT EXECUTE ON FUNCTION memai.compact() TO memai_admin;
