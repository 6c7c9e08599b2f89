/*
 * slow_dns.c
 *	  For tests, by LD_PRELOAD: names under .test resolve without a network.
 *	  stall.test takes 6 seconds; a-b-c-d.test is the address a.b.c.d, and
 *	  names joined by "and" (8-8-8-8and10-0-0-1.test) are several addresses.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*Resolver) (const char *, const char *, const struct addrinfo *, struct addrinfo **);

static struct addrinfo *
one_address(const char *text, const char *service)
{
	unsigned int part[4];
	struct addrinfo *info = calloc(1, sizeof(struct addrinfo) + sizeof(struct sockaddr_in));
	struct sockaddr_in *address = (struct sockaddr_in *) (info + 1);

	if (sscanf(text, "%u-%u-%u-%u", &part[0], &part[1], &part[2], &part[3]) != 4)
		return NULL;
	address->sin_family = AF_INET;
	address->sin_port = htons(service ? atoi(service) : 0);
	address->sin_addr.s_addr = htonl(part[0] << 24 | part[1] << 16 | part[2] << 8 | part[3]);
	info->ai_family = AF_INET;
	info->ai_socktype = SOCK_STREAM;
	info->ai_protocol = IPPROTO_TCP;
	info->ai_addrlen = sizeof(struct sockaddr_in);
	info->ai_addr = (struct sockaddr *) address;
	return info;
}

int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
			struct addrinfo **result)
{
	Resolver	next = (Resolver) dlsym(RTLD_NEXT, "getaddrinfo");
	size_t		len = name ? strlen(name) : 0;
	struct addrinfo **tail = result;

	if (len < 5 || strcmp(name + len - 5, ".test") != 0)
		return next(name, service, hints, result);
	if (strcmp(name, "stall.test") == 0)
		sleep(6);
	*result = NULL;
	for (const char *at = name; at != NULL; at = strstr(at, "and") ? strstr(at, "and") + 3 : NULL)
	{
		*tail = one_address(at, service);
		if (*tail == NULL)
			return EAI_NONAME;
		tail = &(*tail)->ai_next;
	}
	return 0;
}

void
freeaddrinfo(struct addrinfo *info)
{
	/* all of them: what comes from here and from libc is small, and tests end */
	(void) info;
}
