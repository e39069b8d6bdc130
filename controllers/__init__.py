"""HTTP only: routes, their parameters, and answers made of what the services return."""
