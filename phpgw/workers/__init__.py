"""Several processes that are one gateway: a parent, and its workers."""
