"""Plain ASGI layers around the routes; none of them knows an entity."""
