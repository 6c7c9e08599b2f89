/*
 * document.c
 *	  Documents parsed by json-c: the only file that knows that library.
 *
 * json-c allocates with malloc, so a parsed document hangs on a reset callback
 * of the memory context that was current; an error on the way out frees it.
 */
#include "postgres.h"

#include <math.h>

#include <json-c/json.h>
#include <json-c/json_object_iterator.h>

#include "core/core.h"
#include "json/json.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

static void
release_document(void *arg)
{
	json_object_put((struct json_object *) arg);
}

/* room for a document as usual ones are: short strings, few empty values */
#define ROOM_OF_BYTE 16
#define ROOM_OF_DOCUMENT (64 * 1024)

/*
 * json-c does not survive an allocation of its own that fails, or leaves out what
 * it was for; so there is a look beforehand whether there is room.
 */
static void
check_room(size_t len)
{
	void	   *room = malloc(len * ROOM_OF_BYTE + ROOM_OF_DOCUMENT);

	if (room == NULL)
		memai_raise_out_of_memory();
	free(room);
}

/*
 * What JSON is, scan.c decides: json-c alone takes much that is not, and its
 * strict mode refuses every letter beyond ASCII in release 0.18.  Nothing in
 * here may raise an error once there is a tokener: it would leak.
 */
static struct json_object *
parse_document(const char *data, size_t len, const char **problem)
{
	struct json_tokener *tokener;
	struct json_object *json;
	MemaiJsonScan scan;
	char		first;

	memai_json_scan_start(&scan, data, len);
	first = memai_json_scan_peek(&scan);
	if (!memai_json_scan_skip(&scan) || !memai_json_scan_done(&scan))
	{
		*problem = scan.problem;
		return NULL;
	}
	if (first != '{' && first != '[')
	{
		*problem = "neither an object nor an array";
		return NULL;
	}

	check_room(len);
	/* to json-c a scalar is a level, too */
	tokener = json_tokener_new_ex(MEMAI_JSON_MAX_DEPTH + 1);
	if (tokener == NULL)
		memai_raise_out_of_memory();
	json = json_tokener_parse_ex(tokener, data, (int) len);
	if (json == NULL)
		*problem = json_tokener_error_desc(json_tokener_get_error(tokener));
	json_tokener_free(tokener);
	return json;
}

MemaiJson *
memai_json_parse(const char *data, size_t len, const char **problem)
{
	MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));
	struct json_object *json = NULL;

	*problem = "the text is too long";
	if (len <= MaxAllocSize)
		json = parse_document(data, len, problem);
	if (json == NULL)
	{
		pfree(callback);
		return NULL;
	}
	callback->func = release_document;
	callback->arg = json;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return json;
}

MemaiJson *
memai_json_parse_server(const char *text, const char **problem)
{
	char	   *utf8 = pg_server_to_any(text, (int) strlen(text), PG_UTF8);

	return memai_json_parse(utf8, strlen(utf8), problem);
}

bool
memai_json_is_object(MemaiJson *json)
{
	return json_object_is_type(json, json_type_object);
}

bool
memai_json_is_array(MemaiJson *json)
{
	return json_object_is_type(json, json_type_array);
}

MemaiJson *
memai_json_get(MemaiJson *json, const char *key)
{
	struct json_object *value;

	if (!memai_json_is_object(json) || !json_object_object_get_ex(json, key, &value))
		return NULL;
	return value;
}

int
memai_json_length(MemaiJson *json)
{
	return memai_json_is_array(json) ? (int) json_object_array_length(json) : 0;
}

MemaiJson *
memai_json_item(MemaiJson *json, int index)
{
	if (index < 0 || index >= memai_json_length(json))
		return NULL;
	return json_object_array_get_idx(json, index);
}

bool
memai_json_string(MemaiJson *json, const char **data, size_t *len)
{
	if (!json_object_is_type(json, json_type_string))
		return false;
	*data = json_object_get_string(json);
	*len = json_object_get_string_len(json);
	return true;
}

bool
memai_json_int(MemaiJson *json, int64 *value)
{
	double		number;

	if (json_object_is_type(json, json_type_int))
	{
		*value = json_object_get_int64(json);
		return true;
	}
	/* 2^53: beyond it a double no longer tells integers apart */
	if (!memai_json_number(json, &number) || number != floor(number) ||
		fabs(number) > 9007199254740992.0)
		return false;
	*value = (int64) number;
	return true;
}

bool
memai_json_number(MemaiJson *json, double *value)
{
	double		number;

	if (!json_object_is_type(json, json_type_double) &&
		!json_object_is_type(json, json_type_int))
		return false;
	number = json_object_get_double(json);
	if (!isfinite(number))
		return false;
	*value = number;
	return true;
}

bool
memai_json_bool(MemaiJson *json, bool *value)
{
	if (!json_object_is_type(json, json_type_boolean))
		return false;
	*value = json_object_get_boolean(json);
	return true;
}

char *
memai_json_text(MemaiJson *json)
{
	const char *data;
	size_t		len;

	if (!memai_json_string(json, &data, &len))
		return NULL;
	return memai_json_server_text(data, len);
}

char *
memai_json_serialize(MemaiJson *json)
{
	const char *text;

	if (json == NULL)
		return pstrdup("null");
	text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN |
										  JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text == NULL)
		memai_raise_out_of_memory();
	return pstrdup(text);
}

void
memai_json_each(MemaiJson *json, MemaiJsonVisitor visit, void *state)
{
	struct json_object_iterator at;
	struct json_object_iterator end;

	if (!memai_json_is_object(json))
		return;
	at = json_object_iter_begin(json);
	end = json_object_iter_end(json);
	while (!json_object_iter_equal(&at, &end) &&
		   visit(json_object_iter_peek_name(&at), json_object_iter_peek_value(&at), state))
		json_object_iter_next(&at);
}
