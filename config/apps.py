from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "config"
    label = "automate_site"
    verbose_name = "The runnable site"
