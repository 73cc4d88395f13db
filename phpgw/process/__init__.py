"""The operating system: listening ports, TLS, signals, descriptors, log file, service manager."""
