"""The process among others: ports, certificates, signals, descriptors, the service manager."""
