/*
 * azure.c
 *	  OpenAI's models on Azure: the same bodies, the key in a header of its own,
 *	  a deployment in the URL and a version in the query.
 *
 * The URL is that of a deployment,
 * https://<resource>.openai.azure.com/openai/deployments/<deployment>, with the
 * option api_version, or that of the newer interface,
 * https://<resource>.openai.azure.com/openai/v1, without it.
 */
#include "postgres.h"

#include "model/openai.h"

static void
azure_validate(MemaiModel *model)
{
	bool		deployment;

	if (model->url == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a model of provider \"azure\" needs a URL"),
				 errhint("Pass url => 'https://<resource>.openai.azure.com/openai/deployments/<deployment>'.")));
	memai_wire_check_url(model, NULL);
	memai_openai_check(model);
	deployment = strstr(model->url, "/deployments/") != NULL;
	if (deployment && memai_option_text(model->options, "api_version") == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a deployment needs the version of its interface"),
				 errhint("Pass options => '{\"api_version\": \"2024-10-21\"}'.")));
}

static const MemaiWire azure_wire = {
	.key_header = "api-key",
	.write_chat = memai_openai_write_chat,
	.read_chat = memai_openai_read_chat,
	.read_event = memai_openai_read_event,
	.write_embed = memai_openai_write_embed,
	.read_embed = memai_openai_read_embed,
	.max_batch = 2048
};

const MemaiProvider memai_provider_azure = {
	.name = "azure",
	.validate = azure_validate,
	.wire = &azure_wire
};
