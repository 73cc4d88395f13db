"""What a WebSocket connection is made of, and what it may do."""
