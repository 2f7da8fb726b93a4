"""Settings of a project with two admin sites."""

from project.settings import *  # noqa: F403  # settings are a module of names

ROOT_URLCONF = "tests.browser.second_site_urls"
