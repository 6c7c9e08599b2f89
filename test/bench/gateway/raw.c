/*
 * raw.c: URL N: milliseconds of a POST by libcurl alone, on the clock and of
 * CPU time, the mean of N on one connection after one to warm up.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static size_t
on_body(char *data, size_t size, size_t count, void *arg)
{
	(void) data;
	(void) arg;
	return size * count;
}

static double
now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * 1000.0 + time.tv_nsec / 1e6;
}

int
main(int argc, char **argv)
{
	CURL	   *easy = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	int			n = argc > 2 ? atoi(argv[2]) : 1;
	double		start = 0;
	double		cpu_start = 0;

	curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	for (int i = 0; i <= n; i++)
	{
		if (i == 1)
		{
			start = now(CLOCK_MONOTONIC);
			cpu_start = now(CLOCK_PROCESS_CPUTIME_ID);
		}
		if (curl_easy_perform(easy) != CURLE_OK)
			return 1;
	}
	printf("%.4f %.4f\n", (now(CLOCK_MONOTONIC) - start) / n,
		   (now(CLOCK_PROCESS_CPUTIME_ID) - cpu_start) / n);
	return 0;
}
