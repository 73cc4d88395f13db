"""The pool for MySQL and MariaDB: whole sessions, cleaned between two PHP requests."""
