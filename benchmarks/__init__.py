"""What is fast, measured: each module prints its figures and says how to reproduce them."""

from infrastructure.server.required_packages import require_packages

require_packages()
