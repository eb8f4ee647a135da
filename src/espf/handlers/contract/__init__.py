"""The contract of handlers that carry state: read → diff → apply → verify (domain, 6.1).

Whoever connects a system that is not a plain POST writes an `ExternalSystem` (what is wanted of a
subscriber, how to read it, what steps make the difference, how to take one) and a `SystemType`
(name, options, event types). Retries, merged and late events, swaps, unknown outcomes, audit,
resync and dry run are done here, once for all of them.
"""
