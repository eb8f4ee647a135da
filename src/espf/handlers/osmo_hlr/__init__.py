"""OsmoHLR: keeps subscribers of osmo-hlr as the registry has them, over its control interface."""
