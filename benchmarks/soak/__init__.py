"""A gateway under mixed load for minutes or hours: does it lose anything, and does it grow?"""
