"""The feed for people who watch the gateway: events, failures and rates, as they happen."""
