"""The media types of bodies."""

JSON = "application/json"
# RFC 7396: what PATCH does here.
MERGE_PATCH = "application/merge-patch+json"
# The value of Accept-Patch (RFC 5789).
ACCEPT_PATCH = f"{MERGE_PATCH}, {JSON}"
# The form of a page, without files.
FORM = "application/x-www-form-urlencoded"
# What browsers prefer, and what spreadsheets read.
HTML = "text/html"
CSV = "text/csv"
