"""Webhooks: each release POSTed to who asked for it, signed, by a process of its own."""
