"""Takes orders over HTTP and announces them."""
