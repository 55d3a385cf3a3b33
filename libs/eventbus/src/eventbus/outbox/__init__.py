"""Events on their way out.

`outbox` stores an event with the business data, within `limits`. The `relay` holds the `lock` of its database, reads
rows by `pending` and gives them to `publishers`, one `publisher` for each topic, in which a `line` keeps the rows of a
key in order. What Kafka has acknowledged is deleted by `forgetting`.
"""
