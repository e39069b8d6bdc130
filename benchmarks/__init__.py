"""Benchmarks: each program prints its figures, and its docstring says how to reproduce them."""

from infrastructure.server.required_packages import require_packages

require_packages()
