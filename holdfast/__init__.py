"""What every part of Holdfast shares: settings, values, formats, state in Redis.

Nothing here knows Flask, runs a loop, or connects to anything when it is imported.
"""
