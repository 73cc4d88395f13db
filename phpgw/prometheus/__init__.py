"""The metrics in the terms of Prometheus."""
