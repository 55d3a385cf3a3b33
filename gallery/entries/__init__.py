"""One file is one way to break a trace: the words about it, the script, and what Zipkin has after it ran."""
