/*
 * filter.c
 *	  Filters on metadata: the jsonb object that recall and others take.
 *
 * {"topic": "travel"}                     metadata contains it
 * {"price": {"gte": 10, "lt": 20}}        comparisons with one member
 * {"or": [{...}, {...}], "not": {...}}    and, or, not
 *
 * The members of an object must all hold.  A member whose value is an object
 * of operators only is a comparison; any other value must be contained, as the
 * operator @> means it.  A filter is parsed once a query into a tree.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "memory/memory_int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#define MAX_DEPTH 32
#define MAX_NODES 1000

typedef enum FilterKind
{
	FILTER_AND,
	FILTER_OR,
	FILTER_NOT,
	FILTER_CONTAINS,
	FILTER_EQ,
	FILTER_NE,
	FILTER_IN,
	FILTER_GT,
	FILTER_GTE,
	FILTER_LT,
	FILTER_LTE,
	FILTER_EXISTS
} FilterKind;

typedef struct FilterNode
{
	FilterKind	kind;
	List	   *children;		/* of and, or, not */
	const char *key;			/* of a comparison */
	int			keylen;
	JsonbValue	value;			/* what it is compared with */
	Jsonb	   *contained;
} FilterNode;

typedef struct FilterParser
{
	int			depth;
	int			nnodes;
} FilterParser;

/* what is kept between the calls of one query */
typedef struct FilterCache
{
	Jsonb	   *filter;
	FilterNode *tree;
} FilterCache;

static const struct
{
	const char *name;
	FilterKind	kind;
}			operators[] = {
	{"eq", FILTER_EQ}, {"ne", FILTER_NE}, {"in", FILTER_IN}, {"gt", FILTER_GT}, {"gte", FILTER_GTE},
	{"lt", FILTER_LT}, {"lte", FILTER_LTE}, {"exists", FILTER_EXISTS},
};

PG_FUNCTION_INFO_V1(memai_metadata_matches);

static FilterNode *parse_object(FilterParser *parser, JsonbContainer *object);

/* ---- parsing ---- */

static bool
key_is(const JsonbValue *key, const char *name)
{
	return (size_t) key->val.string.len == strlen(name) && memcmp(key->val.string.val, name, strlen(name)) == 0;
}

static int
find_operator(const JsonbValue *key)
{
	for (int i = 0; i < (int) lengthof(operators); i++)
	{
		if (key_is(key, operators[i].name))
			return i;
	}
	return -1;
}

static FilterNode *
make_node(FilterParser *parser, FilterKind kind)
{
	FilterNode *node = palloc0(sizeof(FilterNode));

	if (++parser->nnodes > MAX_NODES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("filter has too many conditions"),
				 errdetail("The limit is %d.", MAX_NODES)));
	node->kind = kind;
	return node;
}

static void
raise_bad_operand(const char *name, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("filter operator \"%s\" needs %s", name, what),
			 errhint("Operators are eq, ne, in, gt, gte, lt, lte, exists beside a member's name, and and, or, not around conditions.")));
}

static JsonbContainer *
need_object(const char *name, const JsonbValue *value)
{
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		raise_bad_operand(name, "an object of conditions");
	return value->val.binary.data;
}

static void
parse_children(FilterParser *parser, FilterNode *node, const char *name, const JsonbValue *value)
{
	JsonbContainer *array = value->val.binary.data;
	int			n;

	if (value->type != jbvBinary || !JsonContainerIsArray(array))
		raise_bad_operand(name, "an array of objects");
	n = JsonContainerSize(array);
	for (int i = 0; i < n; i++)
		node->children = lappend(node->children,
								 parse_object(parser, need_object(name, getIthJsonbValueFromContainer(array, i))));
}

/* how many members of an object are operators; -1 of anything else */
static int
count_operators(const JsonbValue *value, int *nmembers)
{
	JsonbIterator *iterator;
	JsonbValue	key;
	JsonbValue	member;
	int			n = 0;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		return -1;
	*nmembers = JsonContainerSize(value->val.binary.data);
	iterator = JsonbIteratorInit(value->val.binary.data);
	(void) JsonbIteratorNext(&iterator, &key, true);
	while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&iterator, &member, true);
		n += find_operator(&key) >= 0;
	}
	return n;
}

static void
check_operand(FilterKind kind, const char *name, const JsonbValue *value)
{
	if (kind == FILTER_IN && (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data)))
		raise_bad_operand(name, "an array");
	if (kind == FILTER_EXISTS && value->type != jbvBool)
		raise_bad_operand(name, "true or false");
	if (kind >= FILTER_GT && kind <= FILTER_LTE && value->type != jbvNumeric && value->type != jbvString)
		raise_bad_operand(name, "a number or a string");
}

/* {"gte": 10, "lt": 20} of one member */
static void
parse_comparisons(FilterParser *parser, FilterNode *parent, const JsonbValue *key, const JsonbValue *value)
{
	JsonbIterator *iterator = JsonbIteratorInit(value->val.binary.data);
	JsonbValue	name;
	JsonbValue	operand;

	(void) JsonbIteratorNext(&iterator, &name, true);
	while (JsonbIteratorNext(&iterator, &name, true) == WJB_KEY)
	{
		int			operator = find_operator(&name);
		FilterNode *node;

		(void) JsonbIteratorNext(&iterator, &operand, true);
		if (operator < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unknown filter operator \"%.*s\"", Min(name.val.string.len, 40), name.val.string.val),
					 errhint("Operators are eq, ne, in, gt, gte, lt, lte and exists; use eq to compare with an object.")));
		check_operand(operators[operator].kind, operators[operator].name, &operand);
		node = make_node(parser, operators[operator].kind);
		node->key = key->val.string.val;
		node->keylen = key->val.string.len;
		node->value = operand;
		parent->children = lappend(parent->children, node);
	}
}

static FilterNode *
parse_contained(FilterParser *parser, JsonbValue *key, JsonbValue *value)
{
	FilterNode *node = make_node(parser, FILTER_CONTAINS);
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	pushJsonbValue(&state, WJB_KEY, key);
	pushJsonbValue(&state, WJB_VALUE, value);
	node->contained = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	return node;
}

static void
parse_member(FilterParser *parser, FilterNode *parent, JsonbValue *key, JsonbValue *value)
{
	FilterNode *node;
	int			nmembers = 0;

	if (key_is(key, "and") || key_is(key, "or"))
	{
		node = make_node(parser, key_is(key, "and") ? FILTER_AND : FILTER_OR);
		parse_children(parser, node, key_is(key, "and") ? "and" : "or", value);
	}
	else if (key_is(key, "not"))
	{
		node = make_node(parser, FILTER_NOT);
		node->children = list_make1(parse_object(parser, need_object("not", value)));
	}
	else if (count_operators(value, &nmembers) > 0)
	{
		parse_comparisons(parser, parent, key, value);
		return;
	}
	else
		node = parse_contained(parser, key, value);
	parent->children = lappend(parent->children, node);
}

static FilterNode *
parse_object(FilterParser *parser, JsonbContainer *object)
{
	FilterNode *node = make_node(parser, FILTER_AND);
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbValue	value;

	if (++parser->depth > MAX_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("filter is nested too deeply"),
				 errdetail("The limit is %d levels.", MAX_DEPTH)));
	(void) JsonbIteratorNext(&iterator, &key, true);
	while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&iterator, &value, true);
		parse_member(parser, node, &key, &value);
	}
	parser->depth--;
	return node;
}

static FilterNode *
parse_filter(Jsonb *filter)
{
	FilterParser parser = {0};

	if (!JB_ROOT_IS_OBJECT(filter))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("filter must be a JSON object"),
				 errhint("Write it like '{\"topic\": \"travel\"}'; items whose metadata contains it are found.")));
	return parse_object(&parser, &filter->root);
}

void
memai_check_filter(Jsonb *filter)
{
	if (filter != NULL)
		(void) parse_filter(filter);
}

/* ---- matching ---- */

static bool
values_equal(JsonbValue *a, JsonbValue *b)
{
	return compareJsonbContainers(&JsonbValueToJsonb(a)->root, &JsonbValueToJsonb(b)->root) == 0;
}

/* Compares two numbers or two strings (byte by byte); false when they are neither. */
static bool
compare_values(const JsonbValue *a, const JsonbValue *b, int *order)
{
	if (a->type == jbvNumeric && b->type == jbvNumeric)
	{
		*order = DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a->val.numeric),
												   NumericGetDatum(b->val.numeric)));
		return true;
	}
	if (a->type != jbvString || b->type != jbvString)
		return false;
	*order = memcmp(a->val.string.val, b->val.string.val, Min(a->val.string.len, b->val.string.len));
	if (*order == 0)
		*order = a->val.string.len - b->val.string.len;
	return true;
}

static bool
is_one_of(JsonbValue *value, JsonbContainer *array)
{
	int			n = JsonContainerSize(array);

	for (int i = 0; i < n; i++)
	{
		if (values_equal(value, getIthJsonbValueFromContainer(array, i)))
			return true;
	}
	return false;
}

static bool
comparison_holds(FilterNode *node, Jsonb *metadata)
{
	JsonbValue *member = getKeyJsonValueFromContainer(&metadata->root, node->key, node->keylen, NULL);
	int			order;

	if (node->kind == FILTER_EXISTS)
		return (member != NULL) == node->value.val.boolean;
	if (member == NULL)
		return node->kind == FILTER_NE;
	if (node->kind == FILTER_EQ || node->kind == FILTER_NE)
		return values_equal(member, &node->value) == (node->kind == FILTER_EQ);
	if (node->kind == FILTER_IN)
		return is_one_of(member, node->value.val.binary.data);
	if (!compare_values(member, &node->value, &order))
		return false;
	switch (node->kind)
	{
		case FILTER_GT:
			return order > 0;
		case FILTER_GTE:
			return order >= 0;
		case FILTER_LT:
			return order < 0;
		default:
			return order <= 0;
	}
}

static bool
filter_holds(FilterNode *node, Jsonb *metadata)
{
	ListCell   *cell;

	switch (node->kind)
	{
		case FILTER_AND:
		case FILTER_OR:
			foreach(cell, node->children)
			{
				if (filter_holds(lfirst(cell), metadata) != (node->kind == FILTER_AND))
					return node->kind == FILTER_OR;
			}
			return node->kind == FILTER_AND;
		case FILTER_NOT:
			return !filter_holds(linitial(node->children), metadata);
		case FILTER_CONTAINS:
			return DatumGetBool(DirectFunctionCall2(jsonb_contains, JsonbPGetDatum(metadata),
													JsonbPGetDatum(node->contained)));
		default:
			return comparison_holds(node, metadata);
	}
}

static FilterNode *
cached_filter(FunctionCallInfo fcinfo, Jsonb *filter)
{
	FilterCache *cache = fcinfo->flinfo->fn_extra;
	MemoryContext previous;

	if (cache != NULL && VARSIZE(cache->filter) == VARSIZE(filter) &&
		memcmp(cache->filter, filter, VARSIZE(filter)) == 0)
		return cache->tree;
	previous = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	cache = palloc(sizeof(FilterCache));
	cache->filter = palloc(VARSIZE(filter));
	memcpy(cache->filter, filter, VARSIZE(filter));
	cache->tree = parse_filter(cache->filter);
	fcinfo->flinfo->fn_extra = cache;
	MemoryContextSwitchTo(previous);
	return cache->tree;
}

/* _metadata_matches(metadata jsonb, filter jsonb) returns boolean: immutable, strict */
Datum
memai_metadata_matches(PG_FUNCTION_ARGS)
{
	Jsonb	   *metadata = PG_GETARG_JSONB_P(0);
	FilterNode *tree = cached_filter(fcinfo, PG_GETARG_JSONB_P(1));

	CHECK_FOR_INTERRUPTS();
	PG_RETURN_BOOL(JB_ROOT_IS_OBJECT(metadata) && filter_holds(tree, metadata));
}
