"""Programs beside the shop: some fill it through its HTTP interface, as any client would, some work on its database."""

from config.packages import require_packages

require_packages()
