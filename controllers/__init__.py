"""HTTP only: routes, their parameters, and responses made of the results of services."""
