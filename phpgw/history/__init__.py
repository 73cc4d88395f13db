"""Histories of groups: their last messages, for clients that were away."""
