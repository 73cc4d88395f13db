"""The bus between gateways: publish and subscribe, and what they keep together, in Redis."""
