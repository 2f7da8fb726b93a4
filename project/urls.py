"""Where the parts answer: the admin at /admin/, everything else from the app."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

#: What Django itself refuses is answered by the API in its own form.
handler400 = "cleanup.api.exception_handler.bad_request"
handler500 = "cleanup.api.exception_handler.server_error"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("", include("cleanup.urls")),
]
