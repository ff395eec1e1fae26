"""The app of projects, releases and files."""

from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    """What there is: Project, Release, File, collaborators, lifecycle, the journal."""

    name = "wheelmark.server.projects"
    label = "projects"
