"""Where the health of the shop is asked for, and its version: outside the prefix of the API, never limited, never cached."""

REPORT = "/health_check"
LIVE = "/health/live"
READY = "/health/ready"
VERSION = "/version"

HEALTH_PATHS = (REPORT, LIVE, READY, VERSION)
