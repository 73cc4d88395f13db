"""Pools of connections to PostgreSQL, by a PgBouncer of the gateway's own."""
