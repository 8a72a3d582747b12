"""The relay: Kafka topics as server-sent events, in a process of its own.

At full speed it keeps a core busy; in the publisher's process every value would wait for it.
"""
