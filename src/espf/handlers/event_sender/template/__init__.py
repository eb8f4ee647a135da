"""`EventSender.BodyTemplate`: a request's body written by the operator (docs/decisions/0014)."""
