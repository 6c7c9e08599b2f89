/*
 * transfer.c
 *	  One HTTP request: its options, its callbacks, its end.
 *
 * Invariants.  A transfer lives in a memory context of its own whose reset
 * callback takes it out of the loop and frees what libcurl and malloc own, so
 * an error anywhere cleans up.  The callbacks given to libcurl use malloc and
 * flags; they never raise an error, because a longjmp through libcurl leaves
 * its handles unusable.  Sizes are checked on decompressed bytes, as they
 * arrive.  No redirect is followed: it would carry keys to another host.  A
 * request is sent once: libcurl repeats one whose kept connection ends without
 * an answer, and is stopped there, because the server may have done the work.
 */
#include "postgres.h"

#include <sys/socket.h>
#include <unistd.h>

#include "http/address.h"
#include "http/settings.h"
#include "http/transfer.h"
#include "access/parallel.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#define MAX_HEADER_BYTES (256 * 1024)
#define USER_AGENT "memai/" MEMAI_VERSION

/* ---- callbacks: nothing below may raise an error ---- */

static bool
buffer_append(MemaiHttpBuffer *buffer, const char *data, size_t len)
{
	if (buffer->capacity - buffer->len < len)
	{
		size_t		capacity = Max(buffer->capacity * 2, 8192);
		char	   *grown;

		while (capacity - buffer->len < len)
			capacity *= 2;
		grown = realloc(buffer->data, capacity);
		if (grown == NULL)
			return false;
		buffer->data = grown;
		buffer->capacity = capacity;
	}
	memcpy(buffer->data + buffer->len, data, len);
	buffer->len += len;
	return true;
}

/* room for the whole body at once when its size is known: growing would copy it */
static void
reserve_body(MemaiHttpTransfer *transfer)
{
	curl_off_t	announced = -1;

	(void) curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
	if (transfer->stream || announced <= 0 || (size_t) announced > transfer->max_size)
		return;
	transfer->body.data = malloc((size_t) announced);
	transfer->body.capacity = transfer->body.data ? (size_t) announced : 0;
}

static size_t
on_body(char *data, size_t size, size_t count, void *arg)
{
	MemaiHttpTransfer *transfer = arg;
	size_t		len = size * count;

	if (len > transfer->max_size - transfer->received)
	{
		transfer->too_large = true;
		return 0;
	}
	if (transfer->body.data == NULL)
		reserve_body(transfer);
	if (!buffer_append(&transfer->body, data, len))
	{
		transfer->out_of_memory = true;
		return 0;
	}
	transfer->received += len;
	if (transfer->stream)
		transfer->deadline = memai_http_clock() + transfer->timeout;
	return len;
}

static size_t
on_header(char *data, size_t size, size_t count, void *arg)
{
	MemaiHttpTransfer *transfer = arg;
	size_t		len = size * count;

	if (len > MAX_HEADER_BYTES - Min(transfer->headers.len, MAX_HEADER_BYTES))
	{
		transfer->too_large = true;
		return 0;
	}
	if (!buffer_append(&transfer->headers, data, len))
	{
		transfer->out_of_memory = true;
		return 0;
	}
	return len;
}

/* the place where the address is final: no later lookup can change it */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	MemaiHttpGuard *guard = arg;
	MemaiAddressClass class = memai_http_address_class(&address->addr);

	guard->opened = true;
	if (guard->parked)
		return CURL_SOCKET_BAD;
	if (class == MEMAI_ADDRESS_FORBIDDEN ||
		(class == MEMAI_ADDRESS_PRIVATE && !guard->private_allowed))
	{
		guard->blocked = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static curl_socket_t
on_open_proxy_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	MemaiHttpGuard *guard = arg;

	guard->opened = true;
	if (guard->parked)
		return CURL_SOCKET_BAD;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

#if LIBCURL_VERSION_NUM >= 0x075000
/* called before a request is sent, and before it is sent once more */
static int
on_send(void *arg, char *remote, char *local, int remote_port, int local_port)
{
	MemaiHttpGuard *guard = arg;

	guard->stale = guard->sent;
	guard->sent = true;
	return guard->stale ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}
#endif

/* ---- end of a transfer ---- */

void
memai_http_free_handle(CURL *easy, struct curl_slist *headers, MemaiHttpGuard *guard)
{
	if (easy != NULL)
		curl_easy_cleanup(easy);
	/* one of them is the key */
	for (struct curl_slist *item = headers; item != NULL; item = item->next)
		explicit_bzero(item->data, strlen(item->data));
	curl_slist_free_all(headers);
	free(guard);
}

/* reset callback of the transfer's context */
static void
release_transfer(void *arg)
{
	MemaiHttpTransfer *transfer = arg;

	memai_http_loop_remove(transfer);
	memai_http_free_handle(transfer->easy, transfer->header_list, transfer->guard);
	free(transfer->body.data);
	free(transfer->headers.data);
	if (transfer->has_descriptor)
		ReleaseExternalFD();
}

static const char *
current_phase(MemaiHttpTransfer *transfer)
{
	curl_off_t	lookup = 0;
	curl_off_t	connect = 0;
	curl_off_t	secure = 0;

	if (transfer->received > 0)
		return "reading the answer";
	if (transfer->headers.len > 0)
		return "waiting for the body of the answer";
	(void) curl_easy_getinfo(transfer->easy, CURLINFO_NAMELOOKUP_TIME_T, &lookup);
	(void) curl_easy_getinfo(transfer->easy, CURLINFO_CONNECT_TIME_T, &connect);
	(void) curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &secure);
	if (lookup == 0)
		return "looking up the host";
	if (connect == 0)
		return "connecting";
	if (secure == 0)
		return "agreeing on encryption";
	return "waiting for the answer";
}

/* libcurl takes the end of the connection for the end of the headers */
static bool
headers_complete(const MemaiHttpTransfer *transfer)
{
	const MemaiHttpBuffer *headers = &transfer->headers;

	return (headers->len >= 2 && memcmp(headers->data + headers->len - 2, "\n\n", 2) == 0) ||
		(headers->len >= 4 && memcmp(headers->data + headers->len - 4, "\r\n\r\n", 4) == 0);
}

static MemaiHttpOutcome
outcome_of(const MemaiHttpTransfer *transfer, CURLcode result)
{
	MemaiHttpOutcome outcome;

	if (transfer->too_large)
		return MEMAI_HTTP_TOO_LARGE;
	if (transfer->guard->stale)
		return MEMAI_HTTP_BROKEN_OFF;
	outcome = memai_http_outcome_of((int) result);
	if (outcome == MEMAI_HTTP_ANSWERED && !headers_complete(transfer))
		return MEMAI_HTTP_BROKEN_OFF;
	if (outcome == MEMAI_HTTP_UNREACHABLE && transfer->guard->blocked)
		return MEMAI_HTTP_BLOCKED;
	return outcome;
}

/* the header lines of the last answer, after any interim ones */
static void
find_final_headers(MemaiHttpTransfer *transfer)
{
	const char *data = transfer->headers.data;
	size_t		start = 0;

	for (size_t i = 0; i + 5 <= transfer->headers.len; i++)
		if ((i == 0 || data[i - 1] == '\n') && memcmp(data + i, "HTTP/", 5) == 0)
			start = i;
	transfer->response.headers = data ? data + start : "";
	transfer->response.headers_len = transfer->headers.len - start;
}

void
memai_http_transfer_finish(MemaiHttpTransfer *transfer, CURLcode result)
{
	MemaiHttpResponse *response = &transfer->response;
	long		status = 0;

	/* the URL was read before, so it is memory that lacks where libcurl has none */
	if (result == CURLE_OUT_OF_MEMORY || result == CURLE_URL_MALFORMAT)
		transfer->out_of_memory = true;
	(void) curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	response->stale = transfer->guard->stale;
	response->phase = response->stale ? "waiting for the answer" : current_phase(transfer);
	response->status = (int) status;
	response->outcome = outcome_of(transfer, result);
	response->body = transfer->body.data ? transfer->body.data : "";
	response->body_len = transfer->body.len;
	response->elapsed = memai_http_clock() - transfer->started;
	find_final_headers(transfer);
	/* where it is libcurl's own limit, its words say which */
	if (transfer->too_large)
		snprintf(response->problem, sizeof(response->problem),
				 "more than %zu bytes came", transfer->received + transfer->headers.len);
	else if (response->stale)
		strlcpy(response->problem, "a kept connection ended", sizeof(response->problem));
	else if (response->outcome != MEMAI_HTTP_ANSWERED)
		strlcpy(response->problem,
				transfer->error[0] ? transfer->error : curl_easy_strerror(result),
				sizeof(response->problem));
	transfer->finished = true;
}

/* ---- start of a transfer ---- */

#define SET_OPTION(transfer, option, value) \
	check_option(curl_easy_setopt((transfer)->easy, (option), (value)), #option)

static void
check_option(CURLcode result, const char *option)
{
	if (result == CURLE_OUT_OF_MEMORY)
		memai_raise_out_of_memory();
	if (result != CURLE_OK)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this libcurl lacks an option that memai needs"),
				 errdetail("Setting %s failed: %s.", option, curl_easy_strerror(result))));
}

static void
check_possible(void)
{
	if (!memai_http_settings()->enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("calls to providers over the network are switched off"),
				 errhint("A superuser can set memai.http_enabled.")));
	if (IsBinaryUpgrade || IsParallelWorker())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("calls to providers are not possible in a parallel worker or an upgrade")));
}

/* may the host be reached at private addresses?  raises 42501 for plain http */
static bool
check_host(const MemaiHttpUrl *url)
{
	bool		listed = memai_http_host_listed(memai_http_settings()->private_hosts,
												url->host, url->port);

	if (!listed && strcmp(url->scheme, "https") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("calls to \"%s\" must be encrypted", url->host),
				 errdetail("The URL is plain http and the host is not listed in memai.http_private_hosts."),
				 errhint("Use an https URL, or have a superuser list the host.")));
	return listed;
}

static bool
is_clean_header(const MemaiHttpHeader *header)
{
	if (header->name[0] == '\0')
		return false;
	for (const char *p = header->name; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", *p) != NULL)
			return false;
	for (const unsigned char *p = (const unsigned char *) header->value; *p; p++)
		if (*p < ' ' || *p == 0x7f)
			return false;
	return true;
}

/* the value may be a key, so it is in no message */
static void
add_header(MemaiHttpTransfer *transfer, const MemaiHttpHeader *header)
{
	struct curl_slist *list;
	char	   *line;

	if (!is_clean_header(header))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("HTTP header \"%s\" is malformed",
						memai_http_escape(header->name)),
				 errdetail("Control characters are not allowed in headers.")));
	line = psprintf("%s: %s", header->name, header->value);
	list = curl_slist_append(transfer->header_list, line);
	explicit_bzero(line, strlen(line));
	pfree(line);
	if (list == NULL)
		memai_raise_out_of_memory();
	transfer->header_list = list;
}

static void
add_headers(MemaiHttpTransfer *transfer, const MemaiHttpRequest *request)
{
	/* without it libcurl waits a second before it sends a large body */
	static const MemaiHttpHeader no_expect = {"Expect", ""};

	for (int i = 0; i < request->nheaders; i++)
		add_header(transfer, &request->headers[i]);
	add_header(transfer, &no_expect);
	SET_OPTION(transfer, CURLOPT_HTTPHEADER, transfer->header_list);
}

/*
 * Whom to trust.  libcurl keeps what it read of a file for the connections that
 * follow (from 7.87 on), but not when there is a directory too; reading a usual
 * system's again costs each connection tens of milliseconds that no cancel ends.
 */
static void
set_authorities(MemaiHttpTransfer *transfer, const char *file)
{
	bool		is_file = file[0] != '\0';

	if (is_file)
		SET_OPTION(transfer, CURLOPT_CAINFO, file);
#if LIBCURL_VERSION_NUM >= 0x075400
	else
	{
		char	   *usual = NULL;

		is_file = curl_easy_getinfo(transfer->easy, CURLINFO_CAINFO, &usual) == CURLE_OK &&
			usual != NULL && access(usual, R_OK) == 0;
	}
#endif
	if (is_file)
		(void) curl_easy_setopt(transfer->easy, CURLOPT_CAPATH, NULL);
}

static void
set_target(MemaiHttpTransfer *transfer, const MemaiHttpRequest *request)
{
	const MemaiHttpSettings *settings = memai_http_settings();
	bool		proxied = settings->proxy[0] != '\0';

	SET_OPTION(transfer, CURLOPT_CURLU, (CURLU *) request->url->handle);
#if LIBCURL_VERSION_NUM >= 0x075500
	SET_OPTION(transfer, CURLOPT_PROTOCOLS_STR, request->url->scheme);
#else
	SET_OPTION(transfer, CURLOPT_PROTOCOLS, (long) (CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	SET_OPTION(transfer, CURLOPT_FOLLOWLOCATION, 0L);
	SET_OPTION(transfer, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	SET_OPTION(transfer, CURLOPT_PROXY, settings->proxy);
	SET_OPTION(transfer, CURLOPT_NOPROXY, "");
	SET_OPTION(transfer, CURLOPT_OPENSOCKETFUNCTION,
			   proxied ? on_open_proxy_socket : on_open_socket);
	SET_OPTION(transfer, CURLOPT_OPENSOCKETDATA, transfer->guard);
	SET_OPTION(transfer, CURLOPT_SSL_VERIFYPEER, 1L);
	SET_OPTION(transfer, CURLOPT_SSL_VERIFYHOST, 2L);
	SET_OPTION(transfer, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	set_authorities(transfer, settings->ca_file);
}

/* a connection is kept for the next request only if that is not sent twice on it */
static void
set_connection(MemaiHttpTransfer *transfer, const MemaiHttpRequest *request)
{
	bool		fresh = request->fresh;

#if LIBCURL_VERSION_NUM >= 0x075000
	/* an older library at run time does not know the option */
	if (curl_easy_setopt(transfer->easy, CURLOPT_PREREQFUNCTION, on_send) != CURLE_OK ||
		curl_easy_setopt(transfer->easy, CURLOPT_PREREQDATA, transfer->guard) != CURLE_OK)
		fresh = true;
#else
	fresh = true;
#endif
	if (fresh)
		SET_OPTION(transfer, CURLOPT_FRESH_CONNECT, 1L);
	(void) curl_easy_setopt(transfer->easy, CURLOPT_TCP_KEEPALIVE, 1L);
}

static void
set_behaviour(MemaiHttpTransfer *transfer, const MemaiHttpRequest *request)
{
	SET_OPTION(transfer, CURLOPT_PRIVATE, transfer);
	SET_OPTION(transfer, CURLOPT_NOSIGNAL, 1L);
	SET_OPTION(transfer, CURLOPT_NOPROGRESS, 1L);
	SET_OPTION(transfer, CURLOPT_ERRORBUFFER, transfer->error);
	SET_OPTION(transfer, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SET_OPTION(transfer, CURLOPT_USERAGENT, USER_AGENT);

	/*
	 * where libcurl would wait for a stalled lookup when the time is over,
	 * the loop minds it
	 */
	if (memai_http_quick_exit())
		SET_OPTION(transfer, CURLOPT_CONNECTTIMEOUT_MS,
				   (long) Min(memai_http_settings()->connect_timeout, request->timeout));
	else
		transfer->connect_deadline = transfer->started + memai_http_settings()->connect_timeout;
	SET_OPTION(transfer, CURLOPT_WRITEFUNCTION, on_body);
	SET_OPTION(transfer, CURLOPT_WRITEDATA, transfer);
	SET_OPTION(transfer, CURLOPT_HEADERFUNCTION, on_header);
	SET_OPTION(transfer, CURLOPT_HEADERDATA, transfer);
	/* compression would hold back the pieces of a streamed answer */
	if (!request->stream)
		(void) curl_easy_setopt(transfer->easy, CURLOPT_ACCEPT_ENCODING, "gzip");
#if LIBCURL_VERSION_NUM >= 0x075700

	/*
	 * Without it, taking a request out of the loop waits for its resolver
	 * thread.  An older library at run time does not know the option.
	 */
	if (memai_http_quick_exit())
		(void) curl_easy_setopt(transfer->easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	if (request->body == NULL)
		SET_OPTION(transfer, CURLOPT_HTTPGET, 1L);
	else
	{
		SET_OPTION(transfer, CURLOPT_POST, 1L);
		SET_OPTION(transfer, CURLOPT_POSTFIELDS, request->body);
		SET_OPTION(transfer, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->body_len);
	}
}

static MemaiHttpTransfer *
new_transfer(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "memai http transfer",
												  ALLOCSET_SMALL_SIZES);
	MemaiHttpTransfer *transfer = MemoryContextAllocZero(context, sizeof(MemaiHttpTransfer));
	MemoryContextCallback *callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));

	transfer->context = context;
	transfer->guard = calloc(1, sizeof(MemaiHttpGuard));
	callback->func = release_transfer;
	callback->arg = transfer;
	MemoryContextRegisterResetCallback(context, callback);

	if (!AcquireExternalFD())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("too many files and connections are open in this session")));
	transfer->has_descriptor = true;
	return transfer;
}

void
memai_http_add_header(MemaiHttpRequest *request, const char *name, const char *value)
{
	Assert(request->nheaders < MEMAI_HTTP_MAX_HEADERS);
	request->headers[request->nheaders].name = name;
	request->headers[request->nheaders].value = value;
	request->nheaders++;
}

MemaiHttpTransfer *
memai_http_open(const MemaiHttpRequest *request)
{
	MemaiHttpTransfer *transfer;
	bool		private_allowed;

	check_possible();
	private_allowed = check_host(request->url);
	(void) memai_http_multi();

	transfer = new_transfer();
	transfer->stream = request->stream;
	transfer->timeout = request->timeout;
	transfer->max_size = (size_t) memai_http_settings()->max_response_size * 1024;
	transfer->started = memai_http_clock();
	transfer->deadline = transfer->started + request->timeout;
	transfer->easy = curl_easy_init();
	if (transfer->easy == NULL || transfer->guard == NULL)
		memai_raise_out_of_memory();
	transfer->guard->private_allowed = private_allowed;
	set_target(transfer, request);
	set_behaviour(transfer, request);
	set_connection(transfer, request);
	add_headers(transfer, request);
	memai_http_loop_add(transfer);
	return transfer;
}

void
memai_http_close(MemaiHttpTransfer *transfer)
{
	MemoryContextDelete(transfer->context);
}

const MemaiHttpResponse *
memai_http_wait(MemaiHttpTransfer *transfer)
{
	while (!transfer->finished)
		memai_http_loop_turn(true);
	if (transfer->out_of_memory)
		memai_raise_out_of_memory();
	return &transfer->response;
}

const MemaiHttpResponse *
memai_http_ended(const MemaiHttpTransfer *transfer)
{
	return transfer->finished && !transfer->out_of_memory ? &transfer->response : NULL;
}

int
memai_http_wait_status(MemaiHttpTransfer *transfer)
{
	long		status = 0;

	for (;;)
	{
		(void) curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
		/* below 200 it is interim, and the real one follows */
		if (transfer->finished || (status >= 200 && headers_complete(transfer)))
			return (int) status;
		memai_http_loop_turn(true);
	}
}

int
memai_http_wait_any(int n, MemaiHttpTransfer **transfers, int64 until)
{
	for (;;)
	{
		for (int i = 0; i < n; i++)
			if (transfers[i] != NULL && transfers[i]->finished)
				return i;
		if (memai_http_clock() >= until)
			return -1;
		memai_http_loop_turn(true);
	}
}

void
memai_http_progress(void)
{
	memai_http_loop_turn(false);
}

bool
memai_http_read(MemaiHttpTransfer *transfer, const char **data, size_t *len)
{
	MemaiHttpBuffer *body = &transfer->body;

	/* what the last call returned has been read; more may stand behind it */
	if (transfer->consumed > 0)
	{
		body->len -= transfer->consumed;
		memmove(body->data, body->data + transfer->consumed, body->len);
	}
	if (!transfer->finished)
		memai_http_loop_turn(false);
	while (!transfer->finished && body->len == 0)
		memai_http_loop_turn(true);
	*data = body->data;
	*len = transfer->consumed = body->len;
	return *len > 0;
}

char *
memai_http_header(const MemaiHttpResponse *response, const char *name)
{
	size_t		name_len = strlen(name);
	const char *line = response->headers;
	const char *end = line + response->headers_len;

	while (line < end)
	{
		const char *newline = memchr(line, '\n', end - line);
		const char *stop = newline ? newline : end;
		const char *value = line + name_len + 1;

		if (stop - line > (ptrdiff_t) name_len && line[name_len] == ':' &&
			pg_strncasecmp(line, name, name_len) == 0)
		{
			while (value < stop && (*value == ' ' || *value == '\t'))
				value++;
			while (stop > value && (stop[-1] == '\r' || stop[-1] == ' ' || stop[-1] == '\t'))
				stop--;
			return pnstrdup(value, stop - value);
		}
		line = stop + 1;
	}
	return NULL;
}
