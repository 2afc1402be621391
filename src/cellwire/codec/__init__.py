"""Frames and tables: pure, also on MicroPython."""
