"""What people who watch the gateway get: its events, its failures and its rates, as they happen."""
