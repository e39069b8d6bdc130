"""Programs beside the shop: some load data through its HTTP API, as any client would, some work on its database."""

from infrastructure.server.required_packages import require_packages

require_packages()
