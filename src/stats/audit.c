/*
 * audit.c
 *	  Who changed what costs money or opens doors: a row of memai._audit for each
 *	  change of credentials, models, grants and limits, written in the transaction
 *	  that makes the change.  No secret, option or text of a user is in it.
 *
 * A trigger keeps rows from being changed or removed, also by the table's owner.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "stats/stats_int.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(memai_audit_keep);

#define MAX_DETAILS 8

static void
insert(const char *action, const char *object, ArrayType *names, ArrayType *values)
{
	static MemaiStatement statement = {
		"INSERT INTO memai._audit (at, role, session_role, action, object, detail) "
		"VALUES (clock_timestamp(), $1, session_user, $2, $3, jsonb_strip_nulls(jsonb_object($4, $5)))",
		5, {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID}, NULL
	};
	Oid			owner = memai_ledger_owner();
	Oid			user;
	int			sec_context;
	Datum		parameters[5];

	GetUserIdAndSecContext(&user, &sec_context);
	parameters[0] = CStringGetTextDatum(GetUserNameFromId(user, false));
	parameters[1] = CStringGetTextDatum(action);
	parameters[2] = CStringGetTextDatum(object);
	parameters[3] = PointerGetDatum(names);
	parameters[4] = PointerGetDatum(values);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	SetUserIdAndSecContext(owner, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	memai_statement_run(&statement, parameters, NULL, false, 0);
	SetUserIdAndSecContext(user, sec_context);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
}

void
memai_audit(const char *action, const char *object,...)
{
	Datum		names[MAX_DETAILS];
	Datum		values[MAX_DETAILS];
	bool		no_names[MAX_DETAILS] = {false};
	bool		no_values[MAX_DETAILS];
	int			n = 0;
	int			lower = 1;
	const char *name;
	va_list		details;

	va_start(details, object);
	while ((name = va_arg(details, const char *)) != NULL)
	{
		const char *value = va_arg(details, const char *);

		Assert(n < MAX_DETAILS);
		names[n] = CStringGetTextDatum(name);
		no_values[n] = value == NULL;
		values[n] = value ? CStringGetTextDatum(value) : (Datum) 0;
		n++;
	}
	va_end(details);
	insert(action, object,
		   construct_md_array(names, no_names, n > 0, &n, &lower, TEXTOID, -1, false, TYPALIGN_INT),
		   construct_md_array(values, no_values, n > 0, &n, &lower, TEXTOID, -1, false, TYPALIGN_INT));
}

/* _audit_keep() returns trigger: volatile */
Datum
memai_audit_keep(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "not called by a trigger");
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("rows of the audit log cannot be changed or removed")));
	PG_RETURN_NULL();
}
