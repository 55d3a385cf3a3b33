"""Events on their way in: from the topic to the handler, and where they go if that fails."""
