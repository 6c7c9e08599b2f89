/*
 * sse.c
 *	  Server-sent events (WHATWG HTML, section 9.2.6) and streams of lines.
 *	  Pure: no allocation; the caller's buffer is the only memory.
 *
 * An event ends with an empty line.  What the stream ends inside of is never
 * an event, so a stream that was cut off cannot look complete.  Only the fields
 * event and data matter to the providers; id, retry and comments are skipped.
 */
#include "postgres.h"

#include "http/http.h"

/*
 * Finds the end of the line that starts at data[*at].  A carriage return that
 * is the last byte may be half of a line end, so the line is not complete yet.
 */
static bool
next_line(const char *data, size_t len, size_t *at, size_t *line_len)
{
	size_t		start = *at;

	for (size_t i = start; i < len; i++)
	{
		if (data[i] != '\n' && data[i] != '\r')
			continue;
		if (data[i] == '\r' && i + 1 == len)
			return false;
		*line_len = i - start;
		*at = i + (data[i] == '\r' && data[i + 1] == '\n' ? 2 : 1);
		return true;
	}
	return false;
}

/* the value of a line that is the field, without one leading space; or NULL */
static char *
field_value(char *line, size_t len, const char *field, size_t *value_len)
{
	size_t		field_len = strlen(field);

	if (len < field_len || memcmp(line, field, field_len) != 0)
		return NULL;
	if (len == field_len)
	{
		*value_len = 0;
		return line + len;
	}
	if (line[field_len] != ':')
		return NULL;
	field_len++;
	if (field_len < len && line[field_len] == ' ')
		field_len++;
	*value_len = len - field_len;
	return line + field_len;
}

/* true when the buffer holds a whole event; *end is behind its empty line */
static bool
find_end(const char *buffer, size_t len, size_t start, size_t *end)
{
	size_t		line_len;

	*end = start;
	while (next_line(buffer, len, end, &line_len))
		if (line_len == 0)
			return true;
	return false;
}

/* reads the lines from start to end; true when they carry data */
static bool
read_event(char *buffer, size_t start, size_t end, MemaiSseEvent *event)
{
	size_t		at = start;
	size_t		line_len;
	char	   *data = NULL;

	event->name = event->data = buffer + start;
	event->name_len = event->data_len = 0;
	for (size_t line = at; next_line(buffer, end, &at, &line_len); line = at)
	{
		size_t		value_len;
		char	   *value = field_value(buffer + line, line_len, "event", &value_len);

		if (value != NULL)
		{
			event->name = value;
			event->name_len = value_len;
			continue;
		}
		value = field_value(buffer + line, line_len, "data", &value_len);
		if (value == NULL)
			continue;
		if (data == NULL)
			event->data = data = value;
		else
		{
			/* joined data is shorter than its lines, so it fits in front */
			data[event->data_len++] = '\n';
			memmove(data + event->data_len, value, value_len);
		}
		event->data_len += value_len;
	}
	return data != NULL;
}

bool
memai_sse_next(char *buffer, size_t len, bool *started, size_t *consumed, MemaiSseEvent *event)
{
	size_t		start = 0;
	size_t		end;

	*consumed = 0;
	if (!*started)
	{
		/* a byte order mark may come first; wait until there could be one */
		if (len < 3)
			return false;
		if (memcmp(buffer, "\xef\xbb\xbf", 3) == 0)
			*consumed = start = 3;
		*started = true;
	}
	while (find_end(buffer, len, start, &end))
	{
		*consumed = end;
		if (read_event(buffer, start, end, event))
			return true;
		start = end;
	}
	return false;
}

bool
memai_line_next(char *buffer, size_t len, size_t *consumed, MemaiSseEvent *event)
{
	size_t		at = 0;

	*consumed = 0;
	event->name = "";
	event->name_len = 0;
	while (at < len)
	{
		char	   *newline = memchr(buffer + at, '\n', len - at);
		size_t		end;

		if (newline == NULL)
			return false;
		end = newline - buffer;
		*consumed = end + 1;
		event->data = buffer + at;
		event->data_len = end - at - (end > at && buffer[end - 1] == '\r');
		if (event->data_len > 0)
			return true;
		at = end + 1;
	}
	return false;
}
