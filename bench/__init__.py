"""The same chain as others build it, and what each of our promises costs: `make bench`."""
