/*
 * url.c
 *	  URLs, parsed once by libcurl and handed to it in parsed form, so that no
 *	  second parser can disagree about where a request goes.
 */
#include "postgres.h"

#include <ctype.h>
#include <curl/curl.h>

#include "http/http.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

static void
release_url(void *arg)
{
	curl_url_cleanup((CURLU *) arg);
}

/* text is what the administrator typed; a URL is no secret */
static void
refuse_url(const char *text, const char *reason)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("URL is not accepted"),
			 errdetail("The URL %s.", reason),
			 errhint("Write it as https://host[:port]/path, without user name, query and fragment.")));
}

static void
check_bytes(const char *text)
{
	size_t		len = strlen(text);

	if (len == 0)
		refuse_url(text, "is empty");
	if (len > MEMAI_HTTP_URL_MAX_LENGTH)
		refuse_url(text, "is longer than 2048 bytes");
	for (const char *p = text; *p; p++)
		if (*p <= 0x20 || *p >= 0x7f || *p == '\\')
			refuse_url(text, "holds a space, a backslash or a byte that is not printable ASCII");
}

/* nothing is wrong with a URL when libcurl lacks memory for it */
static CURLUcode
memory_checked(CURLUcode code)
{
	if (code == CURLUE_OUT_OF_MEMORY)
		memai_raise_out_of_memory();
	return code;
}

/* a part as libcurl reads it, copied to the current context; NULL when absent */
static char *
url_part(CURLU *handle, CURLUPart part, unsigned int flags)
{
	char	   *value;
	char	   *copy;

	if (memory_checked(curl_url_get(handle, part, &value, flags)) != CURLUE_OK)
		return NULL;
	copy = MemoryContextAllocExtended(CurrentMemoryContext, strlen(value) + 1, MCXT_ALLOC_NO_OOM);
	if (copy != NULL)
		strcpy(copy, value);
	curl_free(value);
	if (copy == NULL)
		memai_raise_out_of_memory();
	return copy;
}

/*
 * The host must stand in the text as libcurl understood it.  That rules out
 * numbers such as 0x7f000001, percent-encoding and other spellings that let a
 * URL look like one host and go to another.
 */
static void
check_host(const char *text, const char *host)
{
	const char *written = strstr(text, "://");
	size_t		len = strlen(host);

	if (written == NULL || pg_strncasecmp(written + 3, host, len) != 0 ||
		strchr(":/?", written[3 + len]) == NULL)
		refuse_url(text, "does not write its host in the plain form");
	if (host[len - 1] == '.' || strchr(host, '%') != NULL)
		refuse_url(text, "does not write its host in the plain form");
}

static void
check_path(const char *text, const char *path)
{
	static const char *const encoded[] = {"%2e", "%2f", "%5c", "%00"};

	for (const char *p = strchr(path, '%'); p != NULL; p = strchr(p + 1, '%'))
		for (int i = 0; i < (int) lengthof(encoded); i++)
			if (pg_strncasecmp(p, encoded[i], 3) == 0)
				refuse_url(text, "percent-encodes a dot, a slash or a zero byte");
}

/*
 * Hexadecimal digits of an encoded byte in lower case, as libcurl writes them
 * when a path is set and not when it is read: otherwise a prefix would not cover
 * what lies below it.
 */
static void
lower_encoded(char *path)
{
	for (char *p = strchr(path, '%'); p != NULL; p = strchr(p + 1, '%'))
		for (int i = 1; i <= 2 && p[i] != '\0'; i++)
			if (isxdigit((unsigned char) p[i]))
				p[i] = pg_ascii_tolower((unsigned char) p[i]);
}

static CURLU *
new_handle(void)
{
	MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));
	CURLU	   *handle = curl_url();

	if (handle == NULL)
		memai_raise_out_of_memory();
	callback->func = release_url;
	callback->arg = handle;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return handle;
}

static void
append_path(CURLU *handle, const char *text, const char *path)
{
	char	   *base = url_part(handle, CURLUPART_PATH, 0);
	size_t		len = base ? strlen(base) : 0;

	while (len > 0 && base[len - 1] == '/')
		len--;
	if (memory_checked(curl_url_set(handle, CURLUPART_PATH,
					 psprintf("%.*s%s", (int) len, base ? base : "", path), 0)) != CURLUE_OK)
		refuse_url(text, "cannot be extended by the path of the call");
}

static void
read_parts(MemaiHttpUrl *url, const char *text)
{
	char	   *host = url_part(url->handle, CURLUPART_HOST, 0);
	char	   *port = url_part(url->handle, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	char	   *path = url_part(url->handle, CURLUPART_PATH, 0);
	size_t		len;

	url->scheme = url_part(url->handle, CURLUPART_SCHEME, 0);
	url->path = path;
	url->text = url_part(url->handle, CURLUPART_URL, 0);
	if (url->scheme == NULL || host == NULL || host[0] == '\0' || port == NULL ||
		url->path == NULL || url->text == NULL)
		refuse_url(text, "is not complete");
	if (strcmp(url->scheme, "http") != 0 && strcmp(url->scheme, "https") != 0)
		refuse_url(text, "is neither http nor https");
	check_host(text, host);
	check_path(text, path);
	lower_encoded(path);

	len = strlen(host);
	if (host[0] == '[')
	{
		host[len - 1] = '\0';
		host++;
	}
	for (char *p = host; *p; p++)
		*p = pg_ascii_tolower((unsigned char) *p);
	url->host = host;
	url->port = pg_strtoint32(port);
}

MemaiHttpUrl *
memai_http_url_parse(const char *base, const char *path, const char *query)
{
	MemaiHttpUrl *url = palloc0(sizeof(MemaiHttpUrl));

	check_bytes(base);
	url->handle = new_handle();
	if (memory_checked(curl_url_set(url->handle, CURLUPART_URL, base, CURLU_NON_SUPPORT_SCHEME)) != CURLUE_OK)
		refuse_url(base, "cannot be parsed");
	if (url_part(url->handle, CURLUPART_USER, 0) != NULL ||
		url_part(url->handle, CURLUPART_PASSWORD, 0) != NULL)
		refuse_url(base, "holds a user name or password");
	if (strchr(base, '#') != NULL)
		refuse_url(base, "holds a fragment");
	if (strchr(base, '?') != NULL)
		refuse_url(base, "holds a query");
	if (strchr(base, '@') != NULL)
		refuse_url(base, "holds an at sign");
	if (path != NULL)
		append_path(url->handle, base, path);
	if (query != NULL && memory_checked(curl_url_set(url->handle, CURLUPART_QUERY, query, 0)) != CURLUE_OK)
		refuse_url(base, "cannot be extended by the query of the call");
	read_parts(url, base);
	return url;
}

bool
memai_http_url_covers(const MemaiHttpUrl *prefix, const MemaiHttpUrl *url)
{
	size_t		len = strlen(prefix->path);

	if (strcmp(prefix->scheme, url->scheme) != 0 || strcmp(prefix->host, url->host) != 0 ||
		prefix->port != url->port)
		return false;
	while (len > 0 && prefix->path[len - 1] == '/')
		len--;
	if (strncmp(prefix->path, url->path, len) != 0)
		return false;
	return url->path[len] == '\0' || url->path[len] == '/';
}

char *
memai_http_escape(const char *text)
{
	StringInfoData out;

	initStringInfo(&out);
	for (const unsigned char *p = (const unsigned char *) text; *p; p++)
	{
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			(*p >= '0' && *p <= '9') || strchr("-._~", *p) != NULL)
			appendStringInfoChar(&out, (char) *p);
		else
			appendStringInfo(&out, "%%%02X", *p);
	}
	return out.data;
}
