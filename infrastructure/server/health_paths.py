"""Where the health of the shop is asked for: outside the prefix of the API, never limited, never cached."""

REPORT = "/health_check"
LIVE = "/health/live"
READY = "/health/ready"

HEALTH_PATHS = (REPORT, LIVE, READY)
