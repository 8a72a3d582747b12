"""Which purge rate? Steps the token bucket through rates under a fixed load, and measures each."""
