"""What Django tells of a failure, on its page while debugging and in mails to administrators."""

import re

from django.views.debug import SafeExceptionReporterFilter


class SecretFilter(SafeExceptionReporterFilter):
    """Hides addresses too, some of which hold passwords and tokens, and what a host fills in."""

    hidden_settings = re.compile(
        f"{SafeExceptionReporterFilter.hidden_settings.pattern}|URL|ALERT_EMAILS|FOLDER_DEFAULTS", re.IGNORECASE
    )
