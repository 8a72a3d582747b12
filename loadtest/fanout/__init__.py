"""How fast a message reaches many viewers: Holdfast, bare Pushpin and nchan in one run."""
