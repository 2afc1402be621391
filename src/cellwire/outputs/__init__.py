"""Publish what the store holds; none of them knows a family."""
