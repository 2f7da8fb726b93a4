"""The project's addresses, and a second admin site beside the first."""

from django.contrib import admin
from django.urls import path

from cleanup.admin import register
from project import urls

office = admin.AdminSite(name="office")
office.site_url = None
register(office)

urlpatterns = [path("office/", office.urls), *urls.urlpatterns]
