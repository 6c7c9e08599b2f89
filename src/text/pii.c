/*
 * pii.c
 *	  Finding personal data and secrets in a text: e-mail addresses, payment
 *	  cards (Luhn), IBANs (ISO 13616, mod 97), phone numbers, IP addresses,
 *	  Swedish personal numbers (with check digit), US social security numbers,
 *	  keys of programming interfaces.
 *
 * Pure: no allocation, no errors, linear in the text.  What can be checked by a
 * digit is; what cannot (phones, addresses) is told by its form, so numbers of
 * the same form are taken for it.  Characters are read folded: full-width forms,
 * odd blanks and dashes count as the ASCII ones, characters without width as
 * none.  A name or a street is not found: that needs a model.
 */
#include "postgres.h"

#include "text/text.h"

#define CHAR_END	(-1)
#define CHAR_LETTER 256			/* a letter beyond ASCII */
#define CHAR_OTHER	257

#define CARD_MAX_DIGITS 19
#define PHONE_MAX_DIGITS 15
#define TOKEN_MAX_LENGTH 4096

typedef struct Text
{
	const unsigned char *data;
	size_t		len;
} Text;

/* where a recogniser reads */
typedef struct Reader
{
	const Text *text;
	size_t		at;				/* of current */
	size_t		next;			/* of what follows it */
	int			current;
} Reader;

static const char *const names[MEMAI_PII_NKINDS] = {
	"email", "card", "iban", "phone", "ip", "national_id", "api_key"
};

/* ---- characters ---- */

/* A character of two bytes; 0: it has no width. */
static int
fold_two(unsigned char lead, unsigned char trail)
{
	if (lead == 0xC2)
		return trail == 0xA0 ? ' ' : trail == 0xAD ? 0 : CHAR_OTHER;
	if (lead == 0xD9 && trail >= 0xA0 && trail <= 0xA9)
		return '0' + trail - 0xA0;
	return (lead >= 0xC3 && lead <= 0xD3) ? CHAR_LETTER : CHAR_OTHER;
}

/* one of three bytes */
static int
fold_three(const unsigned char *c)
{
	if (c[0] == 0xEF && c[1] == 0xBC && c[2] >= 0x81)
		return c[2] - 0x81 + '!';
	if (c[0] == 0xEF && c[1] == 0xBD && c[2] <= 0x9E)
		return c[2] - 0x80 + '`';
	if (c[0] == 0xEF && c[1] == 0xBB && c[2] == 0xBF)
		return 0;
	if (c[0] == 0xE3 && c[1] == 0x80 && c[2] == 0x80)
		return ' ';
	if (c[0] != 0xE2)
		return CHAR_OTHER;
	if (c[1] == 0x80 && c[2] >= 0x80 && c[2] <= 0x8A)
		return ' ';
	if (c[1] == 0x80 && c[2] >= 0x8B && c[2] <= 0x8D)
		return 0;
	if ((c[1] == 0x80 && c[2] >= 0x90 && c[2] <= 0x95) || (c[1] == 0x88 && c[2] == 0x92))
		return '-';
	if (c[1] == 0x80 && c[2] == 0xAF)
		return ' ';
	return (c[1] == 0x81 && c[2] == 0xA0) ? 0 : CHAR_OTHER;
}

/* The character at an offset and where the next one starts. */
static int
fold_at(const Text *text, size_t at, size_t *next)
{
	while (at < text->len)
	{
		const unsigned char *c = text->data + at;
		size_t		left = text->len - at;
		int			folded = CHAR_OTHER;
		size_t		len = 1;

		if (c[0] < 0x80)
		{
			*next = at + 1;
			return c[0] ? c[0] : CHAR_OTHER;
		}
		if (c[0] >= 0xC2 && c[0] <= 0xDF && left >= 2)
		{
			len = 2;
			folded = fold_two(c[0], c[1]);
		}
		else if (c[0] >= 0xE0 && c[0] <= 0xEF && left >= 3)
		{
			len = 3;
			folded = fold_three(c);
		}
		else if (c[0] >= 0xF0 && left >= 4)
			len = 4;
		at += len;
		if (folded != 0)
		{
			*next = at;
			return folded;
		}
	}
	*next = text->len;
	return CHAR_END;
}

static void
start(Reader *reader, const Text *text, size_t at)
{
	reader->text = text;
	reader->at = at;
	reader->current = fold_at(text, at, &reader->next);
}

static void
step(Reader *reader)
{
	reader->at = reader->next;
	reader->current = fold_at(reader->text, reader->at, &reader->next);
}

static int
peek(const Reader *reader)
{
	size_t		ignored;

	return fold_at(reader->text, reader->next, &ignored);
}

static bool
is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == CHAR_LETTER;
}

static bool
is_word(int c)
{
	return is_digit(c) || is_letter(c);
}

static bool
is_hex(int c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool
is_token(int c)
{
	return (is_word(c) && c != CHAR_LETTER) || c == '_' || c == '-';
}

static bool
is_separator(int c)
{
	return c == ' ' || c == '-';
}

/* A number goes on after this place: "-1", ".5", or a letter. */
static bool
goes_on(const Reader *reader)
{
	return is_word(reader->current) || reader->current == '_' ||
		((reader->current == '-' || reader->current == '.') && is_digit(peek(reader)));
}

/* ---- check digits ---- */

static bool
luhn(const char *digits, int n)
{
	int			sum = 0;

	for (int i = 0; i < n; i++)
	{
		int			digit = digits[n - 1 - i] - '0';

		if (i % 2 == 1)
			digit = digit > 4 ? digit * 2 - 9 : digit * 2;
		sum += digit;
	}
	return sum % 10 == 0;
}

static int
number(const char *digits, int n)
{
	int			value = 0;

	for (int i = 0; i < n; i++)
		value = value * 10 + digits[i] - '0';
	return value;
}

/* ---- recognisers: the end of what starts at the reader, or 0 ---- */

/* local part up to 64 characters, a domain with a dot and a top level of letters */
static size_t
find_email(Reader *reader)
{
	int			local = 0;
	int			last = 0;
	int			letters = 0;
	int			dots = 0;
	size_t		end;

	while (is_word(reader->current) || (reader->current < 128 && reader->current > 0 && strchr("._%+-'", reader->current) != NULL))
	{
		if (++local > 64)
			return 0;
		last = reader->current;
		step(reader);
	}
	if (local == 0 || last == '.' || reader->current != '@')
		return 0;
	step(reader);
	end = reader->at;
	for (int i = 0; i < 255 && (is_word(reader->current) || (reader->current == '-' && peek(reader) == '-') ||
								((reader->current == '.' || reader->current == '-') && is_word(peek(reader)))); i++)
	{
		if (reader->current == '.')
		{
			dots++;
			letters = 0;
		}
		else
			letters += is_letter(reader->current) ? 1 : -1000;
		end = reader->next;
		step(reader);
	}
	return (dots > 0 && letters >= 2) ? end : 0;
}

/* The digits from here, single separators between them; n is -1 when they are more than max. */
static size_t
read_digits(Reader *reader, char *digits, int max, int *n)
{
	size_t		end = reader->at;

	*n = 0;
	while (is_digit(reader->current) || (is_separator(reader->current) && *n > 0 && is_digit(peek(reader))))
	{
		if (is_digit(reader->current))
		{
			if (*n == max)
			{
				*n = -1;
				return 0;
			}
			digits[(*n)++] = (char) reader->current;
			end = reader->next;
		}
		step(reader);
	}
	return end;
}

/* the first digits that issuers of cards have */
static bool
is_issuer(const char *digits)
{
	int			four = number(digits, 4);

	return digits[0] == '4' || (four >= 5100 && four <= 5599) || (four >= 2221 && four <= 2720) ||
		(four >= 3400 && four <= 3499) || (four >= 3700 && four <= 3799) || (four >= 3528 && four <= 3589) ||
		(four >= 3000 && four <= 3059) || (four >= 3600 && four <= 3699) || (four >= 3800 && four <= 3999) ||
		four == 6011 || (four >= 6200 && four <= 6299) || (four >= 6440 && four <= 6599) ||
		(four >= 5000 && four <= 5099) || (four >= 5600 && four <= 5899) || (four >= 6300 && four <= 6399);
}

static size_t
find_card(Reader *reader)
{
	char		digits[CARD_MAX_DIGITS];
	int			n;
	size_t		end = read_digits(reader, digits, CARD_MAX_DIGITS, &n);

	if (n < 13 || goes_on(reader) || !is_issuer(digits) || !luhn(digits, n))
		return 0;
	/* 4000 0000 0000 0000 is nobody's */
	return strspn(digits + 1, "0") >= (size_t) n - 2 ? 0 : end;
}

static const char iban_lengths[] =
"AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23"
"GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18"
"NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20";

static int
iban_length(int first, int second)
{
	for (const char *entry = iban_lengths; *entry; entry += 4)
	{
		if (entry[0] == first && entry[1] == second)
			return number(entry + 2, 2);
	}
	return 0;
}

static int
upper(int c)
{
	return (c >= 'a' && c <= 'z') ? c - 'a' + 'A' : c;
}

static size_t
find_iban(Reader *reader)
{
	char		chars[34];
	int			length;
	int			rest = 0;
	size_t		end = 0;
	int			first = upper(reader->current);

	if (!is_letter(first) || first == CHAR_LETTER)
		return 0;
	length = iban_length(first, upper(peek(reader)));
	for (int n = 0; n < length; n++)
	{
		if (n > 0 && is_separator(reader->current))
			step(reader);
		if (!is_word(reader->current) || reader->current == CHAR_LETTER)
			return 0;
		chars[n] = (char) upper(reader->current);
		end = reader->next;
		step(reader);
	}
	if (length == 0 || is_word(reader->current) || !is_digit(chars[2]) || !is_digit(chars[3]))
		return 0;
	/* the first four come last; letters count 10 to 35 */
	for (int i = 0; i < length; i++)
	{
		int			c = chars[(i + 4) % length];

		rest = is_digit(c) ? (rest * 10 + c - '0') % 97 : (rest * 100 + c - 'A' + 10) % 97;
	}
	return rest == 1 ? end : 0;
}

/* day and month of a Swedish number; 60 is added to the day of a coordination number */
static bool
is_day(const char *digits)
{
	int			month = number(digits, 2);
	int			day = number(digits + 2, 2);

	return month >= 1 && month <= 12 && ((day >= 1 && day <= 31) || (day >= 61 && day <= 91));
}

/* YYMMDD-NNNC or YYYYMMDD-NNNC, the separator + or - or none, C by Luhn over the last ten */
static size_t
find_swedish_id(Reader *reader)
{
	char		digits[12];
	int			n = 0;
	int			separator_at = 0;
	size_t		end = 0;

	while (n < 12 && (is_digit(reader->current) ||
					  ((n == 6 || n == 8) && separator_at == 0 && (reader->current == '-' || reader->current == '+') && is_digit(peek(reader)))))
	{
		if (is_digit(reader->current))
		{
			digits[n++] = (char) reader->current;
			end = reader->next;
		}
		else
			separator_at = n;
		step(reader);
	}
	if ((n != 10 && n != 12) || goes_on(reader) || (separator_at != 0 && separator_at != n - 4))
		return 0;
	if (n == 12 && (number(digits, 2) < 18 || number(digits, 2) > 20))
		return 0;
	return is_day(digits + n - 8) && luhn(digits + n - 10, 10) ? end : 0;
}

/* AAA-GG-SSSS, with one kind of separator */
static size_t
find_us_id(Reader *reader)
{
	static const int groups[] = {3, 2, 4};
	int			values[3] = {0};
	int			separator = 0;
	size_t		end = 0;

	for (int group = 0; group < 3; group++)
	{
		if (group > 0)
		{
			if (!is_separator(reader->current) || (group == 2 && reader->current != separator))
				return 0;
			separator = reader->current;
			step(reader);
		}
		for (int i = 0; i < groups[group]; i++)
		{
			if (!is_digit(reader->current))
				return 0;
			values[group] = values[group] * 10 + reader->current - '0';
			end = reader->next;
			step(reader);
		}
	}
	if (goes_on(reader) || values[0] == 0 || values[0] == 666 || values[0] >= 900 || values[1] == 0 || values[2] == 0)
		return 0;
	return end;
}

static size_t
find_national_id(Reader *reader)
{
	Reader		again = *reader;
	size_t		end = find_swedish_id(reader);

	return end ? end : find_us_id(&again);
}

static size_t
find_ipv4(Reader *reader)
{
	size_t		end = 0;

	for (int octet = 0; octet < 4; octet++)
	{
		int			value = 0;
		int			n = 0;

		if (octet > 0)
		{
			if (reader->current != '.')
				return 0;
			step(reader);
		}
		for (; is_digit(reader->current) && n < 4; n++)
		{
			value = value * 10 + reader->current - '0';
			end = reader->next;
			step(reader);
		}
		if (n == 0 || n > 3 || value > 255)
			return 0;
	}
	return goes_on(reader) ? 0 : end;
}

/* eight groups of hexadecimal digits, or fewer around one "::" */
static size_t
find_ipv6(Reader *reader)
{
	int			ngroups = 0;
	int			ngaps = 0;
	int			ndigits = 0;
	size_t		end = 0;
	size_t		begin = reader->at;

	for (int length = 0; length < 45; length++)
	{
		int			n = 0;

		for (; is_hex(reader->current) && n < 5; n++)
		{
			ndigits += is_digit(reader->current);
			end = reader->next;
			step(reader);
		}
		if (n > 4)
			return 0;
		ngroups += n > 0;
		if (reader->current != ':')
			break;
		if (peek(reader) == ':')
		{
			ngaps++;
			step(reader);
			end = reader->next;
		}
		else if (n == 0 || !is_hex(peek(reader)))
			break;
		step(reader);
	}
	if (is_word(reader->current) || reader->current == ':' || ndigits == 0)
		return 0;
	if (ngaps == 0)
		return ngroups == 8 ? end : 0;
	/* a::b may be anything; ::1 is the machine itself, which is nobody's */
	return ngaps == 1 && ngroups >= 2 && ngroups <= 7 && end - begin >= 8 ? end : 0;
}

static size_t
find_ip(Reader *reader)
{
	Reader		again = *reader;
	size_t		end = find_ipv4(reader);

	return end ? end : find_ipv6(&again);
}

/* the groups of digits of a number as it is written */
typedef struct Groups
{
	int			ngroups;
	int			lengths[PHONE_MAX_DIGITS];
	char		digits[PHONE_MAX_DIGITS];
	int			ndigits;
	bool		has_slash_or_dot;
	size_t		end;
} Groups;

/* false when there are too many digits */
static bool
read_groups(Reader *reader, Groups *groups)
{
	bool		in_group = false;

	for (;;)
	{
		int			c = reader->current;

		if (is_digit(c))
		{
			if (groups->ndigits == PHONE_MAX_DIGITS)
				return false;
			if (!in_group)
				groups->lengths[groups->ngroups++] = 0;
			in_group = true;
			groups->lengths[groups->ngroups - 1]++;
			groups->digits[groups->ndigits++] = (char) c;
			groups->end = reader->next;
		}
		else if (c > 0 && c < 128 && strchr(" -./()", c) != NULL && groups->ndigits > 0 &&
				 (is_digit(peek(reader)) || ((c == ')' || c == ' ') && strchr(" -(", peek(reader) & 127) != NULL && peek(reader) > 0 && peek(reader) < 128)))
		{
			in_group = false;
			groups->has_slash_or_dot |= c == '.' || c == '/';
		}
		else
			return true;
		step(reader);
	}
}

/* 21.11.2026, 08-11-2026 10 */
static bool
is_date(const Groups *groups)
{
	return groups->ngroups >= 3 && groups->lengths[0] == 2 && groups->lengths[1] == 2 && groups->lengths[2] == 4 &&
		number(groups->digits, 2) <= 31 && number(groups->digits + 2, 2) <= 12;
}

/* with a trunk zero: in groups, or as mobile numbers of Europe are written in one */
static bool
is_national_phone(const Groups *groups)
{
	if (groups->digits[0] != '0' || groups->digits[1] == '0' || groups->ndigits < 9 || groups->ndigits > 12 || is_date(groups))
		return false;
	if (groups->ngroups == 1)
		return (groups->digits[1] == '7' && groups->ndigits <= 11 && groups->ndigits >= 10) ||
			(groups->digits[1] == '1' && groups->digits[2] >= '5' && groups->digits[2] <= '7' && groups->ndigits >= 11);
	return groups->lengths[0] >= 2 && groups->lengths[0] <= 5 && groups->ngroups <= 5;
}

/* NNN NNN NNNN of North America */
static bool
is_american_phone(const Groups *groups)
{
	return groups->ngroups == 3 && groups->lengths[0] == 3 && groups->lengths[1] == 3 && groups->lengths[2] == 4 &&
		groups->digits[0] >= '2' && groups->digits[3] >= '2';
}

static size_t
find_phone(Reader *reader)
{
	Groups		groups = {0};
	bool		plus = reader->current == '+';

	if (plus || reader->current == '(')
		step(reader);
	if (!is_digit(reader->current) || !read_groups(reader, &groups) || goes_on(reader) || reader->current == ':')
		return 0;
	if (!plus && groups.ndigits >= 10 && groups.digits[0] == '0' && groups.digits[1] == '0' && groups.digits[2] != '0' && !groups.has_slash_or_dot)
		return groups.end;
	if (plus ? (groups.digits[0] != '0' && groups.ndigits >= 8) : (is_national_phone(&groups) || is_american_phone(&groups)))
		return groups.end;
	return 0;
}

/* ---- keys: told by their first characters ---- */

static const struct
{
	const char *prefix;
	int			min_length;		/* of what follows */
}			key_forms[] = {
	{"sk-", 20}, {"sk_live_", 16}, {"sk_test_", 16}, {"rk_live_", 16}, {"pk_live_", 16}, {"ghp_", 36}, {"gho_", 36},
	{"ghu_", 36}, {"ghs_", 36}, {"ghr_", 36}, {"github_pat_", 22}, {"glpat-", 20}, {"xoxb-", 10}, {"xoxp-", 10}, {"xoxa-", 10},
	{"xoxr-", 10}, {"xoxs-", 10}, {"AKIA", 16}, {"ASIA", 16}, {"AIza", 35}, {"hf_", 30}, {"npm_", 36}, {"SG.", 40},
	{"Bearer ", 20}, {"pypi-", 40}, {"shpat_", 32}, {"dop_v1_", 64}, {"gsk_", 40}, {"r8_", 37}, {"whsec_", 24},
};

/* Steps over word if it stands here. */
static bool
skip_word(Reader *reader, const char *word)
{
	Reader		ahead = *reader;

	for (; *word; word++)
	{
		if (ahead.current != *word)
			return false;
		step(&ahead);
	}
	*reader = ahead;
	return true;
}

/* The end of a run of token characters (and dots, when asked for) of some length. */
static size_t
skip_token(Reader *reader, int min_length, bool dots)
{
	size_t		end = 0;
	int			n = 0;

	while (n < TOKEN_MAX_LENGTH && (is_token(reader->current) || (dots && reader->current == '.' && is_token(peek(reader)))))
	{
		n++;
		end = reader->next;
		step(reader);
	}
	return n >= min_length ? end : 0;
}

static size_t
find_private_key(Reader *reader)
{
	if (!skip_word(reader, "-----BEGIN "))
		return 0;
	for (int i = 0; i < 30 && !skip_word(reader, "PRIVATE KEY"); i++)
	{
		if (!is_word(reader->current) && reader->current != ' ')
			return 0;
		step(reader);
	}
	while (reader->current != CHAR_END)
	{
		if (reader->current == '-' && skip_word(reader, "-----END "))
		{
			while (reader->current != CHAR_END && reader->current != '-')
				step(reader);
			while (reader->current == '-')
				step(reader);
			return reader->at;
		}
		step(reader);
	}
	return reader->at;			/* cut off: all of it is key */
}

static size_t
find_api_key(Reader *reader)
{
	if (reader->current == '-')
		return find_private_key(reader);
	for (size_t i = 0; i < lengthof(key_forms); i++)
	{
		Reader		ahead = *reader;

		if (skip_word(&ahead, key_forms[i].prefix))
			return skip_token(&ahead, key_forms[i].min_length, strchr(" .", key_forms[i].prefix[strlen(key_forms[i].prefix) - 1]) != NULL);
	}
	/* a signed web token: three parts, the first two JSON in base64 */
	if (reader->current == 'e' && skip_word(reader, "eyJ"))
	{
		if (skip_token(reader, 10, false) && skip_word(reader, ".eyJ") && skip_token(reader, 4, false) && skip_word(reader, "."))
			return skip_token(reader, 16, false);
	}
	return 0;
}

/* ---- the scan ---- */

/* in this order: of two kinds at one place the more certain one */
static const struct
{
	MemaiPiiKind kind;
	size_t		(*find) (Reader *reader);
}			recognisers[] = {
	{MEMAI_PII_API_KEY, find_api_key}, {MEMAI_PII_EMAIL, find_email}, {MEMAI_PII_IBAN, find_iban}, {MEMAI_PII_CARD, find_card},
	{MEMAI_PII_NATIONAL_ID, find_national_id}, {MEMAI_PII_IP, find_ip}, {MEMAI_PII_PHONE, find_phone},
};

const char *
memai_pii_name(MemaiPiiKind kind)
{
	return names[kind];
}

/* A number does not start inside a word, a number or a fraction. */
static bool
may_start(int before, int current)
{
	if (current == CHAR_OTHER || current == CHAR_END || is_word(before) || before == '_')
		return false;
	return is_word(current) || current == '+' || current == '(' || current == '-' || current == ':' || current == '_';
}

/*
 * Moves to the last character of a UUID that starts here.  Three of its groups
 * pass for an IBAN or a phone number once in some thousand; but it may also be
 * the first part of an address.
 */
static bool
skip_uuid(Reader *reader)
{
	Reader		ahead = *reader;
	Reader		last = *reader;

	for (int i = 0; i < 36; i++)
	{
		bool		is_dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (is_dash ? ahead.current != '-' : !is_hex(ahead.current))
			return false;
		last = ahead;
		step(&ahead);
	}
	if (is_word(ahead.current) || (ahead.current < CHAR_LETTER && ahead.current > 0 && strchr("-_+@", ahead.current) != NULL) || (ahead.current == '.' && is_word(peek(&ahead))))
		return false;
	*reader = last;
	return true;
}

bool
memai_pii_next(const char *utf8, size_t len, size_t offset, unsigned kinds, MemaiPiiMatch *match)
{
	Text		text = {(const unsigned char *) utf8, len};
	Reader		reader;
	int			before = CHAR_OTHER;
	bool		in_number = false;

	for (start(&reader, &text, offset); reader.current != CHAR_END; step(&reader))
	{
		bool		may = may_start(before, reader.current) && !skip_uuid(&reader);

		for (size_t i = 0; may && i < lengthof(recognisers); i++)
		{
			Reader		ahead = reader;
			size_t		end;

			if (!(kinds & (1u << recognisers[i].kind)))
				continue;
			/* "1.5" is no place for a number to start at 5 */
			if (in_number && is_digit(reader.current))
				continue;
			end = recognisers[i].find(&ahead);
			if (end > 0)
			{
				*match = (MemaiPiiMatch) {recognisers[i].kind, reader.at, end};
				return true;
			}
		}
		in_number = is_word(before) && (reader.current == '.' || reader.current == '-');
		before = reader.current;
	}
	return false;
}
