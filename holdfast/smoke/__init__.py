"""`scripts/smoke URL`: looks at a running deployment from outside, as its users would.

Imports nothing but Python's own library: it runs where nothing of Holdfast is installed.
"""
