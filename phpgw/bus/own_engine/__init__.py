"""An engine of the gateway's own, for its workers on one machine."""
