"""Configurations of other programs that fit a gateway's own: a room for each program.

They are the only samples of the project, and tests run each of them. The texts have comments for
people who change them later.
"""
