"""Settings, and the names that people import for the database, Redis and logging."""

import os

# The shop has no plugins of pydantic, and to look for them reads the metadata of every installed package.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
