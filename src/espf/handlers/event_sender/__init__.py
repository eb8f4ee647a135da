"""EventSender: POSTs each event to a web application (domain, 2)."""
