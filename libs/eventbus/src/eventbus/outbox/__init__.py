"""Events on their way out: rows written with the business data, published in order by the relay."""
