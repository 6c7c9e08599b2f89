/*
 * old_curl.c: preloaded into a server, makes libcurl one that is older than 7.87,
 * which waits for a stalled name lookup when a handle is taken out.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <curl/curl.h>

curl_version_info_data *
curl_version_info(CURLversion age)
{
	static curl_version_info_data old;
	curl_version_info_data *(*real) (CURLversion) = dlsym(RTLD_NEXT, "curl_version_info");

	old = *real(age);
	old.version_num = 0x075100;
	old.version = "7.81.0";
	return &old;
}
