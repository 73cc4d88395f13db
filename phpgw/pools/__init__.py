"""Connection pools: connections to other servers that are held for PHP."""
