"""Simulated packs on a simulated line: for tests, demonstrations and support."""
