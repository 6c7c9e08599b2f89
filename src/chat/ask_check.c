/*
 * ask_check.c
 *	  What a query that a model wrote may contain.
 *
 * Looked at twice: as the raw parser leaves it, where it must be one SELECT with
 * nothing in it that writes or locks, and as parse analysis leaves it, where
 * every table must be one of those that the model was told of and every function
 * one that only computes.  Views and row-level security are applied later and may
 * contain what they like: their owners wrote them.
 *
 * This comes before and not instead of what holds anyhow: the query runs in a
 * read-only transaction with the caller's rights (query.c).  It is here for what
 * those allow: sleeping, reading files and settings, waking or ending other
 * sessions, calling out, sequences, and queries that travel as strings.
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "chat/ask.h"
#include "chat/query.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

#define MAX_LENGTH 50000		/* bytes of a query */

/* functions of pg_catalog that only compute though their names say otherwise */
static const char *const harmless[] = {"pg_typeof", "pg_size_pretty"};

/* stable functions of pg_catalog that read what their arguments name or the server set, or take a transaction id */
static const char *const reading_by_name[] = {
	"current_setting", "txid_current",
	"table_to_xml", "table_to_xmlschema", "table_to_xml_and_xmlschema",
	"schema_to_xml", "schema_to_xmlschema", "schema_to_xml_and_xmlschema",
	"database_to_xml", "database_to_xmlschema", "database_to_xml_and_xmlschema",
};

/* ---- as the raw parser leaves it ---- */

static bool
check_raw_node(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_SelectStmt:
			if (((SelectStmt *) node)->intoClause != NULL)
				memai_query_refuse("has an INTO clause");
			if (((SelectStmt *) node)->lockingClause != NIL)
				memai_query_refuse("locks rows");
			break;
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			memai_query_refuse("changes data");
			break;
		case T_ParamRef:
			memai_query_refuse("has a parameter");
			break;
		default:
			break;
	}
	return raw_expression_tree_walker(node, check_raw_node, context);
}

static RawStmt *
parse(const char *sql)
{
	List	   *statements;
	RawStmt    *statement;

	if (strlen(sql) > MAX_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the query is too long"),
				 errdetail("The limit is %d bytes.", MAX_LENGTH)));
	statements = raw_parser(sql, RAW_PARSE_DEFAULT);
	if (list_length(statements) != 1)
		memai_query_refuse("is not one statement");
	statement = linitial_node(RawStmt, statements);
	if (!IsA(statement->stmt, SelectStmt))
		memai_query_refuse("is no SELECT");
	(void) check_raw_node(statement->stmt, NULL);
	return statement;
}

/* ---- as parse analysis leaves it ---- */

static bool
is_among(const char *name, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void
refuse_function(Oid function, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("the query calls function %s", format_procedure(function)),
			 errdetail("%s", problem),
			 errhint("Use functions that only compute; the time is now().")));
}

/* whether the caller allowed a volatile function: by its name, with its schema unless that is pg_catalog */
static bool
is_allowed(const AskRules *rules, const char *schema, const char *name)
{
	char	   *qualified = psprintf("%s.%s", schema, name);
	ListCell   *cell;

	foreach(cell, rules->functions)
	{
		const char *allowed = lfirst(cell);

		if (strcmp(allowed, qualified) == 0 ||
			(strcmp(schema, "pg_catalog") == 0 && strcmp(allowed, name) == 0))
			return true;
	}
	return false;
}

/* for check_functions_in_node: raises, or lets it go on */
static bool
check_function(Oid function, void *context)
{
	Oid			namespace = get_func_namespace(function);
	char	   *name = get_func_name(function);
	char	   *schema = OidIsValid(namespace) ? get_namespace_name(namespace) : NULL;

	if (name == NULL || schema == NULL)
		elog(ERROR, "cache lookup failed for function %u", function);
	if (is_allowed(context, schema, name))
		return false;
	if (strcmp(schema, "memai") == 0 && func_volatile(function) != PROVOLATILE_IMMUTABLE)
		refuse_function(function, "It is one of memai's own.");
	if (namespace == PG_CATALOG_NAMESPACE &&
		((strncmp(name, "pg_", 3) == 0 && !is_among(name, harmless, lengthof(harmless))) ||
		 is_among(name, reading_by_name, lengthof(reading_by_name))))
		refuse_function(function, "It looks into the server.");
	/* crosstab and its like run a query that they are given as a string, and call themselves stable */
	if (func_volatile(function) == PROVOLATILE_STABLE && get_func_retset(function) &&
		OidIsValid(getExtensionOfObject(ProcedureRelationId, function)))
		refuse_function(function, "It is an extension's and may read other tables.");
	if (func_volatile(function) == PROVOLATILE_VOLATILE)
		refuse_function(function, "It is volatile: it may do more than compute.");
	return false;
}

static void
check_table(const RangeTblEntry *entry, const AskRules *rules)
{
	for (int i = 0; i < rules->schema->ntables; i++)
		if (rules->schema->tables[i] == entry->relid)
			return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("the query reads table \"%s\", which it was not offered", get_rel_name(entry->relid)),
			 errhint("Use the tables that are described.")));
}

static bool
check_node(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		if (((RangeTblEntry *) node)->rtekind == RTE_RELATION)
			check_table((RangeTblEntry *) node, context);
		/* the walk over the range table goes on by itself */
		return false;
	}
	(void) check_functions_in_node(node, check_function, context);
	if (IsA(node, Query))
	{
		CHECK_FOR_INTERRUPTS();
		return query_tree_walker((Query *) node, check_node, context, QTW_EXAMINE_RTES_BEFORE);
	}
	return expression_tree_walker(node, check_node, context);
}

void
memai_ask_check(const char *sql, void *arg)
{
	RawStmt    *statement = parse(sql);
	Query	   *query = parse_analyze_fixedparams(statement, sql, NULL, 0, NULL);

	if (query->commandType != CMD_SELECT || query->hasModifyingCTE || query->rowMarks != NIL)
		memai_query_refuse("is no SELECT that only reads");
	(void) check_node((Node *) query, arg);
}
