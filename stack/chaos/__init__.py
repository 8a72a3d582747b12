"""Breaks the stack under load and checks, through the public HTTP API alone, what its users get."""
