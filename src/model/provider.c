/*
 * provider.c
 *	  The list of providers.  A new one is a file with its table and a line
 *	  here.
 */
#include "postgres.h"

#include "model/provider.h"

static const MemaiProvider *const providers[] = {
	&memai_provider_local,
	&memai_provider_static,
	&memai_provider_openai,
	&memai_provider_azure,
	&memai_provider_anthropic,
	&memai_provider_gemini,
	&memai_provider_ollama,
	&memai_provider_cohere,
	&memai_provider_voyage,
	&memai_provider_jina,
};

static char *
list_names(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < (int) lengthof(providers); i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", providers[i]->name);
	return names.data;
}

const MemaiProvider *
memai_provider_find(const char *name)
{
	for (int i = 0; i < (int) lengthof(providers); i++)
		if (strcmp(providers[i]->name, name) == 0)
			return providers[i];
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("provider \"%s\" does not exist", name),
			 errhint("The providers are: %s.", list_names())));
}
