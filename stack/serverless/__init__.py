"""A function's surroundings on one machine: AWS's Lambda emulator, and a gateway in front of it.

For local runs and tests; nothing here is deployed (docs/serverless.md).
"""
