"""Where the parts answer: the admin at /admin/, everything else from the app."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from cleanup.admin import titles

#: What Django itself refuses is answered by the API in its own form.
handler400 = "cleanup.api.exception_handler.bad_request"
handler500 = "cleanup.api.exception_handler.server_error"
#: In the admin's frame, below its address.
handler403 = "cleanup.admin.errors.permission_denied"
handler404 = "cleanup.admin.errors.page_not_found"

admin.site.site_header = titles.SITE
admin.site.site_title = titles.SITE
admin.site.index_title = titles.INDEX
admin.site.site_url = None
admin.site.logout_template = "admin/cleanup/signed_out.html"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", include("cleanup.admin.moved")),
    path("admin/", admin.site.urls),
    path("", include("cleanup.urls")),
]
