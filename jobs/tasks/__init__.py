"""The tasks of the background process, a module for each."""
