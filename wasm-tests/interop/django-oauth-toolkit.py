"""An authorization server of PyPI's `django-oauth-toolkit`, under `waitress`.

Its argument is JSON: life (seconds of an access token), gateway, robot (each
{id, secret}), introspector (a bearer
token that may introspect), refresh (a refresh token that it is to know). It prints its
issuer when it is ready, and keeps everything in memory.
"""

import json
import sys
from datetime import timedelta

import django
from django.conf import settings

given = json.loads(sys.argv[1])

settings.configure(
    SECRET_KEY="interop",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    # It hashes the client's secret for each call; the usual hasher takes most of
    # a second of a processor for that.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF=__name__,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    # Shared by the threads of this process, and alive as long as it is.
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": "file:interop?mode=memory&cache=shared",
            "OPTIONS": {"uri": True},
        }
    },
    OAUTH2_PROVIDER={
        "SCOPES": {"mcp:read": "read", "mcp:write": "write", "introspection": "introspect"},
        "ACCESS_TOKEN_EXPIRE_SECONDS": given["life"],
    },
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.utils import timezone  # noqa: E402
from oauth2_provider.models import AccessToken, Application, RefreshToken  # noqa: E402
from waitress.server import create_server  # noqa: E402

urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]

call_command("migrate", verbosity=0)


def application(client):
    return Application.objects.create(
        name=client["id"],
        client_id=client["id"],
        client_secret=client["secret"],
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
    )


application(given["gateway"])
robot = application(given["robot"])


def issue(token, scope, user=None):
    """An access token as the grants that need a browser would make it."""
    expires = timezone.now() + timedelta(hours=1)
    return AccessToken.objects.create(
        token=token, scope=scope, expires=expires, application=robot, user=user
    )


issue(given["introspector"], "introspection")
alice = User.objects.create_user("alice")
RefreshToken.objects.create(
    token=given["refresh"], user=alice, application=robot, access_token=issue("of-alice", "mcp:read", alice)
)

server = create_server(get_wsgi_application(), host="127.0.0.1", port=0, threads=4)
print(f"ready http://127.0.0.1:{server.effective_port}/o", flush=True)
server.run()
