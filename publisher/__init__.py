"""The publisher: Kafka -> fold -> apply -> release -> announce (purge, then publish)."""
