/*
 * json.h
 *	  JSON that comes from outside: a document reader that never crashes on
 *	  the wrong type, a scanner for bodies too large for a document tree, a
 *	  parser of number arrays straight to float, and a writer of strings.
 *	  json-c stays behind this header.
 */
#ifndef MEMAI_JSON_H
#define MEMAI_JSON_H

#include "lib/stringinfo.h"

/* deepest nesting that is read; providers use less than ten levels */
#define MEMAI_JSON_MAX_DEPTH 60

/* ---- document.c: a parsed document ---- */

typedef struct json_object MemaiJson;

/*
 * Parses len bytes of UTF-8 that must hold one object or array and nothing
 * after it but white space.  Returns NULL with *problem set (a static string)
 * when they do not.  The document is freed with the current memory context.
 */
extern MemaiJson *memai_json_parse(const char *data, size_t len, const char **problem);

/* The same for NUL-terminated text of the server. */
extern MemaiJson *memai_json_parse_server(const char *text, const char **problem);

/*
 * A member of an object.  NULL when json is NULL, no object, or the member is
 * missing or null; so that paths can be chained without a check at each step.
 */
extern MemaiJson *memai_json_get(MemaiJson *json, const char *key);

/* The number of elements of an array; 0 when json is no array. */
extern int	memai_json_length(MemaiJson *json);

/* An element of an array; NULL when there is none, or it is null. */
extern MemaiJson *memai_json_item(MemaiJson *json, int index);

extern bool memai_json_is_object(MemaiJson *json);
extern bool memai_json_is_array(MemaiJson *json);

/*
 * Typed reads: false, leaving the output alone, unless json is of that type.
 * A string may hold NUL bytes and lives as long as the document.  An integer
 * is also read from a number without a fraction such as 3.0.
 */
extern bool memai_json_string(MemaiJson *json, const char **data, size_t *len);
extern bool memai_json_int(MemaiJson *json, int64 *value);
extern bool memai_json_number(MemaiJson *json, double *value);
extern bool memai_json_bool(MemaiJson *json, bool *value);

/*
 * A string as text of the server, palloc'd; NULL unless json is a string.
 * As memai_json_server_text.
 */
extern char *memai_json_text(MemaiJson *json);

/* json written as JSON, UTF-8, palloc'd; "null" for NULL. */
extern char *memai_json_serialize(MemaiJson *json);

/*
 * Calls visit for each member of an object in order; stops at false.  Nothing
 * happens when json is no object.
 */
typedef bool (*MemaiJsonVisitor) (const char *key, MemaiJson *value, void *state);
extern void memai_json_each(MemaiJson *json, MemaiJsonVisitor visit, void *state);

/* ---- schema.c ---- */

/*
 * What keeps value from following a JSON schema, as a clause with the path of
 * the value at fault; NULL when it follows.  Palloc'd.  What is checked of a
 * schema: see the file.  Interruptible; the work is bounded.
 */
extern char *memai_json_schema_problem(MemaiJson *schema, MemaiJson *value);

/* ---- write.c ---- */

/*
 * Appends text of the server as a JSON string in UTF-8, quotes included.  Any
 * bytes give valid JSON: what is not a character becomes U+FFFD.
 */
extern void memai_json_write_string(StringInfo out, const char *data, size_t len);

/* The same for bytes that are UTF-8 already, whatever the server's encoding. */
extern void memai_json_write_utf8_string(StringInfo out, const char *data, size_t len);

/* Appends a finite number in a form that reads back the same. */
extern void memai_json_write_number(StringInfo out, double value);

/*
 * UTF-8 from outside as text of the server: palloc'd, NUL-terminated, valid.
 * NUL bytes and broken sequences become U+FFFD.  Raises 22P05 when the
 * server's encoding lacks a character.
 */
extern char *memai_json_server_text(const char *data, size_t len);

/* ---- utf8.c: pure ---- */

/*
 * Length of the valid UTF-8 character at data (surrogates and overlong forms
 * are not valid), 0 when there is none.  len is what is left, at least 1.
 */
extern int	memai_utf8_char_length(const unsigned char *data, size_t len);

/* ---- scan.c: pure.  A cursor over JSON text, strict, without memory ---- */

typedef struct MemaiJsonScan
{
	const char *at;
	const char *end;
	const char *problem;		/* NULL as long as the text is JSON */
} MemaiJsonScan;

extern void memai_json_scan_start(MemaiJsonScan *scan, const char *data, size_t len);

/* The character that the next value starts with; 0 at the end or after a problem. */
extern char memai_json_scan_peek(MemaiJsonScan *scan);

/*
 * Enters an array or object; false with a problem when the next value is none.
 * Then call memai_json_scan_item or _member until it returns false, and read
 * or skip one value after each true.  *first starts true.
 */
extern bool memai_json_scan_enter(MemaiJsonScan *scan, char bracket);
extern bool memai_json_scan_item(MemaiJsonScan *scan, bool *first);
extern bool memai_json_scan_member(MemaiJsonScan *scan, bool *first,
								   const char **key, size_t *key_len);

/* Reads a string and returns the bytes between its quotes, escapes untouched. */
extern bool memai_json_scan_string(MemaiJsonScan *scan, const char **data, size_t *len);

/* Reads an integer that fits int64. */
extern bool memai_json_scan_int(MemaiJsonScan *scan, int64 *value);

/* Reads any value and forgets it. */
extern bool memai_json_scan_skip(MemaiJsonScan *scan);

/* True when nothing but white space is left. */
extern bool memai_json_scan_done(MemaiJsonScan *scan);

/* ---- floats.c: pure ---- */

/*
 * Reads an array of numbers into out, which has room for max.  Returns how
 * many there were, or -1 with scan->problem and the index of the element at
 * fault in *bad (also when there are more than max).  Each number is rounded
 * correctly to float; one too small for a float becomes 0, one too large, a
 * null and anything but a number is a problem.
 */
extern int	memai_json_scan_floats(MemaiJsonScan *scan, float *out, int max, int *bad);

/*
 * Reads base64 of little-endian 32-bit floats, which is how providers send
 * embeddings in compact form.  As memai_json_scan_floats; NULL on success.
 */
extern const char *memai_base64_floats(const char *data, size_t len, float *out, int max,
									   int *count, int *bad);

/*
 * Decodes base64 with its padding into out, which has room for 3/4 of len and may
 * be data.  Returns the number of bytes, -1 when it is none.
 */
extern int64 memai_base64_bytes(const char *data, size_t len, char *out);

#endif							/* MEMAI_JSON_H */
