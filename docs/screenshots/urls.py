from collections.abc import Callable

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]

View = Callable[[HttpRequest], HttpResponse]


def strict_content_security_policy(get_response: View) -> View:
    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["Content-Security-Policy"] = "default-src 'self'"
        return response

    return respond


def log_in_as_the_operator(get_response: View) -> View:
    """Take everybody for the operator: the browser of the pictures cannot log in."""

    def respond(request: HttpRequest) -> HttpResponse:
        request.user = get_user_model().objects.get(username="anna")
        return get_response(request)

    return respond
