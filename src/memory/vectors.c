/*
 * vectors.c
 *	  The vectors that a recall compares with its question.
 *
 * In a small scope all of them.  In a large one those of the items that pass
 * the filters, when these are few; else the nearest, as the planner finds them
 * at the least cost: with the vector index of the model's partition, if there
 * is one, or by comparing all.  That statement is planned for each question,
 * since the number of rows of its scope decides.
 *
 * An item without a similarity still takes part by its words, so no filter and
 * no index ever makes the result shorter than the rows that there are.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define FETCH_ROWS 1000

/* up to so many vectors are all read: about two milliseconds */
#define EXACT_ITEMS 2000
/* at least so many of the nearest: beyond, a rank adds next to nothing to a score */
#define NEAREST_ITEMS 300
#define NEAREST_PER_RESULT 5
/* of them that the index is to find, see memai.target_recall */
#define LEAST_INDEX_RECALL 0.999
/* items that say how similar a question is to anything here */
#define SAMPLE_ITEMS 256

static MemaiStatement select_all = {
	.sql = "SELECT id, embedding FROM memai.embedding WHERE scope = $1 AND model = $2",
	.nargs = 2,
	.argtypes = {INT8OID, TEXTOID},
};

static MemaiStatement select_sample = {
	.sql = "SELECT id, embedding FROM memai.embedding WHERE scope = $1 AND model = $2 ORDER BY id LIMIT $3",
	.nargs = 3,
	.argtypes = {INT8OID, TEXTOID, INT8OID},
};

static MemaiStatement select_some = {
	.sql = "SELECT id, embedding FROM " EACH_OF("embedding", "model = $2 AND id", "$3"),
	.nargs = 3,
	.argtypes = {INT8OID, TEXTOID, UUIDARRAYOID},
};

/* the function is inlined: its body knows the schema of the vector type */
static MemaiStatement select_nearest = {
	.sql = "SELECT id, embedding FROM memai._nearest($1, $2, $3, $4)",
	.nargs = 4,
	.argtypes = {INT8OID, TEXTOID, InvalidOid, INT8OID},
};

/* sums for the moments of a sample */
typedef struct Moments
{
	int			n;
	double		sum;
	double		squares;
} Moments;

static void
add_moment(Moments *moments, double similarity)
{
	moments->n++;
	moments->sum += similarity;
	moments->squares += similarity * similarity;
}

/* An item and its vector: the similarity to the question, NaN when there is none.  context: for the vector. */
static double
read_similarity(Recall *recall, const pg_uuid_t *id, Datum embedding, MemoryContext context)
{
	MemoryContext previous;
	MemaiVector *vector;
	RecallCandidate *candidate = memai_gather_find(recall, *id);

	if (candidate == NULL)
	{
		/* of a memory that is not live, or of an item that was not found by words */
		if (recall->population > 0)
			memai_gather_want(recall, *id);
		return NAN;
	}
	previous = MemoryContextSwitchTo(context);
	vector = memai_vector_from_datum(embedding);
	MemoryContextSwitchTo(previous);
	if (vector->dim != recall->vector->dim)
	{
		recall->nmisfits++;
		return NAN;
	}
	if (!candidate->has_similarity)
	{
		candidate->similarity = 1.0 - memai_vector_cosine_distance(vector->dim, vector->x, recall->vector->x);
		candidate->has_similarity = !isnan(candidate->similarity);
	}
	return candidate->similarity;
}

/* ---- which index ---- */

static bool
find_vector_index(Plan *plan, Oid *index)
{
	ListCell   *cell;

	if (plan == NULL)
		return false;
	if (IsA(plan, IndexScan) && ((IndexScan *) plan)->indexorderby != NIL)
	{
		*index = ((IndexScan *) plan)->indexid;
		return true;
	}
	if (IsA(plan, Append))
	{
		foreach(cell, ((Append *) plan)->appendplans)
		{
			if (find_vector_index(lfirst(cell), index))
				return true;
		}
	}
	if (IsA(plan, MergeAppend))
	{
		foreach(cell, ((MergeAppend *) plan)->mergeplans)
		{
			if (find_vector_index(lfirst(cell), index))
				return true;
		}
	}
	if (IsA(plan, SubqueryScan) && find_vector_index(((SubqueryScan *) plan)->subplan, index))
		return true;
	return find_vector_index(outerPlan(plan), index);
}

/* ---- reading ---- */

/* who takes in the rows of a statement */
typedef struct VectorReader
{
	Recall	   *recall;
	Moments    *moments;		/* NULL: not wanted */
	MemoryContext context;		/* of a row */
} VectorReader;

static void
receive_vector(TupleTableSlot *slot, void *arg)
{
	VectorReader *reader = arg;
	double		similarity = read_similarity(reader->recall, DatumGetUUIDP(slot->tts_values[0]), slot->tts_values[1], reader->context);

	if (reader->moments != NULL && !isnan(similarity))
		add_moment(reader->moments, similarity);
	MemoryContextReset(reader->context);
}

static MemoryContext
make_row_context(void)
{
	return AllocSetContextCreate(CurrentMemoryContext, "memai memory vectors", ALLOCSET_DEFAULT_SIZES);
}

/* Reads the rows of a statement; moments may be NULL. */
static void
read_vectors(Recall *recall, MemaiStatement *statement, Datum *values, Moments *moments)
{
	VectorReader reader = {.recall = recall,.moments = moments,.context = make_row_context()};

	memai_statement_each(statement, values, NULL, 0, receive_vector, &reader);
	MemoryContextDelete(reader.context);
}

/* The same of select_nearest; notes which index its plan takes. */
static void
read_nearest_rows(Recall *recall, Datum *values)
{
	MemoryContext context = make_row_context();
	Portal		portal = memai_statement_open(&select_nearest, values, NULL);

	find_vector_index(linitial_node(PlannedStmt, portal->stmts)->planTree, &recall->vector_index);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		for (uint64 row = 0; row < SPI_processed; row++)
		{
			HeapTuple	tuple = SPI_tuptable->vals[row];
			TupleDesc	desc = SPI_tuptable->tupdesc;
			bool		null;

			CHECK_FOR_INTERRUPTS();
			(void) read_similarity(recall, DatumGetUUIDP(SPI_getbinval(tuple, desc, 1, &null)), SPI_getbinval(tuple, desc, 2, &null), context);
			MemoryContextReset(context);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	MemoryContextDelete(context);
}

/* Prepares the statement to be planned with the values of each call. */
static void
prepare_nearest(void)
{
	/* the type has its OID from CREATE EXTENSION */
	if (select_nearest.plan != NULL && select_nearest.argtypes[2] == memai_vector_type_oid())
		return;
	memai_statement_forget(&select_nearest);
	select_nearest.argtypes[2] = memai_vector_type_oid();
	select_nearest.plan = SPI_prepare_cursor(select_nearest.sql, select_nearest.nargs, select_nearest.argtypes,
											 CURSOR_OPT_CUSTOM_PLAN);
	if (select_nearest.plan == NULL || SPI_keepplan(select_nearest.plan) != 0)
		elog(ERROR, "could not prepare the search for the nearest vectors");
}

/*
 * Lets the index look more closely than usual: what it misses shifts the ranks
 * of all that follow, and comparing a few more lists is cheap beside the rest.
 */
static void
demand_recall(void)
{
	if (atof(GetConfigOption("memai.target_recall", false, false)) < LEAST_INDEX_RECALL)
		(void) set_config_option("memai.target_recall", psprintf("%g", LEAST_INDEX_RECALL), PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

/* Compares the nearest; wanted: how many there should be, whatever filters leave out. */
static void
read_nearest(Recall *recall, Datum *values, double wanted)
{
	int			nest_level = NewGUCNestLevel();

	prepare_nearest();
	values[2] = PointerGetDatum(recall->vector);
	values[3] = Int64GetDatum((int64) wanted);
	demand_recall();
	read_nearest_rows(recall, values);
	AtEOXact_GUC(true, nest_level);
}

/* Takes in how similar the question is to anything. */
static void
set_moments(Recall *recall, const Moments *moments)
{
	recall->has_moments = moments->n > 0;
	if (moments->n == 0)
		return;
	recall->similarity_mean = moments->sum / moments->n;
	recall->similarity_deviation = sqrt(Max(0.0, moments->squares / moments->n -
											recall->similarity_mean * recall->similarity_mean));
}

static void
read_sample(Recall *recall, Datum *values)
{
	Moments		moments = {0};

	values[2] = Int64GetDatum(SAMPLE_ITEMS);
	read_vectors(recall, &select_sample, values, &moments);
	set_moments(recall, &moments);
}

static double
wanted_items(const Recall *recall)
{
	return Max(NEAREST_ITEMS, NEAREST_PER_RESULT * recall->query->k);
}

static Datum
ids_of(const Recall *recall, int n, const int *positions)
{
	pg_uuid_t  *ids = palloc(mul_size(sizeof(pg_uuid_t), Max(n, 1)));

	for (int i = 0; i < n; i++)
		ids[i] = recall->candidates[positions[i]].id;
	return memai_gather_id_array(n, ids);
}

static void
read_some(Recall *recall, Datum *values, int n, const int *positions)
{
	values[2] = ids_of(recall, n, positions);
	memai_statement_plan_once(&select_some);
	read_vectors(recall, &select_some, values, NULL);
}

static void
warn_of_misfits(const Recall *recall, const char *model)
{
	if (recall->nmisfits > 0)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("%lld stored vectors have other dimensions than those of model \"%s\"",
						(long long) recall->nmisfits, model),
				 errdetail("Their items are found by words alone."),
				 errhint("Delete these rows of memai.embedding and run memai.fill_embeddings.")));
}

/* The similarities of the candidates from one position to before another. */
static void
read_range(Recall *recall, Datum *values, int from, int end)
{
	int		   *positions = palloc(sizeof(int) * Max(end - from, 1));
	int			n = 0;

	for (int i = from; i < end; i++)
	{
		if (!recall->candidates[i].has_similarity)
			positions[n++] = i;
	}
	if (n > 0)
		read_some(recall, values, n, positions);
	pfree(positions);
}

/* Of a large scope: the similarities of the sample and of the best by words. */
static void
read_compared(Recall *recall, Datum *values)
{
	Moments		moments = {0};

	read_range(recall, values, 0, recall->ncompared);
	for (int i = 0; i < recall->nsampled; i++)
	{
		if (recall->candidates[i].has_similarity)
			add_moment(&moments, recall->candidates[i].similarity);
	}
	set_moments(recall, &moments);
}

void
memai_gather_nearest(Recall *recall, const char *model)
{
	Datum		values[4] = {Int64GetDatum(recall->query->scope->scope), CStringGetTextDatum(model)};
	int			found_by_words = recall->ncandidates;
	int			neligible = 0;

	for (int i = 0; i < recall->ncandidates; i++)
		neligible += recall->candidates[i].eligible;
	recall->vectors = RECALL_VECTORS_NEAREST;
	/* as many that pass the filters, if these do not depend on the vector */
	read_nearest(recall, values, Min(recall->population, wanted_items(recall) * recall->ncandidates / Max(neligible, 1)));
	if (memai_gather_wanted(recall))
		read_range(recall, values, found_by_words, recall->ncandidates);
}

void
memai_gather_vectors(Recall *recall, const char *model)
{
	Datum		values[4] = {Int64GetDatum(recall->query->scope->scope), CStringGetTextDatum(model)};
	int		   *eligible;
	int			neligible = 0;

	recall->has_moments = false;
	if (recall->population > 0)
	{
		read_compared(recall, values);
		warn_of_misfits(recall, model);
		return;
	}
	if (recall->ncandidates <= EXACT_ITEMS)
	{
		recall->vectors = RECALL_VECTORS_ALL;
		read_vectors(recall, &select_all, values, NULL);
		warn_of_misfits(recall, model);
		return;
	}
	eligible = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(sizeof(int), recall->ncandidates));
	for (int i = 0; i < recall->ncandidates; i++)
	{
		if (recall->candidates[i].eligible)
			eligible[neligible++] = i;
	}
	if (neligible <= EXACT_ITEMS)
	{
		recall->vectors = RECALL_VECTORS_ELIGIBLE;
		read_some(recall, values, neligible, eligible);
	}
	else
	{
		recall->vectors = RECALL_VECTORS_NEAREST;
		read_sample(recall, values);
		/* as many that pass the filters, if these do not depend on the vector */
		read_nearest(recall, values, wanted_items(recall) * recall->ncandidates / neligible);
	}
	warn_of_misfits(recall, model);
	pfree(eligible);
}

void
memai_gather_similarities(Recall *recall, const char *model, int n, const int *positions)
{
	Datum		values[4] = {Int64GetDatum(recall->query->scope->scope), CStringGetTextDatum(model)};

	if (n > 0)
		read_some(recall, values, n, positions);
}
