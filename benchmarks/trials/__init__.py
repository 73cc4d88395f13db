"""Trials of a cluster: faults, while every push is accounted for."""
