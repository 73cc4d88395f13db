"""Outgoing WebSockets: connections that the gateway keeps to other servers, for PHP."""
