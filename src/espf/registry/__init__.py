"""The registry: environments, customers, accounts, products and SIM cards."""
