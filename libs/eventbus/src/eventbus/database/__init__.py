"""The tables of the bus, and the two kinds of database that hold them."""
