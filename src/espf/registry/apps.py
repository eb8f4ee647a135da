"""Django app of the registry."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """Customers, accounts, products and SIM cards."""

    name = "espf.registry"
    label = "espf_registry"
