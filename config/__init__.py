"""The ground every layer may stand on: settings, database, Redis, logging and the embedded servers."""

import os

# Plugins of pydantic: the shop has none, and looking for some reads what every installed package says of itself.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
