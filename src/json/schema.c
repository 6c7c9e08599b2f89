/*
 * schema.c
 *	  Does a document keep to a JSON schema?  The part of JSON Schema (draft
 *	  2020-12) that model providers accept for structured answers.
 *
 * Checked: type, enum, const, properties, required, additionalProperties, items,
 * minItems, maxItems, minLength, maxLength, minimum, maximum,
 * exclusiveMinimum, exclusiveMaximum, multipleOf, anyOf, oneOf, allOf, and $ref to the
 * schema itself or its $defs or definitions.  Anything else (pattern, format,
 * if, ...) is not looked at.  The work is bounded by a number of steps, because
 * references and alternatives can multiply.
 */
#include "postgres.h"

#include <math.h>

#include "json/json.h"
#include "miscadmin.h"

#define MAX_STEPS 200000
#define MAX_NESTING 200

typedef struct Check
{
	MemaiJson  *root;			/* the whole schema, which references start at */
	int			steps;
	int			nesting;
	bool		exhausted;
	StringInfoData path;		/* of the value under check */
	char	   *problem;		/* the first one, NULL for none */
} Check;

static bool follows(Check *check, MemaiJson *schema, MemaiJson *value);

static bool
fail(Check *check, const char *problem)
{
	if (check->problem == NULL)
		check->problem = psprintf("%s %s", check->path.len > 0 ? check->path.data : "the answer", problem);
	return false;
}

static bool
is_string(MemaiJson *json)
{
	const char *data;
	size_t		len;

	return memai_json_string(json, &data, &len);
}

static bool
is_number(MemaiJson *json)
{
	double		number;

	return memai_json_number(json, &number);
}

static bool
has_type(MemaiJson *value, const char *type)
{
	double		number;
	bool		boolean;

	if (strcmp(type, "null") == 0)
		return value == NULL;
	if (strcmp(type, "object") == 0)
		return memai_json_is_object(value);
	if (strcmp(type, "array") == 0)
		return memai_json_is_array(value);
	if (strcmp(type, "string") == 0)
		return is_string(value);
	if (strcmp(type, "boolean") == 0)
		return memai_json_bool(value, &boolean);
	if (strcmp(type, "number") == 0)
		return is_number(value);
	if (strcmp(type, "integer") == 0)
		return memai_json_number(value, &number) && number == floor(number);
	return true;
}

static bool
check_type(Check *check, MemaiJson *type, MemaiJson *value)
{
	if (type == NULL)
		return true;
	if (is_string(type))
		return has_type(value, memai_json_text(type)) ||
			fail(check, psprintf("is not of type %s", memai_json_text(type)));
	for (int i = 0; i < memai_json_length(type); i++)
		if (is_string(memai_json_item(type, i)) && has_type(value, memai_json_text(memai_json_item(type, i))))
			return true;
	return fail(check, psprintf("is of none of the types %s", memai_json_serialize(type)));
}

static bool
equal(MemaiJson *a, MemaiJson *b)
{
	double		x;
	double		y;

	if (memai_json_number(a, &x) && memai_json_number(b, &y))
		return x == y;
	return strcmp(memai_json_serialize(a), memai_json_serialize(b)) == 0;
}

static bool
check_choice(Check *check, MemaiJson *choices, MemaiJson *value)
{
	if (choices == NULL)
		return true;
	for (int i = 0; i < memai_json_length(choices); i++)
		if (equal(memai_json_item(choices, i), value))
			return true;
	return fail(check, psprintf("is none of %s", memai_json_serialize(choices)));
}

/* a bound of the schema against a number of the value's */
static bool
check_bound(Check *check, MemaiJson *schema, const char *key, double number, bool upper, bool exclusive,
			const char *what)
{
	double		bound;
	bool		kept;

	if (!memai_json_number(memai_json_get(schema, key), &bound))
		return true;
	kept = upper ? (exclusive ? number < bound : number <= bound)
		: (exclusive ? number > bound : number >= bound);
	return kept || fail(check, psprintf("has %s %g, and %s is %g", what, number, key, bound));
}

static bool
check_number(Check *check, MemaiJson *schema, MemaiJson *value)
{
	double		number;
	double		multiple;

	if (!memai_json_number(value, &number))
		return true;
	if (memai_json_number(memai_json_get(schema, "multipleOf"), &multiple) && multiple > 0 &&
		fabs(remainder(number, multiple)) > 1e-9 * fmax(1, fabs(number)))
		return fail(check, psprintf("is no multiple of %g", multiple));
	return check_bound(check, schema, "minimum", number, false, false, "the value") &&
		check_bound(check, schema, "maximum", number, true, false, "the value") &&
		check_bound(check, schema, "exclusiveMinimum", number, false, true, "the value") &&
		check_bound(check, schema, "exclusiveMaximum", number, true, true, "the value");
}

static bool
check_string(Check *check, MemaiJson *schema, MemaiJson *value)
{
	const char *data;
	size_t		len;
	double		chars = 0;

	if (!memai_json_string(value, &data, &len))
		return true;
	for (size_t i = 0; i < len; i++)
		chars += (data[i] & 0xC0) != 0x80;
	return check_bound(check, schema, "minLength", chars, false, false, "the length") &&
		check_bound(check, schema, "maxLength", chars, true, false, "the length");
}

/* follows with the path one step longer */
static bool
follows_below(Check *check, MemaiJson *schema, MemaiJson *value, const char *step)
{
	int			len = check->path.len;
	bool		result;

	appendStringInfoString(&check->path, step);
	result = follows(check, schema, value);
	check->path.len = len;
	check->path.data[len] = '\0';
	return result;
}

static bool
check_array(Check *check, MemaiJson *schema, MemaiJson *value)
{
	MemaiJson  *items = memai_json_get(schema, "items");
	int			n = memai_json_length(value);

	if (!memai_json_is_array(value))
		return true;
	if (!check_bound(check, schema, "minItems", n, false, false, "the length") ||
		!check_bound(check, schema, "maxItems", n, true, false, "the length"))
		return false;
	for (int i = 0; i < n && memai_json_is_object(items); i++)
		if (!follows_below(check, items, memai_json_item(value, i), psprintf("[%d]", i)))
			return false;
	return true;
}

typedef struct MemberCheck
{
	Check	   *check;
	MemaiJson  *properties;
	MemaiJson  *others;			/* additionalProperties */
	bool		kept;
} MemberCheck;

static bool
check_member(const char *key, MemaiJson *value, void *state)
{
	MemberCheck *member = state;
	MemaiJson  *schema = memai_json_get(member->properties, key);
	char	   *step = psprintf("%s%s", member->check->path.len > 0 ? "." : "", key);
	bool		allowed;

	if (schema != NULL)
		member->kept = follows_below(member->check, schema, value, step);
	else if (memai_json_is_object(member->others))
		member->kept = follows_below(member->check, member->others, value, step);
	else if (memai_json_bool(member->others, &allowed) && !allowed)
		member->kept = fail(member->check, psprintf("has a member \"%s\" that the schema does not name", key));
	return member->kept;
}

/* a member that is there with the value null counts as there */
static bool
is_named(const char *key, MemaiJson *value, void *state)
{
	const char **wanted = state;

	if (*wanted != NULL && strcmp(key, *wanted) == 0)
		*wanted = NULL;
	return *wanted != NULL;
}

static bool
check_object(Check *check, MemaiJson *schema, MemaiJson *value)
{
	MemaiJson  *required = memai_json_get(schema, "required");
	MemberCheck member = {check, memai_json_get(schema, "properties"),
	memai_json_get(schema, "additionalProperties"), true};

	if (!memai_json_is_object(value))
		return true;
	for (int i = 0; i < memai_json_length(required); i++)
	{
		const char *key = memai_json_text(memai_json_item(required, i));
		const char *wanted = key;

		if (key == NULL)
			continue;
		memai_json_each(value, is_named, &wanted);
		if (wanted != NULL)
			return fail(check, psprintf("lacks the member \"%s\"", key));
	}
	memai_json_each(value, check_member, &member);
	return member.kept;
}

/* how many schemas of a list the value follows; their problems are no problems */
static int
count_followed(Check *check, MemaiJson *list, MemaiJson *value)
{
	char	   *problem = check->problem;
	int			n = 0;

	for (int i = 0; i < memai_json_length(list); i++)
	{
		check->problem = NULL;
		n += follows(check, memai_json_item(list, i), value);
	}
	check->problem = problem;
	return n;
}

static bool
check_alternatives(Check *check, MemaiJson *schema, MemaiJson *value)
{
	MemaiJson  *all = memai_json_get(schema, "allOf");
	MemaiJson  *any = memai_json_get(schema, "anyOf");
	MemaiJson  *one = memai_json_get(schema, "oneOf");

	for (int i = 0; i < memai_json_length(all); i++)
		if (!follows(check, memai_json_item(all, i), value))
			return false;
	if (any != NULL && count_followed(check, any, value) == 0)
		return fail(check, "follows none of the schemas of anyOf");
	if (one != NULL && count_followed(check, one, value) != 1)
		return fail(check, "does not follow exactly one of the schemas of oneOf");
	return true;
}

/* the schema that a reference names; NULL for one that is not followed */
static MemaiJson *
resolve(Check *check, const char *reference)
{
	static const char *const places[] = {"$defs", "definitions"};

	if (strcmp(reference, "#") == 0)
		return check->root;
	for (int i = 0; i < (int) lengthof(places); i++)
	{
		char	   *prefix = psprintf("#/%s/", places[i]);

		if (strncmp(reference, prefix, strlen(prefix)) == 0)
			return memai_json_get(memai_json_get(check->root, places[i]), reference + strlen(prefix));
	}
	return NULL;
}

static bool
follows_itself(Check *check, MemaiJson *schema, MemaiJson *value)
{
	MemaiJson  *reference = memai_json_get(schema, "$ref");
	MemaiJson  *constant = memai_json_get(schema, "const");

	if (is_string(reference))
	{
		MemaiJson  *named = resolve(check, memai_json_text(reference));

		if (named == NULL)
			return fail(check, psprintf("cannot be checked: the schema has no %s", memai_json_text(reference)));
		if (!follows(check, named, value))
			return false;
	}
	if (constant != NULL && !equal(constant, value))
		return fail(check, psprintf("is not %s", memai_json_serialize(constant)));
	return check_type(check, memai_json_get(schema, "type"), value) &&
		check_choice(check, memai_json_get(schema, "enum"), value) &&
		check_number(check, schema, value) && check_string(check, schema, value) &&
		check_array(check, schema, value) && check_object(check, schema, value) &&
		check_alternatives(check, schema, value);
}

static bool
follows(Check *check, MemaiJson *schema, MemaiJson *value)
{
	bool		allowed;
	bool		result;

	CHECK_FOR_INTERRUPTS();
	if (check->exhausted || check->steps++ > MAX_STEPS || check->nesting >= MAX_NESTING)
	{
		check->exhausted = true;
		return false;
	}
	/* true and false are schemas that everything, or nothing, follows */
	if (memai_json_bool(schema, &allowed))
		return allowed || fail(check, "is not allowed");
	check->nesting++;
	result = follows_itself(check, schema, value);
	check->nesting--;
	return result;
}

char *
memai_json_schema_problem(MemaiJson *schema, MemaiJson *value)
{
	Check		check = {.root = schema};
	bool		kept;

	initStringInfo(&check.path);
	kept = follows(&check, schema, value);
	/* whatever alternatives made of that: it is no verdict */
	if (check.exhausted)
		return pstrdup("the answer cannot be checked: the schema refers to itself without end");
	return kept ? NULL : check.problem;
}
