"""The command line. Parsing ends here: a rung gets a typed request and returns a typed result."""
