"""The attributes of spans that the semantic conventions do not have, each with its type and meaning."""

from typing import Final

REFUSED_RECIPIENTS: Final = "smtp.recipients.refused"
STATUS_CODE: Final = "smtp.response.status_code"

ATTRIBUTES: Final = {
    REFUSED_RECIPIENTS: ("int", "How many recipients the server refused, if it refused some or all. On `send email`."),
    STATUS_CODE: ("int", "The SMTP code of the error, if it has exactly one. On `send email`."),
}
