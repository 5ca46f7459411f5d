"""{% load tasksq %}: {% tasksq_summary %} for the index page of an admin site; {% tasksq_dashboard %} is all of it."""

from django import template
from django.apps import apps
from django.template import Context

# Django imports the tags of every installed app for any template, and a project need not have the admin.
if apps.is_installed("django.contrib.admin"):
    from ..admin.dashboard.page import dashboard, summary

__all__ = ["register"]

register = template.Library()
FOLDER = "admin/django_tasks_q/dashboard"


@register.inclusion_tag(f"{FOLDER}/dashboard.html", takes_context=True)
def tasksq_dashboard(context: Context) -> dict[str, object]:
    """The dashboard of the visitor's backend: as much of it as he may see."""
    return dashboard(context["request"])


@register.inclusion_tag(f"{FOLDER}/summary.html", takes_context=True)
def tasksq_summary(context: Context) -> dict[str, object]:
    """What is wrong, and a few numbers, with a link to the dashboard."""
    return summary(context["request"])
