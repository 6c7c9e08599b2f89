/*
 * address.c
 *	  Which hosts and addresses may be reached.  Pure: called from inside
 *	  libcurl's callbacks, where nothing may raise an error.
 *
 * The ranges are those of the IANA special-purpose address registries
 * (RFC 6890 and its updates).  An IPv6 address that carries an IPv4 address
 * (mapped, compatible, NAT64, 6to4) is judged by the one it carries.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "http/address.h"

typedef struct Range
{
	uint32		network;
	int			bits;
	MemaiAddressClass class;
} Range;

#define V4(a, b, c, d) (((uint32) (a) << 24) | ((b) << 16) | ((c) << 8) | (d))

static const Range v4_ranges[] = {
	{V4(0, 0, 0, 0), 8, MEMAI_ADDRESS_FORBIDDEN},
	{V4(10, 0, 0, 0), 8, MEMAI_ADDRESS_PRIVATE},
	{V4(100, 64, 0, 0), 10, MEMAI_ADDRESS_PRIVATE},
	{V4(127, 0, 0, 0), 8, MEMAI_ADDRESS_PRIVATE},
	{V4(169, 254, 0, 0), 16, MEMAI_ADDRESS_FORBIDDEN},
	{V4(172, 16, 0, 0), 12, MEMAI_ADDRESS_PRIVATE},
	{V4(192, 0, 0, 0), 24, MEMAI_ADDRESS_FORBIDDEN},
	{V4(192, 0, 2, 0), 24, MEMAI_ADDRESS_FORBIDDEN},
	{V4(192, 168, 0, 0), 16, MEMAI_ADDRESS_PRIVATE},
	{V4(198, 18, 0, 0), 15, MEMAI_ADDRESS_PRIVATE},
	{V4(198, 51, 100, 0), 24, MEMAI_ADDRESS_FORBIDDEN},
	{V4(203, 0, 113, 0), 24, MEMAI_ADDRESS_FORBIDDEN},
	{V4(224, 0, 0, 0), 3, MEMAI_ADDRESS_FORBIDDEN},
};

static MemaiAddressClass
v4_class(uint32 address)
{
	for (int i = 0; i < (int) lengthof(v4_ranges); i++)
	{
		uint32		mask = UINT32_MAX << (32 - v4_ranges[i].bits);

		if ((address & mask) == v4_ranges[i].network)
			return v4_ranges[i].class;
	}
	return MEMAI_ADDRESS_PUBLIC;
}

static uint32
read_v4(const uint8 *bytes)
{
	return V4(bytes[0], (uint32) bytes[1], (uint32) bytes[2], (uint32) bytes[3]);
}

static bool
is_zero(const uint8 *bytes, int len)
{
	for (int i = 0; i < len; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

static MemaiAddressClass
v6_class(const uint8 *b)
{
	static const uint8 nat64[12] = {0x00, 0x64, 0xff, 0x9b};

	if (is_zero(b, 15) && b[15] == 1)
		return MEMAI_ADDRESS_PRIVATE;	/* ::1 */
	if (is_zero(b, 16))
		return MEMAI_ADDRESS_FORBIDDEN; /* :: */
	if (is_zero(b, 10) && b[10] == 0xff && b[11] == 0xff)
		return v4_class(read_v4(b + 12));
	if (is_zero(b, 12) || memcmp(b, nat64, 12) == 0)
		return v4_class(read_v4(b + 12));
	if (b[0] == 0x20 && b[1] == 0x02)
		return v4_class(read_v4(b + 2));
	if ((b[0] & 0xfe) == 0xfc)
		return MEMAI_ADDRESS_PRIVATE;	/* fc00::/7 */
	/* only 2000::/3 is assigned for use across networks */
	if ((b[0] & 0xe0) != 0x20)
		return MEMAI_ADDRESS_FORBIDDEN;
	/* 2001::/23 protocol assignments with Teredo, 2001:db8::/32 examples */
	if (b[0] == 0x20 && b[1] == 0x01 &&
		((b[2] & 0xfe) == 0 || (b[2] == 0x0d && b[3] == 0xb8)))
		return MEMAI_ADDRESS_FORBIDDEN;
	return MEMAI_ADDRESS_PUBLIC;
}

MemaiAddressClass
memai_http_address_class(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return v4_class(ntohl(((const struct sockaddr_in *) address)->sin_addr.s_addr));
	if (address->sa_family == AF_INET6)
		return v6_class(((const struct sockaddr_in6 *) address)->sin6_addr.s6_addr);
	return MEMAI_ADDRESS_FORBIDDEN;
}

/* one entry of a list: where its host stands and its port, -1 for any */
typedef struct Entry
{
	const char *host;
	size_t		len;
	int			port;
} Entry;

static bool
is_host_byte(char c, bool bracketed)
{
	if (bracketed)
		return strchr("0123456789abcdefABCDEF:.", c) != NULL;
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '.' || c == '_';
}

/* reads ":port" of an entry; false when malformed */
static bool
read_port(const char **at, int *port)
{
	int			value = 0;
	const char *start = ++*at;

	while (**at >= '0' && **at <= '9' && value <= 65535)
		value = value * 10 + (*(*at)++ - '0');
	*port = value;
	return *at > start && value >= 1 && value <= 65535;
}

/* 1 and the next entry of the list, 0 at its end, -1 where it is malformed */
static int
next_entry(const char **at, Entry *entry)
{
	bool		bracketed;

	while (**at == ' ' || **at == ',')
		(*at)++;
	if (**at == '\0')
		return 0;
	bracketed = **at == '[';
	if (bracketed)
		(*at)++;
	entry->host = *at;
	entry->port = -1;
	while (**at != '\0' && is_host_byte(**at, bracketed))
		(*at)++;
	entry->len = *at - entry->host;
	if (entry->len == 0 || (bracketed && **at != ']'))
		return -1;
	if (bracketed)
		(*at)++;
	if (**at == ':' && !read_port(at, &entry->port))
		return -1;
	return **at == '\0' || **at == ',' || **at == ' ' ? 1 : -1;
}

bool
memai_http_host_listed(const char *list, const char *host, int port)
{
	size_t		len = strlen(host);
	Entry		entry;

	while (next_entry(&list, &entry) > 0)
		if (entry.len == len && pg_strncasecmp(entry.host, host, len) == 0 &&
			(entry.port < 0 || entry.port == port))
			return true;
	return false;
}

bool
memai_http_host_list_valid(const char *list)
{
	Entry		entry;
	int			found;

	while ((found = next_entry(&list, &entry)) > 0)
		;
	return found == 0;
}
