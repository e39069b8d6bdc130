"""The log of releases: who has started which version."""

from infrastructure.database.prepared import Prepared

# Of a replaced worker it is there already.
NOTE_RELEASE = Prepared(
    "note_release",
    """
    INSERT INTO releases (release, commit, build_time, schema_revision, host, started_at)
    VALUES ($1::text, $2::text, $3::timestamptz, $4::text, $5::text, $6::timestamptz)
    ON CONFLICT (host, started_at) DO NOTHING
    """,
    ("release", "commit", "build_time", "schema_revision", "host", "started_at"),
)
