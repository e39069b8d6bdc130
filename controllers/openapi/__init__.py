"""The documentation of the API: the OpenAPI document, its parts for each route, and the pages that show it."""
