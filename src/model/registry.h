/*
 * registry.h
 *	  The registry's tables as C sees them: rights, rows, options,
 *	  credentials.  Private to model/.
 */
#ifndef MEMAI_MODEL_REGISTRY_H
#define MEMAI_MODEL_REGISTRY_H

#include "http/http.h"
#include "model/provider.h"

/* ---- registry.c ---- */

/* who was running before memai_registry_open */
typedef struct MemaiRegistry
{
	Oid			user;
	int			sec_context;
} MemaiRegistry;

/*
 * Opens an SPI connection with the rights of the registry's owner, for fixed
 * statements on the registry only; close returns to the caller's rights.  An
 * error in between restores them at the end of the (sub)transaction.  Raises
 * 55000 when the extension is not installed in this database.
 */
extern void memai_registry_open(MemaiRegistry *registry);
extern void memai_registry_close(MemaiRegistry *registry);

/* Reads a row whoever may use it; NULL when there is none.  Current context. */
extern MemaiModel *memai_registry_read(const char *name);

/*
 * The same, and whether the caller may call it.
 */
extern MemaiModel *memai_registry_find(const char *name, bool *usable);

/* True when role has the rights of memai_admin. */
extern bool memai_is_admin(Oid role);

extern void memai_registry_init(void);

/* ---- options.c ---- */

/* A member of an options object; NULL, or the default, when it is absent or null. */
extern char *memai_option_text(const Jsonb *options, const char *key);
extern double memai_option_number(const Jsonb *options, const char *key, double missing);
extern int	memai_option_int(const Jsonb *options, const char *key, int missing);
extern bool memai_option_bool(const Jsonb *options, const char *key, bool missing);

/* A member of any type as JSON text of the server; NULL when absent or null. */
extern char *memai_option_json(const Jsonb *options, const char *key);

/*
 * Checks every member of options against a list that ends with a NULL key.
 * Raises 22023 for an unknown key, a value of another type, or a number
 * outside its bounds; the hint lists the keys.
 */
typedef enum MemaiOptionType
{
	MEMAI_OPTION_TEXT,
	MEMAI_OPTION_NUMBER,
	MEMAI_OPTION_INTEGER,
	MEMAI_OPTION_BOOLEAN,
	MEMAI_OPTION_OBJECT,
	MEMAI_OPTION_ARRAY,
	MEMAI_OPTION_ANY
} MemaiOptionType;

typedef struct MemaiOption
{
	const char *key;
	MemaiOptionType type;
	double		minimum;
	double		maximum;
} MemaiOption;

extern void memai_options_check(const Jsonb *options, const char *what, const MemaiOption *known);

/* what a model of any provider may have in its options; ends with a NULL key */
extern const MemaiOption memai_common_model_options[];

/* The same for a model's options: those of its provider, and the common ones. */
extern void memai_model_options_check(const Jsonb *options, const MemaiOption *known);

/* an empty object */
extern Jsonb *memai_options_empty(void);

/* ---- credential.c ---- */

/* a key as it is sent; erase it with memai_credential_forget */
typedef struct MemaiCredential
{
	char	   *secret;
	char	   *header;			/* NULL: the provider's usual one */
	char	   *scheme;			/* NULL: the provider's usual one */
} MemaiCredential;

/*
 * Reads the key of a model for a request to url.  Raises MA001 when there is
 * no such credential or it cannot be read, 42501 when the model's owner does
 * not hold it or url lies outside its prefix.  Palloc'd in the current context.
 */
extern MemaiCredential *memai_credential_read(const MemaiModel *model, const MemaiHttpUrl *url);

extern void memai_credential_forget(MemaiCredential *credential);

/*
 * Opens a request with the key's header line, if there is a key (credential may
 * be NULL); the copy of the key that this takes is erased.  The header and the
 * word before the key are usual_header and usual_scheme (NULL: none) unless the
 * credential has its own.  Raises as memai_http_open.
 */
extern MemaiHttpTransfer *memai_credential_open(MemaiHttpRequest *http, const MemaiCredential *credential,
												const char *usual_header, const char *usual_scheme);

/*
 * Raises unless role may attach the credential to a model at url: 42704, 42501.
 */
extern void memai_credential_check(const char *name, Oid role, const MemaiHttpUrl *url);

extern void memai_credential_init(void);

#endif							/* MEMAI_MODEL_REGISTRY_H */
