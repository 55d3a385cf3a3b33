"""The events between the services, described in `asyncapi.json`: every service's contract, and no service's code."""
