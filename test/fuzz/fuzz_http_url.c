/*
 * fuzz_http_url.c
 *	  Any text as a URL (AU9): what is accepted is http or https, names one host
 *	  in plain form that the text begins with, means the same when it is read
 *	  again, and is covered by itself and by nothing that names another host.
 */
/* sources: src/http/url.c src/core/raise.c */
/* libraries: -lcurl */
/* seconds: 30 */
#include "postgres.h"

#include "http/http.h"
#include "server.h"

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

static void
require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

static void
check_same(const MemaiHttpUrl *a, const MemaiHttpUrl *b)
{
	require(strcmp(a->text, b->text) == 0 && strcmp(a->scheme, b->scheme) == 0 &&
			strcmp(a->host, b->host) == 0 && a->port == b->port && strcmp(a->path, b->path) == 0);
}

static void
parse(void *arg)
{
	const char *text = arg;
	MemaiHttpUrl *url = memai_http_url_parse(text, NULL, NULL);
	MemaiHttpUrl *below = memai_http_url_parse(text, "/call", "a=b");
	MemaiHttpUrl *other = memai_http_url_parse("https://other.example/", NULL, NULL);
	const char *host = strstr(text, "://");

	require(strcmp(url->scheme, "http") == 0 || strcmp(url->scheme, "https") == 0);
	require(url->host[0] != '\0' && url->port >= 0 && url->port <= 65535 && url->path[0] == '/');
	for (const char *p = url->text; *p; p++)
		require(*p > ' ' && *p < 0x7f && *p != '@' && *p != '#' && *p != '\\');
	for (const char *p = url->host; *p; p++)
		require(strchr("/?#@%\\", *p) == NULL && !(*p >= 'A' && *p <= 'Z'));
	require(host != NULL && pg_strncasecmp(host[3] == '[' ? host + 4 : host + 3, url->host, strlen(url->host)) == 0);
	require(strstr(url->path, "/../") == NULL);

	check_same(memai_http_url_parse(url->text, NULL, NULL), url);
	require(memai_http_url_covers(url, url) && memai_http_url_covers(url, below));
	require(strcmp(url->host, other->host) == 0 || !memai_http_url_covers(other, url));
	require(strcmp(url->host, other->host) == 0 || !memai_http_url_covers(url, other));
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	char	   *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	if (!fuzz_run(parse, text))
		require(fuzz_sqlstate == ERRCODE_INVALID_PARAMETER_VALUE);
	fuzz_release();
	free(text);
	return 0;
}
