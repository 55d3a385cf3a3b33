"""E-mails each invoice to its customer."""
