/*
 * settings.c
 *	  The settings memai.http_*.  What decides where requests may go is for
 *	  superusers; what decides how long one waits is for everyone, below a
 *	  superuser's ceiling.
 */
#include "postgres.h"

#include "http/address.h"
#include "http/http.h"
#include "http/settings.h"
#include "utils/guc.h"

static MemaiHttpSettings settings;

const MemaiHttpSettings *
memai_http_settings(void)
{
	return &settings;
}

int
memai_http_attempt_timeout(void)
{
	return Min(settings.attempt_timeout, settings.max_timeout);
}

int
memai_http_call_timeout(void)
{
	return Min(settings.call_timeout, settings.max_timeout);
}

int
memai_http_max_parallel(void)
{
	return settings.max_parallel;
}

static bool
check_private_hosts(char **newval, void **extra, GucSource source)
{
	if (memai_http_host_list_valid(*newval))
		return true;
	GUC_check_errdetail("Entries are host, host:port, [address] or [address]:port, separated by commas.");
	return false;
}

static void
assign_text(const char *newval, void *extra)
{
	settings.generation++;
}

static void
define_timeouts(void)
{
	DefineCustomIntVariable("memai.http_attempt_timeout",
							"Limits the time of one attempt of a call to a provider.",
							"For a streamed answer, the time between two pieces of it.",
							&settings.attempt_timeout, 30000, 10, 24 * 3600 * 1000,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("memai.http_call_timeout",
							"Limits the time of a call to a provider with all its attempts.",
							NULL,
							&settings.call_timeout, 60000, 10, 24 * 3600 * 1000,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("memai.http_connect_timeout",
							"Limits the time to look up a host, connect and agree on encryption.",
							NULL,
							&settings.connect_timeout, 5000, 10, 24 * 3600 * 1000,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("memai.http_low_speed_time",
							"Ends an answer that brings less than 10 bytes a second for this long.",
							"Zero means never. Streamed answers are exempt.",
							&settings.low_speed_time, 10, 0, 24 * 3600,
							PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("memai.http_max_timeout",
							"Limits what sessions may set the other timeouts to.",
							NULL,
							&settings.max_timeout, 10 * 60 * 1000, 10, 24 * 3600 * 1000,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
}

void
memai_http_init(void)
{
	define_timeouts();
	DefineCustomStringVariable("memai.http_ca_file",
							   "Sets the file of certificate authorities that providers are verified with.",
							   "Empty means the operating system's.",
							   &settings.ca_file, "", PGC_SUSET, 0,
							   NULL, assign_text, NULL);
	DefineCustomBoolVariable("memai.http_enabled",
							 "Allows calls to providers over the network.",
							 NULL,
							 &settings.enabled, true, PGC_SUSET, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("memai.http_max_parallel",
							"Limits the requests that one call has under way at a time.",
							NULL,
							&settings.max_parallel, 4, 1, 64,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("memai.http_max_response_size",
							"Limits the size of an answer, decompressed.",
							NULL,
							&settings.max_response_size, 64 * 1024, 1, 512 * 1024,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomStringVariable("memai.http_private_hosts",
							   "Lists the hosts that may be reached at private addresses and without encryption.",
							   "Entries are host, host:port, [address] or [address]:port, separated by commas.",
							   &settings.private_hosts, "localhost, 127.0.0.1, [::1]", PGC_SUSET, 0,
							   check_private_hosts, assign_text, NULL);
	DefineCustomStringVariable("memai.http_proxy",
							   "Sets the proxy for calls to providers.",
							   "Empty means none; the environment is ignored. With a proxy the proxy resolves hosts, so it must guard addresses.",
							   &settings.proxy, "", PGC_SUSET, 0,
							   NULL, assign_text, NULL);
}
