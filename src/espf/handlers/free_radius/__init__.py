"""FreeRADIUS: keeps users of its SQL schema as the registry has them, and ends their sessions."""
