"""Redis: the guarded gateway to it, cache tags and keys, the responses kept in it, batching and the LRU cache."""
