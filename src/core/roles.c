/*
 * roles.c
 *	  The two group roles that memai grants its rights to.
 *
 * Roles belong to the cluster while the extension belongs to a database, so
 * the install script of a second database finds them there already.
 */
#include "postgres.h"

#include "core/core.h"
#include "commands/user.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "utils/acl.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(memai_ensure_role);

/* _ensure_role(name text) returns void: superuser only, for the install script */
Datum
memai_ensure_role(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	CreateRoleStmt *create;

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to create memai's roles")));
	if (OidIsValid(get_role_oid(name, true)))
		PG_RETURN_VOID();

	create = makeNode(CreateRoleStmt);
	create->stmt_type = ROLESTMT_ROLE;
	create->role = name;
	CreateRole(make_parsestate(NULL), create);
	PG_RETURN_VOID();
}
