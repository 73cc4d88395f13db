"""The log's lines: as text for people, for a terminal, for systemd's journal, or as JSON."""
