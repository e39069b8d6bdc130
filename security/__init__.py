"""Who may do what: scopes, principals, policies, passwords, tokens and keys, without a database and without HTTP."""
