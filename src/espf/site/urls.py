"""Addresses of the web side."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from espf.console import monitoring, views
from espf.console.login import Login

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("events/<int:i_event>/", views.event, name="event"),
    path("login/", Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("style.css", views.style, name="style"),
    path("metrics", monitoring.metrics, name="metrics"),
    path("healthz", monitoring.healthz, name="healthz"),
    path("readyz", monitoring.readyz, name="readyz"),
]
handler500 = "espf.console.views.failed"
