"""The vocabulary of values, what follows from them, and what may be believed."""
