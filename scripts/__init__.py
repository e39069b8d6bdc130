"""Programs beside the shop: some fill it through its HTTP interface, as any client would, some work on its database."""

from infrastructure.server.required_packages import require_packages

require_packages()
