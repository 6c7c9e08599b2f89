/*
 * endpoint.c
 *	  One POST of JSON to a registered URL that is no model, such as a tool's.
 *
 * The request is sent once: what it does out there is not known to be safe to
 * repeat.  Everything else is as for models: the key belongs to the URL and to
 * the role that registered it, and never shows up in an error.
 */
#include "postgres.h"

#include "model/registry.h"
#include "model/wire.h"
#include "utils/memutils.h"

static void
raise_failure(const MemaiEndpoint *endpoint, const MemaiHttpResponse *response, const char *secret)
{
	MemaiFailure failure = memai_failure_of_outcome(response->outcome);

	ereport(ERROR,
			(errcode(failure.sqlstate),
			 errmsg("call to \"%s\" failed: %s", endpoint->name, failure.what),
			 errdetail("%s while %s", memai_failure_clean(response->problem, secret), response->phase),
			 failure.hint ? errhint("%s", failure.hint) : 0));
}

char *
memai_endpoint_post(const MemaiEndpoint *endpoint, const char *body, size_t len, int *status)
{
	MemaiHttpUrl *url = memai_http_url_parse(endpoint->url, NULL, NULL);
	MemaiModel	owner = {.credential = unconstify(char *, endpoint->credential), .owner = endpoint->owner};
	MemaiCredential *credential = endpoint->credential ? memai_credential_read(&owner, url) : NULL;
	MemaiHttpRequest http = {.url = url,.body = body,.body_len = len,.timeout = Min(endpoint->timeout, memai_http_attempt_timeout()),.fresh = true};
	MemaiHttpTransfer *transfer;
	const MemaiHttpResponse *response;
	char	   *answer;

	/* sent once: nobody tries again when a kept connection is no more */
	memai_http_add_header(&http, "Content-Type", "application/json");
	memai_http_add_header(&http, "Accept", "application/json, text/plain");
	transfer = memai_credential_open(&http, credential, "Authorization", "Bearer");
	memai_wait_begin();
	response = memai_http_wait(transfer);
	memai_wait_end();
	if (response->outcome != MEMAI_HTTP_ANSWERED)
		raise_failure(endpoint, response, credential ? credential->secret : NULL);
	if (credential != NULL)
		memai_credential_forget(credential);
	*status = response->status;
	answer = memai_json_server_text(response->body, response->body_len);
	memai_http_close(transfer);
	return answer;
}
