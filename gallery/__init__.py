"""How a trace breaks: small scripts that are run, and what Zipkin then has. `docs/gallery.md` is made of them."""
