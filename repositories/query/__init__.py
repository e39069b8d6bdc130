"""The statements of the repositories: built once per shape, prepared, and bound to their values."""
