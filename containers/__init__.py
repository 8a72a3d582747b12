"""What our images run around Varnish, Pushpin and nginx: they find each other by name.

Imports nothing but Python's own library: the images have no more.
"""
