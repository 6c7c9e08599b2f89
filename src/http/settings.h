/*
 * settings.h
 *	  The settings memai.http_*, as http/ reads them.  Private to http/.
 */
#ifndef MEMAI_HTTP_SETTINGS_H
#define MEMAI_HTTP_SETTINGS_H

typedef struct MemaiHttpSettings
{
	bool		enabled;
	int			attempt_timeout;	/* ms */
	int			call_timeout;	/* ms */
	char	   *ca_file;		/* empty: libcurl's default */
	int			connect_timeout;	/* ms */
	int			low_speed_time; /* s, 0: off */
	int			max_parallel;
	int			max_response_size;	/* kB */
	int			max_timeout;	/* ms, the ceiling of the others */
	char	   *private_hosts;
	char	   *proxy;			/* empty: none */

	/* grows when a kept connection may no longer be what the settings allow */
	int			generation;
} MemaiHttpSettings;

extern const MemaiHttpSettings *memai_http_settings(void);

#endif							/* MEMAI_HTTP_SETTINGS_H */
