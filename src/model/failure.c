/*
 * failure.c
 *	  What went wrong with a call, and whether trying again can help.
 *
 * Providers agree on status codes only roughly; the words in the body decide
 * where a status means two things, above all a 429 that says "slow down" and
 * one that says "your money is spent".
 */
#include "postgres.h"

#include "model/wire.h"
#include "mb/pg_wchar.h"

#define MAX_MESSAGE_CHARS 300

MemaiFailure
memai_failure_of_outcome(MemaiHttpOutcome outcome)
{
	switch (outcome)
	{
		case MEMAI_HTTP_UNREACHABLE:
			return (MemaiFailure) {ERRCODE_MEMAI_OVERLOADED, "the provider cannot be reached", NULL, true};
		case MEMAI_HTTP_TLS_FAILED:
			return (MemaiFailure) {
				ERRCODE_MEMAI_PROVIDER_ERROR, "no trusted connection to the provider",
				"A certificate authority of your own can be set in memai.http_ca_file.", false
			};
		case MEMAI_HTTP_TIMED_OUT:
			return (MemaiFailure) {
				ERRCODE_MEMAI_TIMEOUT, "the provider did not answer in time",
				"The limits are memai.http_connect_timeout, memai.http_attempt_timeout and memai.http_call_timeout.",
				true
			};
		case MEMAI_HTTP_BROKEN_OFF:
			return (MemaiFailure) {ERRCODE_MEMAI_TRUNCATED, "the answer broke off", NULL, true};
		case MEMAI_HTTP_TOO_LARGE:
			return (MemaiFailure) {
				ERRCODE_PROGRAM_LIMIT_EXCEEDED, "the answer is too large",
				"The limit is memai.http_max_response_size.", false
			};
		case MEMAI_HTTP_BLOCKED:
			return (MemaiFailure) {
				ERRCODE_INSUFFICIENT_PRIVILEGE, "the address of the provider's host is not allowed",
				"A superuser can list a host of your own network in memai.http_private_hosts.", false
			};
		default:
			return (MemaiFailure) {ERRCODE_MEMAI_BAD_RESPONSE, "the answer is not HTTP", NULL, false};
	}
}

/* true when one of the words, separated by |, is in the text, in any case */
static bool
mentions(const char *text, const char *words)
{
	size_t		text_len = strlen(text);

	while (*words)
	{
		size_t		len = strcspn(words, "|");

		for (size_t i = 0; i + len <= text_len; i++)
			if (pg_strncasecmp(text + i, words, len) == 0)
				return true;
		words += len;
		if (*words == '|')
			words++;
	}
	return false;
}

static const MemaiFailure quota_spent = {
	ERRCODE_MEMAI_QUOTA, "the provider's quota or credit is used up",
	"Waiting does not help; look at the account's limits and billing.", false
};
static const MemaiFailure rate_limited = {
	ERRCODE_MEMAI_RATE_LIMIT, "the provider's rate limit is reached",
	"Try again later, or call less often.", true
};
static const MemaiFailure overloaded = {
	ERRCODE_MEMAI_OVERLOADED, "the provider is overloaded or down",
	"Try again later.", true
};
static const MemaiFailure unauthorized = {
	ERRCODE_MEMAI_AUTH, "the provider refused the credentials",
	"See memai.rotate_credential, and whether the key has the right to this model.", false
};
static const MemaiFailure context_too_long = {
	ERRCODE_MEMAI_CONTEXT_TOO_LONG, "the input does not fit the model",
	"Send less text, or use a model with a larger context window.", false
};
static const MemaiFailure filtered = {
	ERRCODE_MEMAI_FILTERED, "the provider's content filter stopped the call", NULL, false
};

static bool
is_quota(const char *code, const char *message)
{
	static const char codes[] = "insufficient_quota|credit_balance_exhausted|spend_limit_exceeded|"
	"usage_limit_exceeded|billing_hard_limit|billing_not_active|insufficient_balance|insufficient_credits";

	return mentions(code, codes) ||
		mentions(message, "exceeded your current quota|credit balance|insufficient balance|"
				 "insufficient credits|spend limit|check your plan and billing|trial key");
}

static bool
is_too_long(const char *code, const char *message)
{
	return mentions(code, "context_length|string_above_max_length|max_tokens_per_request") ||
		mentions(message, "context length|context window|prompt is too long|too many tokens|"
				 "maximum context|input length|exceeds the maximum number of tokens|"
				 "input token count|request too large|too many total tokens|exceeds the available context");
}

MemaiFailure
memai_failure_of_status(int status, const char *code, const char *message)
{
	static const MemaiFailure refused = {
		ERRCODE_MEMAI_REFUSED, "the provider rejected the request", NULL, false
	};
	static const MemaiFailure redirected = {
		ERRCODE_MEMAI_PROVIDER_ERROR, "the provider redirects to another address",
		"Redirects are not followed because they would carry the key along; register the final URL.", false
	};

	if (status == 402 || ((status == 429 || status == 403 || status == 400) && is_quota(code, message)))
		return quota_spent;
	if (status == 401 || status == 403)
		return unauthorized;
	/* some providers answer a wrong key with 400 */
	if (status == 400 && mentions(code, "api_key_invalid|invalid_api_key"))
		return unauthorized;
	if (status == 429)
		return rate_limited;
	if (status >= 400 && status < 500 && is_too_long(code, message))
		return context_too_long;
	if (status >= 400 && status < 500 &&
		(mentions(code, "content_filter|content_policy|safety|prohibited_content") ||
		 mentions(message, "content management policy|content policy|safety system")))
		return filtered;
	/* a vector that the server cannot write: the text, not the server, is at fault */
	if (status == 500 && mentions(message, "unsupported value: nan|unsupported value: inf"))
		return refused;
	if (status == 408)
		return memai_failure_of_outcome(MEMAI_HTTP_TIMED_OUT);
	if (status == 409 || status >= 500)
		return overloaded;
	if (status >= 300 && status < 400)
		return redirected;
	return refused;
}

int
memai_failure_status_of_code(const char *code)
{
	static const struct
	{
		const char *words;
		int			status;
	}			codes[] =
	{
		{"overloaded|unavailable", 529},
		{"rate_limit|resource_exhausted|too_many_requests", 429},
		{"authentication|invalid_api_key|unauthenticated", 401},
		{"permission", 403},
		{"not_found", 404},
		{"too_large", 413},
		{"timeout|deadline_exceeded", 408},
		{"invalid|content_filter", 400},
		{"api_error|server_error|internal", 500},
	};
	int			status;

	/* a number among the words is the status itself */
	if (sscanf(code, "%d", &status) == 1 && status >= 400 && status < 600)
		return status;
	for (int i = 0; i < (int) lengthof(codes); i++)
		if (mentions(code, codes[i].words))
			return codes[i].status;
	return 0;
}

static char *
text_or_empty(MemaiJson *json)
{
	char	   *text = memai_json_text(json);
	int64		number;

	if (text != NULL)
		return text;
	return memai_json_int(json, &number) ? psprintf(INT64_FORMAT, number) : pstrdup("");
}

void
memai_failure_read_body(const char *body, size_t len, char **code, char **message)
{
	const char *problem;
	MemaiJson  *root = memai_json_parse(body, len, &problem);
	MemaiJson  *error;
	char	   *status;

	*code = pstrdup("");
	*message = pstrdup("");
	if (memai_json_is_array(root))
		root = memai_json_item(root, 0);
	error = memai_json_get(root, "error");
	if (memai_json_is_object(error))
		root = error;
	else if (error != NULL)
		*message = text_or_empty(error);
	if ((*message)[0] == '\0')
		*message = text_or_empty(memai_json_get(root, "message"));
	if ((*message)[0] == '\0')
		*message = text_or_empty(memai_json_get(root, "detail"));
	/* all that names the kind of error: code, type (and Google's status) */
	status = text_or_empty(memai_json_get(root, "status"));
	*code = psprintf("%s %s %s", text_or_empty(memai_json_get(root, "code")),
					 text_or_empty(memai_json_get(root, "type")), status);
}

static inline bool
is_key_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		strchr("-_.*+/=~", c) != NULL;
}

/* how many bytes of text begin like the key */
static size_t
common_prefix(const char *text, const char *secret)
{
	size_t		n = 0;

	while (text[n] != '\0' && text[n] == secret[n])
		n++;
	return n;
}

/*
 * Copies message to out without the key.  Any run that begins with four bytes
 * of the key goes up to its last byte that a key can have: providers echo
 * keys with the middle masked.  The same for four bytes of its end.
 */
static void
append_scrubbed(StringInfo out, const char *message, const char *secret)
{
	size_t		secret_len = secret ? strlen(secret) : 0;
	size_t		needed = Min(secret_len, 4);

	for (const char *p = message; *p;)
	{
		if (needed > 0 && (common_prefix(p, secret) >= needed ||
						   common_prefix(p, secret + secret_len - needed) >= needed))
		{
			while (*p != '\0' && is_key_byte(*p))
				p++;
			appendStringInfoString(out, "[key removed]");
			continue;
		}
		appendStringInfoChar(out, *p++);
	}
}

char *
memai_failure_clean(const char *message, const char *secret)
{
	StringInfoData scrubbed;
	int			len;

	initStringInfo(&scrubbed);
	append_scrubbed(&scrubbed, message, secret);
	for (char *p = scrubbed.data; *p; p++)
		if ((unsigned char) *p < 0x20 || *p == 0x7f)
			*p = ' ';
	len = pg_mbcharcliplen(scrubbed.data, scrubbed.len, MAX_MESSAGE_CHARS);
	scrubbed.data[len] = '\0';
	return scrubbed.data;
}
