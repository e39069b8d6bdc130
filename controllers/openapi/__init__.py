"""The documentation of the API: the OpenAPI document, what it says of each route, and the pages that show it."""
