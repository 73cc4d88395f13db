"""The ``phpgw`` command line: a room for each command.

``main.py`` lists the commands. The room of a command has the name of the command, and a
``click.Command`` with the name ``command`` in it.
"""
