"""Runs all the parts on one machine, on loopback: for the demo and for the tests alike."""
