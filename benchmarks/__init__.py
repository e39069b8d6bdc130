"""What is fast, measured: each module prints its figures and says how to reproduce them."""

from config.packages import require_packages

require_packages()
