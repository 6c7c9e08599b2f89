/*
 * outcome.c
 *	  What libcurl's results mean for a request.  Pure: no allocation, no
 *	  errors, no server state.
 *
 * The library at run time may be newer than the headers that memai was compiled
 * with, and then gives results that these do not name: they are known by number.
 */
#include "postgres.h"

#include "http/transfer.h"

/* results that came after the oldest headers; their numbers never change */
#define RESULT_PROXY 97					/* 7.73 */
#define RESULT_SSL_CLIENTCERT 98		/* 7.77 */
#define RESULT_UNRECOVERABLE_POLL 99	/* 7.84 */
#define RESULT_TOO_LARGE 100			/* 8.6: before, such headers are no memory */
#define RESULT_ECH_REQUIRED 101			/* 8.8 */

MemaiHttpOutcome
memai_http_outcome_of(int result)
{
	switch (result)
	{
		case CURLE_OK:
			return MEMAI_HTTP_ANSWERED;
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_RESOLVE_PROXY:
		case CURLE_COULDNT_CONNECT:
		case RESULT_PROXY:
			return MEMAI_HTTP_UNREACHABLE;
		case CURLE_OPERATION_TIMEDOUT:
			return MEMAI_HTTP_TIMED_OUT;
		case CURLE_SSL_CONNECT_ERROR:
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CACERT_BADFILE:
		case CURLE_SSL_CERTPROBLEM:
		case CURLE_SSL_CIPHER:
		case CURLE_SSL_ISSUER_ERROR:
		case CURLE_SSL_INVALIDCERTSTATUS:
		case RESULT_SSL_CLIENTCERT:
		case RESULT_ECH_REQUIRED:
			return MEMAI_HTTP_TLS_FAILED;
		case CURLE_PARTIAL_FILE:
		case CURLE_GOT_NOTHING:
		case CURLE_SEND_ERROR:
		case CURLE_RECV_ERROR:
		case RESULT_UNRECOVERABLE_POLL:
			return MEMAI_HTTP_BROKEN_OFF;
		case CURLE_FILESIZE_EXCEEDED:
		case RESULT_TOO_LARGE:
			return MEMAI_HTTP_TOO_LARGE;
		default:
			return MEMAI_HTTP_INVALID;
	}
}
