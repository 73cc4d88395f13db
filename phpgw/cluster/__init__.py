"""Many gateways as one: each is a node, and reaches the clients of the others over the bus."""
