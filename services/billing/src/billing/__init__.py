"""Writes one invoice for each order."""
