/*
 * html.h
 *	  What the readers of HTML and Markdown share.  Private to text/.  Pure.
 */
#ifndef MEMAI_TEXT_HTML_H
#define MEMAI_TEXT_HTML_H

#include "text/unicode.h"

/*
 * The character of the reference that begins at the ampersand at *next, which is
 * moved behind it; 0, and *next stays, when there is none.  Never longer as UTF-8
 * than the reference.
 */
extern uint32 memai_entity_read(const unsigned char **next, const unsigned char *end);

/* Is name, in lower case, an element of HTML? */
extern bool memai_html_is_element(const char *name, int len);

#endif							/* MEMAI_TEXT_HTML_H */
