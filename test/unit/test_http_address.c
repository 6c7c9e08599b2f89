/*
 * test_http_address.c
 *	  Which addresses are public, private or forbidden, and the list of hosts.
 *	  Rows AU9 and HT3.
 */
/* sources: src/http/address.c */
#include "postgres.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "http/address.h"
#include "tap.h"

static MemaiAddressClass
class_of(const char *text)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return memai_http_address_class((struct sockaddr *) &v4);
	if (inet_pton(AF_INET6, text, &v6.sin6_addr) != 1)
		ok(false, "%s is an address", text);
	return memai_http_address_class((struct sockaddr *) &v6);
}

static void
test_class(MemaiAddressClass expected, const char *name, const char *const *addresses)
{
	for (; *addresses; addresses++)
		ok(class_of(*addresses) == expected, "%s is %s", *addresses, name);
}

static void
test_list(const char *list, const char *host, int port, bool expected)
{
	ok(memai_http_host_listed(list, host, port) == expected, "%s:%d is %sin \"%s\"",
	   host, port, expected ? "" : "not ", list);
}

int
main(void)
{
	static const char *const public[] = {
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
		"128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255",
		"192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111", "2001:4860:4860::8888",
		"::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::", NULL
	};
	static const char *const private[] = {
		"10.0.0.0", "10.255.255.255", "100.64.0.0", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.255.255.255",
		"172.16.0.0", "172.31.255.255", "192.168.0.0", "198.18.0.0", "::1", "fc00::", "fdff::1", "fd00:ec2::254",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "::127.0.0.1", NULL
	};
	static const char *const forbidden[] = {
		"0.0.0.0", "0.1.2.3", "169.254.0.0", "169.254.169.254", "192.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1",
		"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "fe80::1", "fec0::1", "ff02::1",
		"::ffff:169.254.169.254", "::ffff:0.0.0.0", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "2001::1", "2001:db8::1",
		"100::1", "4000::1", "64:ff9b:1::1", NULL
	};
	struct sockaddr unix_socket = {.sa_family = AF_UNIX};

	test_class(MEMAI_ADDRESS_PUBLIC, "public", public);
	test_class(MEMAI_ADDRESS_PRIVATE, "private", private);
	test_class(MEMAI_ADDRESS_FORBIDDEN, "forbidden", forbidden);
	ok(memai_http_address_class(&unix_socket) == MEMAI_ADDRESS_FORBIDDEN, "other families are forbidden");

	test_list("localhost, 127.0.0.1, [::1]", "localhost", 80, true);
	test_list("localhost, 127.0.0.1, [::1]", "::1", 443, true);
	test_list("localhost, 127.0.0.1, [::1]", "127.0.0.2", 80, false);
	test_list("LocalHost", "localhost", 80, true);
	test_list("a:80 b:81", "a", 80, true);
	test_list("a:80 b:81", "a", 81, false);
	test_list("[::1]:8080", "::1", 8080, true);
	test_list("[::1]:8080", "::1", 80, false);
	test_list("", "localhost", 80, false);
	test_list("a.example", "example", 80, false);
	test_list("example", "a.example", 80, false);
	ok(memai_http_host_list_valid(""), "an empty list is valid");
	ok(memai_http_host_list_valid(" a, b:1 ,[::1]:65535,"), "a list of all forms is valid");
	ok(!memai_http_host_list_valid("a:"), "a port must follow its colon");
	ok(!memai_http_host_list_valid("a:0") && !memai_http_host_list_valid("a:65536"), "a port has its bounds");
	ok(!memai_http_host_list_valid("[::1") && !memai_http_host_list_valid("[]"), "brackets must close and hold something");
	ok(!memai_http_host_list_valid("a/b") && !memai_http_host_list_valid("http://a"), "a URL is no host");
	return done_testing();
}
