"""Assembly of the application, and the resources that a worker opens at its start and closes at its end."""
