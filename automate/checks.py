"""What `manage.py check` says about a site's `AUTOMATE` settings and its secrets."""
