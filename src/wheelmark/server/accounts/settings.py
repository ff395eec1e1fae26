"""Django's and allauth's settings about accounts; `wheelmark.server.settings` takes them over whole."""

AUTH_USER_MODEL = "accounts.User"
