/*
 * address.h
 *	  Which hosts and addresses may be reached.  Pure; private to http/.
 */
#ifndef MEMAI_HTTP_ADDRESS_H
#define MEMAI_HTTP_ADDRESS_H

#include <sys/socket.h>

typedef enum MemaiAddressClass
{
	MEMAI_ADDRESS_PUBLIC,
	MEMAI_ADDRESS_PRIVATE,		/* loopback and networks of one's own */
	MEMAI_ADDRESS_FORBIDDEN		/* link-local (cloud metadata), multicast,
								 * reserved */
} MemaiAddressClass;

extern MemaiAddressClass memai_http_address_class(const struct sockaddr *address);

/*
 * True when list, a comma-separated list of host, host:port, [address] or
 * [address]:port, names the host (lower case, no brackets) at the port.
 */
extern bool memai_http_host_listed(const char *list, const char *host, int port);

/* True when list is such a list. */
extern bool memai_http_host_list_valid(const char *list);

#endif							/* MEMAI_HTTP_ADDRESS_H */
